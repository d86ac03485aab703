"""The classes that pickles of any origin may ask for: Python's containers and NumPy's arrays, checked.

Sources: CPython Lib/pickle.py and Lib/copyreg.py; NumPy `_core/src/multiarray/methods.c` (`array_setstate`) and
`descriptor.c` (`arraydescr_setstate`), numpy/_core/numeric.py (`_frombuffer`).
"""

from __future__ import annotations

import math
import re
import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tensorkeep.core.bounds import checked_product
from tensorkeep.core.dtypes import DTYPES, DType, numpy_dtype
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.errors import LimitError
from tensorkeep.formats._pickle_parts import Cell, Global, InertCell, Known, Unfit, raw_bytes

__all__ = ["BASE", "DtypeCell", "is_key", "shape_of"]

_MAX_INT_KEY = 2**61 - 1  # from here on, different ints hash alike (sys.hash_info.modulus)
_NATIVE_BIG = sys.byteorder == "big"


def is_key(key: object) -> bool:
    """Whether `key` may be a dict key or a set's member: a plain scalar whose hash cannot be made to collide."""
    if type(key) is int:
        return -_MAX_INT_KEY < key < _MAX_INT_KEY
    if type(key) is float:
        return not math.isnan(key)
    return type(key) in (str, bool, bytes) or key is None


def shape_of(value: Any) -> tuple[int, ...]:
    """`value` checked to be a tuple (or list) of ints from 0 up."""
    if type(value) not in (tuple, list):
        raise Unfit(f"a shape is a {type(value).__name__}")
    for dim in value:
        if type(dim) is not int or dim < 0:
            raise Unfit("a shape holds something else than integers from 0 up")
    return tuple(value)


# --- Python's own ---------------------------------------------------------------------------------------------------


def _bytearray(args: tuple[Any, ...]) -> bytes:
    if not args:
        return b""
    if len(args) == 1 and type(args[0]) is bytes:
        return args[0]
    if len(args) == 2 and type(args[1]) is str:
        return _encode(args)
    raise Unfit("its arguments are not bytes")


def _bytes(args: tuple[Any, ...]) -> bytes:
    return _bytearray(args)


def _encode(args: tuple[Any, ...]) -> bytes:
    if len(args) not in (1, 2) or any(type(arg) is not str for arg in args):
        raise Unfit("its arguments are not text and an encoding")
    encoding = args[1].lower() if len(args) == 2 else "utf-8"
    if encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise Unfit(f"the encoding {encoding[:40]!r} is not latin1, ascii or utf-8")
    try:
        return bytes(args[0].encode(encoding))
    except UnicodeEncodeError as err:
        raise Unfit(f"the text is not {encoding}") from err


def _members(args: tuple[Any, ...]) -> list[Any]:
    if not args:
        return []
    if len(args) != 1 or type(args[0]) not in (list, tuple, set, frozenset):
        raise Unfit("its argument is not a list")
    members = list(args[0])
    if not all(map(is_key, members)):
        raise Unfit("a member is not a number, a string or None")
    return members


def _complex(args: tuple[Any, ...]) -> complex:
    if len(args) != 2 or any(type(arg) not in (float, int) for arg in args):
        raise Unfit("its arguments are not two numbers")
    try:
        return complex(float(args[0]), float(args[1]))
    except OverflowError as err:
        raise Unfit("its arguments are too large") from err


def _pairs(args: tuple[Any, ...], into: dict[Any, Any]) -> dict[Any, Any]:
    if not args:
        return into
    if len(args) != 1 or not isinstance(args[0], (dict, list, tuple)):
        raise Unfit("its argument is not a dict or a list of pairs")
    items = args[0].items() if isinstance(args[0], dict) else args[0]
    for pair in items:
        if type(pair) not in (tuple, list) or len(pair) != 2 or not is_key(pair[0]):
            raise Unfit("an entry is not a pair of a plain key and a value")
        if pair[0] in into:
            raise Unfit("a key stands twice")
        into[pair[0]] = pair[1]
    return into


def _ordered_dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    return _pairs(args, OrderedDict())


def _ordered_dict_new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Any, Any]:
    if kwargs:
        raise Unfit("it takes no keyword arguments")
    return _pairs(args, OrderedDict())


def _counter(args: tuple[Any, ...]) -> dict[Any, Any]:
    return _pairs(args, {})


def _defaultdict(args: tuple[Any, ...]) -> dict[Any, Any]:
    factory = args[0] if args else None
    if factory is not None and not (isinstance(factory, Global) and factory.known is not None):
        raise Unfit("its default is neither None nor a plain class")
    return _pairs(args[1:], {})


