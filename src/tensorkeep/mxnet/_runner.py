"""Runner: a symbol compiled to a list of torch calls. Executors, SymbolBlock and hybridized blocks run networks by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._history import carried, follow, shadows, stops
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._control_flow import OPERATORS as CONTROL_FLOW
from tensorkeep.mxnet.symbol._control_flow import control_flow
from tensorkeep.mxnet.symbol._infer import from_user, infer_shapes, known
from tensorkeep.mxnet.symbol._node import FAILURES, Entry, Node, post_order, refusal, variables

if TYPE_CHECKING:
    from tensorkeep.mxnet._sparse_graph import SparseFlow
    from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["Runner", "refuse_unknown"]

_Tensor = torch.Tensor
Monitor = Callable[[str, torch.Tensor], None]


def refuse_unknown(heads: list[Entry]) -> None:
    """Raise MXNetError with the list of all operators in the network that tensorkeep cannot compute."""
    lacking: dict[str, list[str]] = {}
    for node in _all_nodes(heads):
        if not node.is_variable and node.operator is None and node.op not in CONTROL_FLOW:
            lacking.setdefault(node.op, []).append(node.name)
    if lacking:
        counts = Counter({op: len(names) for op, names in lacking.items()})
        listed = "".join(
            f"\n  {op}: {count} {'node' if count == 1 else 'nodes'} ({', '.join(lacking[op][:3])}"
            f"{', …' if count > 3 else ''})"
            for op, count in counts.most_common()
        )
        raise MXNetError(f"The network has operators that tensorkeep does not compute:{listed}\nNothing was run.")


def _all_nodes(heads: list[Entry]) -> list[Node]:
    found = post_order(heads)
    return found + [inner for node in found for sub in node.subgraphs for inner in _all_nodes(sub)]


class _Step:
    """One call: `fn` on the values in slots `take`, its results into `put`; then the slots in `free` are emptied."""

    __slots__ = ("device", "fn", "free", "given", "name", "node", "op", "put", "take", "train")

    def __init__(self, node: Node, take: list[int], put: list[int]) -> None:
        self.node = node
        self.name = node.name
        if node.op in CONTROL_FLOW:
            self.op = None
            self.fn = control_flow(node, [Runner.of(body).run for body in node.subgraphs])
            self.given: dict[str, Any] = {}
            self.train, self.device = True, False
        else:
            self.op = op = node.operator
            assert op is not None
            self.fn = op.fn
            self.given = op.parse(node.parameters())
            self.train, self.device = op.wants_train, op.wants_device
        self.take = take
        self.put = put
        self.free: list[int] = []


class Runner:
    """A network that is ready to run.

    Attributes:
        arguments, auxiliary, outputs: the names of its variables and outputs.
    Raises:
        MXNetError: it has operators that tensorkeep does not compute; all of them are listed.
    """

    def __init__(self, symbol: Symbol) -> None:
        self._compile(list(symbol._outputs))

    @classmethod
    def of(cls, heads: list[Entry]) -> Runner:
        """The Runner of heads, which are no Symbol yet."""
        made = cls.__new__(cls)
        made._compile(heads)
        return made

    def _compile(self, heads: list[Entry]) -> None:
        refuse_unknown(heads)
        order = post_order(heads)
        arguments, auxiliary = variables(order)
        self._heads = heads
        self.arguments = [node.name for node in arguments]
        self.auxiliary = [node.name for node in auxiliary]
        self.outputs = [node.output_name(i) for node, i, _ in heads]
        slots: dict[tuple[int, int], int] = {}
        roots: list[int] = []  # slot → the slot whose memory it may share
        self._inputs: list[tuple[str, int]] = []
        self._variables: list[Node] = []
        self._steps: list[_Step] = []
        for node in order:
            if node.is_variable:
                slots[id(node), 0] = len(roots)
                self._inputs.append((node.name, len(roots)))
                self._variables.append(node)
                roots.append(len(roots))
                continue
            take = [_slot(slots, entry, node.name) for entry in node.inputs]
            put = []
            for i in range(node.outputs):
                slots[id(node), i] = len(roots)
                put.append(len(roots))
                shares = node.operator is not None and node.operator.view and take
                roots.append(roots[take[0]] if shares else len(roots))
            self._steps.append(_Step(node, take, put))
        self._size = len(roots)
        self._results = [_slot(slots, entry, "the network") for entry in heads]
        self._plan_clones(roots)
        self._plan_frees()
        self._sources = [k for k, step in enumerate(self._steps) if _open_source(step.node)]
        self._resolved: dict[Any, list[_Step]] = {}

    def _plan_clones(self, roots: list[int]) -> None:
        """Results must not share memory with the caller's tensors or with each other."""
        taken = {slot for _, slot in self._inputs}
        self._clones = []
        for slot in self._results:
            self._clones.append(roots[slot] in taken)
            taken.add(roots[slot])

    def _plan_frees(self) -> None:
        last = {slot: step for step in self._steps for slot in (*step.take, *step.put)}
        for slot, step in last.items():
            if slot not in self._results:
                step.free.append(slot)

    def __call__(
        self,
        values: Mapping[str, torch.Tensor],
        is_train: bool = False,
        *,
        device: torch.device | None = None,
        monitor: Monitor | None = None,
        monitor_all: bool = False,
    ) -> list[torch.Tensor]:
        """The outputs for tensors by name. Auxiliary states are changed in place by the operators that own them.

        Args:
            device: where operators that take no inputs make their results; by default where the values are.
            monitor: called with the name and value of every output of every operator (with `monitor_all` of their
                inputs too), and in backward() with the gradients of their inputs.
        Raises:
            MXNetError: a value is missing; an operator refuses its inputs: the node's name is in the text.
        """
        try:
            given = [values[name] for name, _ in self._inputs]
        except KeyError as err:
            raise MXNetError(f"The network needs a value for its input {err.args[0]!r}.") from None
        return self.run(given, is_train, device=device, monitor=monitor, monitor_all=monitor_all)

    @property
    def slots(self) -> tuple[list[int], list[int]]:
        """Under which numbers a run keeps the values of `inputs`, and the outputs."""
        return [slot for _, slot in self._inputs], self._results

    @property
    def inputs(self) -> list[str]:
        """The names of all variables in the order in which `run` takes their values."""
        return [name for name, _ in self._inputs]

    def run(
        self,
        values: Sequence[torch.Tensor],
        is_train: bool,
        *,
        device: torch.device | None = None,
        monitor: Monitor | None = None,
        monitor_all: bool = False,
        flow: SparseFlow | None = None,
    ) -> list[torch.Tensor]:
        """The same for tensors in the order of `inputs`, where several may have one name.

        Args:
            flow: is told of every operator that is computed.
        """
        slots: list[Any] = [None] * self._size
        for (_, slot), value in zip(self._inputs, values, strict=True):
            slots[slot] = value
        if device is None:
            device = values[0].device if values else torch.device("cpu")
        steps = self._steps if not self._sources else self._with_shapes(slots)
        recording = state.recording and torch.is_grad_enabled()
        for step in steps:
            given = step.given
            if step.train or step.device:
                given = dict(given)
                if step.train:
                    given["is_train"] = is_train
                if step.device:
                    given["device"] = device
            taken = [slots[at] for at in step.take]
            if monitor is not None:
                if monitor_all:
                    _show_inputs(step.node, taken, monitor)
                taken = _watched(step.node, taken, monitor)
            try:
                found = step.fn(*taken, **given)
            except FAILURES as err:
                raise _located(step, taken, err) from err
            if recording and (op := step.op) is not None:
                outputs: Any = (found,) if type(found) is _Tensor else found
                found = follow(op, taken, given, found) if shadows or stops(op, outputs) else found
            if flow is not None and step.op is not None:
                flow.follow(step.op, step.node.parameters(), step.take, step.put[0], taken)
            if type(found) is _Tensor:
                slots[step.put[0]] = found
            else:
                for at, tensor in zip(step.put, found, strict=False):
                    slots[at] = tensor
            if monitor is not None:
                for i in range(step.node.visible):
                    monitor(step.node.output_name(i), slots[step.put[i]])
            for at in step.free:
                slots[at] = None
        return [
            _cloned(slots[at], recording) if clone else slots[at]
            for at, clone in zip(self._results, self._clones, strict=True)
        ]

    def _with_shapes(self, slots: list[Any]) -> list[_Step]:
        """The steps with the shapes of sources filled in that follow from the inputs' shapes (RNN begin states)."""
        shapes = tuple([tuple(slots[slot].shape) for _, slot in self._inputs])
        found = self._resolved.get((shapes, state.np_shape))
        if found is not None:
            return found
        given = {id(node): shape for node, shape in zip(self._variables, shapes, strict=True)}
        inferred = infer_shapes(self._heads, given)
        found = list(self._steps)
        for k in self._sources:
            old = found[k]
            shape = inferred.get((id(old.node), 0))
            if not known(shape):
                raise MXNetError(f"Operator {old.node.op} {old.name}: its shape does not follow from the inputs.")
            found[k] = new = _Step(old.node, old.take, old.put)
            new.free, new.given = old.free, {**old.given, "shape": shape}
        if len(self._resolved) >= 64:  # networks of changing sequence lengths: keep the memory of shapes bounded
            self._resolved.clear()
        self._resolved[shapes, state.np_shape] = found
        return found


