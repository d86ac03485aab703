"""Sequences of different lengths in one array: masking, the last step, reversing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import inconsistent

_INPUTS = taking("data", "sequence_length", sequence_length=lambda a: a["use_sequence_length"])


def _lengths(shapes: list[Shape], axis: int) -> list[Shape]:
    data = shapes[0]
    if data is None or len(shapes) == 1:
        return shapes
    return [data, (data[1 - axis],)]


def _same(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    return _lengths(shapes, attrs["axis"]), [shapes[0]]


def _without_axis(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, axis = shapes[0], attrs["axis"]
    return _lengths(shapes, axis), [None if data is None else (*data[:axis], *data[axis + 1 :])]


def _checked(data: Tensor, lengths: Tensor | None, axis: int, used: bool) -> Tensor | None:
    """The lengths as int64; None when all steps count."""
    if axis not in (0, 1):
        raise MXNetError(f"sequence_axis must be 0 or 1, not {axis}.")
    if data.dim() < 2:
        raise MXNetError("The data array must be of rank 2 or greater.")
    if not used:
        return None
    if lengths is None:
        raise MXNetError("use_sequence_length is set, but sequence_length is missing.")
    if tuple(lengths.shape) != (data.shape[1 - axis],):
        raise inconsistent(lengths.shape, (data.shape[1 - axis],))
    return lengths.to(torch.int64)


@operator("SequenceMask", inputs=_INPUTS, shape=_same, dtype=lambda dtypes, attrs: (dtypes, dtypes[:1]))
def sequence_mask(
    data: Tensor, sequence_length: Tensor | None = None, *, use_sequence_length: bool = False, value: float = 0.0,
    axis: int = 0,
) -> Tensor:  # fmt: skip
    """data with `value` behind the end of each sequence.

    data (T, N, …), or (N, T, …) with axis=1; sequence_length (N,). Without use_sequence_length nothing is masked.
    """
    lengths = _checked(data, sequence_length, axis, use_sequence_length)
    if lengths is None:
        return data.clone()
    steps = torch.arange(data.shape[axis], device=data.device)
    beyond = steps.unsqueeze(1) >= lengths if axis == 0 else steps >= lengths.unsqueeze(1)
    return data.masked_fill(beyond.reshape(*beyond.shape, *[1] * (data.dim() - 2)), value)


@operator("SequenceLast", inputs=_INPUTS, shape=_without_axis, dtype=lambda dtypes, attrs: (dtypes, dtypes[:1]))
def sequence_last(
    data: Tensor, sequence_length: Tensor | None = None, *, use_sequence_length: bool = False, axis: int = 0
) -> Tensor:
    """The last step of each sequence: (N, …).

    data (T, N, …), or (N, T, …) with axis=1; sequence_length (N,). Without use_sequence_length it is the last of all.
    """
    lengths = _checked(data, sequence_length, axis, use_sequence_length)
    if lengths is None:
        return data.select(axis, data.shape[axis] - 1).clone()
    samples = torch.arange(data.shape[1 - axis], device=data.device)
    return data[lengths - 1, samples] if axis == 0 else data[samples, lengths - 1]


@operator("SequenceReverse", inputs=_INPUTS, shape=_same, dtype=lambda dtypes, attrs: (dtypes, dtypes[:1]))
def sequence_reverse(
    data: Tensor, sequence_length: Tensor | None = None, *, use_sequence_length: bool = False, axis: int = 0
) -> Tensor:
    """Each sequence from its last step to its first; what is behind its end stays.

    data (T, N, …); sequence_length (N,). Without use_sequence_length all steps are reversed.
    """
    if axis != 0:
        raise MXNetError(f"SequenceReverse: axis must be 0, not {axis}.")
    lengths = _checked(data, sequence_length, axis, use_sequence_length)
    if lengths is None:
        return data.flip(0)
    steps = torch.arange(data.shape[0], device=data.device).unsqueeze(1)
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return data[source, torch.arange(data.shape[1], device=data.device)]
