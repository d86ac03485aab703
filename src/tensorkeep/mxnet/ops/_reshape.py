"""The shape that Reshape's codes ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

from tensorkeep.mxnet.base import MXNetError

__all__ = ["NPX_CODES", "RESHAPE_CODES", "resolve"]

RESHAPE_CODES = {0: "copy", -1: "infer", -2: "rest", -3: "merge", -4: "split"}
"""What Reshape's special numbers do with the next dimensions of the source."""
NPX_CODES = {-1: "infer", -2: "copy", -3: "drop", -4: "rest", -5: "merge", -6: "split"}
"""The same of npx.reshape."""

_KINDS = {False: RESHAPE_CODES, True: NPX_CODES}


@lru_cache(2048)
def resolve(source: tuple[int, ...], codes: tuple[int, ...], reverse: bool, npx: bool) -> tuple[int, ...]:
    """The new shape; -1 where it is not known because a dimension of the source (-1) is not.

    Args:
        source: the shape before; -1 for a dimension that is not known.
        codes: the sizes and codes that the user gave.
        reverse: they are matched from the right.
        npx: they are npx.reshape's codes.
    Raises:
        MXNetError: they do not fit the source.
    """
    found, gap = _walk(source[::-1] if reverse else source, codes[::-1] if reverse else codes, _KINDS[npx])
    known = -1 not in source
    if gap >= 0:
        rest = prod(found[:gap]) * prod(found[gap + 1 :])
        found[gap] = prod(source) // rest if known and rest > 0 else 0 if known else -1
    if known and prod(found) != prod(source):
        raise MXNetError(
            f"cannot reshape an array of shape {list(source)} ({prod(source)} elements) into {list(codes)}"
        )
    return tuple(found[::-1] if reverse else found)


def _walk(source: Sequence[int], codes: Sequence[int], kinds: Mapping[int, str]) -> tuple[list[int], int]:
    """The new dimensions, and which of them is to be inferred, or -1."""
    found: list[int] = []
    gap, at, i = -1, 0, 0
    while i < len(codes):
        kind = kinds.get(codes[i], "size")
        if kind == "size":
            if codes[i] < 0:
                raise MXNetError(f"Dimension size must not be {codes[i]}")
            found.append(codes[i])
            at += 1
        elif kind == "infer":
            if gap >= 0:
                raise MXNetError("One and only one dim can be inferred")
            gap = len(found)
            found.append(1)
            at += 1
        elif kind == "rest":
            found += source[at:]
            at = max(at, len(source))
        else:
            taken = 2 if kind == "merge" else 1
            if at + taken > len(source):
                raise MXNetError(f"shape {list(codes)} asks for more dimensions than the source {list(source)} has")
            dims = source[at : at + taken]
            at += taken
            if kind == "copy":
                found += dims
            elif kind == "merge":
                found.append(-1 if -1 in dims else dims[0] * dims[1])
            elif kind == "split":
                found += _split(dims[0], codes[i + 1 : i + 3])
                i += 2
            elif dims[0] != 1:
                raise MXNetError("-3 index should only be used to skip dimension size 1")
        i += 1
    return found, gap


def _split(size: int, parts: Sequence[int]) -> tuple[int, int]:
    """One dimension in two; one of the parts may be -1."""
    if len(parts) < 2:
        raise MXNetError("the code that splits a dimension needs two more numbers")
    left, right = parts
    if left == right == -1:
        raise MXNetError("Split dims cannot both be -1.")
    if size >= 0:
        if left == -1:
            left = size // right if right else 0
        elif right == -1:
            right = size // left if left else 0
        if left * right != size:
            raise MXNetError(f"Split dims {left}, {right} do not divide original dim {size}")
    return left, right
