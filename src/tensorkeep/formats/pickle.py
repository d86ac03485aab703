"""Pickles of arrays: NDArrays and optimizer states of MXNet, numpy arrays, plain containers. Nothing in them is executed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.graph import Graph
from tensorkeep.core.reports import Request, ScanReport
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import SINGLE_NAME, Inert
from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError, UnsafeFileError
from tensorkeep.formats import Format
from tensorkeep.formats._mxnet_pickle import MXNET
from tensorkeep.formats._pickle import examine, load

__all__ = ["FORMAT"]

MAX_NBYTES = 4 << 30
"""The file: optimizer states hold their arrays inside the pickle, and all of it is read at once."""


def _open(source: ByteSource, unknown: str) -> TensorFile:
    data = _read(source)
    found = load(data, what=source.name, known=MXNET, unknown=unknown, max_nbytes=MAX_NBYTES)
    _check_end(source, data, found.end)
    value = found.value
    notes = []
    inner = _inner(value, source.name, unknown)
    if inner is not None:
        value = inner[0]
        notes.append("A pickle inside a pickle: pickle.dump(pickle.dumps(…)).")
    tensors, classes = _collect(value, source.name)
    if classes:
        listed = ", ".join(sorted(classes)[:10])
        notes.append(f"Objects kept as Inert records, their classes not imported: {listed}.")
    return TensorFile(
        source=source,
        path=source.name,
        format="pickle",
        tensors=tensors,
        structure=lambda: value,
        graph=(lambda: value) if isinstance(value, Graph) else None,
        notes=notes,
    )


def _read(source: ByteSource) -> bytes:
    if source.size > MAX_NBYTES:
        raise LimitError(
            f"{source.name}: a pickle of {source.size} bytes; at most {MAX_NBYTES} are read, because all of it must be in "
            "memory at once. Save the arrays in another format where they were made."
        )
    return source.read(0, source.size)


def _check_end(source: ByteSource, data: bytes, end: int) -> None:
    if end == len(data):
        return
    what = "another pickle" if data[end : end + 1] == b"\x80" else "something else"
    raise CorruptFileError(
        f"{source.name}: the pickle ends at byte {end}, and {len(data) - end} bytes follow ({what}). A file of this "
        "format is one pickle; split it, or save the values as one list."
    )


def _inner(value: Any, what: str, unknown: str) -> tuple[Any] | None:
    """The value of a pickle that stands as bytes in the place of the data; None when there is none."""
    if type(value) is not bytes or not _looks_pickled(value):
        return None
    try:
        found = load(value, what=f"{what}: the pickle inside", known=MXNET, unknown=unknown, max_nbytes=MAX_NBYTES)
    except UnsafeFileError:
        raise
    except TensorkeepError:
        return None  # bytes that only look like a pickle
    return (found.value,) if found.end == len(value) else None


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, (list, tuple)):
        yield from enumerate(node)
    elif isinstance(node, Inert):
        state = node.state if isinstance(node.state, (dict, list, tuple, Inert)) else [node.state]
        for inside in (node.args, state, node.items or ()):
            yield from _children(inside)


def _collect(tree: Any, what: str) -> tuple[dict[str, Tensor | SparseTensor], set[str]]:
    """The arrays by their path, those inside Inert records too, and the classes of these records.

    What has the same path in a record's arguments and in its state gets a number behind it.
    """
    tensors: dict[str, Tensor | SparseTensor] = {}
    classes: set[str] = set()
    again: dict[str, int] = {}
    budget = MAX_HEADER_NBYTES
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, (Tensor, SparseTensor)):
            name = path or SINGLE_NAME
            while name in tensors:
                again[path] = again.get(path, 1) + 1
                name = f"{path}#{again[path]}"
            tensors[name] = node
            continue
        if isinstance(node, Inert):
            classes.add(f"{node.module}.{node.name}")
        inside = []
        for key, value in _children(node):
            if isinstance(value, _WITH_INSIDES):
                below = f"{path}.{key}" if path else str(key)
                budget -= len(below)
                if budget < 0:
                    raise LimitError(
                        f"{what}: the names of its arrays have more than {MAX_HEADER_NBYTES} characters together. The file "
                        "is hostile."
                    )
                inside.append((below, value))
        stack.extend(reversed(inside))
    return tensors, classes


_WITH_INSIDES = (dict, list, tuple, Inert, Tensor, SparseTensor)


def _scan(source: ByteSource) -> ScanReport:
    data = _read(source)
    found = examine(data, what=source.name, known=MXNET, max_nbytes=MAX_NBYTES)
    requests = list(found.requests)
    notes = []
    pickles = 1
    whole = found.error is None and found.end == len(data)
    if found.error is not None:
        notes.append(f"It cannot be read to its end: {found.error}")
    elif found.end < len(data):
        notes.append(
            f"{len(data) - found.end} bytes follow behind its end, at byte {found.end}; they were not looked at."
        )
    elif all(request.known for request in requests):
        inside = _bytes_inside(data, source.name)
        if inside is not None:
            pickles = 2
            inner = examine(inside, what=f"{source.name}: the pickle inside", known=MXNET, max_nbytes=MAX_NBYTES)
            requests += [Request(r.module, r.name, r.count, r.known, "the pickle inside") for r in inner.requests]
            notes.append("It holds the bytes of another pickle, which was looked at as well.")
            if inner.error is not None or inner.end < len(inside):
                whole = False
                notes.append(f"The one inside cannot be read to its end: {inner.error or 'bytes follow behind it'}")
    requests.sort(key=lambda request: request.known)
    return ScanReport(
        path=source.name,
        format="pickle",
        data_only=whole and all(request.known for request in requests),
        pickles=pickles,
        requests=tuple(requests),
        notes=tuple(notes),
    )


def _bytes_inside(data: bytes, what: str) -> bytes | None:
    """The value of a pickle when it is bytes that look like a pickle themselves."""
    try:
        value = load(data, what=what, known=MXNET, max_nbytes=MAX_NBYTES).value
    except TensorkeepError:
        return None
    return value if type(value) is bytes and _looks_pickled(value) else None


def _looks_pickled(value: bytes) -> bool:
    return value[:1] == b"\x80" and value[-1:] == b"."


FORMAT = Format(name="pickle", suffixes=(".pkl", ".pickle", ".states"), open=_open, scan=_scan)
