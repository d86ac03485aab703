"""npy keeps the contract of every format."""

from __future__ import annotations

import io

import numpy as np

from tensorkeep.testing import FormatContract


def numpys(array: np.ndarray) -> bytes:
    """What numpy.save writes."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


ARRAYS = {
    "a matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "no dimensions": np.array(2.5),
    "nothing": np.zeros((0, 4), np.int8),
    "complex": np.array([1 + 2j, -0.0]),
}


class TestNpy(FormatContract):
    name, suffix = "npy", ".npy"
    dtypes = FormatContract.numpy_dtypes
    kinds = frozenset({"tensor"})
    examples = {
        **{label: (numpys(array), array) for label, array in ARRAYS.items()},
        "big-endian": (numpys(ARRAYS["a matrix"].astype(">f4")), ARRAYS["a matrix"]),
        "column by column": (numpys(np.asfortranarray(ARRAYS["a matrix"])), ARRAYS["a matrix"]),
    }
    written = {label: (array, numpys(array)) for label, array in ARRAYS.items()}
