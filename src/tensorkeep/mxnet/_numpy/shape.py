"""Other shapes and orders: reshape, transpose, join, split, insert, delete, take."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as onp

from tensorkeep.mxnet._numpy.face import INTEGERS, NUMBERS, Face, unsupported

__all__ = ["Shapes"]

_PAD_KEYWORDS = {
    "constant": ["constant_values"],
    "edge": [],
    "maximum": ["stat_length"],
    "minimum": ["stat_length"],
    "reflect": ["reflect_type"],
    "symmetric": ["reflect_type"],
}
_PAD_REFUSED = ("linear_ramp", "wrap", "median", "mean", "empty")


class Shapes(Face):
    """Functions that move elements without changing them."""

    def copy(self, a: Any, out: Any = None) -> Any:
        """A copy of the array."""
        return self.call("_np_copy", (a,), out)

    def reshape(self, a: Any, newshape: Any, order: str = "C", out: Any = None) -> Any:
        """The elements in another shape; one dimension may be -1: what is left."""
        if order == "C":
            return self.call("_np_reshape", (a,), out, newshape=newshape)
        return self.call("_np_reshape", (a,), out, newshape=newshape, order=order)

    def ravel(self, x: Any, order: str = "C") -> Any:
        """The elements in one dimension."""
        if order == "F":
            raise NotImplementedError(f"order {order} is not supported")
        if isinstance(x, NUMBERS):
            return onp.reshape(x, -1)
        if not isinstance(x, self.array):
            raise unsupported(x)
        return self.call("_npi_reshape", (x,), newshape=-1)

    def squeeze(self, a: Any, axis: Any = None, out: Any = None) -> Any:
        """The array without dimensions of size 1: all of them, or those of `axis`."""
        return self.call("_np_squeeze", (a,), out, **({} if axis is None else {"axis": axis}))

    def transpose(self, a: Any, axes: Any = None) -> Any:
        """The axes in another order; in the reverse one by default."""
        return self.call("_np_transpose", (a,), **({} if axes is None else {"axes": axes}))

    def swapaxes(self, a: Any, axis1: int, axis2: int) -> Any:
        """Two axes exchanged."""
        return self.call("_npi_swapaxes", (a,), dim1=axis1, dim2=axis2)

    def moveaxis(self, a: Any, source: Any, destination: Any) -> Any:
        """The axes `source` moved to the positions `destination`; the others keep their order."""
        return self.call("_np_moveaxis", (a,), source=source, destination=destination)

    def roll(self, a: Any, shift: Any, axis: Any = None) -> Any:
        """The elements moved along axes, those that fall off the end come in at the front."""
        return self.call("_np_roll", (a,), shift=shift, **({} if axis is None else {"axis": axis}))

    def rot90(self, m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
        """The plane of two axes turned k times by 90 degrees."""
        return self.call("_npi_rot90", (m,), k=k, axes=axes)

    def flip(self, m: Any, axis: Any = None, out: Any = None) -> Any:
        """The elements along axes in the reverse order."""
        if isinstance(m, NUMBERS):
            return onp.flip(m, axis)
        if not isinstance(m, self.array):
            raise unsupported(m)
        return self.call("_npi_flip", (m,), out, axis=axis)

    def flipud(self, m: Any) -> Any:
        """The rows in the reverse order."""
        return self.flip(m, 0)

    def fliplr(self, m: Any) -> Any:
        """The columns in the reverse order."""
        return self.flip(m, 1)

    def repeat(self, a: Any, repeats: Any, axis: int | None = None) -> Any:
        """Each element so many times, along an axis or in flat order."""
        return self.call("_np_repeat", (a,), repeats=repeats, **({} if axis is None else {"axis": axis}))

    def diag(self, array: Any, k: int = 0) -> Any:
        """The k-th diagonal of a matrix; of a vector the matrix that has it there."""
        return self.call("_np_diag", (array,), **({"k": k} if k else {}))

    def diagflat(self, array: Any, k: int = 0) -> Any:
        """A matrix with the elements of the array on its k-th diagonal."""
        return self.call("_np_diagflat", (array,), **({"k": k} if k else {}))

    def diagonal(self, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The diagonals of the planes of two axes, as the last axis."""
        return self.call("_np_diagonal", (a,), **_plane(offset, axis1, axis2))

    def trace(self, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, out: Any = None) -> Any:
        """The sums of the diagonals of the planes of two axes."""
        return self.call("_np_trace", (a,), out, **_plane(offset, axis1, axis2))

    def diag_indices_from(self, arr: Any) -> Any:
        """The positions of the diagonal of a square array: an array for each dimension."""
        return self.several(self.call("_npi_diag_indices_from", (arr,)))

    def atleast_1d(self, *arys: Any) -> Any:
        """The arrays with one dimension or more."""
        return self.call("_np_atleast_1d", arys, num_args=len(arys))

    def atleast_2d(self, *arys: Any) -> Any:
        """The arrays with two dimensions or more."""
        return self.call("_np_atleast_2d", arys, num_args=len(arys))

    def atleast_3d(self, *arys: Any) -> Any:
        """The arrays with three dimensions or more."""
        return self.call("_np_atleast_3d", arys, num_args=len(arys))

    # -- joined and split

    def concatenate(self, seq: Any, axis: int | None = 0, out: Any = None) -> Any:
        """The arrays joined along an axis that they have; flattened first where axis is None."""
        return self.call("_npi_concatenate", tuple(seq), out, axis=axis, num_args=len(seq))

    def append(self, arr: Any, values: Any, axis: int | None = None) -> Any:
        """The values behind the array."""
        return self.concatenate((arr, values), axis)

    def stack(self, arrays: Any, axis: int = 0, out: Any = None) -> Any:
        """Arrays of one shape joined along a new axis."""
        arrays = _sequence(arrays)
        return self.call("_npi_stack", arrays, out, axis=axis, num_args=len(arrays))

    def vstack(self, arrays: Any, out: Any = None) -> Any:
        """The arrays below each other."""
        arrays = _sequence(arrays)
        return self.call("_npi_vstack", arrays, num_args=len(arrays))

    def row_stack(self, arrays: Any) -> Any:
        """The arrays below each other."""
        return self.vstack(arrays)

    def column_stack(self, tup: Any) -> Any:
        """The arrays beside each other; those with one dimension as columns."""
        return self.call("_npi_column_stack", tuple(tup), num_args=len(tup))

    def hstack(self, arrays: Any) -> Any:
        """The arrays beside each other."""
        return self.call("_npi_hstack", tuple(arrays), num_args=len(arrays))

    def dstack(self, arrays: Any) -> Any:
        """The arrays behind each other, along the third axis."""
        return self.call("_npi_dstack", tuple(arrays), num_args=len(arrays))

    def split(self, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
        """The array cut along an axis: into a number of equal parts, or before indices.

        Raises:
            ValueError: the parts would not be equal.
        """
        indices, sections = _cuts(indices_or_sections)
        if sections:
            size = self.length(ary, axis)
            if size is not None:
                if size % sections:
                    raise ValueError("array split does not result in an equal division")
                indices, sections = [i * (size // sections) for i in range(sections)], 0
        attrs = {"indices": indices, "axis": axis, "squeeze_axis": False}
        if sections or not self.eager:
            attrs["sections"] = sections
        return self._listed(self.call("_npi_split", (ary,), **attrs))

    def array_split(self, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
        """The array cut along an axis, into parts that need not be equal."""
        indices, sections = _cuts(indices_or_sections)
        attrs = {"indices": indices, "axis": axis, "squeeze_axis": False, "sections": sections}
        return self._listed(self.call("_npi_split", (ary,), **attrs))

    def hsplit(self, ary: Any, indices_or_sections: Any) -> Any:
        """The array cut along its second axis (its first where it has no other)."""
        self._rank(ary, 1, "hsplit")
        indices, sections = _cuts(indices_or_sections)
        attrs = {"indices": indices, "axis": 1, "squeeze_axis": False, "sections": sections}
        return self._listed(self.call("_npi_hsplit", (ary,), **attrs))

    def vsplit(self, ary: Any, indices_or_sections: Any) -> Any:
        """The array cut along its first axis."""
        self._rank(ary, 2, "vsplit")
        return self.split(ary, indices_or_sections, 0)

    def dsplit(self, ary: Any, indices_or_sections: Any) -> Any:
        """The array cut along its third axis."""
        self._rank(ary, 3, "dsplit")
        return self.split(ary, indices_or_sections, 2)

    def _rank(self, array: Any, least: int, function: str) -> None:
        """Raise ValueError when an array is known to have fewer dimensions."""

    def _listed(self, found: Any) -> Any:
        return found if isinstance(found, list) else [found]

    # -- chosen, inserted, deleted, padded

    def take(self, a: Any, indices: Any, axis: int | None = None, mode: str = "raise", out: Any = None) -> Any:
        """The elements at positions along an axis; without one of the flat array."""
        if mode not in ("wrap", "clip", "raise"):
            raise NotImplementedError(f"function take does not support mode '{mode}'")
        if axis is None:
            a, axis = self.call("_npi_reshape", (a,), newshape=-1), 0
        return self.call("_npi_take", (a, indices), out, axis=axis, mode=mode)

    def nonzero(self, a: Any) -> Any:
        """The positions of the elements that are not 0: an array for each dimension."""
        found = self.transpose(self.call("_npx_nonzero", (a,)))
        return tuple(found[i] for i in range(len(found)))

    def insert(self, arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
        """The array with values before positions; in flat order without an axis."""
        number = isinstance(values, NUMBERS) and isinstance(obj, (slice, *INTEGERS, self.array))
        given = {"val": values} if number else {}
        if not number:
            if not isinstance(arr, self.array):
                raise TypeError(f"'arr' can not support type {type(arr)}")
            if not isinstance(values, self.array):
                raise TypeError(f"'values' can not support type {type(values)}")
        arrays = (arr,) if number else (arr, values)
        if isinstance(obj, slice):
            return self.call("_npi_insert_slice", arrays, **given, **_bounds(obj), axis=axis)
        if isinstance(obj, INTEGERS):
            return self.call("_npi_insert_scalar", arrays, **given, int_ind=obj, axis=axis)
        if isinstance(obj, self.array):
            return self.call("_npi_insert_tensor", (*arrays, obj), **given, axis=axis)
        raise TypeError(f"'obj' can not support type {type(obj)}")

    def delete(self, arr: Any, obj: Any, axis: int | None = None) -> Any:
        """The array without elements, or without slices along an axis."""
        if not isinstance(arr, self.array):
            raise TypeError(f"'arr' can not support type {type(arr)}")
        if isinstance(obj, slice):
            return self.call("_npi_delete", (arr,), **_bounds(obj), axis=axis)
        if isinstance(obj, INTEGERS):
            return self.call("_npi_delete", (arr,), int_ind=obj, axis=axis)
        if isinstance(obj, self.array):
            return self.call("_npi_delete", (arr, obj), axis=axis)
        raise TypeError(f"'obj' can not support type {type(obj)}")

    def pad(self, x: Any, pad_width: Any = None, mode: Any = "constant", **kwargs: Any) -> Any:
        """The array with elements before and after it along each axis.

        Args:
            pad_width: for each axis how many come before and after.
            mode: constant (0), edge, reflect, symmetric, maximum or minimum.
        """
        if onp.asarray(pad_width).dtype.kind != "i":
            raise TypeError("`pad_width` must be of integral type.")
        if not isinstance(pad_width, tuple):
            raise TypeError("`pad_width` must be tuple.")
        if callable(mode) or mode in _PAD_REFUSED:
            named = "<function>" if callable(mode) else mode
            raise ValueError(f"mode {{'{named}'}} is not supported.")
        allowed = _PAD_KEYWORDS[mode]
        for key in kwargs:
            if key not in allowed:
                raise ValueError(f"{key} keyword not in allowed keywords {allowed}")
        if mode == "constant":
            values = kwargs.get("constant_values", 0)
            if isinstance(values, tuple):
                raise TypeError("unsupported constant_values type: {'tuple'}.")
            if values != 0:
                warnings.warn(
                    f"MXNet 1.9.1's np.pad accepts constant_values={values} and pads with 0; so does this one.",
                    stacklevel=2,
                )
            return self.call("_npi_pad", (x,), pad_width=pad_width, mode=mode, constant_value=0)
        if kwargs.get("stat_length") is not None:
            raise ValueError(f"unsupported stat_length '{kwargs['stat_length']}'")
        if kwargs.get("reflect_type", "even") not in ("even", None):
            raise ValueError(f"unsupported reflect_type '{kwargs['reflect_type']}'")
        even = {"reflect_type": "even"} if mode in ("reflect", "symmetric") else {}
        return self.call("_npi_pad", (x,), pad_width=pad_width, mode=mode, **even)

    def shares_memory(self, a: Any, b: Any, max_work: Any = None) -> Any:
        """Whether both arrays lie in the same memory."""
        return self._value(self.call("_npi_share_memory", (a, b)))

    def may_share_memory(self, a: Any, b: Any, max_work: Any = None) -> Any:
        """Whether both arrays lie in the same memory."""
        return self.shares_memory(a, b)

    def _value(self, found: Any) -> Any:
        return found


def _sequence(arrays: Any) -> tuple[Any, ...]:
    if not hasattr(arrays, "__getitem__") and hasattr(arrays, "__iter__"):
        raise ValueError(f"expected iterable for arrays but got {type(arrays)}")
    return tuple(arrays)


def _cuts(indices_or_sections: Any) -> tuple[list[int], int]:
    """(where parts begin, 0) or ([], how many parts)."""
    if isinstance(indices_or_sections, INTEGERS):
        return [], int(indices_or_sections)
    if isinstance(indices_or_sections, (list, set, tuple)):
        return [0, *indices_or_sections], 0
    raise ValueError("indices_or_sections must be either int, or tuple / list / set of ints")


def _plane(offset: int, axis1: int, axis2: int) -> dict[str, int]:
    """The attributes of a plane that are not at their default: MXNet stores those that a caller names."""
    given = {"offset": (offset, 0), "axis1": (axis1, 0), "axis2": (axis2, 1)}
    return {key: value for key, (value, default) in given.items() if value != default}


def _bounds(obj: slice) -> dict[str, Any]:
    return {"start": obj.start, "stop": obj.stop, "step": 1 if obj.step is None else obj.step}
