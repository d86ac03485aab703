"""The operators that this package computes: schema, one torch function, rules. Every face is made from this table.

A family's file in ops/ registers its functions:

    @operator("FullyConnected", inputs=taking("data", "weight", "bias", bias=lambda a: not a["no_bias"]), shape=_shapes)
    def fully_connected(data, weight, bias=None, *, num_hidden, no_bias=False, flatten=True): ...

Arrays come as torch tensors in the order of the schema's inputs, parameters as typed keywords. A parameter that the
function does not name (cudnn_tune, workspace) is accepted and dropped. Three names have a meaning of their own:
`is_train` (bool: whether it behaves as in training), `device` (torch.device, for functions that make arrays from
nothing; "meta" when only shapes are asked: draw no random numbers then) and, beside `device` only, `out` (the tensor
that out= gave, None elsewhere; to be read, it is written by the caller).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from tensorkeep.core.graph import mutated_inputs, output_names
from tensorkeep.mxnet._schema import Schema, all_names, schema
from tensorkeep.mxnet.base import MXNetError

__all__ = ["Attrs", "Operator", "Shape", "add", "find", "get", "operator", "registered", "taking"]

Attrs = dict[str, Any]
Shape = tuple[int, ...] | None
"""Dimensions, -1 where one is not known yet; None when not even their number is."""
ShapeRule = Callable[[list[Shape], Attrs], tuple[Sequence[Shape], Sequence[Shape]]]
"""(shapes of the inputs, all typed attributes) → (shapes of the inputs, shapes of the outputs), as far as they follow."""
DTypeRule = Callable[[list[str | None], Attrs], tuple[Sequence[str | None], Sequence[str | None]]]
"""The same for the names of dtypes."""


class Operator:
    """One operator: name and parameters (`schema`), a torch function, rules.

    Attributes:
        fn: torch tensors and typed keywords → a tensor, or a tuple of all outputs (hidden ones included).
        shape: the rule for shapes; "same" when all inputs and outputs have one shape; None: the function is run on meta
            tensors once all inputs are known.
        dtype: the rule for dtypes; "same" (default) when all inputs and outputs have one; "meta" as for shapes; a
            dtype's name when the outputs always have it.
        mutates: positions of inputs that the function changes in place: auxiliary states.
        view: the result may share memory with an input; callers that could write into it copy it.
    """

    __slots__ = (
        "_defaults", "_inputs", "_keep", "_outputs", "_visible", "bare", "dtype", "fn", "mutates", "name", "schema",
        "shape", "view", "wants_device", "wants_out", "wants_train",
    )  # fmt: skip

    def __init__(
        self,
        schema: Schema,
        fn: Callable[..., Any],
        *,
        inputs: Callable[[Attrs], Sequence[str]] | None,
        outputs: int | Callable[[Attrs], int],
        visible: int | Callable[[Attrs], int] | None,
        shape: ShapeRule | str | None,
        dtype: DTypeRule | str,
        view: bool,
    ) -> None:
        self.schema = schema
        self.name = schema.name
        self.fn = fn
        self.shape = shape
        self.dtype = dtype
        self.mutates = mutated_inputs(schema.name)
        self.view = view
        self._inputs = inputs
        self._outputs = outputs
        self._visible = outputs if visible is None else visible
        names = inspect.signature(fn).parameters
        self.wants_train = "is_train" in names
        self.wants_device = "device" in names
        self.wants_out = "out" in names
        defaults = fn.__kwdefaults__ or {}
        for key, value in defaults.items():
            if type(value) is float and key in schema.params:  # 0.2 is float32's 0.200000003 in MXNet
                defaults[key] = schema.params[key].parse(value)
        takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in names.values())
        self._keep: frozenset[str] | None = None if takes_all else frozenset(names) & frozenset(schema.params)
        self._defaults: Attrs | None = None
        self.bare = not (schema.required or self.wants_train or self.wants_device)

    def parse(self, attrs: Attrs) -> Attrs:
        """The typed keywords for `fn` from values or texts.

        Raises:
            MXNetError: what MXNet says of an unknown, missing or unfit parameter.
        """
        parsed = self.schema.parse(attrs)
        keep = self._keep
        return parsed if keep is None or parsed.keys() <= keep else {k: v for k, v in parsed.items() if k in keep}

    def complete(self, attrs: Attrs) -> Attrs:
        """Every parameter typed, defaults filled in: what rules and `input_names` are given."""
        if self._defaults is None:
            self._defaults = self.schema.defaults()
        return {**self._defaults, **self.schema.parse(attrs)}

    def input_names(self, complete: Attrs) -> list[str]:
        """The names of the inputs that it takes with these attributes; variadic ones are arg0, arg1 …"""
        if self._inputs is not None:
            return list(self._inputs(complete))
        if self.schema.variadic:
            return [f"arg{i}" for i in range(complete.get(self.schema.count, 0))]
        return list(self.schema.inputs)

    def outputs(self, complete: Attrs) -> int:
        """How many outputs `fn` gives."""
        return self._outputs if isinstance(self._outputs, int) else self._outputs(complete)

    @property
    def hides(self) -> bool:
        """Whether some outputs are never given to callers."""
        return self._visible is not self._outputs

    def visible(self, complete: Attrs) -> int:
        """How many of the outputs a caller gets; the others (BatchNorm's mean and variance) serve backward."""
        return self._visible if isinstance(self._visible, int) else self._visible(complete)

    def computes(self, attrs: Attrs) -> bool:
        """Whether it can be computed with these attributes; a node where it cannot is loaded, but not run."""
        return True

    def mutated(self, complete: Attrs) -> tuple[int, ...]:
        """The positions of the inputs that it changes in a network."""
        return self.mutates

    def named_outputs(self, complete: Attrs) -> Sequence[str]:
        """What its outputs are called, where they have names of their own."""
        return output_names(self.name)

    def output_name(self, index: int, count: int) -> str:
        """What the output is called behind the node's name: "output", "output0", "mean" …"""
        known = output_names(self.name)
        if index < len(known):
            return known[index]
        return "output" if count == 1 else f"output{index}"

    def __repr__(self) -> str:
        return f"<Operator {self.name}>"


_TABLE: dict[str, Operator] = {}


def operator(
    *names: str,
    inputs: Callable[[Attrs], Sequence[str]] | None = None,
    outputs: int | Callable[[Attrs], int] = 1,
    visible: int | Callable[[Attrs], int] | None = None,
    shape: ShapeRule | str | None = None,
    dtype: DTypeRule | str = "same",
    view: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a torch function under the operators' own names; their aliases follow from the schema.

    Args:
        names: one or more operators that are the same function.
        inputs: all attributes → the names of the inputs taken; by default those of the schema.
        outputs, visible: how many outputs there are, and how many of them callers get.
        shape, dtype, view: see Operator.
    """

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            found = schema(name)
            if found.name != name or name in _TABLE:
                raise ValueError(f"{name!r} is registered already, or an alias of {found.name!r}")
            _TABLE[name] = Operator(
                found,
                fn,
                inputs=inputs,
                outputs=outputs,
                visible=visible,
                shape=shape,
                dtype=dtype,
                view=view,
            )
        return fn

    return register


def add(op: Operator) -> None:
    """Register an operator of a class of its own, whose parameters are not those of a schema."""
    if op.name in _TABLE:
        raise ValueError(f"{op.name!r} is registered already")
    _TABLE[op.name] = op


def taking(*names: str, **when: Callable[[Attrs], bool]) -> Callable[[Attrs], list[str]]:
    """For `inputs=`: the names, those given as keywords only when their condition on all attributes holds.

    taking("data", "weight", "bias", bias=lambda attrs: not attrs["no_bias"])
    """

    def names_for(attrs: Attrs) -> list[str]:
        return [name for name in names if name not in when or when[name](attrs)]

    return names_for


@cache
def _load() -> None:
    from tensorkeep.mxnet import ops

    for module in sorted(info.name for info in iter_modules(ops.__path__)):
        if not module.startswith("_"):
            import_module(f"{ops.__name__}.{module}")


def registered() -> dict[str, Operator]:
    """Every operator that can be computed, by its own name."""
    _load()
    return _TABLE


def find(name: str) -> Operator | None:
    """The operator of a name or alias; None when it is not computed here."""
    _load()
    return _TABLE.get(all_names().get(name, name))


def get(name: str) -> Operator:
    """The operator of a name or alias.

    Raises:
        MXNetError: it is not computed here; the text says whether MXNet 1.9.1 has it.
    """
    found = find(name)
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(name, list(_TABLE), 3, 0.7)
        hint = f" The nearest are {', '.join(near)}." if near else ""
        known = "MXNet 1.9.1 has it, tensorkeep does not compute it" if name in all_names() else "no such operator"
        raise MXNetError(f"Operator {name}: {known}.{hint}")
    return found
