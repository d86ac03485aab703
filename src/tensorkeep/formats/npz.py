"""NumPy's .npz: a zip archive of .npy members. Also MXNet 2.0's npx.savez (any suffix) and scipy.sparse.save_npz.

What we write is what numpy.savez would, stored, with every array at a multiple of 64 bytes (`_npz_write`); what is read
lies in `_npz_members`.
"""

from __future__ import annotations

from tensorkeep.core import sparse
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.hashing import CRC32
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import SINGLE_NAME, Inert, decode
from tensorkeep.errors import CorruptFileError, TensorkeepError, UnsafeFileError, UnsupportedFormatError
from tensorkeep.formats import Format
from tensorkeep.formats._npz_members import Members, Tensors, groups, read_group
from tensorkeep.formats._npz_write import STRUCTURE_MEMBER, Beside, plan, read_beside
from tensorkeep.formats._zip import Entry, read_directory, verify_crc, walk

__all__ = ["FORMAT"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    with collector_paused():
        directory = read_directory(source, deflated=True)
        return _build(source, directory.entries, read_beside(source, directory), inert=unknown == "inert")


def _build(source: ByteSource, entries: dict[str, Entry], beside: Beside, *, inert: bool) -> TensorFile:
    members = Members(source)
    notes: list[str] = []
    tensors = Tensors(members)
    others: dict[str, Inert] = {}
    used: dict[str, str] = {STRUCTURE_MEMBER: "-"} if STRUCTURE_MEMBER in entries else {}
    found: dict[str, SparseTensor] = {}
    for prefix, kind in groups(entries, members).items():
        group = read_group(entries, members, prefix, kind)
        if group is None:
            used[f"{prefix}format.npy"] = "-"
            notes.append(f"the parts of {prefix.rstrip('/')!r}, a scipy {kind} array, are given as plain tensors")
        else:
            found[prefix], names = group
            used.update(dict.fromkeys(names, prefix))
    alone = len(found) == 1 and "" in found and used.keys() >= entries.keys()
    for name, entry in entries.items():
        if name in used:
            each = found.pop(used[name], None)
            if each is not None:
                tensors.add(used[name][:-1] or (SINGLE_NAME if alone else ""), each)
        elif not name.endswith(".npy"):
            notes.append(f"the member {name!r:.200} is no array and is left out")
        else:
            try:
                tensors.add(name[:-4], (entry, members.head(entry)))
            except (UnsafeFileError, UnsupportedFormatError) as err:
                if not inert:
                    hint = ' With unknown="inert" the other tensors of the archive can be read.'
                    raise type(err)(f"{err}{hint}") from None
                others[name[:-4]] = Inert("numpy", "ndarray", (str(err),))
    notes += members.notes.values()
    tree = tensors[SINGLE_NAME] if alone else {**tensors, **others} if others else None
    if beside.has_structure:
        tree = decode(beside.structure, _leaves(tensors), what=source.name)
    return TensorFile(
        source=source,
        path=source.name,
        format="npz",
        tensors=tensors,
        tree=tree,
        metadata=beside.metadata,
        notes=notes,
        checksum=CRC32,
        check=lambda: _check(source, tensors),
    )


def _leaves(tensors: Tensors) -> dict[str, Tensor]:
    """The dense tensors by the names that a structure of ours uses for them."""
    leaves: dict[str, Tensor] = {}
    for name, each in tensors.items():
        parts = each.parts() if isinstance(each, SparseTensor) else [("", each)]
        leaves.update({f"{name}.{part}" if part else name: tensor for part, tensor in parts})
    return leaves


def _check(source: ByteSource, tensors: Tensors) -> list[str]:
    """Damage that the tensors' own checksums cannot show: members in another byte order, indices that do not fit."""
    damage = []
    for name, row in tensors.rows.items():
        try:
            if isinstance(row, SparseTensor):
                sparse.check(row, what=f"{source.name}: {name!r}")
            elif not row[1].plain:
                verify_crc(source, row[0])
        except CorruptFileError as err:
            damage.append(str(err))
    return damage


def _salvage(source: ByteSource) -> TensorFile:
    """The arrays whose members are whole, from the local headers; nesting is lost, it stands at the end of the file."""
    members, notes = Members(source), []
    tensors = Tensors(members)
    for entry in walk(source):
        try:
            verify_crc(source, entry)
            if entry.name.endswith(".npy"):
                tensors.add(entry.name[:-4], (entry, members.head(entry)))
        except TensorkeepError as err:
            notes.append(f"left out: {err}")
    return TensorFile(source=source, path=source.name, format="npz", tensors=tensors, notes=notes, checksum=CRC32)


FORMAT = Format(
    name="npz",
    suffixes=(".npz",),
    open=_open,
    plan=plan,
    salvage=_salvage,
    holds="nested data, plain values and sparse arrays, with tensors of NumPy's own types",
)