def _cloned(tensor: torch.Tensor, recording: bool) -> torch.Tensor:
    found = tensor.clone()
    return carried(tensor, found, torch.clone) if recording and shadows else found


def _slot(slots: dict[tuple[int, int], int], entry: Entry, taker: str) -> int:
    node, index, _ = entry
    found = slots.get((id(node), index))
    if found is None:
        has = 1 if node.is_variable else node.outputs
        raise MXNetError(f"Operator {taker}: it takes output {index} of {node.name}, which has outputs 0 … {has - 1}.")
    return found


def _open_source(node: Node) -> bool:
    if node.inputs or node.operator is None:
        return False
    if node.complete.get("infer_range") and node.complete["stop"] is None:  # _arange: as long as what it meets
        return True
    shape = node.complete.get("shape")
    return isinstance(shape, tuple) and not known(from_user(shape))


def _show_inputs(node: Node, taken: list[torch.Tensor], monitor: Monitor) -> None:
    names = node.input_names()
    for (source, _, _), tensor, name in zip(node.inputs, taken, names, strict=False):
        if source.is_variable:
            monitor(source.name, tensor)
        monitor(f"{node.name}_{name}", tensor)


_PASSING = frozenset({"elemwise_add", "add_n"})
"""What they give back is the gradient that they got: MXNet has no operator for it."""


def _watched(node: Node, taken: list[torch.Tensor], monitor: Monitor) -> list[torch.Tensor]:
    """The inputs, whose gradients the monitor will be shown when backward() has them."""
    if node.op in _PASSING:
        return taken
    return [
        _shown_backward(tensor, f"{node.name}_backward_output{i if len(taken) > 1 else ''}", monitor)
        for i, tensor in enumerate(taken)
    ]


def _shown_backward(tensor: torch.Tensor, name: str, monitor: Monitor) -> torch.Tensor:
    if not tensor.requires_grad:
        return tensor
    found = tensor.view_as(tensor)  # other operators' shares of the gradient are not in it

    def show(gradient: torch.Tensor) -> None:
        monitor(name, gradient)

    found.register_hook(show)
    return found


def _located(step: _Step, taken: list[torch.Tensor], err: Exception) -> Exception:
    if isinstance(err, NotImplementedError) or (isinstance(err, MXNetError) and str(err).startswith("Error in")):
        return err
    shapes = ", ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in taken)
    kind = type(err) if isinstance(err, MXNetError) else MXNetError  # some are ValueErrors too
    return kind(f"{refusal(step.node, err)}\ninput shapes: {shapes or 'none'}")