def _list(args: tuple[Any, ...]) -> list[Any]:
    if not args:
        return []
    if len(args) != 1 or type(args[0]) not in (list, tuple):
        raise Unfit("its argument is not a list")
    return list(args[0])


def _reconstructor(args: tuple[Any, ...]) -> Any:
    # copyreg._reconstructor(cls, base, state): how protocols 0 and 1 store any object of a Python class.
    if len(args) != 3 or not isinstance(args[0], Global) or not isinstance(args[1], Global):
        raise Unfit("its arguments are not a class, its base and a state")
    cls, base, state = args
    cls.called += 1
    plain = base.module in ("builtins", "__builtin__") and base.name == "object" and state is None
    if cls.known is None:
        return InertCell(cls.module, cls.name, () if plain else (state,))
    if cls.known.new is None or not plain:
        raise Unfit(f"{cls!r} is not stored in this way")
    return cls.known.new((), {})


# --- NumPy ----------------------------------------------------------------------------------------------------------

_DTYPE = re.compile(r"[<>|=]?(?:(\?|b1)|([iufc])(\d{1,2})|([SUVaMmO])(\d{0,9}))")
_NAMES = {"i": "int", "u": "uint", "f": "float", "c": "complex"}


class DtypeCell(Cell):
    """A numpy.dtype: `dtype` is ours, or None when it is one that tensors do not have (`code` says which)."""

    __slots__ = ("big_endian", "code", "dtype", "itemsize")

    def __init__(self, code: str, dtype: DType | None, itemsize: int, big_endian: bool = False) -> None:
        self.code = code
        self.dtype = dtype
        self.itemsize = itemsize
        self.big_endian = big_endian

    def build(self, state: Any) -> None:
        if type(state) is not tuple or not 5 <= len(state) <= 9 or type(state[0]) is not int:
            raise Unfit("its state is not the tuple that NumPy writes")
        order, subarray, names, fields = state[1:5]
        if type(order) is not str or order not in ("<", ">", "|", "="):
            raise Unfit("its byte order is none of < > | =")
        self.big_endian = order == ">"
        if subarray is not None or names is not None or fields is not None:
            # MXNet 1.9.1 shows bfloat16 as a record of one field of that name.
            self.dtype = DTYPES["bfloat16"] if names == ("bfloat16",) and self.itemsize == 2 else None
            self.code = "structured " + self.code
        elif self.dtype is None and len(state) > 5 and type(state[5]) is int and state[5] > 0:
            self.itemsize = state[5]

    def finish(self, parts: Sequence[Any]) -> str:
        return str(self.dtype) if self.dtype is not None else self.code


def _dtype(args: tuple[Any, ...]) -> DtypeCell:
    if not 1 <= len(args) <= 3 or any(type(arg) not in (bool, int) for arg in args[1:]):
        raise Unfit("its arguments are not a type code and two flags")
    code = args[0]
    if isinstance(code, Global):
        dtype = DTYPES.get(code.name.rstrip("_"))
        if code.module not in ("ml_dtypes", "numpy") or dtype is None:
            raise Unfit(f"{code!r} is not an element type")
        return DtypeCell(code.name, dtype, dtype.itemsize)
    if type(code) is bytes:
        code = code.decode("latin1")
    match = _DTYPE.fullmatch(code) if type(code) is str and len(code) < 16 else None
    if match is None:
        raise Unfit("its type code is none of NumPy's")
    big_endian = code[0] == ">"
    if match[1]:
        return DtypeCell(code, DTYPES["bool"], 1)
    if match[2]:
        size = int(match[3])
        dtype = DTYPES.get(f"{_NAMES[match[2]]}{size * 8}")
        return DtypeCell(code, dtype, size, big_endian)
    size = int(match[5] or 0) * (4 if match[4] == "U" else 1)
    return DtypeCell(code, None, 8 if match[4] in "OMm" else size, big_endian)


class ArrayCell(Cell):
    """A numpy.ndarray that `_reconstruct` made empty and BUILD fills."""

    __slots__ = ("_filled", "_value")

    def __init__(self) -> None:
        self._value: Any = None
        self._filled = False

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) not in (4, 5):
            raise Unfit("its state is not the tuple that NumPy writes")
        version, (shape, dtype, fortran, data) = state[0] if len(state) == 5 else 0, state[-4:]
        if version not in (0, 1) or type(dtype) is not DtypeCell or type(fortran) not in (bool, int):
            raise Unfit("its state is not the tuple that NumPy writes")
        self._value = _array(shape_of(shape), dtype, bool(fortran), data)
        self._filled = True

    def finish(self, parts: Sequence[Any]) -> Any:
        if not self._filled:
            raise Unfit("an array was begun and never filled")
        return self._value


