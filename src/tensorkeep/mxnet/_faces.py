"""nd.X, npx.X, sym.X … made from the registry: a function for each name, with MXNet's signature and help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any

from tensorkeep.mxnet._registry import Operator, registered
from tensorkeep.mxnet.base import MXNetError

__all__ = ["bind", "face", "missing", "public_names", "serve", "signature"]

Call = Callable[[Operator, list[Any], dict[str, Any], Any, Any], Any]
"""(operator, inputs, attributes, out=, name=) → what an eager or a symbolic call gives."""

_PREFIXES = {
    "_contrib_": "contrib", "_linalg_": "linalg", "_sparse_": "sparse", "_image_": "image", "_random_": "random",
    "_npi_": "_npi", "_npx_": "npx", "_np_": "np",
}  # fmt: skip


@cache
def public_names() -> dict[str, dict[str, Operator]]:
    """Namespace → public name → operator: "contrib" → "box_nms"; "" is nd's and sym's own, "_internal" the `_names`."""
    spaces: dict[str, dict[str, Operator]] = {"": {}, "_internal": {}, **{space: {} for space in _PREFIXES.values()}}
    for op in registered().values():
        for name in (op.name, *op.schema.aliases):
            prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
            if prefix is not None:
                spaces[_PREFIXES[prefix]][name[len(prefix) :]] = op
            if name[0] == "_":
                spaces["_internal"][name] = op
            else:
                spaces[""][name] = op
    return spaces


def bind(op: Operator, args: tuple[Any, ...], attrs: dict[str, Any]) -> list[Any]:
    """The inputs among a call's arguments; attributes given by position are moved into `attrs`, inputs out of it."""
    schema = op.schema
    if schema.variadic:
        return _bind_variadic(op, args, attrs)
    inputs: list[Any] = []
    names = schema.inputs
    if len(args) > len(schema.order):
        raise TypeError(f"{op.name} takes {len(schema.order)} arguments, but {len(args)} were given")
    placed: dict[str, Any] = {}
    for value, (name, is_input) in zip(args, schema.order, strict=False):
        if is_input:
            placed[name] = value
        elif value is not None or "None" in schema.params[name].type:
            attrs[name] = value
    for name in names:
        if name in attrs:
            placed[name] = attrs.pop(name)
        inputs.append(placed.get(name))
    while inputs and inputs[-1] is None:
        inputs.pop()
    if any(value is None for value in inputs):
        inputs = [value for value in inputs if value is not None]
    return inputs


def _bind_variadic(op: Operator, args: tuple[Any, ...], attrs: dict[str, Any]) -> list[Any]:
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    if not args and op.schema.inputs[-1] in attrs and op.schema.inputs[-1] not in op.schema.params:
        value = attrs.pop(op.schema.inputs[-1])
        args = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if op.schema.count:
        attrs.setdefault(op.schema.count, len(args))
    return list(args)


def face(op: Operator, name: str, call: Call) -> Callable[..., Any]:
    """The public function `name` of an operator, which ends in `call`."""
    order = op.schema.order
    positional = len(op.schema.inputs) if all(is_input for _, is_input in order[: len(op.schema.inputs)]) else 0
    simple = not op.schema.variadic
    input_names = frozenset(op.schema.inputs)

    def function(*args: Any, **attrs: Any) -> Any:
        if attrs:
            out = attrs.pop("out", None)
            node = attrs.pop("name", None)
            if simple and len(args) <= positional and input_names.isdisjoint(attrs):
                return call(op, list(args), attrs, out, node)
            return call(op, bind(op, args, attrs), attrs, out, node)
        if simple and len(args) <= positional:
            return call(op, list(args), attrs, None, None)
        return call(op, bind(op, args, attrs), attrs, None, None)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = inspect.getdoc(op.fn)
    function.__signature__ = signature(op)  # type: ignore[attr-defined]  # what help() and inspect show
    return function


def serve(
    namespace: dict[str, Any], space: str, call: Call, module: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module whose operators become functions when they are first asked for.

    Args:
        namespace: the module's `globals()`.
        space: which of `public_names()` it shows.
        module: the name that MXNet gives the module, for what is printed and for errors.
    """

    def getattribute(name: str) -> Any:
        op = public_names()[space].get(name)
        if op is None:
            if name.startswith("__"):
                raise AttributeError(f"module '{module}' has no attribute '{name}'")
            raise missing(module, name, names())
        function = face(op, name, call)
        function.__module__ = module
        namespace[name] = function
        return function

    def names() -> list[str]:
        return sorted({*namespace, *public_names()[space]})

    return getattribute, names


def signature(op: Operator) -> inspect.Signature:
    """MXNet's signature: (data=None, axis=_Null, out=None, name=None, **kwargs); (*data, **kwargs) of a variadic one."""
    rest = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
    if op.schema.variadic:
        return inspect.Signature([inspect.Parameter("data", inspect.Parameter.VAR_POSITIONAL), rest])
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = []
    for name, is_input in op.schema.order:
        default = None if is_input else op.schema.params[name].default
        parameters.append(inspect.Parameter(name, plain, default=default))
    parameters += [inspect.Parameter(name, plain, default=None) for name in ("out", "name")]
    return inspect.Signature([*parameters, rest])


def missing(module: str, name: str, known: Any) -> AttributeError:
    """The error for a name that a namespace lacks: what it is called and what is nearest."""
    near = get_close_matches(name, [n for n in known if not n.startswith("__")], 3, 0.6)
    hint = f" The nearest: {', '.join(near)}." if near else ""
    return AttributeError(f"module '{module}' has no attribute '{name}': tensorkeep does not have it.{hint}")


def required_inputs(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> None:
    """Raise MXNetError when an operator that needs arrays is called without one."""
    if op.schema.inputs and not inputs and not op.schema.variadic:
        raise MXNetError(f"Operator {op.name} needs its input {op.schema.inputs[0]!r}.")
