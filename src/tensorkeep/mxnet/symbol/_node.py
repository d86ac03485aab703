"""Node: a variable or the call of an operator. Symbols are outputs of nodes, and share them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tensorkeep.core.graph import mutated_inputs, output_names
from tensorkeep.mxnet._registry import Operator, find
from tensorkeep.mxnet._schema import Schema, all_names, schema
from tensorkeep.mxnet.base import MXNetError

__all__ = ["FAILURES", "HIDDEN", "Entry", "Node", "copied", "hidden_suffix", "post_order", "refusal", "variables"]

FAILURES = (ArithmeticError, LookupError, MemoryError, RuntimeError, StopIteration, TypeError, ValueError)
"""What rules and functions of operators raise for inputs and parameters that they were not made for."""

MAX_OUTPUTS = 1 << 16
"""Inputs or outputs of one node: a parameter of ten bytes can ask for any number of them."""

_COUNTS = ("num_args", "num_arrays", "num_outputs", "num_tensors", "num_weights", "sections")

HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")
"""Attributes that are stored as `__lr_mult__` and shown under both spellings."""


def hidden_suffix(key: str) -> str | None:
    """The hidden attribute that a key begins or ends with ("weight_lr_mult" → "lr_mult"); None when there is none."""
    for hidden in HIDDEN:
        if key.endswith(hidden) or key.rfind(hidden) == 0:
            return hidden
    return None


class Node:
    """One node of a graph.

    Attributes:
        op: the operator's own name, "null" for a variable.
        operator: what computes it; None for a variable and where tensorkeep has none.
        name: unique only by convention.
        attrs: parameters and annotations, as texts.
        inputs: the outputs that it takes.
        control_deps: nodes that must run before it.
        subgraphs: the bodies of control flow, as heads.
        version: of a variable: how many nodes change it.
        stored_outputs: how many outputs it has, where only a file knows.
    """

    __slots__ = (
        "_complete", "attrs", "control_deps", "inputs", "name", "op", "operator", "stored_outputs", "subgraphs",
        "version",
    )  # fmt: skip

    def __init__(self, op: str, name: str, attrs: dict[str, str]) -> None:
        self.op = op
        self.operator: Operator | None = None if op == "null" else find(op)
        if self.operator is not None:
            self.op = self.operator.name
            if not self.operator.computes(attrs):
                self.operator = None
        self.name = name
        self.attrs = attrs
        self.inputs: list[Entry] = []
        self.control_deps: list[Node] = []
        self.subgraphs: tuple[list[Entry], ...] = ()
        self.version = 0
        self.stored_outputs = 1
        self._complete: dict[str, Any] | None = None

    @property
    def is_variable(self) -> bool:
        """Whether it is an input of the network and no operator."""
        return self.op == "null"

    @property
    def schema(self) -> Schema | None:
        """What MXNet says that the operator takes; None for an operator that it does not have."""
        return schema(self.op) if self.op in all_names() else None

    def parameters(self) -> dict[str, str]:
        """Its attributes that are parameters of the operator, without annotations; nothing where it takes none."""
        found = self.schema
        if found is None or not found.params:
            return {}
        own = found.params
        if self.op == "Custom":  # its other attributes are for the user's class
            return {key: value for key, value in self.attrs.items() if key[:2] != "__"}
        return {k: v for k, v in self.attrs.items() if k in own or not (k[:2] == "__" or hidden_suffix(k))}

    @property
    def complete(self) -> dict[str, Any]:
        """All parameters, typed, with defaults.

        Raises:
            MXNetError: what MXNet says of an unknown, missing or unfit one.
        """
        if self._complete is None:
            given = self.parameters()
            if self.operator is not None:
                self._complete = self.operator.complete(given)
            else:
                found = self.schema
                self._complete = {} if found is None else {**found.defaults(), **given}
            for key in _COUNTS:
                count = self._complete.get(key)
                if type(count) is int and count > MAX_OUTPUTS:
                    self._complete = None
                    raise MXNetError(f"Operator {self.op} {self.name}: {key}={count}; at most {MAX_OUTPUTS} are taken.")
        return self._complete

    def check(self) -> None:
        """Raise MXNet's error when the attributes do not fit the operator; the node's name is in its text."""
        if self.operator is None or self.op == "Custom":
            return  # what cannot be computed, or is not registered yet, is refused when it is run
        try:
            _ = self.complete
        except MXNetError as err:
            raise MXNetError(str(err).replace('(name=""', f'(name="{self.name}"', 1)) from None

    def set(self, key: str, value: str) -> None:
        """Set an attribute; what was typed is forgotten."""
        self.attrs[key] = value
        self._complete = None

    def _answering(self) -> Operator | None:
        """The operator; None where there is none, or it is a user's class that is not registered yet."""
        if self.op == "Custom":
            try:
                _ = self.complete
            except MXNetError:
                return None
        return self.operator

    @property
    def outputs(self) -> int:
        """How many outputs it has, hidden ones included."""
        operator = self._answering()
        return self._count(self.stored_outputs if operator is None else operator.outputs)

    def _count(self, rule: Any) -> int:
        """A number of outputs, or what a rule says it is."""
        try:
            count: int = rule if isinstance(rule, int) else rule(self.complete)
        except MXNetError:
            raise
        except FAILURES as err:
            raise refusal(self, err) from err
        if not 0 <= count <= MAX_OUTPUTS:
            raise MXNetError(f"Operator {self.op} {self.name}: {count} outputs; from 0 to {MAX_OUTPUTS} are taken.")
        return count

    @property
    def counted(self) -> int:
        """How many outputs MXNet gives it; here operators leave out some that only its backward needs."""
        return max(_COUNTED.get(self.op, 1), self.outputs)

    @property
    def visible(self) -> int:
        """How many outputs a symbol of it has."""
        operator = self._answering()
        return self._count(self.stored_outputs if operator is None else operator.visible)

    @property
    def mutated(self) -> tuple[int, ...]:
        """The positions of the inputs that it changes."""
        operator = self._answering()
        if operator is not None:
            return operator.mutated(self.complete)
        if self.op in FUSED and self.subgraphs:
            inner = post_order(self.subgraphs[0])
            _, changed = variables(inner)
            order = [node for node in inner if node.is_variable]
            return tuple(i for i, node in enumerate(order) if node in changed)
        return mutated_inputs(self.op)

    def input_names(self) -> list[str]:
        """What its inputs are called."""
        operator = self._answering()
        if operator is not None:
            names = operator.input_names(self.complete)
            pattern = _INPUT_NAMES.get(self.op)
            if pattern is not None:
                count = next((self.complete[key] for key in ("num_outputs", "num_arrays") if key in self.complete), 0)
                names = [pattern.format(i) for i in range(count or len(names))]
            return names
        found = self.schema
        return list(found.inputs) if found is not None and not found.variadic else []

    def output_name(self, index: int) -> str:
        """The full name of an output: "fc1_output"; that of a variable is its own."""
        if self.is_variable:
            return self.name
        operator = self._answering()
        known = output_names(self.op) if operator is None else operator.named_outputs(self.complete)
        if index < len(known):
            suffix = known[index]
        elif self.counted == 1 and self.op != "SliceChannel":
            suffix = "output"
        else:
            suffix = f"output{index}"
        return f"{self.name}_{suffix}" if self.name else suffix

    def take_versions(self) -> None:
        """Note which state of each variable is read, and that a node with auxiliary states makes a new one."""
        self.inputs = [(n, i, n.version if n.is_variable else v) for n, i, v in self.inputs]
        for at in self.mutated:
            if at < len(self.inputs):
                node, index, _ = self.inputs[at]
                if not node.is_variable:
                    raise MXNetError("Mutation target can only be Variable")
                node.version += 1
                self.inputs[at] = (node, index, node.version)

    def initialise_inputs(self) -> None:
        """Say in variables that have no initializer which one the operator wants for them."""
        for at, text in _INITIAL.get(self.op, {}).items():
            if at < len(self.inputs) and self.inputs[at][0].is_variable:
                self.inputs[at][0].attrs.setdefault("__init__", text)

    def __repr__(self) -> str:
        return f"<Node {self.op} {self.name!r}>"


