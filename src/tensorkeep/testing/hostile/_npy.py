""".npy files whose header lies, bombs or would be evaluated."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tensorkeep.testing.hostile._case import Case
from tensorkeep.testing.hostile._zip import npy

__all__ = ["cases"]

_DATA = bytes(range(16))


def framed(
    header: str | bytes, data: bytes = _DATA, *, version: tuple[int, int] = (1, 0), length: int | None = None
) -> bytes:
    """Magic, version, length (a lie if given), header, data."""
    raw = header.encode("latin-1") if isinstance(header, str) else header
    size = len(raw) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", size) + raw + data


def _header(descr: str = "'<f4'", order: str = "False", shape: str = "(4,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def cases(sentinel: str) -> Iterator[Case]:
    """Everything that numpy's reader would evaluate, unpickle or allocate."""
    for name, data, why in (*_texts(sentinel), *_numbers(), *_frames()):
        yield Case(f"npy/{name}", "x.npy", data, why)


def _texts(sentinel: str) -> Iterator[tuple[str, bytes, str]]:
    call = f"__import__('os').system('touch {sentinel}')"
    payload = (
        b"\x80\x02cos\nsystem\nX"
        + struct.pack("<I", len(f"touch {sentinel}"))
        + f"touch {sentinel}".encode()
        + b"\x85R."
    )
    texts: dict[str, tuple[str, str]] = {
        "eval-descr": (_header(descr=call), "a call in the place of the dtype"),
        "eval-shape": (_header(shape=f"({call},)"), "a call in the shape"),
        "eval-whole": (call + "\n", "a call in the place of the header"),
        "eval-lambda": (_header(order=f"(lambda: {call})()"), "a function that is called"),
        "eval-format": (_header(shape="f'{4}'"), "a format string"),
        "comprehension": (_header(shape="[x for x in (4,)]"), "a comprehension"),
        "sum": (_header(shape="(2+2,)"), "a sum as dimension"),
        "power": (_header(shape="(9**9**9,)"), "a number that takes years to compute"),
        "multiplied": (_header(shape="(4,)*10**9"), "a tuple of 10**9 dimensions"),
        "parentheses": ("(" * 60_000 + "\n", "60,000 parentheses"),
        "parentheses-closed": (_header(shape="(" * 20_000 + ")" * 20_000), "20,000 pairs of parentheses"),
        "brackets": (_header(shape="[" * 5_000 + "]" * 5_000), "5,000 pairs of brackets"),
        "braces": ("{" * 5_000 + "}" * 5_000, "5,000 pairs of braces"),
        "minuses": (_header(shape="(" + "-" * 50_000 + "4,)"), "50,000 signs"),
        "nots": (_header(order="not " * 10_000 + "True"), "10,000 times not"),
        "digits": (_header(shape="(" + "9" * 50_000 + ",)"), "an integer of 50,000 digits"),
        "hexadecimal": (_header(shape="(0x4,)"), "a hexadecimal dimension"),
        "underscore": (_header(shape="(4_,)"), "a dimension with an underscore"),
        "exponent": (_header(shape="(4e0,)"), "a float as dimension"),
        "true": (_header(descr="'|u1'", shape="(16, True)"), "True as dimension"),
        "none": (_header(shape="None"), "None as shape"),
        "number": (_header(shape="4"), "a number as shape"),
        "text-shape": (_header(shape="'4'"), "a string as shape"),
        "order-text": (_header(order="'False'"), "a string as order"),
        "order-number": (_header(order="0"), "a number as order"),
        "duplicate-key": ("{'descr': '<i4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}\n", "a key twice"),
        "extra-key": ("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}\n", "a key too many"),
        "missing-key": ("{'descr': '<f4', 'shape': (4,)}\n", "a key is missing"),
        "list": ("['<f4', False, (4,)]\n", "a list in the place of the dict"),
        "empty": ("\n", "an empty header"),
        "open-string": ("{'descr': '<f4\n", "a string that is never closed"),
        "behind": (_header()[:-1] + "; x\n", "something behind the dict"),
        "nul": (_header().replace("4,", "4\0,"), "a zero byte in the header"),
        "escapes": (_header(descr="'\\x3cf4'"), "an escape in the dtype"),
        "bytes-literal": (_header(descr="b'<f4'"), "bytes as dtype"),
        "joined": (_header(descr="'<' 'f4'"), "two strings side by side"),
    }
    for name, (text, why) in texts.items():
        yield name, framed(text, version=(1, 0) if len(text) < 65_000 else (2, 0)), why
    descrs = {
        "object": "'|O'",
        "object-sized": "'O8'",
        "structured-object": "[('a', '|O')]",
        "structured": "[('a', '<f4')]",
        "subarray-huge": "('<f4', (100000, 100000))",
        "unicode-huge": "'<U4294967295'",
        "bytes-huge": "'|S2147483647'",
        "unicode": "'<U4'",
        "void": "'|V4'",
        "datetime": "'<M8[ns]'",
        "timedelta": "'<m8'",
        "size-wrong": "'<f3'",
        "size-none": "'<f'",
        "word": "'float'",
        "longdouble": "'<f16'",
        "unknown": "'<z4'",
        "comma": "'f4,f4'",
        "empty-dtype": "''",
        "nested": "[('a', [('b', [('c', '|O')])])]",
    }
    for name, descr in descrs.items():
        data = payload if "object" in name or name == "nested" else _DATA
        yield f"dtype-{name}", framed(_header(descr=descr, shape="(1,)"), data), f"elements of dtype {descr}"


def _numbers() -> Iterator[tuple[str, bytes, str]]:
    shapes = {
        "negative": "(-4,)",
        "negative-pair": "(-2, -2)",
        "larger": "(5,)",
        "smaller": "(3,)",
        "huge": f"({2**40},)",
        "wraps": f"({2**62}, 4, 4)",
        "wraps-to-zero": f"({2**32}, {2**32})",
        "beyond-int64": f"({2**70},)",
        "zero-times-huge": f"(0, {2**62}, {2**62})",
        "many": "(" + "1, " * 100 + "4)",
    }
    for name, shape in shapes.items():
        yield f"shape-{name}", npy(shape=shape), f"shape {shape[:60]}"


def _frames() -> Iterator[tuple[str, bytes, str]]:
    good = npy()
    yield "version-0", framed(_header(), version=(0, 0)), "version 0.0"
    yield "version-4", framed(_header(), version=(4, 0)), "version 4.0"
    yield "version-255", framed(_header(), version=(255, 255)), "version 255.255"
    yield "length-beyond", framed(_header(), length=65_535), "a header beyond the file"
    yield "length-4gib", framed(_header(), length=2**32 - 1, version=(2, 0)), "a header of 4 GiB"
    yield "length-short", framed(_header(), length=20), "a header that is cut by its length"
    yield "length-0", framed(_header(), length=0), "a header of no bytes"
    yield "header-long", framed(_header() + " " * (1 << 20), version=(2, 0)), "a header of 1 MiB"
    yield (
        "not-utf8",
        framed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), '\xff': 1}", version=(3, 0)),
        "no UTF-8",
    )
    yield "trailing", good + b"more", "bytes behind the array"
    yield "twice", good + good, "a second array behind the first"
    for size in (6, 7, 8, 9, 10, 40, len(good) - 1):
        yield f"cut-{size}", good[:size], f"only {size} bytes"
