"""What an MXNet list file will consist of: the bytes that MXNet 1.9.1 writes for the same arrays."""

from __future__ import annotations

from typing import Any

from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Content
from tensorkeep.errors import CorruptFileError, UnsupportedDataError
from tensorkeep.formats._mxnet_array import Leaf, code_of, dense_header, none_header, sparse_header
from tensorkeep.formats._mxnet_list import MAGIC, START, U64

__all__ = ["plan_v2", "plan_v3"]

_VALUES_FIT = "Formats that hold it: safetensors, torch (.pt), npz."


def plan_v2(content: Content) -> WritePlan:
    """V2, or V3 throughout when any array is 0-d or empty, which V2 cannot hold."""
    names, leaves = _arrays(content)
    shapes = [(name, leaf.shape) for name, leaf in leaves if leaf is not None]
    strange = next(((name, shape) for name, shape in shapes if 0 in shape or not shape), None)
    why = f"V3 is needed, because {strange[0]!r} has shape {strange[1]}" if strange else ""
    return _plan_list("mxnet", names, leaves, 3 if strange else 2, why)


def plan_v3(content: Content) -> WritePlan:
    """V3 throughout, as MXNet writes under NumPy semantics."""
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
            "out, or save as .safetensors."
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
    pending = bytearray(START.pack(MAGIC, 0, len(leaves)))

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
    pending += U64.pack(len(names))
    for name in names:
        raw = name.encode("utf-8")
        pending += U64.pack(len(raw)) + raw
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
