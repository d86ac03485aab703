"""The end of unpickling: the built value is walked once, without recursion, and made final.

Unfinished objects become their values; cycles, deep nesting and values that unfold to far more than the file holds are
refused, so that everybody may later walk the tree by plain recursion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorkeep.core.bounds import MAX_DEPTH
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.errors import CorruptFileError, LimitError
from tensorkeep.formats._pickle_parts import ABSENT, Cell, Global, InertCell, Unfit

__all__ = ["finish_tree"]

_LEAVES = frozenset({Tensor, SparseTensor, str, int, float, bool, bytes, complex, type(None)})
_CONTAINERS = (dict, list, tuple, Cell)

FREE_LEAVES = 100_000
"""Values that a tree may unfold to beyond ten for each byte of the pickle: shared containers count each time."""


class _Frame:
    __slots__ = ("children", "node", "results", "weight")

    def __init__(self, node: Any) -> None:
        inside = node.values() if isinstance(node, dict) else node.parts() if isinstance(node, Cell) else node
        self.node = node
        self.children: Iterator[Any] = iter(list(inside))
        self.results: list[Any] = []
        self.weight = 1


def finish_tree(root: Any, nbytes: int, what: str) -> Any:
    """The final value of `root`, in which every Cell and Global is replaced; containers keep their identity.

    Args:
        root: what the machine left under STOP.
        nbytes: the size of the pickle, which bounds how much the tree may unfold to.
    """
    most = FREE_LEAVES + 10 * nbytes
    holder = _Frame([root])
    frames = [holder]
    opened: set[int] = set()
    done: dict[int, tuple[Any, Any, int]] = {}  # id -> node (kept alive, so that the id stays its own), value, weight
    while frames:
        frame = frames[-1]
        results = frame.results
        for child in frame.children:
            kind = type(child)
            if kind in _LEAVES:
                results.append(child)
                frame.weight += 1 + (len(child) >> 6) if kind is str or kind is bytes else 1
            elif isinstance(child, _CONTAINERS):
                seen = done.get(id(child))
                if seen is not None:
                    results.append(seen[1])
                    frame.weight += seen[2]
                elif id(child) in opened:
                    results.append(_back_reference(child, what))
                else:
                    if len(frames) > MAX_DEPTH:
                        raise LimitError(
                            f"{what}: more than {MAX_DEPTH} containers inside each other. "
                            "The file is damaged or hostile."
                        )
                    opened.add(id(child))
                    frames.append(_Frame(child))
                    break
            elif kind is Global:
                results.append(_class_as_value(child))
                frame.weight += 1
            elif child is ABSENT:
                raise CorruptFileError(
                    f"{what}: a memo entry is used that was never set. The file is damaged or hostile."
                )
            else:  # what constructors of ours return besides: numpy scalars, sets of scalars, Inert records
                results.append(child)
                frame.weight += 1
            if frame.weight > most:
                raise LimitError(
                    f"{what}: {nbytes} bytes of pickle unfold to more than {most} values. The file is hostile."
                )
        else:
            frames.pop()
            if frame is holder:
                return results[0]
            value = _close(frame, what)
            opened.discard(id(frame.node))
            done[id(frame.node)] = (frame.node, value, frame.weight)
            above = frames[-1]
            above.results.append(value)
            above.weight += frame.weight
            if above.weight > most:
                raise LimitError(
                    f"{what}: {nbytes} bytes of pickle unfold to more than {most} values. The file is hostile."
                )
    raise AssertionError("the holder frame returns")


def _back_reference(node: Any, what: str) -> Any:
    if type(node) is InertCell:
        # Objects may well refer to themselves; a record without contents stands at the second place.
        return Inert(node.module, node.name)
    raise CorruptFileError(
        f"{what}: a {type(node).__name__} contains itself, which no tree of tensors does. "
        "The file is damaged or hostile."
    )


def _class_as_value(cls: Global) -> Any:
    if cls.known is not None and cls.known.value is not ABSENT:
        return cls.known.value
    return Inert(cls.module, cls.name)


def _close(frame: _Frame, what: str) -> Any:
    node, results = frame.node, frame.results
    if isinstance(node, Cell):
        try:
            return node.finish(results)
        except Unfit as err:
            raise CorruptFileError(f"{what}: {err}. The file is damaged or hostile.") from None
    if isinstance(node, dict):
        for key, value in zip(list(node), results, strict=True):
            node[key] = value
        return node
    if type(node) is list:
        node[:] = results
        return node
    if all(map(_same, node, results)):
        return node
    return tuple(results)


def _same(a: Any, b: Any) -> bool:
    return a is b
