"""The header of a NumPy array, shared by .npy files and the members of .npz archives: read without eval, and written.

Layout (NEP 1, numpy.lib.format): `\\x93NUMPY`, major, minor, header length (u16 in version 1.0, u32 in 2.0 and 3.0), a
Python dict literal with exactly the keys descr, fortran_order and shape, padded with spaces to a newline; then the
elements. The literal goes through a tokenizer of our own, which knows strings, numbers, True, False and tuples of
numbers, so that nothing nests and nothing is evaluated.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from tensorkeep.core.bounds import checked_nbytes
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)

__all__ = [
    "GUESSED",
    "MAGIC",
    "MAX_HEADER_NBYTES",
    "PREFIX_NBYTES",
    "Header",
    "dtype_of",
    "guess_note",
    "header_bytes",
    "nbytes_of",
    "parse",
    "prefix",
    "strides_of",
    "string_header",
]

MAGIC = b"\x93NUMPY"

MAX_HEADER_NBYTES = 1 << 16
"""The literal, at most: real ones have 54 to 200 bytes, structured types a few thousand."""

PREFIX_NBYTES = 12
"""Magic, version and the longer of the two header lengths."""


class Header(NamedTuple):
    """What a header says.

    Attributes:
        descr: the element type as NumPy writes it ("<f4"); "[…]" for a structured type.
        fortran_order: the first axis runs fastest.
        shape: of the array.
    """

    descr: str
    fortran_order: bool
    shape: tuple[int, ...]


def prefix(start: bytes, *, what: str) -> tuple[int, int]:
    """Where the literal begins and how long it is, from the first PREFIX_NBYTES bytes (or as many as there are).

    Raises: CorruptFileError, TruncatedFileError, UnsupportedFormatError, LimitError.
    """
    if start[:6] != MAGIC[: len(start)]:
        raise CorruptFileError(
            f"{what}: it starts with {start[:6].hex(' ')}, not with the magic 93 4e 55 4d 50 59 of a NumPy array. "
            "The file is damaged, or holds something else."
        )
    version = (start[6], start[7]) if len(start) >= 8 else (1, 0)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise UnsupportedFormatError(
            f"{what}: version {version[0]}.{version[1]} of the .npy format is not known; 1.0, 2.0 and 3.0 are read. "
            "Load it with a newer NumPy and save it again."
        )
    begin = 10 if version[0] == 1 else 12
    if len(start) < begin:
        raise TruncatedFileError(f"{what}: ends after {len(start)} bytes, inside the header of a NumPy array. {_CUT}")
    nbytes = int.from_bytes(start[8:begin], "little")
    if nbytes > MAX_HEADER_NBYTES:
        raise LimitError(f"{what}: a header of {nbytes} bytes; at most {MAX_HEADER_NBYTES} are read. {_DAMAGED}")
    return begin, nbytes


_DAMAGED = "The file is damaged or hostile."
_CUT = "It was cut off; copy it again."

# What NumPy and MXNet 2.0 write, in one step; anything else goes through the tokenizer.
_USUAL = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d{1,3})', 'fortran_order': (False|True), 'shape': \(((?:\d{1,19}, ?)*(?:\d{1,19})?)\),? ?\} *\n?"
)
_TOKEN = re.compile(r"""[ \t\n]*(?:("[^"\\\n]*"|'[^'\\\n]*')|(\d{1,19})[lL]?|(True|False)\b|([{}():,\[]))""")


def parse(literal: bytes, *, what: str) -> Header:
    """The Header that the bytes of a literal describe.

    Raises:
        CorruptFileError: it is not a dict with exactly the three keys, each with a value of its kind.
    """
    usual = _USUAL.fullmatch(literal)
    if usual is not None and _no_lonely_number(usual[3]):
        dims = tuple(int(dim) for dim in usual[3].split(b",") if dim.strip())
        return Header(usual[1].decode("ascii"), usual[2] == b"True", dims)
    return _Tokens(literal, what).header()


def _no_lonely_number(dims: bytes) -> bool:
    return not dims or b"," in dims  # "(3)" is a number in Python, not a tuple


class _Tokens:
    def __init__(self, literal: bytes, what: str) -> None:
        self.text = literal.decode("latin-1")
        self.what = what
        self.at = 0

    def fail(self, why: str) -> CorruptFileError:
        near = self.text[self.at : self.at + 24]
        return CorruptFileError(
            f"{self.what}: the header of the NumPy array {why} (at byte {self.at} of it: {near!r}). {_DAMAGED}"
        )

    def next(self, *, word: str | None = None) -> str:
        found = _TOKEN.match(self.text, self.at)
        if found is None or (word is not None and found[4] != word):
            raise self.fail(f"has no {word!r} where it should" if word else "is not a plain dict literal")
        self.at = found.end()
        return found[0].strip()

    def peek(self, word: str) -> bool:
        found = _TOKEN.match(self.text, self.at)
        return found is not None and found[4] == word

    def header(self) -> Header:
        fields: dict[str, object] = {}
        self.next(word="{")
        while not self.peek("}"):
            key = self.next()[1:-1]
            if key in fields or key not in ("descr", "fortran_order", "shape"):
                raise self.fail(f"has the key {key!r:.40} (twice, or instead of descr, fortran_order and shape)")
            self.next(word=":")
            if key == "descr" and self.peek("["):
                return Header(self.text[self.at :].strip().partition("]")[0] + "]", False, ())
            fields[key] = self.shape() if key == "shape" else self.next()
            if not self.peek("}"):
                self.next(word=",")
        self.next(word="}")
        if self.text[self.at :].strip(" \t\n"):
            raise self.fail("goes on after its dict")
        descr, order, shape = (fields.get(key) for key in ("descr", "fortran_order", "shape"))
        if not isinstance(descr, str) or descr[0] not in "'\"" or order not in ("True", "False"):
            raise self.fail("lacks descr or fortran_order, or they are of a wrong kind")
        if not isinstance(shape, tuple):
            raise self.fail("lacks the shape")
        return Header(descr[1:-1], order == "True", shape)

    def shape(self) -> tuple[int, ...]:
        self.next(word="(")
        dims: list[int] = []
        comma = True
        while not self.peek(")"):
            if not comma or len(dims) > 64:
                raise self.fail("has a shape that is no tuple of at most 64 numbers")
            number = self.next().rstrip("lL")
            if not number.isdigit():
                raise self.fail("has a shape that is no tuple of numbers")
            dims.append(int(number))
            comma = self.peek(",")
            if comma:
                self.next()
        if len(dims) == 1 and not comma:
            raise self.fail("has a shape that is a number, not a tuple")
        self.next(word=")")
        return tuple(dims)


