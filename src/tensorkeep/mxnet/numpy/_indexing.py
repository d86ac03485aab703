"""x[key] and x[key] = value of mx.np.ndarray: NDArray's rules, and boolean arrays as masks."""

from __future__ import annotations

from typing import Any

import numpy as onp
import torch

from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ndarray._indexing import assign, fit, getitem, setitem

__all__ = ["get", "set_"]

_Plain = (int, slice)


def get(tensor: torch.Tensor, key: Any) -> torch.Tensor:
    """tensor[key]; `tensor` itself where nothing is picked.

    Raises:
        IndexError, ValueError: MXNet's own sentences.
    """
    if key.__class__ in _Plain and tensor.dim():
        if key.__class__ is int and key >= tensor.shape[0]:
            raise IndexError(f"index {key} is out of bounds for axis 0 with size {tensor.shape[0]}")
        return getitem(tensor, key)
    if key.__class__ is tuple and key and tensor.is_contiguous():
        found = _quick(tensor, key)
        if found is not None:
            return found
    mask = _mask(key)
    if mask is not None:
        return _picked(tensor, mask.to(tensor.device))
    if tensor.dim() == 0:
        if isinstance(key, tuple) and not key:
            return tensor
        raise IndexError("scalar tensor can only accept `()` as index")
    if isinstance(key, tuple):
        key, truth = _without_masks(key, tensor.shape)
        if truth is not None:
            found = getitem(tensor, key)
            return found[None] if truth else found.new_empty((0, *found.shape))
        if () in [item for item in key if isinstance(item, (tuple, list)) and not item]:
            return _emptied(tensor, key)
    return getitem(tensor, key)


def _quick(tensor: torch.Tensor, key: tuple[Any, ...]) -> torch.Tensor | None:
    """What numbers, and slices that go forwards, pick; None for any other key and for one that does not fit."""
    for item in key:
        kind = item.__class__
        if kind is slice:
            if item.step is not None and item.step.__class__ is int and item.step < 1:
                return None
        elif kind is not int:
            return None
    try:
        view = tensor[key]
    except (IndexError, TypeError):
        return None  # the careful way has MXNet's sentence
    return view if view.is_contiguous() else view.contiguous()


def set_(array: Any, key: Any, value: Any) -> None:
    """array[key] = value, in the memory of the array.

    Raises:
        MXNetError, IndexError, ValueError, TypeError: MXNet's own sentences.
    """
    tensor = array._t
    mask = None if key.__class__ in _Plain else _mask(key, lists=False)
    if mask is not None:
        _assign_masked(array, mask.to(tensor.device), value)
        return
    if tensor.dim() == 0:
        if not isinstance(key, tuple) or key:
            raise IndexError("scalar tensor can only accept `()` as index")
        if getattr(value, "size", 1) != 1 or isinstance(value, (list, tuple)):
            raise ValueError("setting an array element with a sequence.")
    elif isinstance(key, tuple):
        key, truth = _without_masks(key, tensor.shape)
        if truth is False:
            return
    setitem(array, key, value)


def _mask(key: Any, lists: bool = True) -> torch.Tensor | None:
    """The key as a boolean tensor, None when it is none."""
    if isinstance(key, (bool, onp.bool_)):
        return torch.tensor(bool(key))
    tensor = getattr(key, "_t", None)
    if tensor is not None:
        return tensor.detach() if tensor.dtype is torch.bool else None
    if isinstance(key, list) and lists:
        try:
            key = onp.array(key)
        except (ValueError, TypeError) as err:
            raise TypeError(str(err)) from err
    if isinstance(key, onp.ndarray) and key.dtype == onp.bool_:
        return torch.from_numpy(onp.ascontiguousarray(key))
    return None


def _fits(mask: torch.Tensor, shape: torch.Size) -> None:
    if mask.dim() > len(shape):
        raise IndexError(f"too many indices, whose ndim = {mask.dim()}, for array with ndim = {len(shape)}")
    for axis, (wanted, size) in enumerate(zip(mask.shape, shape, strict=False)):
        if wanted != size:
            raise IndexError(
                f"boolean index did not match indexed array along dimension {axis}; dimension is {size} but "
                f"corresponding boolean dimension is {wanted}"
            )


def _picked(tensor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    _fits(mask, tensor.shape)
    return tensor[mask]


def _assign_masked(array: Any, mask: torch.Tensor, value: Any) -> None:
    if not isinstance(value, (int, float, onp.generic, type(array))):
        raise NotImplementedError(f"type {type(value)} is not supported.")
    _fits(mask, array._t.shape)

    def write(target: torch.Tensor, values: torch.Tensor) -> None:
        wanted = target[mask]
        if values.dim() == wanted.dim() and values.dim() and values.shape[0] not in (1, wanted.shape[0]):
            raise MXNetError(
                f"boolean array indexing assignment cannot assign [{values.shape[0]}] input values to the "
                f"{wanted.shape[0]} output values where the mask is true"
            )
        target[mask] = fit(values, wanted.shape)

    assign(array, value, write)


def _without_masks(key: tuple[Any, ...], shape: Any) -> tuple[tuple[Any, ...], bool | None]:
    """The key with the positions of boolean arrays in their place; and what True or False stood alone in it, if any."""
    items: list[Any] = []
    truth: bool | None = None
    axis = 0
    for item in key:
        mask = None if item.__class__ in _Plain or item is None or item is Ellipsis else _mask(item, lists=False)
        if mask is None:
            items.append(item)
            axis += item is not None
        elif mask.dim() == 0:
            truth = bool(mask)
        else:
            _fits(mask, shape[axis:])
            items.extend(position.numpy() for position in torch.nonzero(mask.cpu(), as_tuple=True))
            axis += mask.dim()
    return tuple(items), truth


def _emptied(tensor: torch.Tensor, key: tuple[Any, ...]) -> torch.Tensor:
    """What a key with an empty sequence picks: nothing, in a shape with a 0 there."""
    sizes = iter(tensor.shape)
    shape = [1 if item is None else 0 if next(sizes) is None or item in ((), []) else None for item in key]
    return tensor.new_empty([n for n in shape if n is not None])
