"""Normalisation: over the batch, over a sample, over groups of channels, over neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_batchnorm import batch_norm
from tensorkeep.mxnet.ops._nn_common import attached, floats_only, inconsistent, same_dtypes

_EPS_BN = 0.0010000000474974513
_EPS_BN_F = 0.00100000005
_EPS_LN = 9.99999975e-06
_MOMENTUM = 0.899999976

Outputs = Any
"""A tensor, or a tuple of them with output_mean_var."""
DTypes = tuple[Sequence[str | None], Sequence[str | None]]


def _seen(attrs: Attrs) -> int:
    return 3 if attrs.get("output_mean_var") else 1


def _channel(rank: int, axis: int) -> int:
    if not -rank <= axis < rank:
        raise MXNetError(f"Channel axis out of range: axis={axis}")
    return axis % rank


def _batch_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None] * _seen(attrs)
    channels = (data[_channel(len(data), attrs.get("axis", 1))],)
    for given in shapes[1:]:
        if given is not None and -1 not in (*given, *channels) and given != channels:
            raise inconsistent(given, channels)
    return [data, *[channels] * (len(shapes) - 1)], [data, channels, channels][: _seen(attrs)]


def _batch_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    """Parameters and statistics of halves are float32."""
    data = dtypes[0]
    others = "float32" if data in ("float16", "bfloat16") else data
    return [data, *[others] * (len(dtypes) - 1)], [data, others, others][: _seen(attrs)]


_NAMES = ("gamma", "beta", "moving_mean", "moving_var")
_FLOAT32 = torch.empty(0, dtype=torch.float32, device="meta")


def _same_kind(data: Tensor, *others: Tensor) -> None:
    dtype = data.dtype
    if dtype is torch.float32 or dtype is torch.float64:
        same_dtypes(_NAMES, data, *others)
    elif dtype is torch.float16 or dtype is torch.bfloat16:
        same_dtypes(_NAMES, _FLOAT32, *others)
    else:
        raise floats_only(data)


@operator("BatchNorm", outputs=3, visible=_seen, shape=_batch_shapes, dtype=_batch_dtypes)
def batch_normalization(
    data: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, *, eps: float = _EPS_BN,
    momentum: float = _MOMENTUM, fix_gamma: bool = True, use_global_stats: bool = False, output_mean_var: bool = False,
    axis: int = 1, is_train: bool = False,
) -> Outputs:  # fmt: skip
    """gamma · (data - mean) / sqrt(variance + eps) + beta, for each channel of `axis`.

    In training mean and variance are the batch's, and backward changes the moving ones in place:
    moving = momentum · moving + (1 - momentum) · batch, with the biased variance. Otherwise, or with use_global_stats,
    the moving ones are used. fix_gamma writes 1 into gamma, whose gradient then is 0. output_mean_var adds the mean and
    1 / sqrt(variance + eps). gamma and beta (C,) are float32 when data is float16.
    """
    _same_kind(data, gamma, beta, moving_mean, moving_var)
    moved = axis != 1
    if moved:
        axis = _channel(data.dim(), axis)
        data = data.movedim(axis, 1)
    batch = is_train and not use_global_stats
    out, mean, scale = batch_norm(data, gamma, beta, moving_mean, moving_var, eps, momentum, fix_gamma, batch)
    if moved:
        out = out.movedim(1, axis)
    if not output_mean_var:
        return out
    if mean is None or scale is None:
        return out, attached(moving_mean.detach().clone(), data), attached((moving_var.detach() + eps).rsqrt_(), data)
    return out, mean, scale


_WITH_MOMENTS = ("data", "gamma", "beta", "moving_mean", "moving_var")
"""What BatchNorm_v1 takes; its schema does not list the auxiliary states."""


@operator(
    "BatchNorm_v1", inputs=lambda _: _WITH_MOMENTS, outputs=3, visible=_seen, shape=_batch_shapes, dtype=_batch_dtypes
)
def batch_normalization_v1(
    data: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, *, eps: float = _EPS_BN_F,
    momentum: float = _MOMENTUM, fix_gamma: bool = True, use_global_stats: bool = False, output_mean_var: bool = False,
    is_train: bool = False,
) -> Outputs:  # fmt: skip
    """BatchNorm as old symbols have it; channels are axis 1, and output_mean_var adds the mean and the variance."""
    found = batch_normalization(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, output_mean_var=output_mean_var, is_train=is_train,
    )  # fmt: skip
    if not output_mean_var:
        return found
    out, mean, scale = found
    return out, mean, attached(scale.detach().pow(-2) - eps, data)


@operator("_contrib_SyncBatchNorm", outputs=3, visible=_seen, shape=_batch_shapes, dtype=_batch_dtypes)
def sync_batch_normalization(
    data: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, *, eps: float = _EPS_BN_F,
    momentum: float = _MOMENTUM, fix_gamma: bool = True, use_global_stats: bool = False, output_mean_var: bool = False,
    ndev: int = 1, key: str = "", is_train: bool = False,
) -> Outputs:  # fmt: skip
    """BatchNorm whose statistics are those of all devices' batches; here one device is all there is (ndev=1).

    output_mean_var adds the mean and the variance.
    """
    if ndev > 1 and is_train:
        raise MXNetError(
            f"SyncBatchNorm with ndev={ndev}: batches of several devices are not joined here. Put the whole batch on one "
            "device and say ndev=1."
        )
    return batch_normalization_v1(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, output_mean_var=output_mean_var, is_train=is_train,
    )  # fmt: skip


@operator("_contrib_BatchNormWithReLU", outputs=4, visible=_seen, shape=_batch_shapes, dtype=_batch_dtypes)
def batch_normalization_relu(
    data: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, *, eps: float = _EPS_BN,
    momentum: float = _MOMENTUM, fix_gamma: bool = True, use_global_stats: bool = False, output_mean_var: bool = False,
    axis: int = 1, is_train: bool = False,
) -> Outputs:  # fmt: skip
    """relu(BatchNorm(data)): negative results become 0."""
    found = batch_normalization(
        data, gamma, beta, moving_mean, moving_var, eps=eps, momentum=momentum, fix_gamma=fix_gamma,
        use_global_stats=use_global_stats, output_mean_var=output_mean_var, axis=axis, is_train=is_train,
    )  # fmt: skip
    if not output_mean_var:
        return torch.relu(found)
    return torch.relu(found[0]), *found[1:]


def _instance_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    if len(data) < 3:
        raise MXNetError("InstanceNorm: Input data should be at least 3D in (batch, channel, spatial)")
    for given in shapes[1:]:
        if given is not None and -1 not in (*given, data[1]) and given != (data[1],):
            raise inconsistent(given, (data[1],))
    return [data, (data[1],), (data[1],)], [data]


@operator("InstanceNorm", outputs=3, visible=1, shape=_instance_shapes)
def instance_norm(data: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = _EPS_BN_F) -> Tensor:
    """gamma · (data - mean) / sqrt(variance + eps) + beta over all but the first two axes of each sample.

    data (N, C, sizes…), gamma and beta (C,).
    """
    if data.dim() < 3:
        raise MXNetError("InstanceNorm: Input data should be at least 3D in (batch, channel, spatial)")
    same_dtypes(("gamma", "beta"), data, gamma, beta)
    return torch.instance_norm(data, gamma, beta, None, None, True, 0.0, eps, False)


def _layer_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None] * _seen(attrs)
    axis = _channel(len(data), attrs["axis"])
    for given in shapes[1:]:
        if given is not None and -1 not in (*given, data[axis]) and given != (data[axis],):
            raise inconsistent(given, (data[axis],))
    kept = (*data[:axis], 1, *data[axis + 1 :])
    return [data, (data[axis],), (data[axis],)], [data, kept, kept][: _seen(attrs)]


@operator("LayerNorm", outputs=3, visible=_seen, shape=_layer_shapes)
def layer_norm(
    data: Tensor, gamma: Tensor, beta: Tensor, *, axis: int = -1, eps: float = _EPS_LN, output_mean_var: bool = False
) -> Outputs:
    """gamma · (data - mean) / sqrt(variance + eps) + beta along `axis`; gamma and beta have the length of that axis.

    output_mean_var adds the means and the standard deviations, in which `axis` has the length 1.
    """
    axis = _channel(data.dim(), axis)
    same_dtypes(("gamma", "beta"), data, gamma, beta)
    moved = axis != data.dim() - 1
    lines = data.movedim(axis, -1) if moved else data
    if gamma.shape != lines.shape[-1:] or beta.shape != gamma.shape:
        raise inconsistent(gamma.shape if gamma.shape != lines.shape[-1:] else beta.shape, tuple(lines.shape[-1:]))
    out, mean, scale = torch.native_layer_norm(lines, lines.shape[-1:], gamma, beta, eps)
    if moved:
        out = out.movedim(-1, axis)
    if not output_mean_var:
        return out
    stats = [attached(t.detach().to(data.dtype), data) for t in (mean, 1 / scale)]
    return out, *[t.movedim(-1, axis) if moved else t for t in stats]


def _group_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, groups = shapes[0], attrs["num_groups"]
    if data is None:
        return shapes, [None] * _seen(attrs)
    _grouped(data, groups)
    for given in shapes[1:]:
        if given is not None and -1 not in given and given != (groups,):
            raise inconsistent(given, (groups,))
    stats = (data[0], groups)
    return [data, (groups,), (groups,)], [data, stats, stats][: _seen(attrs)]


def _grouped(shape: Sequence[int], groups: int) -> None:
    if len(shape) < 3:
        raise MXNetError("GroupNorm: input data should be at least 3D in (batch, channel, spatial)")
    if groups < 1 or (shape[1] >= 0 and shape[1] % groups):
        raise MXNetError("# of channels must be divisible by # of groups")


@operator("GroupNorm", outputs=3, visible=_seen, shape=_group_shapes)
def group_norm(
    data: Tensor, gamma: Tensor, beta: Tensor, *, num_groups: int = 1, eps: float = _EPS_LN,
    output_mean_var: bool = False,
) -> Outputs:  # fmt: skip
    """gamma · (data - mean) / sqrt(variance + eps) + beta over each of `num_groups` groups of channels.

    data (N, C, sizes…); gamma and beta (num_groups,). output_mean_var adds the means and the standard deviations,
    (N, num_groups).
    """
    _grouped(data.shape, num_groups)
    same_dtypes(("gamma", "beta"), data, gamma, beta)
    for given in (gamma, beta):
        if tuple(given.shape) != (num_groups,):
            raise inconsistent(given.shape, (num_groups,))
    samples, channels = data.shape[0], data.shape[1]
    each = channels // num_groups
    out, mean, scale = torch.native_group_norm(
        data.contiguous(), gamma.repeat_interleave(each), beta.repeat_interleave(each), samples, channels,
        prod(data.shape[2:]), num_groups, eps,
    )  # fmt: skip
    if not output_mean_var:
        return out
    stats = [attached(t.detach().to(data.dtype), data) for t in (mean, 1 / scale)]
    return out, *stats


_L2_EPS = 1.00000001e-10


@operator("L2Normalization", outputs=2, visible=1, shape="same")
def l2_normalization(data: Tensor, *, eps: float = _L2_EPS, mode: str = "instance") -> Tensor:
    """data / sqrt(sum of squares + eps).

    The sum goes over each sample (mode "instance"), over axis 1 ("channel") or over all but the first two axes
    ("spatial").
    """
    if data.dim() < (2 if mode == "instance" else 3):
        raise MXNetError("At lease 2 dimensions required" if mode == "instance" else "At lease 3 dimensions required")
    axes = [1] if mode == "channel" else list(range(1 if mode == "instance" else 2, data.dim()))
    return data / (data.square().sum(axes, keepdim=True) + eps).sqrt()


@operator("LRN", outputs=2, visible=1, shape="same")
def lrn(data: Tensor, *, nsize: int, alpha: float = 9.99999975e-05, beta: float = 0.75, knorm: float = 2.0) -> Tensor:
    """data / (knorm + alpha / nsize · sum of the squares of `nsize` neighbouring channels) ** beta; data (N, C, H, W)."""
    if data.dim() != 4:
        raise MXNetError("Input data should be 4D in batch-channel-y-x")
    if not nsize % 2:
        raise MXNetError("nsize must be odd")
    return torch.nn.functional.local_response_norm(data, nsize, alpha, beta, knorm)
