"""Strict JSON for untrusted files: the standard parser, with what it lets through checked around it.

Refused: duplicate keys, NaN and Infinity (and numbers that overflow to it), lone surrogates, invalid UTF-8, a byte
order mark, bytes after the value, containers too deep or too many. Depth is measured on the bytes before anything is
parsed, so that no input reaches Python's recursion limit. It takes 1.4 times as long as the parser alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tensorkeep.core.bounds import MAX_DEPTH, MAX_TENSORS
from tensorkeep.errors import CorruptFileError, LimitError

__all__ = ["MAX_CONTAINERS", "parse"]

MAX_CONTAINERS = 3 * MAX_TENSORS + 1000
"""Objects and arrays in one JSON text: a safetensors entry has three. An empty one of 3 bytes takes 70 in memory."""

_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'[]{}":')))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")

_LONE = re.compile(
    r"\\u[dD][89aAbB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89aAbB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)

_DAMAGED = "The file is damaged or hostile, or another program wrote it wrongly."


def parse(data: bytes, *, what: str, max_depth: int = MAX_DEPTH, offset: int = 0) -> Any:
    """The value of a JSON text.

    Args:
        data: the whole text, UTF-8; white space may stand around the value, nothing else.
        what: what error messages call it, with the file's name ("model.safetensors: the header").
        max_depth: containers inside each other, at most.
        offset: where `data` begins in the file; error messages count from there.
    Raises:
        CorruptFileError: it is not strict JSON; the text says what stands where.
        LimitError: it is nested deeper than `max_depth`, or has more than MAX_CONTAINERS objects and arrays.
    """
    objects, keys = _check_structure(data, what, max_depth)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise CorruptFileError(
            f"{what}: byte {offset + err.start} is not UTF-8 ({data[err.start : err.start + 4].hex(' ')}); "
            f"JSON is always UTF-8. {_DAMAGED}"
        ) from None
    if "\\u" in text:
        _check_surrogates(text, what, offset)
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_float)
        if not _holds(value, objects, keys):
            json.loads(text, object_pairs_hook=_object)
        return value
    except json.JSONDecodeError as err:
        at = offset + len(text[: err.pos].encode("utf-8"))
        near = text[err.pos : err.pos + 16]
        found = f"found {near!r}" if near else "the text ends there"
        raise CorruptFileError(f"{what}: not valid JSON at byte {at} ({err.msg}; {found}). {_DAMAGED}") from None
    except _RefusedError as err:
        raise CorruptFileError(f"{what}: {err.tell(data, offset)}. {_DAMAGED}") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise CorruptFileError(
            f"{what}: an integer of thousands of digits stands {_where_digits(data, offset)}. {_DAMAGED}"
        ) from None
    except (RecursionError, MemoryError):
        raise LimitError(
            f"{what}: its {len(data)} bytes of JSON need more memory or stack than there is. {_DAMAGED}"
        ) from None


class _RefusedError(Exception):
    """What a hook of the parser refused; `needle` finds it in the text again."""

    def __init__(self, why: str, needle: bytes, nth: int) -> None:
        super().__init__(why)
        self.needle = needle
        self.nth = nth

    def tell(self, data: bytes, offset: int) -> str:
        at = -1
        for _ in range(self.nth):
            at = data.find(self.needle, at + 1)
            if at < 0:
                return str(self)
        return f"{self} (near byte {offset + at})"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                needle = json.dumps(key, ensure_ascii=False).encode("utf-8")
                raise _RefusedError(f"the key {key!r:.200} stands twice in one object", needle, 2)
            seen.add(key)
    return made


def _constant(name: str) -> Any:
    raise _RefusedError(f"{name} stands where JSON has a number", name.encode("ascii"), 1)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _RefusedError(f"the number {digits:.40} is beyond the range of a float64", digits.encode("ascii"), 1)
    return value


def _holds(value: Any, objects: int, keys: int) -> bool:
    """Whether the objects in `value` are `objects` with `keys` keys together, as the text has them: none stood twice.

    Three times as fast as a hook for each object; the hook then finds which key it is.
    """
    dicts = [value] if type(value) is dict else []
    lists = [value] if type(value) is list else []
    seen = 0
    while dicts or lists:
        if not dicts:
            if not objects:
                break  # the arrays that are left hold no objects
            items: Any = lists.pop()
        else:
            each = dicts.pop()
            objects -= 1
            seen += len(each)
            items = each.values()
        for item in items:
            kind = type(item)
            if kind is dict:
                dicts.append(item)
            elif kind is list:
                lists.append(item)
    return objects == 0 and seen == keys


def _check_structure(data: bytes, what: str, max_depth: int) -> tuple[int, int]:
    """How many objects there are and how many keys they have; LimitError when containers are too many or too deep.

    Up to the first syntax error (where the parser stops anyway) this sees strings and brackets exactly as it does.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Strings without brackets are now "", and dropping these pairs leaves what is inside and outside as it was.
    marks = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    marks = b"".join(marks.split(b'"')[::2])
    objects, keys = marks.count(b"{"), marks.count(b":")
    brackets = marks.translate(_ONE_KIND, b":")
    count = brackets.count(b"[")
    if count > MAX_CONTAINERS:
        raise LimitError(f"{what}: {count} objects and arrays; at most {MAX_CONTAINERS} are read. {_DAMAGED}")
    if count > max_depth:
        for _ in range(max_depth):
            # Each round takes the innermost containers away.
            brackets = brackets.replace(b"[]", b"")
            if not brackets:
                break
        if brackets.count(b"[") > max_depth or b"[]" in brackets:
            raise LimitError(f"{what}: more than {max_depth} objects and arrays inside each other. {_DAMAGED}")
    return objects, keys


def _check_surrogates(text: str, what: str, offset: int) -> None:
    found = _LONE.search(text.replace("\\\\", "__"))
    if found:
        at = offset + len(text[: found.start()].encode("utf-8"))
        raise CorruptFileError(
            f"{what}: byte {at} has {found.group()}, half of a character (a lone surrogate). {_DAMAGED}"
        )


def _where_digits(data: bytes, offset: int) -> str:
    found = re.search(rb"[0-9]{1000,}", data)
    return f"at byte {offset + found.start()}" if found else "in it"
