"""The walk over an MXNet list file: where each array lies, what it is called; reads headers and names only."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

from tensorkeep.core.bounds import MAX_TENSORS
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.errors import CorruptFileError, LimitError, TruncatedFileError, UnsupportedFormatError
from tensorkeep.formats._mxnet_array import HEADER_NBYTES, CutError, Dense, Leaf, find_dense, read_array

__all__ = ["MAGIC", "START", "U64", "Listing", "are", "walk"]

MAGIC = 0x112
START = struct.Struct("<QQQ")
U64 = struct.Struct("<Q")
_V2_BYTE = 0xC9
_CPU = (1, 0)

_WINDOW_NBYTES = 1 << 16
_MOST_NBYTES = 1 << 18
"""What is read at once while arrays are small, at first and then: 10,000 of them open with some 40 reads."""

_SMALL_NBYTES = 1 << 13
"""After an array of at least this many bytes only the next header is read, not what stands behind it."""

MAX_NONES = 1 << 16
"""Arrays without values: a file of zeros is millions of them, four bytes each, and no known file has any."""

MAX_NAME_NBYTES = 1 << 20
"""The longest name: the longest known ones have a few hundred bytes."""


@dataclass(slots=True)
class Listing:
    """What the walk over a file found.

    Attributes:
        count: the arrays that the file promises.
        leaves: those that are whole, dense ones as records that `_Arrays` makes Tensors of when they are asked for.
        names: of the first leaves, as far as they are whole; None when the file is a list without names.
        end: the offset behind the last byte understood.
        placed: the device (type, id) of each array, by position, that is not on cpu(0).
        failure: what stopped the walk, None when the file is whole.
    """

    count: int = 0
    leaves: list[Leaf | Dense] = field(default_factory=list)
    names: list[str] | None = None
    end: int = 0
    versions: set[int] = field(default_factory=set)
    devices: set[tuple[int, int]] = field(default_factory=set)
    placed: dict[int, tuple[int, int]] = field(default_factory=dict)
    failure: CorruptFileError | LimitError | UnsupportedFormatError | None = None


def walk(source: ByteSource) -> Listing:
    """What is in the file, as far as it can be read; `failure` says what stopped the walk.

    Raises:
        TruncatedFileError, UnsupportedFormatError, LimitError: not even its first 24 bytes are those of a list file.
    """
    listing = Listing()
    if source.size < START.size:
        raise TruncatedFileError(
            f"{source.name}: an MXNet list file begins with {START.size} bytes, this one has {source.size}. No array "
            "is whole; copy it again."
        )
    magic, _, count = START.unpack(source.read(0, START.size))
    if magic != MAGIC:
        raise UnsupportedFormatError(f"{source.name}: begins with 0x{magic:X}, an MXNet list file with 0x112.")
    if count > MAX_TENSORS and count <= source.size // 4:
        raise LimitError(f"{source.name}: {count} arrays are promised; at most {MAX_TENSORS} are read.")
    listing.count = count
    try:
        with collector_paused():
            _walk_arrays(source, listing)
            _walk_names(source, listing)
    except (CorruptFileError, LimitError, UnsupportedFormatError) as err:
        listing.failure = err
    return listing


def _walk_arrays(source: ByteSource, listing: Listing) -> None:
    size, count = source.size, listing.count
    leaves = listing.leaves
    offset = base = stop = START.size
    window = b""
    wanted = grown = _WINDOW_NBYTES
    v2 = v3 = False
    nones = 0
    try:
        while len(leaves) < count:
            at = offset - base
            if offset + HEADER_NBYTES > stop and stop < size:
                base, at = offset, 0
                window = source.read(offset, min(wanted, size - offset))
                stop = base + len(window)
                grown = min(2 * len(window), _MOST_NBYTES)
            found = find_dense(window, at, base)
            if found is not None:
                end = found[2] + found[3]
                if end > size:
                    raise CutError
                leaves.append(found)
                if window[at] == _V2_BYTE:
                    v2 = True
                else:
                    v3 = True
            else:
                leaf, end, version, device = read_array(window, at, base, source)
                leaves.append(leaf)
                if leaf is None:
                    nones += 1
                    if nones > MAX_NONES:
                        raise LimitError(
                            f"{source.name}: more than {MAX_NONES} arrays without values up to byte {end}. The file is "
                            "damaged or hostile."
                        )
                listing.versions.add(version)
                listing.devices.add(device)
                if device != _CPU:
                    listing.placed[len(leaves) - 1] = device
            wanted = max(grown, _WINDOW_NBYTES) if end - offset < _SMALL_NBYTES else HEADER_NBYTES
            offset = end
    except CutError:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {size}, inside array {len(leaves)} of {count}, which begins at "
            f"byte {offset}. {len(leaves)} {are(len(leaves))} whole: `tkeep repair {source.name} --salvage OUT` "
            "saves what is whole. Or copy the file again."
        ) from None
    finally:
        listing.end = offset
        listing.versions.update(version for version, seen in ((2, v2), (3, v3)) if seen)


def _walk_names(source: ByteSource, listing: Listing) -> None:
    size = source.size
    at = listing.end
    whole = f"All {listing.count} arrays are whole: `tkeep repair {source.name} --salvage OUT` saves them"
    if at + 8 > size:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {size}, before the names of its arrays. {whole}, without names."
        )
    count = U64.unpack(source.read(at, 8))[0]
    listing.end = at = at + 8
    if count == 0:
        return
    if count != listing.count:
        raise CorruptFileError(
            f"{source.name}: {listing.count} arrays, but {count} names at byte {at - 8}. The file is damaged. {whole}."
        )
    names = listing.names = []
    base, window = at, b""
    for i in range(count):
        start = at - base
        stop = start + 8
        if stop <= len(window):
            stop += U64.unpack_from(window, start)[0]
        if stop > len(window):
            base, start = at, 0
            window = _name_window(source, at, i, whole)
            stop = 8 + int.from_bytes(window[:8], "little")
        raw = window[start + 8 : stop]
        try:
            names.append(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise CorruptFileError(
                f"{source.name}: name {i} at byte {at + 8} is not UTF-8 ({raw[:16].hex(' ')}). The file is damaged. "
                f"{whole}."
            ) from None
        if b"\0" in raw:
            raise CorruptFileError(
                f"{source.name}: name {i} at byte {at + 8} holds a zero byte, which MXNet cannot write. The file is "
                f"damaged. {whole}."
            )
        listing.end = at = base + stop
    if len(set(names)) != count:
        listing.names = None
        twice = next(name for name, n in Counter(names).items() if n > 1)
        raise CorruptFileError(
            f"{source.name}: two arrays have the name {twice!r:.200}. MXNet would drop the first without a word; it "
            f"is not known which is meant. {whole}, by position."
        )


def _name_window(source: ByteSource, at: int, i: int, whole: str) -> bytes:
    """Bytes of the file from the name at `at` on, at least all of this name."""
    left = source.size - at
    length = U64.unpack(source.read(at, 8))[0] if left >= 8 else 0
    if left < 8 + length:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {source.size}, inside name {i} at byte {at}. {whole}, with the "
            "names that are there."
        )
    if length > MAX_NAME_NBYTES:
        raise LimitError(
            f"{source.name}: name {i} at byte {at} has {length} bytes; at most {MAX_NAME_NBYTES} are read. The file is "
            f"damaged or hostile. {whole}."
        )
    return source.read(at, min(left, max(8 + length, _WINDOW_NBYTES)))


def are(count: int) -> str:
    return "array is" if count == 1 else "arrays are"
