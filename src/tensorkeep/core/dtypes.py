"""The element types of tensors, without importing NumPy.

A `DType` is a string with a size: `DType.of("bfloat16") == "bfloat16"`, `.bits == 16`. Names are NumPy's and
ml_dtypes'; `numpy_dtype` turns one into the `numpy.dtype` that holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorkeep.errors import UnsupportedFormatError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DTYPES", "DType", "dtype_of_numpy", "numpy_dtype"]


class DType(str):
    """The name of an element type, with its size in `bits` and its `kind`.

    `kind` is one of "bool", "int", "uint", "float", "complex". Types below 8 bits are packed in files and
    take one byte an element in memory (as ml_dtypes holds them). Compares equal to its name.
    """

    __slots__ = ("bits", "kind")

    bits: int
    kind: str

    def __new__(cls, name: str, bits: int, kind: str) -> DType:
        self = super().__new__(cls, name)
        self.bits = bits
        self.kind = kind
        return self

    def __getnewargs__(self) -> tuple[str, int, str]:  # type: ignore[override]  # str.__getnewargs__ has one item
        return (str(self), self.bits, self.kind)

    @classmethod
    def of(cls, dtype: Any) -> DType:
        """The DType of a name, a `numpy.dtype`, a NumPy scalar type, or a torch or JAX dtype.

        Raises:
            UnsupportedFormatError: no element type of ours has that name (object, str, datetime64, float128 …).
        """
        if type(dtype) is DType:
            return dtype
        if isinstance(dtype, str):
            name = dtype
        else:
            name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
            if not isinstance(name, str) or name not in DTYPES:
                import numpy as np

                try:
                    name = np.dtype(dtype).name
                except TypeError:
                    name = str(dtype)
        found = DTYPES.get(_ALIASES.get(name, name))
        if found is None:
            raise UnsupportedFormatError(f"{name!r} is not an element type of tensors; known are {', '.join(DTYPES)}.")
        return found

    @property
    def itemsize(self) -> int:
        """Bytes an element takes in memory (1 for the types below 8 bits)."""
        return (self.bits + 7) // 8

    @property
    def packed(self) -> bool:
        """Whether files hold several elements in one byte."""
        return self.bits < 8

    def __repr__(self) -> str:
        return f"DType({str(self)!r})"


_KINDS = {"bool": "bool", "int": "int", "uint": "uint", "float": "float", "bfloat": "float", "complex": "complex"}


def _table() -> dict[str, DType]:
    rows = (
        "bool:8 uint8:8 uint16:16 uint32:32 uint64:64 int8:8 int16:16 int32:32 int64:64 float16:16 bfloat16:16 "
        "float32:32 float64:64 complex64:64 complex128:128 float8_e4m3fn:8 float8_e4m3fnuz:8 float8_e4m3b11fnuz:8 "
        "float8_e4m3:8 float8_e3m4:8 float8_e5m2:8 float8_e5m2fnuz:8 float8_e8m0fnu:8 float6_e2m3fn:6 "
        "float6_e3m2fn:6 float4_e2m1fn:4 int4:4 uint4:4 int2:2 uint2:2"
    )
    table = {}
    for row in rows.split():
        name, _, bits = row.partition(":")
        table[name] = DType(name, int(bits), _KINDS[name.partition("_")[0].rstrip("0123456789")])
    return table


DTYPES: dict[str, DType] = _table()
"""Every element type, by name."""

# What torch, C and older files call them.
_ALIASES = {
    "bool_": "bool",
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "char": "int8",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "byte": "uint8",
    "cfloat": "complex64",
    "cdouble": "complex128",
}

_NUMPY_OWN = frozenset(
    [
        "bool",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The `numpy.dtype` (ml_dtypes' for bfloat16, float8 and the types below 8 bits) that holds `dtype`, native order."""
    import numpy as np

    found = _numpy_dtypes.get(dtype)
    if found is None:
        if dtype in _NUMPY_OWN:
            found = np.dtype(str(dtype))
        else:
            import ml_dtypes

            found = np.dtype(getattr(ml_dtypes, dtype))
        _numpy_dtypes[dtype] = found
        _of_numpy[found] = dtype
    return found


def dtype_of_numpy(dtype: np.dtype[Any]) -> DType | None:
    """The DType of a native-order `numpy.dtype`, None when tensors have no such type. Costs one look-up (names cost 2 µs)."""
    found = _of_numpy.get(dtype)
    if found is None:
        found = DTYPES.get(dtype.name)
        if found is not None:
            _of_numpy[dtype] = found
    return found


_numpy_dtypes: dict[str, Any] = {}
_of_numpy: dict[Any, DType] = {}
