"""Nested lists of arrays or symbols taken apart and put together again; which kinds and devices are among them."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray import NDArray
from tensorkeep.mxnet.symbol import Symbol

__all__ = ["Format", "array_class", "check_np_outputs", "check_symbols", "flatten", "kinds", "regroup"]

Format = Any
"""How a value was nested: 0 one array or symbol, n > 1 a symbol of n outputs, -1 None, or a list of formats."""


def kinds(args: Any) -> tuple[bool, bool, list[Context]]:
    """(whether there are symbols, whether there are arrays, the contexts of the arrays as they come)."""
    if isinstance(args, NDArray):
        return False, True, [args._ctx]
    if isinstance(args, Symbol):
        return True, False, []
    symbols = arrays = False
    contexts: list[Context] = []
    if isinstance(args, (list, tuple)):
        for item in args:
            has_symbols, has_arrays, found = kinds(item)
            symbols |= has_symbols
            arrays |= has_arrays
            contexts += [ctx for ctx in found if ctx not in contexts]
    return symbols, arrays, contexts


def flatten(args: Any, what: str) -> tuple[list[Any], Format]:
    """All arrays, symbols and Nones in a row, and how they were nested.

    Args:
        what: "input" or "output", for the error.
    Raises:
        ValueError: something else is among them.
    """
    if isinstance(args, NDArray):
        return [args], 0
    if isinstance(args, Symbol):
        count = len(args.list_outputs())
        return [args], count if count > 1 else 0
    if args is None:
        return [None], -1
    if not isinstance(args, (list, tuple)):
        raise ValueError(
            f"When hybridized, the input of HybridBlock {what} must be (nested) list of Symbol or NDArray, but got "
            f"{args} of type {type(args)}"
        )
    flat, formats = [], []
    for item in args:
        part, form = flatten(item, what)
        flat += part
        formats.append(form)
    return flat, formats


def regroup(args: Any, form: Format) -> Any:
    """What `flatten` took apart, put together again.

    Raises:
        ValueError: a value stands where None was, or the row is none.
    """
    return _take(args, form)[0]


def _take(args: Any, form: Format) -> tuple[Any, Any]:
    if isinstance(form, int):
        if form < -1:
            raise ValueError(f"Unsupported encoded format {form}.")
        if form == 0:
            return args[0], args[1:]
        if form == -1:
            if args[0] is not None:
                raise ValueError(
                    "We do not support passing types that are not None when the initial HybridBlock has received "
                    f"NoneType and has been hybridized. Received arg = {args[0]}, fmt = {form}."
                )
            return None, args[1:]
        return args[:form], args[form:]
    if not isinstance(args, (list, tuple)):
        raise ValueError(
            f"When hybridized, the output of HybridBlock must be (nested) list of Symbol or NDArray, but got {args} "
            f"of type {type(args)}"
        )
    found = []
    for item in form:
        value, args = _take(args, item)
        found.append(value)
    return found, args


def check_symbols(symbols: list[Any]) -> None:
    """Raise TypeError when classic and NumPy symbols are among the outputs together."""
    if len({_is_np(item) for item in symbols}) > 1:
        raise TypeError(
            "Found both classic symbol (mx.sym.Symbol) and numpy symbol (mx.sym.np._Symbol) in outputs. This will "
            "prevent you from building a computation graph by grouping them since different types of symbols are not "
            "allowed to be grouped in Gluon to form a computation graph. You will need to convert them to the same "
            "type of symbols, either classic or numpy following this rule: if you want numpy ndarray output(s) from "
            "the computation graph, please convert all the classic symbols in the list to numpy symbols by calling "
            "`as_np_ndarray()` on each of them; if you want classic ndarray output(s) from the computation graph, "
            "please convert all the numpy symbols in the list to classic symbols by calling `as_nd_ndarray()` on each "
            "of them."
        )


def check_np_outputs(out: Any) -> None:
    """Raise TypeError when a classic array or symbol leaves a block while NumPy semantics are on."""
    if isinstance(out, (list, tuple)):
        for item in out:
            check_np_outputs(item)
    elif isinstance(out, (NDArray, Symbol)) and not _is_np(out):
        raise TypeError(
            "Block's output ndarrays/symbols must be of type `mxnet.numpy.ndarray` or `mxnet.symbol.numpy._Symbol`, "
            f"while got output type {type(out)}"
        )


def array_class(graph: Any) -> type[NDArray]:
    """The class of the arrays that a symbol gives: NDArray, or np.ndarray of the NumPy kind."""
    if not _is_np(graph):
        return NDArray
    from tensorkeep.mxnet.numpy import ndarray

    return ndarray


def _is_np(value: Any) -> bool:
    """Whether an array or symbol is of the NumPy kind."""
    if type(value) in (NDArray, Symbol):
        return False
    from tensorkeep.mxnet.numpy import ndarray
    from tensorkeep.mxnet.symbol.numpy import _Symbol

    return isinstance(value, (ndarray, _Symbol))
