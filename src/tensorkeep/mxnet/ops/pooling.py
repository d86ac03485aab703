"""Pooling: the largest, the mean, the sum or the norm of each window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import channels_first, channels_last, one_per_kernel

Dims = tuple[int, ...]

_LAST = ("NWC", "NHWC", "NDHWC")
_POOLS: dict[str, dict[int, Callable[..., Any]]] = {
    "max": {1: torch.max_pool1d, 2: torch.max_pool2d, 3: torch.max_pool3d},
    "avg": {1: torch.nn.functional.avg_pool1d, 2: torch.nn.functional.avg_pool2d, 3: torch.nn.functional.avg_pool3d},
}
_RANKS = (
    "Pooling: Input data should be  3D in (batch, channel, x) Or 4D in (batch, channel, y, x)  "
    "Or 5D in (batch, channel, d, y, x)"
)
_LOWEST = {torch.float16: -65504.0, torch.float32: -3.4028234663852886e38, torch.float64: -1.7976931348623157e308}


def _count(size: int, kernel: int, stride: int, pad: int, convention: str) -> int:
    """How many windows a line of `size` elements has."""
    if size < 0:
        return -1
    if convention == "same":
        return -(-size // stride)
    padded = size + 2 * pad - kernel
    return 1 + (-(-padded // stride) if convention == "full" else padded // stride)


def _checked(kernel: Dims, stride: Dims, pad: Dims, sizes: Sequence[int], convention: str) -> None:
    if len(kernel) not in (1, 2, 3):
        raise MXNetError(f"kernel of {len(kernel)} dimensions; pooling has one, two or three.")
    if convention == "same" and (len(kernel) > 1 or any(pad)):
        raise MXNetError("Same pooling convention disables the use of pad parameter, and is for one dimension.")
    if len(sizes) != len(kernel):
        raise MXNetError(
            f"Pooling: Input data should be  {len(kernel) + 2}D in "
            f"{('(batch, channel, x)', '(batch, channel, y, x)', '(batch, channel, d, y, x)')[len(kernel) - 1]}"
        )
    pad = pad[: len(kernel)]  # MXNet looks at no more of it
    one_per_kernel(kernel, stride=stride, pad=pad)
    for size, k, p in zip(sizes, kernel, pad or (0,) * len(kernel), strict=True):
        if 0 <= size < k - 2 * p and convention != "same":
            raise MXNetError(f"kernel size ({k}) exceeds input ({size} padded to {size + 2 * p})")


def _pool_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    if not 3 <= len(data) <= 5:
        raise MXNetError(_RANKS)
    last = attrs.get("layout") in _LAST
    sizes = data[1:-1] if last else data[2:]
    if attrs["global_pool"]:
        out: list[int] = [1] * len(sizes)
    else:
        kernel, stride, pad = attrs["kernel"], attrs["stride"], attrs["pad"]
        _checked(kernel, stride, pad, sizes, attrs["pooling_convention"])
        out = [
            _count(s, k, stride[i] if stride else 1, pad[i] if pad else 0, attrs["pooling_convention"])
            for i, (s, k) in enumerate(zip(sizes, kernel, strict=True))
        ]
    return shapes, [(data[0], *out, data[-1]) if last else (data[0], data[1], *out)]


def _outputs(attrs: Attrs) -> int:
    """oneDNN's maximum, which MXNet takes for kernels with their channels first, has a workspace that no caller sees."""
    return 2 if attrs["pool_type"] == "max" and attrs["kernel"] and attrs["layout"] not in _LAST else 1


@operator("Pooling", outputs=_outputs, visible=1, shape=_pool_shapes)
def pooling(
    data: Tensor, *, kernel: Dims = (), pool_type: str = "max", global_pool: bool = False,
    pooling_convention: str = "valid", stride: Dims = (), pad: Dims = (), p_value: int | None = None,
    count_include_pad: bool | None = None, layout: str | None = None,
) -> Tensor:  # fmt: skip
    """The max, avg, sum or lp norm of each window of data (N, C, sizes…), or (N, sizes…, C) with such a layout.

    global_pool: one window, everything; kernel, stride and pad are ignored. pooling_convention: "valid" drops an
    incomplete last window, "full" keeps it, "same" (one dimension, max only) has ceil(size / stride) of them.
    count_include_pad=False: zeros of the padding do not count in an avg. p_value: lp is the p-th root of the sum of
    p-th powers, with their signs; 1 to 3.
    """
    if layout is not None and len(layout) != data.dim():
        raise MXNetError(f"Need {data.dim() - 2}D layout")
    if layout in _LAST:
        data = channels_first(data)
    if global_pool:
        found = _global(data, pool_type, p_value)
    else:
        found = _windows(data, kernel, pool_type, pooling_convention, stride, pad, p_value, count_include_pad)
    return channels_last(found) if layout in _LAST else found


@operator("Pooling_v1", shape=_pool_shapes)
def pooling_v1(
    data: Tensor, *, kernel: Dims = (), pool_type: str = "max", global_pool: bool = False,
    pooling_convention: str = "valid", stride: Dims = (), pad: Dims = (),
) -> Tensor:  # fmt: skip
    """Pooling as old symbols have it: max, avg or sum of each window of data (N, C, H, W)."""
    if global_pool:
        return _global(data, pool_type, None)
    if pool_type == "avg":  # of the whole window, whatever of it lies outside
        return _windows(data, kernel, "sum", pooling_convention, stride, pad, None, None) / prod(kernel)
    return _windows(data, kernel, pool_type, pooling_convention, stride, pad, None, None)


