"""The limits that readers of untrusted files hold to, each with its reason, and the arithmetic that checks them."""

from __future__ import annotations

from collections.abc import Iterable

from tensorkeep.errors import CorruptFileError, LimitError

__all__ = [
    "MAX_DEPTH",
    "MAX_HEADER_NBYTES",
    "MAX_NDIM",
    "MAX_PICKLE_NBYTES",
    "MAX_TENSORS",
    "checked_nbytes",
    "checked_product",
]

MAX_DEPTH = 64
"""Containers inside containers, in JSON and pickles. Real files stay below 20; Python's own recursion fails near 1,000."""

MAX_HEADER_NBYTES = 100_000_000
"""A JSON header: the cap of the safetensors reference reader."""

MAX_PICKLE_NBYTES = 256 << 20
"""The pickle of a torch file, without its tensors: 1 M tensors take about 150 MB."""

MAX_TENSORS = 4_000_000
"""Tensors in one file: the largest known checkpoints have a few 100,000."""

MAX_NDIM = 64
"""Dimensions of a tensor: NumPy 2 stops at 64."""

_MAX_SIZE = 2**63 - 1
_WIDEST_NBYTES = 16  # complex128


def checked_product(shape: Iterable[int], *, what: str) -> int:
    """The number of elements of `shape`, which came out of a file.

    Raises:
        CorruptFileError: a dimension is negative or no int.
        LimitError: more than 64 dimensions, or 2**63 elements and up (stopping before big numbers are built).
    """
    dims = tuple(shape)
    if len(dims) > MAX_NDIM:
        raise LimitError(
            f"{what} has {len(dims)} dimensions; at most {MAX_NDIM} are read. The file is damaged or hostile."
        )
    count = 1
    for dim in dims:
        if type(dim) is not int or dim < 0:
            raise CorruptFileError(f"{what} has a dimension of {dim!r:.40}; dimensions are integers from 0 up.")
        count *= dim or 1
        if count > _MAX_SIZE:
            raise LimitError(f"{what} has 2**63 elements or more. The file is damaged or hostile.")
    if 0 not in dims:
        return count
    if count > _MAX_SIZE // _WIDEST_NBYTES:
        # NumPy refuses to make an array of shape (0, 2**62), whose other dimensions alone pass its bound on bytes.
        raise LimitError(f"{what} has the dimensions {dims}, which no array can have. The file is damaged or hostile.")
    return 0


def checked_nbytes(shape: Iterable[int], bits: int, *, what: str) -> int:
    """The bytes that `shape` takes at `bits` an element, packed; the last byte may be partly used.

    Raises: as `checked_product`, and LimitError when the bytes reach 2**63.
    """
    nbits = checked_product(shape, what=what) * bits
    if nbits > _MAX_SIZE * 8:
        raise LimitError(f"{what} takes 2**63 bytes or more. The file is damaged or hostile.")
    return (nbits + 7) // 8