def _array(shape: tuple[int, ...], dtype: DtypeCell, fortran: bool, data: Any) -> Any:
    if type(data) is list or dtype.dtype is None:
        # Strings, dates, records, Python objects: no tensor. A record keeps what can be told.
        raw = None if type(data) is list else raw_bytes(data)
        return Inert("numpy", "ndarray", (shape, dtype.finish(())), raw)
    raw = raw_bytes(data)
    try:
        count = checked_product(shape, what="a NumPy array")
    except LimitError as err:
        raise Unfit(str(err)) from err
    if count * dtype.itemsize != len(raw):
        raise Unfit(
            f"an array of shape {shape} and type {dtype.dtype} has {len(raw)} bytes, not {count * dtype.itemsize}"
        )
    import numpy as np

    item = numpy_dtype(dtype.dtype)
    array = np.frombuffer(raw, item) if raw else np.empty(0, item)
    if dtype.big_endian != _NATIVE_BIG and item.itemsize > 1:
        array = array.byteswap()
    return Tensor(shape, dtype.dtype, array=array.reshape(shape, order="F" if fortran else "C"))


def _array_reconstruct(args: tuple[Any, ...]) -> ArrayCell:
    if (
        len(args) != 3
        or not isinstance(args[0], Global)
        or args[0].known is None
        or args[0].name not in ("ndarray", "memmap")
    ):
        raise Unfit("its arguments are not numpy.ndarray, (0,) and a code")
    return ArrayCell()


def _frombuffer(args: tuple[Any, ...]) -> Any:
    if (
        len(args) not in (4, 5)
        or type(args[0]) is not bytes
        or type(args[1]) is not DtypeCell
        or args[3] not in ("C", "F")
    ):
        raise Unfit("its arguments are not bytes, a dtype, a shape and an order")
    return _array(shape_of(args[2]), args[1], args[3] == "F", args[0])


def _scalar(args: tuple[Any, ...]) -> Any:
    if not args or type(args[0]) is not DtypeCell or len(args) > 2:
        raise Unfit("its arguments are not a dtype and bytes")
    dtype = args[0]
    raw = raw_bytes(args[1]) if len(args) == 2 and type(args[1]) in (bytes, str) else None
    if raw is None or dtype.dtype is None:
        return Inert("numpy", "scalar", (dtype.finish(()),), raw)
    if len(raw) != dtype.itemsize:
        raise Unfit(f"a {dtype.dtype} scalar has {len(raw)} bytes")
    import numpy as np

    item = numpy_dtype(dtype.dtype)
    value = np.frombuffer(raw, item)
    return (value.byteswap() if dtype.big_endian != _NATIVE_BIG else value)[0]


def _python_scalar(kind: type) -> Known:
    def call(args: tuple[Any, ...]) -> Any:
        if not args:
            return kind()
        if len(args) == 1 and type(args[0]) is kind:
            return args[0]
        raise Unfit(f"its argument is not a {kind.__name__}")

    return Known(call)


def _table() -> dict[tuple[str, str], Known]:
    table: dict[tuple[str, str], Known] = {}
    for module in ("builtins", "__builtin__"):
        table[module, "bytearray"] = Known(_bytearray)
        table[module, "bytes"] = Known(_bytes)
        table[module, "complex"] = Known(_complex)
        table[module, "set"] = Known(lambda args: set(_members(args)))
        table[module, "frozenset"] = Known(lambda args: frozenset(_members(args)))
        table[module, "list"] = Known(_list)
        table[module, "dict"] = Known(_counter)
        table[module, "tuple"] = Known(lambda args: tuple(_list(args)))
        table[module, "object"] = Known()
        for kind in (str, int, float, bool):
            table[module, kind.__name__] = _python_scalar(kind)
    table["collections", "OrderedDict"] = Known(_ordered_dict, _ordered_dict_new)
    table["collections", "Counter"] = Known(_counter)
    table["collections", "defaultdict"] = Known(_defaultdict)
    table["_codecs", "encode"] = Known(_encode)
    for module in ("copyreg", "copy_reg"):
        table[module, "_reconstructor"] = Known(_reconstructor)
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = Known(_array_reconstruct)
        table[f"{core}.multiarray", "scalar"] = Known(_scalar)
        table[f"{core}.numeric", "_frombuffer"] = Known(_frombuffer)
    table["numpy", "ndarray"] = Known()
    table["numpy", "dtype"] = Known(_dtype)
    for name, dtype in DTYPES.items():
        module = "numpy" if dtype.kind != "float" or name in ("float16", "float32", "float64") else "ml_dtypes"
        table[module, name] = Known(value=name)
    table["numpy", "bool_"] = Known(value="bool")
    return table


BASE = _table()
"""(module, name) to Known, for every pickle. Formats add their own rows."""