def _global(data: Tensor, kind: str, p: int | None) -> Tensor:
    if not 3 <= data.dim() <= 5:
        raise MXNetError(_RANKS)
    axes = list(range(2, data.dim()))
    if kind == "max":
        return torch.nn.functional.adaptive_max_pool3d(data, 1) if data.dim() == 5 else _flat_max(data)
    if kind == "avg":
        return data.mean(axes, keepdim=True)
    return data.sum(axes, keepdim=True) if kind == "sum" else _root(_power(data, p).sum(axes, keepdim=True), p)


def _flat_max(data: Tensor) -> Tensor:
    return torch.max(data.flatten(2), 2, keepdim=True)[0].reshape(*data.shape[:2], *[1] * (data.dim() - 2))


def _power(data: Tensor, p: int | None) -> Tensor:
    if p not in (1, 2, 3):
        raise MXNetError("p_value must be 1, 2 or 3 when pool_type is lp.")
    return data if p == 1 else data * data if p == 2 else data * data * data


def _root(data: Tensor, p: int | None) -> Tensor:
    return data if p == 1 else data.sqrt() if p == 2 else data.sign() * data.abs().pow(1 / 3)


def _windows(
    data: Tensor, kernel: Dims, kind: str, convention: str, stride: Dims, pad: Dims, p: int | None,
    include: bool | None,
) -> Tensor:  # fmt: skip
    rank = len(kernel)
    sizes = data.shape[2:]
    _checked(kernel, stride, pad, sizes, convention)
    step, edge = stride or (1,) * rank, pad[:rank] or (0,) * rank
    full = convention == "full"
    padding: list[tuple[int, int]] = []  # what torch cannot do itself is padded by hand, before and behind
    for size, k, s, e in zip(sizes, kernel, step, edge, strict=True):
        count = _count(size, k, s, e, convention)
        lone = full and (count - 1) * s >= size + e  # MXNet keeps a window that begins in the padding, torch does not
        if lone or 2 * e > k or convention == "same":
            padding.append((e, max((count - 1) * s + k - size - e, 0)))
    if kind == "max":
        if not padding:
            return _POOLS[kind][rank](data, kernel, step, edge, 1, full)
        data = _padded(data, kernel, step, edge, convention, _LOWEST.get(data.dtype, float("-inf")))
        return _POOLS[kind][rank](data, kernel, step)
    if kind == "avg":
        if not padding:
            return _POOLS[kind][rank](data, kernel, step, edge, full, include is not False)
        return _padded_mean(data, kernel, step, edge, convention, include is not False)
    summed = _power(data, p) if kind == "lp" else data
    found = _POOLS["avg"][rank](_padded(summed, kernel, step, edge, convention, 0.0), kernel, step) * prod(kernel)
    return _root(found, p) if kind == "lp" else found


def _padded(data: Tensor, kernel: Dims, step: Dims, edge: Dims, convention: str, value: float) -> Tensor:
    """data with everything around it that the windows reach."""
    widths: list[int] = []
    for size, k, s, e in zip(reversed(data.shape[2:]), reversed(kernel), reversed(step), reversed(edge), strict=True):
        count = _count(size, k, s, e, convention)
        widths += [e, (count - 1) * s + k - size - e]
    return torch.nn.functional.pad(data, widths, value=value) if any(widths) else data


def _padded_mean(data: Tensor, kernel: Dims, step: Dims, edge: Dims, convention: str, include: bool) -> Tensor:
    rank = len(kernel)
    total = _POOLS["avg"][rank](_padded(data, kernel, step, edge, convention, 0.0), kernel, step)
    shares = torch.ones((), dtype=data.dtype, device=data.device)
    for i, (size, k, s, e) in enumerate(zip(data.shape[2:], kernel, step, edge, strict=True)):
        starts = torch.arange(_count(size, k, s, e, convention), device=data.device) * s - e
        low, high = (0, size) if not include else (-e, size + e)
        counted = ((starts + k).clamp(max=high) - starts.clamp(min=low)).clamp(min=0 if not include else 1)
        shares = shares * (counted.to(data.dtype) / k).reshape(-1, *[1] * (rank - 1 - i))
    return torch.where(shares > 0, total / shares, torch.zeros((), dtype=data.dtype, device=data.device))


def _adaptive_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, size = shapes[0], attrs["output_size"]
    if data is None:
        return shapes, [None]
    if len(data) != 4:
        raise MXNetError("Input data should be 4D in (batch, channel, y, x)")
    return shapes, [(*data[:2], *(size * 2 if len(size) == 1 else size or (1, 1)))]


@operator("_contrib_AdaptiveAvgPooling2D", shape=_adaptive_shapes)
def adaptive_avg_pooling(data: Tensor, *, output_size: Dims = ()) -> Tensor:
    """The mean of as many windows as `output_size` has: (height, width), one number for both, or nothing for 1."""
    if data.dim() != 4:
        raise MXNetError("Input data should be 4D in (batch, channel, y, x)")
    if len(output_size) > 2:
        raise MXNetError(f"output_size {output_size} has more than two numbers.")
    size = output_size * 2 if len(output_size) == 1 else output_size or (1, 1)
    return torch.nn.functional.adaptive_avg_pool2d(data, size)
