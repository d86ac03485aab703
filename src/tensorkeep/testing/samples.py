"""Data to save: values of every element type, shapes, layouts in memory, kinds of containers, names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorkeep.core.dtypes import DTYPES, numpy_dtype
from tensorkeep.core.tensor import SparseTensor

__all__ = ["KINDS", "LAYOUTS", "NAMES", "NUMPY_DTYPES", "SHAPES", "values"]

NUMPY_DTYPES = frozenset(name for name, dtype in DTYPES.items() if numpy_dtype(dtype).isbuiltin == 1)
"""The element types that NumPy has by itself."""

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (7,), (3, 4), (2, 0, 3), (5, 1, 7), (0, 0), (1,) * 8)


def values(dtype: str) -> np.ndarray[Any, Any]:
    """16 values of an element type: every bit pattern at random, zeros and all ones among them."""
    kind = numpy_dtype(DTYPES[dtype])
    if dtype == "bool":
        return np.array([True, False] * 8)
    bits = DTYPES[dtype].bits
    rng = np.random.default_rng(bits)
    if bits < 8:  # one element a byte in memory, the high bits of signed ones are their sign
        patterns = np.arange(16, dtype=np.uint8) % (1 << bits)
        if DTYPES[dtype].kind == "int":
            patterns = np.where(patterns >= 1 << (bits - 1), patterns + (256 - (1 << bits)), patterns).astype(np.uint8)
        return patterns.view(kind)
    raw = rng.integers(0, 256, 16 * kind.itemsize, dtype=np.uint8)
    raw[: kind.itemsize] = 0
    raw[kind.itemsize : 2 * kind.itemsize] = 255
    return raw.view(kind)


def _unaligned() -> np.ndarray[Any, Any]:
    raw = np.zeros(4 * 6 + 1, np.uint8)
    array = raw[1:].view(np.float32)
    array[:] = np.arange(6)
    return array.reshape(2, 3)


_BASE = np.arange(24, dtype=np.int32).reshape(4, 6)

LAYOUTS: Mapping[str, Callable[[], Any]] = {
    "transposed": lambda: _BASE.T,
    "fortran": lambda: np.asfortranarray(_BASE),
    "every second": lambda: _BASE[::2, 1::2],
    "reversed": lambda: _BASE[::-1, ::-1],
    "broadcast": lambda: np.broadcast_to(_BASE[:1], (3, 6)),
    "big-endian": lambda: _BASE.astype(">i4"),
    "big-endian transposed": lambda: _BASE.astype(">i4").T,
    "unaligned": _unaligned,
    "read-only": lambda: np.frombuffer(_BASE.tobytes(), np.int32).reshape(4, 6),
    "memmap-like": lambda: _BASE.view(type("Mine", (np.ndarray,), {})),
}


def _f(*numbers: float) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.float32)


KINDS: Mapping[str, Callable[[], Any]] = {
    "tensor": lambda: _f(1, 2, 3),
    "list": lambda: [_f(1), np.array([[2, 3]], np.int32)],
    "tuple": lambda: (_f(1), _f(2)),
    "dict": lambda: {"z": _f(1), "a": np.array([1], np.int32)},
    "empty dict": dict,
    "empty list": list,
    "ordered dict": lambda: OrderedDict([("z", _f(1)), ("a", _f(2))]),
    "integer keys": lambda: {0: _f(1), 7: _f(2)},
    "nested": lambda: {"model": {"w": _f(1), "layers": [{"b": _f(2)}, (_f(3), [])]}, "empty": {}},
    "dots in keys": lambda: {"a": {"b.c": _f(1)}, "a.b": {"c": _f(2)}},
    "plain values": lambda: {
        "w": _f(1),
        "step": 3,
        "big": 2**70,
        "lr": 0.1,
        "on": True,
        "none": None,
        "text": "ä\n",
        "": "",
    },
    "bytes and numbers": lambda: {"w": _f(1), "raw": b"\0\xff", "z": 1 - 2j, "inf": float("inf"), "nan": float("nan")},
    "numpy scalars": lambda: {"w": _f(1), "x": np.float32(0.1), "i": np.int64(-3), "h": values("bfloat16")[1]},
    "only plain values": lambda: {"step": 3, "names": ["a", "b"]},
    "sparse": lambda: {
        "s": SparseTensor("csr", (2, 4), _f(1, 2, 3), np.array([0, 3, 1], np.int64), np.array([0, 2, 3], np.int64)),
        "d": _f(4),
    },
}
"""What to call it → a function that makes data of this kind."""

NAMES: tuple[str, ...] = (
    "",
    ".",
    "..",
    "../up",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a.b.c",
    "with space",
    "arg:weight",
    "nul\0byte",
    "new\nline",
    '"quoted"',
    "日本語.重み",
    "😀",
    "e\u0301",
    "__metadata__",
    "file",
    "format.npy",
    "x" * 300,
    "y" * 70_000,
)
"""Names that programs stumble over."""
