"""safetensors keeps the contract of every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.testing import FormatContract

# The specification's dtypes are a closed list; of the 6-bit types it says no packing.
NOT_HELD = ("complex128", "float8_e4m3b11fnuz", "float8_e4m3", "float8_e3m4", "int4", "uint4", "int2", "uint2")
NOT_HELD += ("float6_e2m3fn", "float6_e3m2fn")


def literal(header: dict[str, Any], data: bytes) -> bytes:
    """A file by the words of the format: length, JSON, data."""
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + data


class TestSafetensors(FormatContract):
    name, suffix = "safetensors", ".safetensors"
    dtypes = frozenset(DTYPES) - frozenset(NOT_HELD)
    checksums = metadata = tied = True
    examples = {
        "the README's example": (
            literal({"x": {"dtype": "F16", "shape": [1, 2], "data_offsets": [0, 4]}}, b"\x00\x3c\x00\x40"),
            {"x": np.array([[1, 2]], np.float16)},
        ),
        "two, listed against their order": (
            literal(
                {
                    "b": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]},
                    "__metadata__": {"format": "pt"},
                    "a": {"dtype": "I32", "shape": [], "data_offsets": [0, 4]},
                },
                b"\x01\x00\x00\x00\x07\x08",
            ),
            {"b": np.array([7, 8], np.uint8), "a": np.array(1, np.int32)},
        ),
        "no tensors": (b"\x02\0\0\0\0\0\0\0{}", {}),
    }

    @pytest.mark.parametrize(
        "header",
        [
            '{"__metadata__": {"k": "v"}, "a": %s}',
            '{ "__metadata__":{"k":"v"},"a":%s}',
            '{"a":%s,"__metadata__":{"k":"v"}}',
            '{"\\u005f_metadata__":{"k":"v"},"a":%s}',
            '{"__metadata__":{"\\u006b":"v"},"a":%s}',
        ],
    )
    def test_metadata_in_any_spelling_are_read(self, header: str) -> None:
        """With spaces, with escapes, behind the tensors: what other writers put beside is not lost."""
        raw = (header % '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}').encode()

        with tk.open(len(raw).to_bytes(8, "little") + raw + b"\x01\x02") as file:
            assert file.metadata == {"k": "v"}
            assert file["a"].numpy().tolist() == [1, 2]


class TestSharded(FormatContract):
    """Shards and their index."""

    name, suffix = "safetensors-sharded", ".safetensors.index.json"
    dtypes = TestSafetensors.dtypes
    checksums = metadata = tied = True
    streams = False

    def save(self, folder: Path, data: Any, **options: Any) -> Path:
        return Path(tk.save(folder / f"file{self.suffix}", data, shard_size=3_000_000, **options).path)