def refusal(node: Node, err: Exception) -> MXNetError:
    """What is said when an operator of a network does not go with its inputs or parameters."""
    if isinstance(err, MXNetError):
        return MXNetError(f"Error in operator {node.name}: {err}")
    names = node.input_names()
    if len(names) != len(node.inputs) and not (isinstance(err, RuntimeError) or node.op == "Custom"):
        listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        why = f"{node.op} takes {len(names)} inputs ({listed}), the network gives it {len(node.inputs)}"
    elif isinstance(err, (LookupError, TypeError)):
        why = f"{node.op} cannot be computed of such inputs or with such parameters ({type(err).__name__}: {err})"
    else:
        why = str(err) or type(err).__name__
    return MXNetError(f"Error in operator {node.name}: {why}")


FUSED = frozenset({"_sg_mkldnn_conv", "_sg_mkldnn_fully_connected"})
"""Operators that oneDNN computes at once; what they compute stands in their body, whose variables are their inputs."""

Entry = tuple[Node, int, int]
"""A node, which of its outputs, and the version of a variable."""

_COUNTED = {
    "_linalg_det": 3, "_linalg_slogdet": 4, "_npi_average": 2, "_npi_exponential": 2, "_npi_gumbel": 2,
    "_npi_logistic": 2, "_npi_norm": 4, "_npi_normal": 2, "_npi_normal_n": 2, "_npi_pareto": 2, "_npi_rayleigh": 2,
    "_npi_std": 2, "_npi_var": 2, "_npi_weibull": 2, "sort": 2,
}  # fmt: skip
"""How many outputs MXNet 1.9.1 counts, hidden ones included; seen in node_row_ptr and in the outputs' names."""

