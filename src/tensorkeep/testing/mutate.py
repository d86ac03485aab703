"""Damaged variants of good files: bits flipped, pieces cut, copied, exchanged, numbers set to extremes.

`mutated` knows nothing of formats and dies at the first checksum. The structured ones repair what a format guards (the length of
a safetensors header, the CRCs of a zip), so that the damage reaches the reader behind.
"""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence

from tensorkeep.testing.hostile._zip import Member, archive

__all__ = ["STRUCTURED", "mutated", "mutations"]

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"00",
    b"1e9",
    b"2147483648",
    b"9223372036854775807",
    b"99999999999999999999",
    b"1.5",
    b"true",
    b"NaN",
)
_TOKENS = (
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"\0",
    b"\xff",
    b"..",
    b"/",
    b"\\u0000",
    b'"',
    b"}",
    b"]",
    b"(",
    b".",
    b"R",
    b"\x93",
    b"\x81",
)


def mutations(
    samples: Sequence[bytes],
    count: int,
    seed: int = 0,
    structured: Callable[[bytes, random.Random], bytes] | None = None,
) -> list[bytes]:
    """`count` damaged variants of the samples; the same seed gives the same ones."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        raw = rng.choice(samples)
        if structured is not None and rng.random() < 0.5:
            made.append(structured(raw, rng))
        else:
            made.append(mutated(raw, rng, samples))
    return made


def mutated(raw: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One to four changes to `raw`, of the kinds that the module's text names."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        rng.choice(_CHANGES)(data, rng, others or (raw,))
    return bytes(data)


def _at(data: bytearray, rng: random.Random) -> int:
    """A place, more often near the ends, where headers and directories are."""
    size = max(len(data), 1)
    return rng.choice((rng.randrange(size), rng.randrange(min(size, 128)), size - 1 - rng.randrange(min(size, 128))))


def _flip(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    if data:
        data[_at(data, rng)] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = _at(data, rng)
    data[at : at + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(1, 9))


def _extreme(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice((*_EXTREMES, len(data), len(data) - 1, len(data) + 1))
    step = rng.choice((1, width))
    at = _at(data, rng) // step * step
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, rng.choice(("little", "little", "big")))


def _number(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    found = list(re.finditer(rb"\d+", bytes(data[: 1 << 16])))
    if found:
        place = rng.choice(found)
        data[place.start() : place.end()] = rng.choice(_NUMBERS)


def _token(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = _at(data, rng)
    data[at : at + rng.randrange(3)] = rng.choice(_TOKENS) * rng.choice((1, 1, 1, 2, 1000))


def _cut(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = _at(data, rng)
    if rng.random() < 0.5:
        del data[at:]
    else:
        del data[at : at + rng.randrange(1, 64)]


def _copy(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    start, at, size = _at(data, rng), _at(data, rng), rng.randrange(1, 256)
    piece = data[start : start + size]
    if rng.random() < 0.5:
        data[at:at] = piece * rng.choice((1, 1, 2, 50))
    else:
        data[at : at + len(piece)] = piece


def _splice(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    at, start = _at(data, rng), rng.randrange(max(len(other), 1))
    data[at:] = other[start:] if rng.random() < 0.5 else other[start : start + rng.randrange(1, 512)] + data[at:]


def _zeros(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at, size = _at(data, rng), rng.randrange(1, 600)
    data[at : at + size] = bytes(len(data[at : at + size]))


_CHANGES = (_flip, _flip, _bytes, _extreme, _extreme, _number, _number, _token, _cut, _copy, _splice, _zeros)


def _safetensors(raw: bytes, rng: random.Random) -> bytes:
    """The header changed, its length right again, and no checksum of it."""
    length = int.from_bytes(raw[:8], "little")
    header = re.sub(rb',"tensorkeep\.header":"[0-9a-f]*"', b"", raw[8 : 8 + length])
    changed = mutated(header, rng)
    return len(changed).to_bytes(8, "little") + changed + raw[8 + length :]


def _zip(raw: bytes, rng: random.Random) -> bytes:
    """One member (the pickle mostly) changed, all checksums right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as file:
            parts = [(info.filename.encode(), file.read(info)) for info in file.infolist()]
            comment = file.comment
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        return mutated(raw, rng)
    if not parts:
        return mutated(raw, rng)
    pickles = [i for i, (name, _) in enumerate(parts) if name.endswith(b".pkl")]
    chosen = rng.choice(pickles) if pickles and rng.random() < 0.8 else rng.randrange(len(parts))
    name, data = parts[chosen]
    if rng.random() < 0.9:
        parts[chosen] = (name, mutated(data, rng))
    else:
        parts[chosen] = (mutated(name, rng)[:60_000], data)
    return archive([Member(name, data) for name, data in parts], comment=comment)


STRUCTURED: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "safetensors": _safetensors,
    "npz": _zip,
    "torch": _zip,
}
"""Format → a change that gets past what the format guards."""
