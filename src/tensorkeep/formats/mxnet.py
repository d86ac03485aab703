"""MXNet's list files (`.params`, `.nd`): every array by name, or in a list without names.

    u64 0x112 | u64 reserved | u64 count | arrays (see _mxnet_array) | u64 names (0 or count) | names: u64 length, UTF-8

Written as MXNet 1.9.1 writes them, byte for byte. Source: NDArray::Save, MXNDArrayLoad; docs/formats/mxnet.md has a
table of the bytes.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorkeep.core.bounds import MAX_TENSORS
from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    MismatchError,
    TruncatedFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)
from tensorkeep.formats import Format
from tensorkeep.formats._mxnet_array import (
    HEADER_NBYTES,
    CutError,
    Dense,
    Leaf,
    code_of,
    dense_header,
    find_dense,
    make_dense,
    none_header,
    read_array,
    sparse_header,
)

__all__ = ["FORMATS", "open_checkpoint"]

MAGIC = 0x112
_START = struct.Struct("<QQQ")
_U64 = struct.Struct("<Q")
_V2_BYTE = 0xC9

_WINDOW_NBYTES = 1 << 16
"""What is read at once while arrays are small: 10,000 of them open with a few hundred reads."""

_SMALL_NBYTES = 1 << 12
"""After an array of at least this many bytes only the next header is read, not what stands behind it."""

MAX_NAME_NBYTES = 1 << 20
"""The longest name: the longest known ones have a few hundred bytes."""

_VALUES_FIT = "Formats that hold it: safetensors, torch (.pt), npz."


@dataclass(slots=True)
class _Listing:
    """What the walk over a file found.

    Attributes:
        count: the arrays that the file promises.
        leaves: those that are whole, dense ones as records that `_Arrays` makes Tensors of when they are asked for.
        names: of the first leaves, as far as they are whole; None when the file is a list without names.
        end: the offset behind the last byte understood.
        failure: what stopped the walk, None when the file is whole.
    """

    count: int = 0
    leaves: list[Leaf | Dense] = field(default_factory=list)
    names: list[str] | None = None
    end: int = 0
    versions: set[int] = field(default_factory=set)
    devices: set[tuple[int, int]] = field(default_factory=set)
    failure: CorruptFileError | LimitError | UnsupportedFormatError | None = None


def _walk(source: ByteSource) -> _Listing:
    listing = _Listing()
    if source.size < _START.size:
        raise TruncatedFileError(
            f"{source.name}: an MXNet list file begins with {_START.size} bytes, this one has {source.size}. No array "
            "is "
            "whole; copy it again."
        )
    magic, _, count = _START.unpack(source.read(0, _START.size))
    if magic != MAGIC:
        raise UnsupportedFormatError(f"{source.name}: begins with 0x{magic:X}, an MXNet list file with 0x112.")
    if count > MAX_TENSORS and count <= source.size // 4:
        raise LimitError(f"{source.name}: {count} arrays are promised; at most {MAX_TENSORS} are read.")
    listing.count = count
    try:
        _walk_arrays(source, listing)
        _walk_names(source, listing)
    except (CorruptFileError, LimitError, UnsupportedFormatError) as err:
        listing.failure = err
    return listing


def _walk_arrays(source: ByteSource, listing: _Listing) -> None:
    size, count = source.size, listing.count
    leaves = listing.leaves
    offset = base = stop = _START.size
    window = b""
    wanted = _WINDOW_NBYTES
    v2 = v3 = False
    try:
        while len(leaves) < count:
            at = offset - base
            if offset + HEADER_NBYTES > stop and stop < size:
                base, at = offset, 0
                window = source.read(offset, min(wanted, size - offset))
                stop = base + len(window)
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
                listing.versions.add(version)
                listing.devices.add(device)
            wanted = _WINDOW_NBYTES if end - offset < _SMALL_NBYTES else HEADER_NBYTES
            offset = end
    except CutError:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {size}, inside array {len(leaves)} of {count}, which begins at byte "
            f"{offset}. {len(leaves)} {_are(len(leaves))} whole: `tkeep repair {source.name} --salvage OUT` saves "
            "what is "
            "whole. Or copy the file again."
        ) from None
    finally:
        listing.end = offset
        listing.versions.update(version for version, seen in ((2, v2), (3, v3)) if seen)


def _walk_names(source: ByteSource, listing: _Listing) -> None:
    size = source.size
    at = listing.end
    whole = f"All {listing.count} arrays are whole: `tkeep repair {source.name} --salvage OUT` saves them"
    if at + 8 > size:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {size}, before the names of its arrays. {whole}, without names."
        )
    count = _U64.unpack(source.read(at, 8))[0]
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
            stop += _U64.unpack_from(window, start)[0]
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
                "damaged. "
                f"{whole}."
            )
        listing.end = at = base + stop
    if len(set(names)) != count:
        listing.names = None
        twice = next(name for name, n in Counter(names).items() if n > 1)
        raise CorruptFileError(
            f"{source.name}: two arrays have the name {twice!r:.200}. MXNet would drop the first without a word; it "
            "is not "
            f"known which is meant. {whole}, by position."
        )


def _name_window(source: ByteSource, at: int, i: int, whole: str) -> bytes:
    """Bytes of the file from the name at `at` on, at least all of this name."""
    left = source.size - at
    length = _U64.unpack(source.read(at, 8))[0] if left >= 8 else 0
    if left < 8 + length:
        raise TruncatedFileError(
            f"{source.name}: the file ends at byte {source.size}, inside name {i} at byte {at}. {whole}, with the "
            "names that "
            "are there."
        )
    if length > MAX_NAME_NBYTES:
        raise LimitError(
            f"{source.name}: name {i} at byte {at} has {length} bytes; at most {MAX_NAME_NBYTES} are read. The file is "
            f"damaged or hostile. {whole}."
        )
    return source.read(at, min(left, max(8 + length, _WINDOW_NBYTES)))


def _are(count: int) -> str:
    return "array is" if count == 1 else "arrays are"


def _open(source: ByteSource, unknown: str) -> TensorFile:
    listing = _walk(source)
    if listing.failure is not None:
        raise listing.failure
    return _file(source, listing, _notes(source, listing))


def _salvage(source: ByteSource) -> TensorFile:
    listing = _walk(source)
    notes = _notes(source, listing)
    if listing.failure is not None:
        notes = [f"{len(listing.leaves)} of {listing.count} arrays are whole.", str(listing.failure)]
    return _file(source, listing, notes)


def _notes(source: ByteSource, listing: _Listing) -> list[str]:
    notes = []
    if listing.versions - {2}:
        listed = ", ".join(f"V{version}" for version in sorted(listing.versions))
        notes.append(f"Arrays of version {listed} (V0 and V1: before MXNet 0.12; V3: NumPy semantics).")
    devices = sorted(listing.devices - {(1, 0)})
    if devices:
        listed = ", ".join(f"{_DEVICES.get(kind, f'device type {kind}')}({number})" for kind, number in devices[:4])
        notes.append(f"Saved from {listed}{' and others' if len(devices) > 4 else ''}.")
    nones = sum(leaf is None for leaf in listing.leaves)
    if nones:
        notes.append(f'{nones} "none" {_are(nones)} in it: None in its place.')
    if listing.end < source.size:
        notes.append(
            f"{source.size - listing.end} bytes stand behind the end, at byte {listing.end}; MXNet ignores them too."
        )
    return notes


_DEVICES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}


def _file(source: ByteSource, listing: _Listing, notes: Sequence[str]) -> TensorFile:
    leaves, names = listing.leaves, listing.names
    listed = names is None
    if names is None:
        names = [str(i) for i in range(len(leaves))]
    elif len(names) < len(leaves):  # salvaged: the names behind the cut are lost
        names = [*names, *_positions(names, len(leaves))]
    tensors = _Arrays(names, leaves, source)
    return TensorFile(
        source=source,
        path=source.name,
        format="mxnet",
        tensors=tensors,
        structure=lambda: tensors.leaves() if listed else dict(zip(names, tensors.leaves(), strict=True)),
        notes=notes,
        check=lambda: _check(source.name, tensors),
    )


class _Arrays(Mapping[str, Tensor | SparseTensor]):
    """The arrays by name, without the "none" ones; Tensors are made when asked for, which halves the time to open."""

    __slots__ = ("_at", "_leaves", "_source")

    def __init__(self, names: list[str], leaves: list[Leaf | Dense], source: ByteSource) -> None:
        self._at = dict(zip(names, range(len(names)), strict=True))
        self._leaves = leaves
        self._source = source
        if None in leaves:
            self._at = {name: i for name, i in self._at.items() if leaves[i] is not None}

    def leaves(self) -> list[Leaf]:
        """All of them in the order of the file, None for "none" arrays."""
        return [self._leaf(i) for i in range(len(self._leaves))]

    def _leaf(self, i: int) -> Leaf:
        leaf = self._leaves[i]
        if type(leaf) is tuple:
            leaf = self._leaves[i] = make_dense(leaf, self._source)
        return leaf  # type: ignore[return-value]  # no record is left

    def __getitem__(self, name: str) -> Tensor | SparseTensor:
        return self._leaf(self._at[name])  # type: ignore[return-value]  # None has no name here

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, name: object) -> bool:
        return name in self._at


def _positions(names: list[str], count: int) -> list[str]:
    """Names for the arrays behind the last known name: their positions, different from the names that are there."""
    taken = set(names)
    made = []
    for i in range(len(names), count):
        name = str(i)
        while name in taken:
            name = f"#{name}"
        taken.add(name)
        made.append(name)
    return made


def _check(path: str, tensors: Mapping[str, Tensor | SparseTensor]) -> list[str]:
    """Sentences about sparse arrays whose indices do not fit their shape."""
    from tensorkeep.core.sparse import check

    damage = []
    for name, leaf in tensors.items():
        if isinstance(leaf, SparseTensor):
            try:
                check(leaf, what=f"{path}: {name!r}")
            except CorruptFileError as err:
                damage.append(str(err))
    return damage


def _plan(content: Content) -> WritePlan:
    """V2, or V3 throughout when any array is 0-d or empty, which V2 cannot hold."""
    names, leaves = _arrays(content)
    shapes = [(name, leaf.shape) for name, leaf in leaves if leaf is not None]
    strange = next(((name, shape) for name, shape in shapes if 0 in shape or not shape), None)
    why = f"V3 is needed, because {strange[0]!r} has shape {strange[1]}" if strange else ""
    return _plan_list("mxnet", names, leaves, 3 if strange else 2, why)


def _plan_np(content: Content) -> WritePlan:
    names, leaves = _arrays(content)
    return _plan_list("mxnet-np", names, leaves, 3, 'format="mxnet-np" writes V3')


def _arrays(content: Content) -> tuple[list[str], list[tuple[str, Leaf]]]:
    """The names to be written (none for a list) and the (path, leaf) pairs of the data.

    Raises:
        UnsupportedDataError: it is no array, list of arrays or dict of arrays by name, or something stands beside.
    """
    if content.metadata:
        raise UnsupportedDataError(
            f"MXNet's list files have no room for metadata ({', '.join(sorted(content.metadata))!r:.200}). Leave it "
            "out, or "
            "save as .safetensors."
        )
    tree = content.tree
    if isinstance(tree, (Tensor, SparseTensor)):
        return [], [("tensor", tree)]
    if isinstance(tree, dict):
        pairs = list(tree.items())
    elif isinstance(tree, list):
        pairs = [(str(i), leaf) for i, leaf in enumerate(tree)]
    else:
        raise UnsupportedDataError(
            f"MXNet's list files hold one array, a list of arrays or a dict of arrays by name, not a {_kind(tree)}. "
            f"{_VALUES_FIT}"
        )
    problems = []
    for name, leaf in pairs:
        if type(name) is not str:
            problems.append(f"the key {name!r:.80} is no string")
        elif "\0" in name or not _encodable(name):
            problems.append(f"the name {name!r:.80} has a zero byte or half a character")
        if not (leaf is None or isinstance(leaf, (Tensor, SparseTensor))):
            problems.append(f"{name!r:.80} is a {_kind(leaf)}")
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UnsupportedDataError(
            "MXNet's list files hold one array, a list of arrays or a dict of arrays by name: "
            f"{'; '.join(problems[:5])}{more}. "
            f"{_VALUES_FIT}"
        )
    return [name for name, _ in pairs] if isinstance(tree, dict) else [], pairs


def _kind(value: Any) -> str:
    return type(value).__name__


def _encodable(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plan_list(format: str, names: list[str], leaves: list[tuple[str, Leaf]], version: int, why: str) -> WritePlan:
    _check_writable(leaves, version, why)
    plan = WritePlan(format, tensors=sum(leaf is not None for _, leaf in leaves))
    pending = bytearray(_START.pack(MAGIC, 0, len(leaves)))

    def add(name: str, tensor: Tensor) -> None:
        if tensor.nbytes:
            plan.segments.append(bytes(pending))
            pending.clear()
            plan.segments.append(TensorSegment(name, tensor))

    for name, leaf in leaves:
        if leaf is None:
            pending += none_header(version)
        elif isinstance(leaf, Tensor):
            pending += dense_header(leaf.shape, leaf.dtype, version)
            add(name, leaf)
        else:
            sparse = _with_int64(leaf, name)
            pending += sparse_header(sparse)
            add(f"{name}.data", sparse.data)
            if sparse.indptr is not None:
                add(f"{name}.indptr", sparse.indptr)
            add(f"{name}.indices", sparse.indices)
    pending += _U64.pack(len(names))
    for name in names:
        raw = name.encode("utf-8")
        pending += _U64.pack(len(raw)) + raw
    plan.segments.append(bytes(pending))
    return plan


def _check_writable(leaves: list[tuple[str, Leaf]], version: int, why: str) -> None:
    problems = []
    for name, leaf in leaves:
        if leaf is None:
            continue
        if code_of(leaf.dtype) is None:
            problems.append(f"{name!r:.80} has elements of type {leaf.dtype}, for which MXNet has no code")
        if isinstance(leaf, SparseTensor):
            if leaf.kind not in ("csr", "row_sparse"):
                problems.append(f"{name!r:.80} is sparse of kind {leaf.kind}; MXNet has csr and row_sparse")
            elif version == 3:
                problems.append(f"{name!r:.80} is sparse, which a V3 array cannot be ({why})")
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UnsupportedDataError(
            f"MXNet's list files cannot hold this: {'; '.join(problems[:5])}{more}. Convert it, or save as "
            ".safetensors or .pt."
        )


def _with_int64(sparse: SparseTensor, name: str) -> SparseTensor:
    """`sparse`, checked, with int64 indices as MXNet wants them."""
    from tensorkeep.core.sparse import check

    try:
        check(sparse, what=repr(name))
    except CorruptFileError as err:
        raise UnsupportedDataError(f"{err} It is not written: MXNet would read wrong values or crash.") from err
    int64 = DTYPES["int64"]

    def widen(part: Tensor) -> Tensor:
        return part if part.dtype == int64 else Tensor(part.shape, int64, make=lambda: part.numpy().astype("int64"))

    indptr = None if sparse.indptr is None else widen(sparse.indptr)
    return SparseTensor(sparse.kind, sparse.shape, sparse.data, widen(sparse.indices), indptr)


def open_checkpoint(prefix: str | os.PathLike[str], epoch: int) -> TensorFile:
    """A checkpoint by its prefix, as MXNet's Module and gluon's export write it.

    Its files are PREFIX-NNNN.params and, if it is there, PREFIX-symbol.json.

    The tensors keep the names of the file ("arg:fc1_weight"); the structure is {"arg": {name: Tensor}, "aux": {…}}, and
    `graph` is the network of the symbol file, or None.

    Raises:
        FileNotFoundError: there is no such .params file; the text lists the epochs that are there.
        MismatchError: a name in the file begins with neither "arg:" nor "aux:".
    """
    prefix = Path(prefix)
    path = prefix.with_name(f"{prefix.name}-{epoch:04d}.params")
    try:
        source = FileSource(path)
    except FileNotFoundError as err:
        raise FileNotFoundError(
            err.errno, f"No epoch {epoch} of this checkpoint ({_epochs(prefix)})", str(path)
        ) from err
    try:
        return _checkpoint(prefix, source)
    except BaseException:
        source.close()
        raise


def _checkpoint(prefix: Path, source: FileSource) -> TensorFile:
    listing = _walk(source)
    if listing.failure is not None:
        raise listing.failure
    tree: dict[str, dict[str, Leaf]] = {"arg": {}, "aux": {}}
    names = listing.names or []
    strange = [name for name in names if not name.startswith(("arg:", "aux:"))]
    if strange or len(names) != len(listing.leaves):
        what = f"{strange[0]!r:.80} and {len(strange) - 1} more" if strange else "a list without names"
        raise MismatchError(
            f'{source.name}: the names of a checkpoint begin with "arg:" or "aux:", this file has {what}. '
            f"tk.load({source.name!r}) gives its arrays as they are."
        )
    tensors = _Arrays(names, listing.leaves, source)
    for name, leaf in zip(names, tensors.leaves(), strict=True):
        tree[name[:3]][name[4:]] = leaf
    symbol = prefix.with_name(f"{prefix.name}-symbol.json")
    graph = None
    sources = []
    notes = _notes(source, listing)
    if symbol.exists():
        from tensorkeep.formats._mxnet_symbol import read

        sources.append(FileSource(symbol))
        graph = read(sources[0])
    else:
        notes.append(f"There is no {symbol.name} beside it, so the network is not known.")
    return TensorFile(
        source=source,
        path=source.name,
        format="mxnet",
        tensors=tensors,
        tree=tree,
        graph=None if graph is None else lambda: graph,
        sources=sources,
        notes=notes,
        check=lambda: _check(source.name, tensors),
    )


def _epochs(prefix: Path) -> str:
    start = f"{prefix.name}-"
    try:
        found = sorted(
            name[len(start) : -len(".params")]
            for name in os.listdir(prefix.parent)
            if name.startswith(start) and name.endswith(".params")
        )
    except OSError:
        return "its folder does not exist"
    epochs = [name for name in found if name.isdigit()]
    return f"there are {', '.join(epochs[:20])}" if epochs else "there is none"


_HOLDS = "one array, a list of arrays, or a dict of arrays by name (dense, csr, row_sparse)"

FORMATS = {
    "mxnet": Format(
        name="mxnet",
        suffixes=(".params", ".nd"),
        open=_open,
        plan=_plan,
        salvage=_salvage,
        holds=_HOLDS,
        metadata=False,
    ),
    "mxnet-np": Format(
        name="mxnet-np", suffixes=(), open=_open, plan=_plan_np, salvage=_salvage, holds=_HOLDS, metadata=False
    ),
}
