"""Element types against NumPy's and ml_dtypes' own sizes."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest
import torch

from tensorkeep.core.dtypes import DTYPES, DType, dtype_of_numpy, numpy_dtype
from tensorkeep.errors import UnsupportedFormatError


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_sizes_are_numpys(dtype: DType) -> None:
    """itemsize is what NumPy (with ml_dtypes) takes an element, and the name comes back from the array."""
    array = np.zeros(1, numpy_dtype(dtype))

    assert array.itemsize == dtype.itemsize
    assert array.dtype.name == dtype
    assert dtype_of_numpy(array.dtype) is dtype


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float6_e2m3fn", "float4_e2m1fn", "int4", "uint2", "bfloat16"])
def test_bits_are_ml_dtypes(name: str) -> None:
    """bits, as ml_dtypes' finfo and iinfo give them."""
    scalar = getattr(ml_dtypes, name)
    info = ml_dtypes.iinfo(scalar) if "int" in name else ml_dtypes.finfo(scalar)

    assert DTYPES[name].bits == info.bits


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (np.float32, "float32"),
        (np.dtype(">i4"), "int32"),
        (torch.bfloat16, "bfloat16"),
        (torch.long, "int64"),
        ("half", "float16"),
        (bool, "bool"),
        (float, "float64"),
        (ml_dtypes.bfloat16, "bfloat16"),
    ],
)
def test_of_takes_what_frameworks_call_them(given: object, name: str) -> None:
    """NumPy's, torch's, Python's and C's names."""
    assert DType.of(given) == name


@pytest.mark.parametrize("given", ["object", np.dtype("U3"), np.dtype("M8[s]"), "complex256", object])
def test_what_tensors_do_not_hold_is_refused(given: object) -> None:
    """Objects, strings, dates."""
    with pytest.raises(UnsupportedFormatError, match="is not an element type"):
        DType.of(given)


def test_a_dtype_is_its_name_and_survives_pickling() -> None:
    """It prints and compares as text, and keeps its size in a process pool."""
    dtype = pickle.loads(pickle.dumps(DTYPES["bfloat16"]))

    assert dtype == "bfloat16"
    assert f"{dtype}" == "bfloat16"
    assert dtype.bits == 16
