"""The pickle opcodes that are too rare for the machine's main loop: one function each, in the table `RARE`."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tensorkeep.errors import LimitError
from tensorkeep.formats._pickle_base import is_key
from tensorkeep.formats._pickle_parts import Cell, InertCell

if TYPE_CHECKING:
    from tensorkeep.formats._pickle import Machine

__all__ = ["MAX_INT_NBYTES", "RARE"]

MAX_INT_NBYTES = 1024
"""One integer of a pickle: Python refuses to print more than 4,300 digits, about 1,780 bytes."""

_MAX_LINE = 4096  # a number, a memo index or a name written as text
_INTEGER = re.compile(rb"[+-]?[0-9]{1,2400}")
_MEMO = re.compile(rb"[0-9]{1,10}")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED = {
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}
_PROTOCOLS = 5


def _number(m: Machine, layout: str) -> Any:
    return struct.unpack(layout, m.take(struct.calcsize(layout)))[0]


# --- framing


def _proto(m: Machine) -> None:
    if m.pos != m.start + 1:
        raise m.wrong("a second protocol header stands inside")
    version = m.take(1)[0]
    if version > _PROTOCOLS:
        raise m.wrong(f"protocol {version} is none of 0 to {_PROTOCOLS}")


def _frame(m: Machine) -> None:
    nbytes = _number(m, "<Q")
    if m.pos - 9 < m.frame_end:
        raise m.wrong("a frame begins inside a frame")
    if nbytes > m.size - m.pos:
        raise m.cut()
    # The loop runs up to here and sees whether an opcode ends just there.
    m.limit = m.frame_end = m.pos + nbytes


# --- numbers


def _int(m: Machine) -> None:
    text = m.line(_MAX_LINE)
    m.stack.append(text == b"01" if text in (b"00", b"01") else _integer(m, text))


def _long(m: Machine) -> None:
    m.stack.append(_integer(m, m.line(_MAX_LINE).removesuffix(b"L")))


def _integer(m: Machine, text: bytes) -> int:
    if not _INTEGER.fullmatch(text):
        raise m.wrong("a number is not written in decimal digits, or in too many of them")
    return int(text)


def _binint(m: Machine) -> None:
    m.stack.append(_number(m, "<i"))


def _long1(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.take(m.take(1)[0]), "little", signed=True))


def _long4(m: Machine) -> None:
    nbytes = _number(m, "<i")
    if not 0 <= nbytes <= MAX_INT_NBYTES:
        raise LimitError(
            f"{m.what}: an integer of {nbytes} bytes at byte {m.pos}; at most {MAX_INT_NBYTES} are read. "
            "The file is hostile."
        )
    m.stack.append(int.from_bytes(m.take(nbytes), "little", signed=True))


def _float(m: Machine) -> None:
    text = m.line(_MAX_LINE)
    try:
        m.stack.append(float(text))
    except ValueError:
        raise m.wrong("a number is not written as one") from None


def _binfloat(m: Machine) -> None:
    m.stack.append(_number(m, ">d"))


# --- text and bytes


def _py2_string(m: Machine, raw: bytes) -> None:
    # Python 2's str is text or bytes, nobody knows: text when it is UTF-8 (`raw_bytes` turns it back).
    try:
        m.stack.append(raw.decode("utf-8"))
    except UnicodeDecodeError:
        m.stack.append(raw)


def _string(m: Machine) -> None:
    text = m.line(m.size).strip()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise m.wrong("a string is not quoted")
    bad = False

    def unescape(match: re.Match[bytes]) -> bytes:
        nonlocal bad
        if match[1] is not None:
            return bytes.fromhex(match[1].decode("ascii"))
        if match[2] is not None:
            return bytes([int(match[2], 8) & 0xFF])
        bad = bad or match[3] not in _ESCAPED
        return _ESCAPED.get(match[3], b"")

    raw = _ESCAPE.sub(unescape, text[1:-1])
    if bad:
        raise m.wrong("a string holds an escape that Python does not write")
    _py2_string(m, raw)


def _binstring(m: Machine) -> None:
    nbytes = _number(m, "<i")
    if nbytes < 0:
        raise m.wrong("a string has a negative length")
    _py2_string(m, m.take(nbytes))


def _short_binstring(m: Machine) -> None:
    _py2_string(m, m.take(m.take(1)[0]))


def _unicode(m: Machine) -> None:
    text = m.line(m.size).decode("raw-unicode-escape")
    if not text.isascii():
        # Python 2 wrote pairs of surrogates; half of a pair is no text.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    m.stack.append(text)


def _text(layout: str) -> Callable[[Machine], None]:
    def push(m: Machine) -> None:
        m.stack.append(m.take(_number(m, layout)).decode("utf-8"))

    return push


def _bytes(layout: str) -> Callable[[Machine], None]:
    def push(m: Machine) -> None:
        m.stack.append(m.take(_number(m, layout)))

    return push


def _out_of_band(m: Machine) -> None:
    raise m.wrong("it refers to a buffer outside itself (protocol 5, out of band), which files do not have")


# --- containers


def _empty(kind: type) -> Callable[[Machine], None]:
    def push(m: Machine) -> None:
        m.budget -= 1
        m.stack.append(kind())

    return push


def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.budget -= 1
    m.stack.append(items)


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    m.budget -= 1
    made: dict[Any, Any] = {}
    m.set_items(made, items)
    m.stack.append(made)


def _tuple3(m: Machine) -> None:
    stack = m.stack
    if len(stack) < 3:
        raise m.wrong("it takes from an empty stack")
    m.budget -= 1
    stack[-3:] = [tuple(stack[-3:])]


def _append(m: Machine) -> None:
    item = m.stack.pop()
    m.extend(m.stack[-1], [item])


def _appends(m: Machine) -> None:
    items = m.pop_mark()
    m.extend(m.stack[-1], items)


def _setitem(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.set_items(m.stack[-1], [key, value])


def _setitems(m: Machine) -> None:
    items = m.pop_mark()
    m.set_items(m.stack[-1], items)


def _additems(m: Machine) -> None:
    items = m.pop_mark()
    target = m.stack[-1]
    if isinstance(target, Cell):
        target.extend(items)
    elif type(target) is set:
        target.update(_members(m, items))
    else:
        raise m.wrong(f"items are added to a {type(target).__name__}")


def _frozenset(m: Machine) -> None:
    items = m.pop_mark()
    m.budget -= 1
    m.stack.append(frozenset(_members(m, items)))


def _members(m: Machine, items: list[Any]) -> list[Any]:
    if m.dry:
        return []
    if not all(map(is_key, items)):
        raise m.wrong("a member of a set is not a number, a string or None")
    return items


# --- the stack and the memo


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.stack = m.marks.pop()


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _dup(m: Machine) -> None:
    m.stack.append(m.stack[-1])


def _index(m: Machine) -> int:
    text = m.line(_MAX_LINE)
    if not _MEMO.fullmatch(text):
        raise m.wrong("a memo index is not a number")
    return int(text)


def _get(m: Machine) -> None:
    m.stack.append(m.memo[_index(m)])


def _put(m: Machine) -> None:
    m.put(_index(m))


# --- classes and objects


def _global(m: Machine) -> None:
    module = m.line(_MAX_LINE).decode("utf-8")
    m.stack.append(m.fetch(module, m.line(_MAX_LINE).decode("utf-8")))


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.fetch(module, name))


def _ext(layout: str) -> Callable[[Machine], None]:
    def push(m: Machine) -> None:
        # A number that stands for a class in a registry of the program that wrote the file.
        m.stack.append(m.fetch("copyreg", f"extension {_number(m, layout)}"))

    return push


def _inst(m: Machine) -> None:
    module = m.line(_MAX_LINE).decode("utf-8")
    cls = m.fetch(module, m.line(_MAX_LINE).decode("utf-8"))
    args = tuple(m.pop_mark())
    m.budget -= 1
    m.stack.append(m.reduce(cls, args))


def _obj(m: Machine) -> None:
    items = m.pop_mark()
    if not items:
        raise m.wrong("an object has no class")
    m.budget -= 1
    m.stack.append(m.reduce(items[0], tuple(items[1:])))


def _newobj(m: Machine) -> None:
    args = m.stack.pop()
    m.budget -= 1
    m.stack[-1] = m.new(m.stack[-1], args, {})


def _newobj_ex(m: Machine) -> None:
    kwargs, args = m.stack.pop(), m.stack.pop()
    m.budget -= 1
    m.stack[-1] = m.new(m.stack[-1], args, kwargs)


def _build(m: Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    if isinstance(target, Cell):
        target.build(state)
    elif not isinstance(target, dict) or not isinstance(state, (dict, InertCell)):
        raise m.wrong(f"a state is set on a {type(target).__name__}")
    # Attributes of a dict (the `_metadata` of a module's state_dict) are no part of the data.


def _persid(m: Machine) -> None:
    m.stack.append(m.persist(m.line(_MAX_LINE).decode("utf-8")))


def _push(value: Any) -> Callable[[Machine], None]:
    def push(m: Machine) -> None:
        m.stack.append(value)

    return push


RARE: dict[int, Callable[[Machine], None]] = {
    0x80: _proto,
    0x95: _frame,
    ord("I"): _int,
    ord("L"): _long,
    ord("J"): _binint,
    0x8A: _long1,
    0x8B: _long4,
    ord("F"): _float,
    ord("G"): _binfloat,
    ord("N"): _push(None),
    0x88: _push(True),
    ord("S"): _string,
    ord("T"): _binstring,
    ord("U"): _short_binstring,
    ord("V"): _unicode,
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("C"): _bytes("<B"),
    ord("B"): _bytes("<I"),
    0x8E: _bytes("<Q"),
    0x96: _bytes("<Q"),  # BYTEARRAY8
    0x97: _out_of_band,
    0x98: _out_of_band,
    ord("]"): _empty(list),
    ord("}"): _empty(dict),
    0x8F: _empty(set),
    ord("l"): _list,
    ord("d"): _dict,
    0x87: _tuple3,
    0x91: _frozenset,
    ord("a"): _append,
    ord("e"): _appends,
    ord("s"): _setitem,
    ord("u"): _setitems,
    0x90: _additems,
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): _dup,
    ord("g"): _get,
    ord("p"): _put,
    ord("c"): _global,
    0x93: _stack_global,
    0x82: _ext("<B"),
    0x83: _ext("<H"),
    0x84: _ext("<I"),
    ord("i"): _inst,
    ord("o"): _obj,
    0x81: _newobj,
    0x92: _newobj_ex,
    ord("b"): _build,
    ord("P"): _persid,
}
"""Opcode to its function, which may move the machine's position, stack and limit."""
