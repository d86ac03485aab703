"""The namespaces of sym: each operator as a function on symbols, made from the registry when it is first asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorkeep.mxnet._faces import missing, public_names, signature
from tensorkeep.mxnet._registry import Operator, get
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._compose import atomic, scoped
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["call", "compose", "face", "serve"]


def compose(
    op: Operator | str,
    inputs: Sequence[Symbol] | Mapping[str, Symbol],
    attrs: Mapping[str, Any] | None = None,
    name: str | None = None,
    cls: type[Symbol] = Symbol,
    *,
    hint: str | None = None,
    attr: Mapping[str, str] | None = None,
) -> Symbol:
    """A symbol of an operator called on symbols.

    Args:
        inputs: in the order of the operator's inputs, or by their names; those that are missing become variables.
        attrs: parameters, as values or texts.
        name: of the node; None for one that is made from `hint` (the operator's name in lower case).
        attr: annotations, added to those of the AttrScope.
    Raises:
        MXNetError: parameters or inputs that do not fit.
    """
    op = get(op) if isinstance(op, str) else op
    given = {**scoped(attr), **(attrs or {})}
    taken: Any
    if isinstance(inputs, Mapping):
        taken = {key: value._outputs for key, value in inputs.items()}
    else:
        taken = [value._outputs for value in inputs]
    node = atomic(op, taken, given, name=name, hint=hint or op.name.lower())
    return cls([(node, i, 0) for i in range(node.visible)])


def face(op: Operator, name: str) -> Callable[..., Any]:
    """The public function `name` of an operator on symbols."""
    schema = op.schema
    function = _variadic(op, name) if schema.variadic else _plain(op, name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.getdoc(op.fn)
    function.__signature__ = signature(op)  # type: ignore[attr-defined]  # what help() and inspect show
    return function


def _plain(op: Operator, name: str) -> Callable[..., Any]:
    inputs = op.schema.inputs
    order = (*inputs, *op.schema.params)
    hint = name.lower()

    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) > len(order):
            raise TypeError(f"{name}() takes {len(order)} positional arguments but {len(args)} were given")
        for key, value in zip(order, args, strict=False):
            if key in kwargs:
                raise TypeError(f"{name}() got multiple values for argument {key!r}")
            kwargs[key] = value
        node, attr = kwargs.pop("name", None), kwargs.pop("attr", None)
        kwargs.pop("out", None)
        taken: dict[str, Symbol] = {}
        attrs: dict[str, Any] = {}
        for key, value in kwargs.items():
            if isinstance(value, Symbol):
                taken[key] = _legacy(op, name, value)
            elif key in inputs:
                if value is not None:
                    raise AssertionError(f"Argument {key} must be Symbol instances, but got {value}")
            elif type(value).__name__ != "_NullType":
                attrs[key] = value
        return compose(op, taken, attrs, node, hint=hint, attr=attr)

    return function


def _variadic(op: Operator, name: str) -> Callable[..., Any]:
    schema = op.schema
    count = schema.count
    hint = name.lower()

    def function(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if not isinstance(value, Symbol):
                raise AssertionError(f"Positional arguments must be Symbol instances, but got {value}")
            _legacy(op, name, value)
        node, attr = kwargs.pop("name", None), kwargs.pop("attr", None)
        kwargs.pop("out", None)
        taken = {key: _legacy(op, name, value) for key, value in kwargs.items() if isinstance(value, Symbol)}
        attrs = {
            key: value for key, value in kwargs.items() if key not in taken and type(value).__name__ != "_NullType"
        }
        if count and count not in attrs:
            attrs[count] = len(args) + len(taken)
        if count and attrs[count] == 0:
            raise MXNetError(f"value 0 for Parameter {count} should be greater equal to 1, {schema.called(attrs)}")
        if args and taken:
            raise TypeError(
                "Operators with variable length input can only accept input"
                "Symbols either as positional or keyword arguments, not both"
            )
        return compose(op, taken or args, attrs, node, hint=hint, attr=attr)

    return function


def _legacy(op: Operator, name: str, value: Symbol) -> Symbol:
    if value.numpy_semantics:
        raise TypeError(
            f"Operator `{op.name}` registered in backend is known as `{name}` in Python. This is a legacy operator "
            "which can only accept legacy ndarrays, while received an MXNet numpy ndarray. Please call "
            "`as_nd_ndarray()` upon the numpy ndarray to convert it to a legacy ndarray, and then feed the converted "
            "array to this operator."
        )
    return value


def call(operator: str, /, *args: Any, **kwargs: Any) -> Any:
    """What the operator `operator` gives for symbols; the way in for methods and arithmetic."""
    function = _CALLS.get(operator)
    if function is None:
        function = _CALLS[operator] = face(get(operator), operator)
    return function(*args, **kwargs)


_CALLS: dict[str, Callable[..., Any]] = {}


def serve(namespace: dict[str, Any], space: str, module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module of operators on symbols.

    Args:
        namespace: the module's `globals()`.
        space: which of `public_names()` it shows.
        module: what MXNet calls the module.
    """

    def getattribute(name: str) -> Any:
        op = public_names()[space].get(name)
        if op is None:
            if name.startswith("__"):
                raise AttributeError(f"module '{module}' has no attribute '{name}'")
            raise missing(module, name, names())
        function = face(op, name)
        function.__module__ = module
        namespace[name] = function
        return function

    def names() -> list[str]:
        return sorted({*namespace, *public_names()[space]})

    return getattribute, names
