"""Before ranks save together: what of the state is the same on all of them, and which of them writes what.

Parts of a tensor are written by one of those that hold them, whole tensors by one of all, so that each writes about as
much. What differs, such as a loader's position, is kept for each rank; in the state that other programs read is rank 0's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tensorkeep.checkpoint._pieces import Pieces, Shards
from tensorkeep.checkpoint._ranks import Ranks
from tensorkeep.checkpoint._staging import digest_tensors
from tensorkeep.core.hashing import digest_of
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Content, encode, flatten
from tensorkeep.errors import UnsupportedDataError

__all__ = ["Agreed", "agree", "overlay", "own_of"]

TRUSTED_NBYTES = 1 << 20
"""Whole tensors of models and optimizers from this size on are taken to be equal on all ranks, as DDP keeps them: to hash them
on every rank would cost more than to write them once."""

Path = tuple[Any, ...]


@dataclass
class Agreed:
    """What a rank does in a save.

    Attributes:
        pieces: what it writes.
        tree: the state's structure with what every rank keeps for itself, encoded; of rank 0 only.
        apart: whether ranks keep something for themselves.
    """

    pieces: Pieces
    tree: Any
    apart: bool


def agree(
    ranks: Ranks, step: int, content: Content, kinds: Mapping[str, str], own: Mapping[str, Any], key: str
) -> Agreed:
    """The plan of a save, the same on every rank.

    Args:
        content: the state of this rank.
        kinds: of the entries of the state.
        own: what is always kept for each rank: its generators.
        key: the entry for that.
    Raises:
        UnsupportedDataError: the ranks save different steps, or tensors in parts that do not fit together.
    """
    summary = _summary(content, kinds)
    boxes = {
        name: [[list(start), list(part.shape)] for start, part in tensor._array.boxes]
        for name, tensor in content.tensors.items()
        if isinstance(tensor._array, Shards)
    }
    short = digest_of(repr(summary).encode()).value
    found = ranks.gather(lambda: {"step": step, "summary": short, "boxes": boxes})
    steps = [each["step"] for each in found]
    if len(set(steps)) > 1:
        raise UnsupportedDataError(
            f"the ranks save different steps: {steps}, by rank. Call save and step alike on all of them."
        )
    differing: list[Path] = []
    if len({each["summary"] for each in found}) > 1:
        differing = list(_differences(ranks.gather(lambda: summary), ()))
    pieces = _assigned(ranks, content, [each["boxes"] for each in found], differing)
    apart = bool(own or differing)
    local: list[Any] = []
    if apart:
        mine = _values(content, differing) if not ranks.first else []
        extra = flatten({key: {str(ranks.rank): {**own, "local": [[list(path), value] for path, value in mine]}}})
        for name, tensor in extra.tensors.items():
            pieces.add(name, tensor)
        local = ranks.gather(lambda: encode(extra)[key][str(ranks.rank)])
    tree = None
    if ranks.first:
        tree = encode(content)
        if apart:
            tree[key] = {str(rank): each for rank, each in enumerate(local)}
    return Agreed(pieces, tree, apart)


def _summary(content: Content, kinds: Mapping[str, str]) -> Any:
    """The tree as lists: in the place of a tensor its dtype, shape and hash; "" for what is in parts, or large and trusted."""
    small = {}
    for name, tensor in content.tensors.items():
        trusted = kinds.get(name.partition(".")[0]) in ("model", "optimizer") and tensor.nbytes >= TRUSTED_NBYTES
        if not trusted and not isinstance(tensor._array, Shards):
            small[name] = tensor
    hashes = digest_tensors(small)

    def tensor_row(tensor: Tensor) -> list[Any]:
        name = content.names[id(tensor)]
        digits = hashes[name].value if name in hashes else ""
        return ["tensor", str(tensor.dtype), list(tensor.shape), digits, isinstance(tensor._array, Shards), name]

    def visit(node: Any) -> Any:
        if isinstance(node, Tensor):
            return tensor_row(node)
        if isinstance(node, SparseTensor):
            return ["sparse", node.kind, list(node.shape), [[k, visit(v)] for k, v in node.parts()]]
        if isinstance(node, Mapping):
            return ["dict", type(node).__name__, [[key, visit(value)] for key, value in node.items()]]
        if isinstance(node, (list, tuple)):
            return ["list", type(node).__name__, [visit(value) for value in node]]
        return ["value", type(node).__name__, repr(node)]

    return visit(content.tree)


def _differences(nodes: Sequence[Any], path: Path) -> list[Path]:
    """The shortest paths below which the ranks' summaries differ."""
    first = nodes[0]
    if all(node == first for node in nodes):
        return []
    alike = all(node[:2] == first[:2] for node in nodes)
    if alike and first[0] == "dict":
        keys = [[key for key, _ in node[2]] for node in nodes]
        if all(each == keys[0] for each in keys):
            return [
                found
                for i, key in enumerate(keys[0])
                for found in _differences([node[2][i][1] for node in nodes], (*path, key))
            ]
    elif alike and first[0] == "list" and first[1] == "list" and all(len(node[2]) == len(first[2]) for node in nodes):
        return [
            found for i in range(len(first[2])) for found in _differences([node[2][i] for node in nodes], (*path, i))
        ]
    if any(_in_parts(node) for node in nodes):
        raise UnsupportedDataError(
            f"{'.'.join(map(str, path)) or 'the state'}: holds tensors in parts, and has not the same structure, dtypes and "
            "shapes on all ranks. Build the same models and optimizers on all of them."
        )
    if not path:
        raise UnsupportedDataError("the state has not the same entries on all ranks. Give all of them the same keys.")
    return [path]