_TYPES = dict(
    pair.split(":")
    for pair in [
        "b1:bool",
        "i1:int8",
        "i2:int16",
        "i4:int32",
        "i8:int64",
        "u1:uint8",
        "u2:uint16",
        "u4:uint32",
        "u8:uint64",
        "f2:float16",
        "f4:float32",
        "f8:float64",
        "c8:complex64",
        "c16:complex128",
    ]
)
_DESCRS = {name: ("|" if code.endswith("1") else "<") + code for code, name in _TYPES.items()}

_known: dict[str, tuple[DType, bool]] = {
    order + code: (DTYPES[name], (order == ">" or (order == "=" and sys.byteorder == "big")) and DTYPES[name].bits > 8)
    for code, name in _TYPES.items()
    for order in ("<", ">", "|", "=", "")
    if order != "|" or DTYPES[name].bits == 8
}
_known["<b2"] = (DTYPES["bfloat16"], False)  # MXNet 2.0's name; NumPy does not know it

GUESSED = {"<V2": "bfloat16", "<f1": "float8_e5m2"}
"""How NumPy writes types of ml_dtypes. Each of these two stands for one type only; "<V1" for a dozen, so it is not read."""
_known |= {descr: (DTYPES[name], False) for descr, name in GUESSED.items()}


def guess_note(descr: str, where: str) -> str:
    """The sentence that says so, for `TensorFile.notes`."""
    return f"the elements of {where} are called {descr!r}: read as {GUESSED[descr]}, whose name NumPy leaves out"


def dtype_of(header: Header, *, what: str) -> tuple[DType, bool]:
    """The element type, and whether its bytes lie most significant first.

    Raises:
        UnsafeFileError: Python objects, that is, a pickle. UnsupportedFormatError: elements that are no numbers.
    """
    found = _known.get(header.descr)
    if found is not None:
        return found
    descr, kind = header.descr, header.descr.lstrip("<>|=")[:1]
    if kind == "O":
        raise UnsafeFileError(
            f"{what}: an array of Python objects ({descr!r}): a pickle, which could run any code when NumPy loads it. "
            "It was not read. Ask its author for plain numbers (array.astype(float), or one array for each object)."
        )
    if descr[:1] == "[":
        raise UnsupportedFormatError(
            f"{what}: a structured array ({descr:.60}). Load it with numpy and save each field by itself: "
            "tk.save(path, {name: array[name] for name in array.dtype.names})."
        )
    hint = "Load it with numpy and convert it to numbers."
    if kind in ("S", "U", "a"):
        hint = "It holds text; load it with numpy and keep it as a list of str: array.tolist()."
    elif kind in ("M", "m"):
        hint = "It holds times; load it with numpy and save array.view('int64')."
    elif kind == "V":
        hint = (
            "NumPy writes float8 and the other types of ml_dtypes so, without their name: load it with numpy, give the "
            "type with array.view(ml_dtypes.…), and save it as .safetensors."
        )
    elif kind in ("f", "c"):
        hint = "It is a type of one machine only; load it with numpy there and save array.astype('float64')."
    raise UnsupportedFormatError(f"{what}: elements of type {descr!r:.60} are not read. {hint}")


def nbytes_of(header: Header, dtype: DType, *, what: str) -> int:
    """The bytes that the elements take; LimitError when that is absurd."""
    return checked_nbytes(header.shape, dtype.bits, what=f"{what}: the array")


def strides_of(header: Header) -> tuple[int, ...] | None:
    """The steps in elements of an array in Fortran order; None where C order is the same."""
    shape = header.shape
    if not header.fortran_order or 0 in shape or sum(dim > 1 for dim in shape) < 2:
        return None
    steps, step = [], 1
    for dim in shape:
        steps.append(step)
        step *= dim
    return tuple(steps)


def header_bytes(shape: tuple[int, ...], dtype: DType, *, where: str, suffix: str) -> bytes:
    """Everything before the elements, byte for byte as NumPy writes it: version 1.0, a multiple of 64 bytes.

    Raises:
        UnsupportedDataError: NumPy itself has no such element type.
    """
    descr = _DESCRS.get(dtype)
    if descr is None:
        raise UnsupportedDataError(
            f"{where}: {dtype} elements cannot be kept in {suffix}: NumPy's files have no name for them. "
            "Use .safetensors or .pt, or dtype='float32'."
        )
    return string_header(descr, shape)


def string_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The header for a type that is known to be NumPy's own."""
    literal = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}"
    if shape:
        literal += " " * (21 - len(repr(shape[0])))  # NumPy leaves room for the first dimension to grow
    literal += " " * (64 - (10 + len(literal) + 1) % 64) + "\n"
    return MAGIC + b"\x01\x00" + len(literal).to_bytes(2, "little") + literal.encode("ascii")
