"""MXNet's list files (`.params`, `.nd`): every array by name, or in a list without names.

    u64 0x112 | u64 reserved | u64 count | arrays (see _mxnet_array) | u64 names (0 or count) | names: u64 length, UTF-8

Written as MXNet 1.9.1 writes them, byte for byte. Source: NDArray::Save, MXNDArrayLoad; docs/formats/mxnet.md has a
table of the bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, MismatchError
from tensorkeep.formats import Format
from tensorkeep.formats._mxnet_array import Dense, Leaf, make_dense
from tensorkeep.formats._mxnet_list import Listing, are, walk
from tensorkeep.formats._mxnet_plan import plan_v2, plan_v3

__all__ = ["FORMATS", "open_checkpoint"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    listing = walk(source)
    if listing.failure is not None:
        raise listing.failure
    return _file(source, listing, _notes(source, listing))


def _salvage(source: ByteSource) -> TensorFile:
    listing = walk(source)
    notes = _notes(source, listing)
    if listing.failure is not None:
        notes = [f"{len(listing.leaves)} of {listing.count} arrays are whole.", str(listing.failure)]
    if listing.names is not None and len(set(listing.names)) < len(listing.names):
        listing.names = None  # the walk stopped before it could say that a name stands twice
    return _file(source, listing, notes)


def _notes(source: ByteSource, listing: Listing) -> list[str]:
    notes = []
    if listing.versions - {2}:
        listed = ", ".join(f"V{version}" for version in sorted(listing.versions))
        notes.append(f"Arrays of version {listed} (V0 and V1: before MXNet 0.12; V3: NumPy semantics).")
    devices = sorted(listing.devices - {(1, 0)})
    if devices:
        listed = ", ".join(f"{_DEVICES.get(kind, f'device type {kind}')}({number})" for kind, number in devices[:4])
        notes.append(f"Saved from {listed}{' and others' if len(devices) > 4 else ''}.")
    nones = listing.leaves.count(None)
    if nones:
        notes.append(f'{nones} "none" {are(nones)} in it: None in its place.')
    if listing.end < source.size:
        notes.append(
            f"{source.size - listing.end} bytes stand behind the end, at byte {listing.end}; MXNet ignores them too."
        )
    return notes


_DEVICES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}


def _file(source: ByteSource, listing: Listing, notes: Sequence[str]) -> TensorFile:
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
        with collector_paused():
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
    listing = walk(source)
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
        plan=plan_v2,
        salvage=_salvage,
        holds=_HOLDS,
        metadata=False,
    ),
    "mxnet-np": Format(
        name="mxnet-np", suffixes=(), open=_open, plan=plan_v3, salvage=_salvage, holds=_HOLDS, metadata=False
    ),
}
