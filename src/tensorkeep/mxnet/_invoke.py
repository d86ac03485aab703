"""The eager call of an operator: arrays in, torch, arrays out. Every face of nd, np and npx ends here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._history import follow, shadow, shadows, stops
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import parse_context

if TYPE_CHECKING:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["invoke", "wrap"]

_is_grad_enabled = torch.is_grad_enabled
_set_grad_enabled = torch._C._set_grad_enabled
_new = object.__new__
_Tensor = torch.Tensor
_CONTIGUOUS = torch.contiguous_format


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone(memory_format=_CONTIGUOUS)


def wrap(tensor: torch.Tensor, ctx: Any, cls: Any) -> Any:
    """An array of the class `cls` around a tensor, which it shares."""
    array = _new(cls)
    array._t = tensor
    array._ctx = ctx
    array._grad = None
    return array


def invoke(op: Operator, inputs: Sequence[Any], attrs: dict[str, Any] | None, out: Any, cls: Any) -> Any:
    """Compute an operator on arrays.

    Args:
        inputs: NDArrays; None is left out (a bias with no_bias=True).
        attrs: values or texts by name; they are parsed by the schema.
        out: None, or an array (or list of them) that takes the result.
        cls: the class of the result, NDArray or np.ndarray.
    Returns:
        One array, or a list when the operator has several visible outputs; `out` where given.
    Raises:
        MXNetError: parameters, shapes or dtypes that do not fit; nothing was changed.
        AssertionError: an input is no NDArray.
    """
    try:
        tensors = [array._t for array in inputs]
    except AttributeError:
        inputs = _checked(op, inputs)
        tensors = [array._t for array in inputs]
    if attrs:
        given = op.parse(attrs)
    elif op.bare:
        given = {}
    else:
        given = op.parse({})
    if inputs:
        ctx = inputs[0]._ctx
    elif out is None:
        ctx = parse_context(attrs.get("ctx") if attrs else None)
    else:
        ctx = _first(out)._ctx
        _as_out(op, given, _first(out)._t)
    if op.wants_train:
        given["is_train"] = state.training
    if op.wants_device:
        given["device"] = ctx.torch_device
        if op.wants_out and out is not None:
            given["out"] = _first(out)._t
    if state.recording:
        enabled = _is_grad_enabled()
        if not enabled:
            _set_grad_enabled(True)
        try:
            found = op.fn(*tensors, **given)
            # A view of a variable or of data is copied, lest a later write to it changes the result. Nothing writes to
            # what was computed from recorded arrays, so views of that are kept.
            if op.view and (tensors[0].is_leaf or not tensors[0].requires_grad):
                found = _copied(found) if type(found) is _Tensor else tuple([_copied(item) for item in found])
            if shadows or (not found.requires_grad if type(found) is _Tensor else stops(op, found)):
                found = follow(op, tensors, given, found)
        except (RuntimeError, ValueError, IndexError, TypeError) as err:
            raise _translated(op, inputs, attrs, err) from err
        finally:
            if not enabled:
                _set_grad_enabled(False)
    else:
        enabled = _is_grad_enabled()
        if enabled:
            _set_grad_enabled(False)
        try:
            found = op.fn(*tensors, **given)
            if op.view:
                found = _copied(found) if type(found) is _Tensor else tuple([_copied(item) for item in found])
        except (RuntimeError, ValueError, IndexError, TypeError) as err:
            raise _translated(op, inputs, attrs, err) from err
        finally:
            if enabled:
                _set_grad_enabled(True)
    if out is None and type(found) is _Tensor:
        array = _new(cls)
        array._t = found
        array._ctx = ctx
        array._grad = None
        return array
    return _several(op, found, ctx, inputs, attrs, out, cls)


def _several(op: Operator, found: Any, ctx: Any, inputs: Sequence[Any], attrs: Any, out: Any, cls: Any) -> Any:
    tensors = [found] if isinstance(found, _Tensor) else list(found)
    if op.hides:
        tensors = tensors[: op.visible(op.complete(attrs or {}))]
    if out is None:
        arrays = [wrap(tensor, ctx, cls) for tensor in tensors]
        return arrays[0] if len(arrays) == 1 else arrays
    targets = out if isinstance(out, (list, tuple)) else [out]
    if len(targets) < len(tensors):
        raise MXNetError(f"Operator {op.name} has {len(tensors)} outputs, but out= holds {len(targets)} arrays.")
    for target, tensor in zip(targets, tensors, strict=False):
        _put(op, target, tensor, inputs)
    return out


IN_GRAPH = (
    "Assigning to NDArrays that are already in a computational graph will cause undefined behavior when evaluating "
    "gradients. Please call backward first to clear the graph or do this out side of a record section. Also note that "
    "you cannot use inplace operations like +=, *=, relu(x, out=x), y[idx]=x, etc inside a record section."
)
IN_PLACE = "Inplace operations (+=, -=, x[:]=, etc) are not supported when recording with autograd."


def _put(op: Operator, target: NDArray, tensor: torch.Tensor, inputs: Sequence[Any]) -> None:
    if target._t.shape != tensor.shape:
        raise MXNetError(
            f"Operator {op.name}: out= has shape {tuple(target._t.shape)}, the result {tuple(tensor.shape)}."
        )
    if not state.recording:
        target._t.data.copy_(tensor.detach())
        return
    if target._t.requires_grad or (shadows and shadow(target._t) is not None):
        raise MXNetError(IN_GRAPH)
    if not tensor.requires_grad:
        target._t.copy_(tensor)
        return
    if any(array is target for array in inputs):
        raise MXNetError(IN_PLACE)
    with torch.enable_grad():
        target._t = target._t.detach().copy_(tensor)  # the array keeps its memory, and is the operator's result


def _as_out(op: Operator, given: dict[str, Any], target: torch.Tensor) -> None:
    """An operator without inputs takes the shape and the dtype that it is not told from out=."""
    params = op.schema.params
    if "shape" in params and not given.get("shape"):
        given["shape"] = tuple(target.shape)
    if "dtype" in params and given.get("dtype") is None:
        given["dtype"] = NAMES[target.dtype]


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, (list, tuple)) else out


def _checked(op: Operator, inputs: Sequence[Any]) -> list[Any]:
    """The inputs without Nones: like MXNet, where what stands behind moves up (CTCLoss(data, label, None, lengths)).

    Raises:
        AssertionError: something else than an array is among them.
    """
    kept = [array for array in inputs if array is not None]
    for i, array in enumerate(kept):
        if not hasattr(array, "_t"):
            name = op.schema.inputs[min(i, len(op.schema.inputs) - 1)] if op.schema.inputs else "data"
            raise AssertionError(f"Argument {name} must have NDArray type, but got {array}")
    return kept


def _translated(op: Operator, inputs: Sequence[Any], attrs: Any, err: Exception) -> Exception:
    """What torch says, as an MXNetError that names the operator and the shapes; our own errors as they are."""
    if isinstance(err, (MXNetError, NotImplementedError)):
        return err
    shapes = ", ".join(f"{tuple(array._t.shape)} {str(array._t.dtype).removeprefix('torch.')}" for array in inputs)
    return MXNetError(
        f"Error in operator {op.name}: {err}\ninput shapes: {shapes or 'none'}\noperator attributes: {attrs or {}}"
    )
