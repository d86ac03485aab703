"""What x[key] and x[key] = value mean for an NDArray, on torch tensors.

The rules are NumPy's with these differences: integers, slices and None give a view only where the part is contiguous,
anything else a copy; what is picked by an integer from one dimension has shape (1,); a boolean array is not a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._history import shadow, shadows
from tensorkeep.mxnet._invoke import IN_GRAPH, IN_PLACE
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError

__all__ = ["INTEGERS", "advanced", "assign", "basic", "contiguous", "expand", "getitem", "is_advanced", "setitem"]

INTEGERS = (int, np.int32, np.int64)
_ARRAYS = (np.ndarray, list, tuple, range)

Key = tuple[Any, ...]
"""One item for each dimension (an integer, slice or array) and None for each new one."""


def getitem(tensor: torch.Tensor, key: Any) -> torch.Tensor:
    """tensor[key]: a view where MXNet gives one, else a new tensor; `tensor` itself where nothing is picked.

    Raises:
        IndexError, ValueError, MXNetError: MXNet's own sentences.
    """
    if isinstance(key, INTEGERS):
        if tensor.dim() == 0:
            raise IndexError("scalar tensor can only accept `()` and `:` as index")
        return _at(tensor, int(key))
    if isinstance(key, slice) and key.step in (None, 1) and tensor.dim():
        return _rows(tensor, key)
    if isinstance(key, tuple) and not key:
        return tensor
    if isinstance(key, slice) and key.step == 0:
        raise ValueError("slice step cannot be zero")
    if isinstance(key, tuple) and len(key) == tensor.dim() and all(isinstance(item, INTEGERS) for item in key):
        for item in key:
            tensor = _at(tensor, int(item))
        return tensor
    if tensor.dim() == 0 and key == slice(None):
        return tensor
    found = expand(key, tensor.shape)
    _checked(found, tensor.shape)
    if is_advanced(found):
        return advanced(tensor, found)
    view = basic(tensor, found)
    if not contiguous(found, tensor.shape):
        view = view.clone(memory_format=torch.contiguous_format)
    return view if view.dim() or state.np_shape else view.reshape(1)


def _at(tensor: torch.Tensor, index: int) -> torch.Tensor:
    length = tensor.shape[0]
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis 0 with size {length}")
    if tensor.dim() == 1 and not state.np_shape:
        index %= length
        return tensor[index : index + 1]
    return tensor[index]


def _rows(tensor: torch.Tensor, key: slice) -> torch.Tensor:
    if key.start is None and key.stop is None:
        return tensor
    length = tensor.shape[0]
    start, stop = (_row(bound, other, length) for bound, other in ((key.start, 0), (key.stop, length)))
    if start > stop:
        raise MXNetError(f"Invalid slicing range [{start}, {stop})")
    return tensor[start:stop]


def _row(bound: int | None, default: int, length: int) -> int:
    if bound is None:
        return default
    return max(bound + length, 0) if bound < 0 else min(bound, length)


def expand(key: Any, shape: tuple[int, ...]) -> Key:
    """The key with an item for every dimension: Ellipsis and what is left out become full slices.

    Raises:
        IndexError: two Ellipses.
        ValueError: a mask of dtype bool, which only mx.np understands.
    """
    items: list[Any] = []
    ellipsis: int | None = None
    new = 0
    for position, item in enumerate(key if isinstance(key, tuple) else (key,)):
        if item is Ellipsis:
            if ellipsis is not None:
                raise IndexError("Cannot use more than one ellipsis (`...`) for indexing")
            ellipsis = position
        elif hasattr(item, "_t"):
            if item._t.dtype is torch.bool:
                raise ValueError(
                    "Cannot perform boolean indexing in legacy mode. Please activate numpy semantics by calling "
                    "`npx.set_np()` in the global scope before calling this function."
                )
            items.append(int(item._t) if item._t.dim() == 0 else item._t.detach())
        elif isinstance(item, (bool, np.bool_)) and len(shape) and isinstance(key, tuple):
            continue  # MXNet drops a lone True or False inside a tuple
        else:
            new += item is None
            items.append(item)
    if ellipsis is None:
        ellipsis = len(items)
    missing = len(shape) + new - len(items)
    return (*items[:ellipsis], *[slice(None)] * missing, *items[ellipsis:])


def is_advanced(key: Key) -> bool:
    """Whether it holds arrays.

    Raises:
        ValueError: an item is of a type that no key can hold.
    """
    for item in key:
        if isinstance(item, (torch.Tensor, *_ARRAYS)):
            return True
        if not (item is None or isinstance(item, (slice, *INTEGERS))):
            raise ValueError(f"NDArray does not support slicing with key {item} of type {type(item)}.")
    return False


def _checked(key: Key, shape: tuple[int, ...]) -> None:
    axes = [item for item in key if item is not None]
    if len(axes) > len(shape):
        raise IndexError(f"too many indices ({len(axes)}) for array with {len(shape)} dimensions")
    for axis, (item, size) in enumerate(zip(axes, shape, strict=True)):
        if isinstance(item, INTEGERS) and not -size <= item < size:
            raise IndexError(f"index {item} is out of bounds for axis {axis} with size {size}")


def _forward(item: slice, size: int) -> tuple[slice, bool]:
    """A slice with a positive step that picks the same positions, and whether they come in the other order."""
    start, stop, step = item.indices(size)
    if step > 0:
        return slice(start, max(start, stop), step), False
    count = max(0, (start - stop - step - 1) // -step)
    if count == 0:
        return slice(0, 0, 1), False
    return slice(start + (count - 1) * step, start + 1, -step), True


def basic(tensor: torch.Tensor, key: Key) -> torch.Tensor:
    """A view picked by integers, slices and None; a copy where a step is negative."""
    view, backwards = _view(tensor, key)
    return view.flip(backwards) if backwards else view


def _view(tensor: torch.Tensor, key: Key) -> tuple[torch.Tensor, list[int]]:
    """A view, and its axes that have to be read in the other order."""
    items: list[Any] = []
    backwards: list[int] = []
    axis = position = 0
    for item in key:
        if item is None:
            items.append(None)
            position += 1
        elif isinstance(item, slice):
            forward, turned = _forward(item, tensor.shape[axis])
            items.append(forward)
            if turned:
                backwards.append(position)
            axis += 1
            position += 1
        else:
            items.append(int(item))
            axis += 1
    return tensor[tuple(items)], backwards


def contiguous(key: Key, shape: tuple[int, ...]) -> bool:
    """Whether the part lies in one piece, so that MXNet gives a view of it: only the first axes may be cut."""
    spans = []
    for item, size in zip([item for item in key if item is not None], shape, strict=True):
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            spans.append((len(range(start, stop, step)), size, step))
        else:
            spans.append((1, size, 1))
    if any(count == 0 for count, _, _ in spans) or all(count == 1 for count, _, _ in spans):
        return True
    cut = False
    for count, size, step in reversed(spans):
        if count > 1 and (step != 1 or cut):
            return False
        cut = cut or count < size
    return True


def advanced(tensor: torch.Tensor, key: Key) -> torch.Tensor:
    """A new tensor picked by arrays of positions, integers and slices among them, as NumPy does it."""
    view, indices = _positions(tensor, key)
    return view[indices]


def _positions(tensor: torch.Tensor, key: Key) -> tuple[torch.Tensor, Any]:
    """A view cut by the slices of the key, and an index for it that holds arrays, full slices and None."""
    cut: list[Any] = []
    rest: list[Any] = []
    axis = 0
    for item in key:
        if item is None:
            rest.append(None)
            continue
        size = tensor.shape[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(size)
            if step > 0:
                cut.append(slice(start, max(start, stop), step))
                rest.append(slice(None))
            else:
                cut.append(slice(None))
                rest.append(slice(None))
                chosen = torch.arange(start, stop, step, device=tensor.device)
                tensor = tensor.index_select(axis, chosen)
        else:
            cut.append(slice(None))
            rest.append(_positions_of(item, size, axis, tensor.device))
        axis += 1
    return tensor[tuple(cut)], tuple(rest)


def _positions_of(item: Any, size: int, axis: int, device: Any) -> torch.Tensor:
    if isinstance(item, torch.Tensor):
        index = item.to(device, torch.int64)
    elif isinstance(item, INTEGERS):
        index = torch.tensor([int(item)], device=device)
    else:
        index = torch.from_numpy(np.array(item).astype(np.int64)).to(device)
    if index.numel():
        low, high = int(index.min()), int(index.max())
        if low < -size or high >= size:
            raise IndexError(f"index {low if low < -size else high} is out of bounds for axis {axis} with size {size}")
    return index


def setitem(array: Any, key: Any, value: Any) -> None:
    """array[key] = value, in the memory of the array; recorded where `value` is.

    Raises:
        MXNetError: it is recorded that the array is used, so that it must not change.
        IndexError, ValueError, TypeError: MXNet's own sentences.
    """
    tensor = array._t
    if tensor.dim() == 0:
        if not isinstance(key, (tuple, slice)) or (isinstance(key, tuple) and key):
            raise IndexError("scalar tensor can only accept `()` and `:` as index")
        key = ()
    elif tensor.numel() == 0:
        return
    found = expand(key, tensor.shape)
    _checked(found, tensor.shape)
    arrays = is_advanced(found)

    def write(target: torch.Tensor, values: Any) -> None:
        if not arrays:
            view, backwards = _view(target, found)
            values = fit(values, view.shape)
            view.copy_(values.flip(backwards) if backwards else values)
        elif any(isinstance(item, slice) and (item.step or 1) < 0 for item in found):
            places = advanced(torch.arange(target.numel(), device=target.device).view(target.shape), found)
            target[torch.unravel_index(places, target.shape)] = fit(values, places.shape)
        else:
            view, indices = _positions(target, found)
            view[indices] = fit(values, view[indices].shape)

    assign(array, value, write, whole=not arrays and all(item is None or item == slice(None) for item in found))


def assign(array: Any, value: Any, write: Any, *, whole: bool = True) -> None:
    """Run `write(tensor of the array, tensor of the value)`, recorded if the value is recorded.

    Args:
        whole: every element is written, so that what the array was before does not matter.
    Raises:
        MXNetError: the array itself is recorded, or would be in part.
    """
    tensor = array._t
    values = _tensor_of(value, array)
    if not state.recording:
        write(tensor.data, values.detach())
        return
    if tensor.requires_grad or (shadows and shadow(tensor) is not None):
        raise MXNetError(IN_GRAPH)
    if not values.requires_grad:
        if isinstance(source := getattr(value, "_t", None), torch.Tensor) and source.requires_grad:
            raise MXNetError(IN_PLACE)  # whole numbers, which would lose the history
        write(tensor.data, values)
        return
    if not whole:
        raise MXNetError(IN_PLACE)
    with torch.enable_grad():
        array._t = tensor.detach()
        write(array._t, values)


def _tensor_of(value: Any, array: Any) -> torch.Tensor:
    """The value as a tensor of the array's dtype on its device."""
    from tensorkeep.mxnet.ndarray._creation import from_values

    dtype, device = array._t.dtype, array._t.device
    if hasattr(value, "_t"):
        return value._t.to(device, dtype)
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return torch.tensor(float(value) if dtype.is_floating_point else value).to(device, dtype)
    try:
        values = value if isinstance(value, np.ndarray) else np.array(value, dtype=array.dtype)
        return from_values(values, dtype).to(device)
    except (TypeError, ValueError, OverflowError) as err:
        raise TypeError(
            f"{type(array)} does not support assignment with non-array-like object {value} of type {type(value)}"
        ) from err


def fit(values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The values broadcast to `shape`; leading dimensions of size 1 that are too many fall away.

    Raises:
        ValueError: they do not fit.
    """
    while values.dim() > len(shape) and values.shape[0] == 1:
        values = values[0]
    if values.shape == shape:
        return values
    try:
        return values.expand(shape)
    except RuntimeError as err:
        raise ValueError(
            "operands could not be broadcast together with remapped shapes[original->remapped]: "
            f"{tuple(values.shape)} and requested shape {tuple(shape)}"
        ) from err