def _in_parts(node: Any) -> bool:
    if node[0] == "tensor":
        return bool(node[4])
    if node[0] == "dict":
        return any(_in_parts(value) for _, value in node[2])
    return node[0] == "list" and any(_in_parts(value) for value in node[2])


def _values(content: Content, paths: Sequence[Path]) -> list[tuple[Path, Any]]:
    found = []
    for path in paths:
        node = content.tree
        for key in path:
            node = node[key]
        found.append((path, node))
    return found


def _assigned(ranks: Ranks, content: Content, boxes: Sequence[Mapping[str, Any]], differing: Sequence[Path]) -> Pieces:
    """What this rank writes: each box by the one of its holders that has least to write so far; largest first."""
    apart = _names_below(content, differing)
    jobs: list[tuple[int, str, tuple[int, ...], list[int]]] = []
    for name, tensor in content.tensors.items():
        if name in apart:
            continue
        if name not in boxes[0] and name not in boxes[ranks.rank]:
            jobs.append((tensor.nbytes, name, (0,) * tensor.ndim, list(range(ranks.size))))
            continue
        holders: dict[tuple[int, ...], tuple[int, list[int]]] = {}
        shapes: dict[tuple[int, ...], tuple[int, ...]] = {}
        for rank, each in enumerate(boxes):
            for start, shape in each.get(name, []):
                _, who = holders.setdefault(tuple(start), (prod(shape), []))
                who.append(rank)
                if shapes.setdefault(tuple(start), tuple(shape)) != tuple(shape):
                    raise _unfit(name, tensor)
        if not _tiles(tensor.shape, shapes):
            raise _unfit(name, tensor)
        width = tensor.dtype.bits / 8
        jobs += [(int(size * width), name, start, who) for start, (size, who) in holders.items()]
    load = [0] * ranks.size
    mine: set[tuple[str, tuple[int, ...]]] = set()
    for nbytes, name, start, who in sorted(jobs, key=lambda job: -job[0]):
        rank = min(who, key=lambda each: load[each])
        load[rank] += nbytes
        if rank == ranks.rank:
            mine.add((name, start))
    pieces = Pieces()
    for name, tensor in content.tensors.items():
        if name in apart:
            if ranks.first:
                pieces.add(name, tensor)
            continue
        pieces.add(name, tensor, lambda start, name=name: (name, start) in mine)  # type: ignore[misc]  # bound now
    return pieces


def _names_below(content: Content, paths: Sequence[Path]) -> set[str]:
    """Names of the tensors that stand only below these paths."""
    wanted = set(paths)
    inside: set[str] = set()
    outside: set[str] = set()

    def visit(node: Any, path: Path, below: bool) -> None:
        below = below or path in wanted
        if isinstance(node, Tensor):
            (inside if below else outside).add(content.names[id(node)])
        elif isinstance(node, SparseTensor):
            for _, part in node.parts():
                visit(part, path, below)
        elif isinstance(node, Mapping):
            for key, value in node.items():
                visit(value, (*path, key), below)
        elif isinstance(node, (list, tuple)):
            for i, value in enumerate(node):
                visit(value, (*path, i), below)

    if wanted:
        visit(content.tree, (), False)
    return inside - outside


def _tiles(shape: tuple[int, ...], boxes: Mapping[tuple[int, ...], tuple[int, ...]]) -> bool:
    """Whether boxes on a grid cover a tensor, each element once."""
    if sum(prod(each) for each in boxes.values()) != prod(shape):
        return False
    for axis, size in enumerate(shape):
        edges = sorted({start[axis] for start in boxes} | {size})
        for start, extent in boxes.items():
            end = start[axis] + extent[axis]
            if end != edges[min(bisect_right(edges, start[axis]), len(edges) - 1)]:
                return False
    return True


def _unfit(name: str, tensor: Tensor) -> UnsupportedDataError:
    return UnsupportedDataError(
        f"{name}: the parts that the ranks hold do not make up a tensor of shape {list(tensor.shape)}, each element once. "
        "Redistribute it to plain Shard or Replicate placements, and build the same mesh on all ranks."
    )


def own_of(tree: Any, entries: Mapping[str, str], rank: int, size: int) -> tuple[Any, Sequence[Any], list[str]]:
    """(generators or None, values for `overlay`, what cannot go back) of a step, for one of `size` ranks."""
    key = next((key for key, kind in entries.items() if kind == "ranks"), None)
    if key is None:
        alone = next((tree[key] for key, kind in entries.items() if kind == "generators"), None)
        if size == 1 or alone is None:
            return alone, [], []
        return None, [], [f"the random generators: one process saved them, and {size} go on."]
    saved = tree[key]
    if len(saved) == size:
        own = saved[str(rank)]
        return own.get("generators"), own["local"], []
    now = "one process goes" if size == 1 else f"{size} go"
    lost = []
    if any("generators" in each for each in saved.values()):
        lost.append(f"the random generators: each of {len(saved)} ranks had its own, and {now} on.")
    names = {".".join(map(str, path)): None for each in saved.values() for path, _ in each["local"]}
    lost += [f"{name}: each of {len(saved)} ranks had its own, and {now} on with that of rank 0." for name in names]
    return None, [], lost


def overlay(tree: Any, local: Sequence[Any]) -> Any:
    """A state with what a rank had for itself in the place of rank 0's."""
    for path, value in local:
        tree = _set(tree, list(path), value)
    return tree


def _set(node: Any, path: list[Any], value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(node, list):
        return [_set(item, rest, value) if i == key else item for i, item in enumerate(node)]
    made = dict(node)
    made[key] = _set(node[key], rest, value)
    return made
