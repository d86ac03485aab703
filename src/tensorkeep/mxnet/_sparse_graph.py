"""Which values of a network's run are sparse: executors that are given sparse arrays answer with sparse ones."""

from __future__ import annotations

from typing import Any

import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray._sparse_array import BaseSparseNDArray
from tensorkeep.mxnet.ndarray._sparse_rules import by_rule
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["SparseFlow"]


class SparseFlow:
    """Goes along with one run of a Runner, which computes every value densely, and its gradients.

    Attributes:
        arrays: slot of the run → its value, where MXNet stores that sparsely.
    """

    def __init__(self, arrays: dict[int, BaseSparseNDArray], ctx: Context) -> None:
        self.arrays = arrays
        self._ctx = ctx

    def follow(self, op: Operator, attrs: dict[str, Any], take: list[int], put: int, taken: list[torch.Tensor]) -> None:
        """Note in slot `put` the sparse result of an operator, where there is a rule for it.

        Args:
            attrs: the operator's parameters, as the network has them.
            take, taken: the slots and the dense values of its inputs.
        """
        if op.name != "cast_storage" and not any(at in self.arrays for at in take):
            return
        dense = [wrap(tensor.detach(), self._ctx, NDArray) for tensor in taken]
        found = by_rule(op, [self.arrays.get(at, array) for at, array in zip(take, dense, strict=True)], attrs)
        if isinstance(found, BaseSparseNDArray):
            self.arrays[put] = found
