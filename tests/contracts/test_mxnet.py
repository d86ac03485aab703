"""MXNet's list files keep the contract of every format."""

from __future__ import annotations

import struct
from typing import Any, ClassVar

import numpy as np

from tensorkeep.testing import FormatContract

V2, V3 = 0xF993FAC9, 0xF993FACA
CODES = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7}


def array(values: np.ndarray, version: int = V2) -> bytes:
    """An array by the words of the format: version, dense, shape, context cpu(0), type code, data."""
    shape = struct.pack(f"<I{values.ndim}q", values.ndim, *values.shape)
    return (
        struct.pack("<Ii", version, 0) + shape + struct.pack("<iii", 1, 0, CODES[values.dtype.name]) + values.tobytes()
    )


def listing(arrays: list[bytes], names: list[str]) -> bytes:
    """A list file by the words of the format."""
    out = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names))
    return out + b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)


W, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([-1, 7], np.int64)


class TestMXNet(FormatContract):
    name, suffix = "mxnet", ".params"
    dtypes = frozenset({*CODES, "bfloat16", "int16", "uint16", "uint32", "uint64"})
    kinds = frozenset({"tensor", "list", "dict", "empty dict", "empty list", "sparse", "ordered dict"})
    version: ClassVar[int] = V2

    examples = {
        "named": (listing([array(W), array(B)], ["arg:w", "aux:b"]), {"arg:w": W, "aux:b": B}),
        "a list": (listing([array(W), array(B)], []), [W, B]),
        "empty": (listing([], []), []),
    }
    written = {
        "named": ({"arg:w": W, "aux:b": B}, listing([array(W), array(B)], ["arg:w", "aux:b"])),
        "a list": ([W, B], listing([array(W), array(B)], [])),
        "no dimensions": ([np.float32([3]).reshape(())], listing([array(np.float32([3]).reshape(()), V3)], [])),
    }

    def loaded(self, data: Any) -> Any:
        """A list file knows lists and flat dicts: one tensor is a list of one, nothing is []."""
        if isinstance(data, dict):
            return dict(data) or []
        return data if isinstance(data, list) else [data]

    def the_one(self, data: Any) -> Any:
        return data[0] if isinstance(data, list) else data["w"]


class TestMXNetNumpy(TestMXNet):
    """Every array as V3, which np semantics writes."""

    kinds = TestMXNet.kinds - {"sparse"}
    name, suffix = "mxnet-np", ".params"
    written = {"named": ({"w": W, "b": B}, listing([array(W, V3), array(B, V3)], ["w", "b"]))}
