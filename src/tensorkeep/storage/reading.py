"""Tensors' values in memory of their own, read and verified in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorkeep.core.hashing import Digest, new_hasher
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import CorruptFileError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checksum_tensors", "read_tensors"]


def read_tensors(
    tensors: Sequence[Tensor], *, names: Sequence[str] | None = None, verify: bool = True
) -> list[np.ndarray[Any, Any]]:
    """An array for each Tensor: owned, writable, C-contiguous, aligned. The same Tensor twice gives one array twice.

    Args:
        tensors: of any files, in any order; each file is read in its own order.
        names: what errors call them.
        verify: check the bytes of those that carry a digest.
    Raises:
        CorruptFileError: digests differ (all such tensors are named), or the file ends too early (TruncatedFileError).
    """
    import numpy as np

    labels = [f"tensor {i}" for i in range(len(tensors))] if names is None else list(names)
    done: dict[int, np.ndarray[Any, Any]] = {}
    damaged: list[tuple[str, Digest, Digest]] = []
    out = []
    for tensor, label in zip(tensors, labels, strict=True):
        if id(tensor) not in done:
            if (
                verify
                and tensor.digest is not None
                and (got := _checksum(tensor, tensor.digest.algorithm)) != tensor.digest
            ):
                damaged.append((label, tensor.digest, got))
            done[id(tensor)] = np.array(tensor.numpy(), order="C", copy=True)
        out.append(done[id(tensor)])
    if damaged:
        raise CorruptFileError(_damage_text(tensors, damaged))
    return out


def checksum_tensors(tensors: Sequence[Tensor], names: Sequence[str]) -> dict[str, Digest]:
    """The checksum of the bytes of each Tensor that carries a digest, by the same algorithm, computed anew."""
    return {
        name: _checksum(tensor, tensor.digest.algorithm)
        for tensor, name in zip(tensors, names, strict=True)
        if tensor.digest is not None
    }


def _checksum(tensor: Tensor, algorithm: str) -> Digest:
    hasher = new_hasher(algorithm)
    for block in tensor.blocks(1 << 20):
        hasher.update(block)
    return Digest(algorithm, hasher.hexdigest())


def _damage_text(tensors: Sequence[Tensor], damaged: list[tuple[str, Digest, Digest]]) -> str:
    sources = {t.extent.source.name: None for t in tensors if t.extent is not None}
    where = ", ".join(sources) or "the data"
    rows = "".join(f"\n  {label}: the file says {want}, its bytes give {got}" for label, want, got in damaged[:20])
    more = f"\n  and {len(damaged) - 20} more" if len(damaged) > 20 else ""
    many = "tensor is" if len(damaged) == 1 else "tensors are"
    return (
        f"{where}: {len(damaged)} {many} damaged: the bytes changed after they were written.{rows}{more}\n"
        "Copy the file again from its source or restore a backup. verify=False reads the damaged values anyway."
    )
