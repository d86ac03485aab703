"""formats/_json: what strict JSON accepts and what it refuses, with the standard parser as the oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError
from tensorkeep.formats import _json
from tensorkeep.formats._json import parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_dumps_writes_is_read_equal(value: Any, escaped: bool) -> None:
    """Any value, with characters written plainly or as escapes, comes back equal."""
    text = json.dumps(value, ensure_ascii=escaped).encode()

    assert parse(text, what="x") == value


@given(VALUES, st.data())
def test_damaged_json_gives_our_errors_only(value: Any, data: st.DataObject) -> None:
    """A byte replaced anywhere: a value as the standard parser has it, or one of our errors."""
    text = bytearray(json.dumps(value).encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        got = parse(bytes(text), what="x")
    except TensorkeepError:
        return

    assert got == json.loads(bytes(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1, "a": 2}', r"x: the key 'a' stands twice in one object \(near byte 9\)"),
        (b'{"a": 1, "\\u0061": 2}', r"x: the key 'a' stands twice in one object"),
        (b'[{"b": {"a": 1, "c": 2, "a": 3}}]', r"the key 'a' stands twice in one object \(near byte 24\)"),
        (b"[NaN]", r"x: NaN stands where JSON has a number \(near byte 1\)"),
        (b"[-Infinity]", r"-Infinity stands where JSON has a number \(near byte 1\)"),
        (b"[1, 1e999]", r"the number 1e999 is beyond the range of a float64 \(near byte 4\)"),
        (b'{"a": 1} x', r"not valid JSON at byte 9 \(Extra data; found 'x'\)"),
        ("{'ä': 1}".encode(), r"not valid JSON at byte 1 "),
        ('["ä" 1]'.encode(), r"not valid JSON at byte 6 "),
        (b'{"a": [1, 2', r"not valid JSON at byte 11 .*the text ends there"),
        (b"", r"not valid JSON at byte 0 .*the text ends there"),
        (b'\xef\xbb\xbf{"a": 1}', r"not valid JSON at byte 0 "),
        (b'{"a\xff": 1}', r"x: byte 3 is not UTF-8 \(ff 22 3a 20\)"),
        (b'["\xed\xa0\x80"]', r"x: byte 2 is not UTF-8"),
        (b'["ab\\ud800"]', r"x: byte 4 has \\ud800, half of a character"),
        (b'["\\udc00"]', r"x: byte 2 has \\udc00, half of a character"),
        (b'["\\ud83d\\ud83d\\ude00"]', r"x: byte 2 has \\ud83d, half of a character"),
        (b'["tab\tinside"]', r"not valid JSON at byte 5 \(Invalid control character"),
        (b"[" + b"7" * 5000 + b"]", r"x: an integer of thousands of digits stands at byte 1"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(text: bytes, message: str) -> None:
    """Each way in which the standard parser is lenient, and each syntax error, says where it is."""
    with pytest.raises(CorruptFileError, match=message):
        parse(text, what="x")


def test_offsets_count_from_the_start_of_the_file() -> None:
    """`offset` says where the text begins in its file."""
    with pytest.raises(CorruptFileError, match="not valid JSON at byte 109 "):
        parse(b'{"a": 1} x', what="x", offset=100)


@pytest.mark.parametrize("text", [b'["\\ud83d\\ude00"]', b'["\\\\ud800"]', b'["\\\\\\\\"]', b'["[[[", "{\\"]"]'])
def test_escapes_that_look_bad_and_are_good_are_read(text: bytes) -> None:
    """Whole pairs of surrogates, escaped backslashes and brackets in strings are ordinary."""
    assert parse(text, what="x", max_depth=1) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":[' * 50_000,
        b'["\\\\",' + b"[" * 100_000,
        b'["\\"",' + b"[" * 100_000,
        b'["]]]]",' + b"[" * 100_000,
        b"[{}]," + b"[]{}" * 100_000 + b"[" * 100_000,
    ],
)
def test_deep_nesting_is_refused_before_it_is_parsed(text: bytes) -> None:
    """No spelling of 100,000 containers inside each other reaches the recursion limit."""
    with pytest.raises((LimitError, CorruptFileError), match=r"inside each other|not valid JSON"):
        parse(text, what="x")


def test_the_depth_limit_is_exact() -> None:
    """64 containers are read, 65 are not."""
    assert parse(b"[" * 64 + b"]" * 64, what="x") == json.loads(b"[" * 64 + b"]" * 64)

    with pytest.raises(LimitError, match="x: more than 64 objects and arrays inside each other"):
        parse(b"[" * 65 + b"]" * 65, what="x")


def test_too_many_containers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers take 20 times their bytes in memory, so they are counted first."""
    monkeypatch.setattr(_json, "MAX_CONTAINERS", 10)

    with pytest.raises(LimitError, match="x: 11 objects and arrays; at most 10 are read"):
        parse(b"[" + b",".join([b"{}"] * 10) + b"]", what="x")
