"""npz keeps the contract of every format."""

from __future__ import annotations

import io

import numpy as np

from tensorkeep.testing import FormatContract

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([-1, 7], np.int64),
    "empty": np.zeros((0, 2)),
}


def numpys(compressed: bool) -> bytes:
    """What numpy.savez writes."""
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **ARRAYS)
    return out.getvalue()


class TestNpz(FormatContract):
    name, suffix = "npz", ".npz"
    dtypes = FormatContract.numpy_dtypes
    checksums = metadata = tied = True
    examples = {"savez": (numpys(False), ARRAYS), "savez_compressed": (numpys(True), ARRAYS)}