_INPUT_NAMES = {
    **dict.fromkeys(("_np_atleast_1d", "_np_atleast_2d", "_np_atleast_3d"), "ary{}"),
    **dict.fromkeys(("_npi_concatenate", "_npi_dstack", "_npi_hstack"), "data{}"),
    **dict.fromkeys(("multi_all_finite", "multi_sum_sq"), "array_{}"),
    "_npi_multinomial": "data",
    "amp_multicast": "data_{}",
}
"""What operators call their inputs where their schema says something else: most of them take any number of inputs."""

_MOMENTS = {3: '["zero", {}]', 4: '["one", {}]'}
_INITIAL: dict[str, dict[int, str]] = {
    "BatchNorm": _MOMENTS,
    "BatchNorm_v1": _MOMENTS,
    "CuDNNBatchNorm": _MOMENTS,
    "_contrib_BatchNormWithReLU": _MOMENTS,
    "_contrib_SyncBatchNorm": _MOMENTS,
    "_contrib_quantized_batch_norm": _MOMENTS,
    "IdentityAttachKLSparseReg": {1: '["zero", {}]'},
    "LeakyReLU": {1: '["Constant", {"value": 0.25}]'},
    "UpSampling": {1: '["bilinear", {}]'},
}
"""Input → initializer, of operators that want one other than the network's (MXNet 1.9.1's answers)."""


def post_order(heads: Iterable[Entry]) -> list[Node]:
    """The nodes that the heads need, inputs first: the order in which MXNet lists and runs them."""
    done: list[Node] = []
    seen: set[int] = set()
    for head, _, _ in heads:
        if id(head) in seen:
            continue
        seen.add(id(head))
        stack: list[tuple[Node, Iterator[Node]]] = [(head, _needs(head))]
        while stack:
            node, needs = stack[-1]
            for need in needs:
                if id(need) not in seen:
                    seen.add(id(need))
                    stack.append((need, _needs(need)))
                    break
            else:
                done.append(node)
                stack.pop()
    return done


def _needs(node: Node) -> Iterator[Node]:
    yield from [entry[0] for entry in node.inputs]
    yield from node.control_deps


def variables(order: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Arguments and auxiliary states among nodes: the latter are changed by a node that takes them."""
    order = list(order)
    changed = {id(node.inputs[i][0]) for node in order for i in node.mutated if i < len(node.inputs)}
    arguments = [node for node in order if node.is_variable and id(node) not in changed]
    return arguments, [node for node in order if node.is_variable and id(node) in changed]


def copied(heads: list[Entry]) -> list[Entry]:
    """The same heads of a graph with new nodes, which can be changed alone."""
    twins: dict[int, Node] = {}
    for node in post_order(heads):
        twin = twins[id(node)] = Node.__new__(Node)
        twin.op, twin.operator, twin.name, twin.attrs = node.op, node.operator, node.name, dict(node.attrs)
        twin.inputs = [(twins[id(n)], i, v) for n, i, v in node.inputs]
        twin.control_deps = [twins[id(n)] for n in node.control_deps]
        twin.subgraphs = tuple([copied(sub) for sub in node.subgraphs])
        twin.version, twin.stored_outputs, twin._complete = node.version, node.stored_outputs, None
    return [(twins[id(n)], i, v) for n, i, v in heads]
