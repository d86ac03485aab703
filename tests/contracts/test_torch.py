"""torch's zip files keep the contract of every format."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tensorkeep.core.dtypes import DTYPES
from tensorkeep.testing import FormatContract

# torch has no storage of these.
NOT_HELD = ("float8_e4m3b11fnuz", "float8_e4m3", "float8_e3m4", "int4", "uint4", "int2", "uint2")
NOT_HELD += ("float6_e2m3fn", "float6_e3m2fn")

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([-1, 7], np.int64),
    "empty": np.zeros((0, 2)),
}


def torchs() -> dict[str, tuple[bytes, Any]]:
    """What torch.save writes; nothing where torch is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    out = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in ARRAYS.items()}, out)
    return {"torch.save": (out.getvalue(), ARRAYS)}


class TestTorch(FormatContract):
    name, suffix = "torch", ".pt"
    dtypes = frozenset(DTYPES) - frozenset(NOT_HELD)
    kinds = FormatContract.all_kinds - {"numpy scalars"}  # torch.load(weights_only=True) refuses them
    checksums = metadata = tied = True
    examples = torchs()
