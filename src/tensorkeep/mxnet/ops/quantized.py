"""Operators on 8-bit values, as MXNet 1.9.1 computes them on a CPU (by oneDNN).

An array of int8 or uint8 comes with two arrays of one float32, the range (min, max) that its values stand for. Its real
values are q * max(|min|, |max|) / 127.5, of uint8 q * max(|min|, |max|) / 255.5; some operators use 127 and 255.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import DTypes, axis_of

Ranged = tuple[Tensor, Tensor, Tensor]
"""Values, min, max."""

_LEVELS = {torch.int8: 127.5, torch.uint8: 255.5}
"""What the largest real value is divided by (kInt8Range, kUint8Range)."""
_ONEDNN = {torch.int8: 127.0, torch.uint8: 255.0}
"""The same where oneDNN scales."""
_INT32 = float(2**31 - 1)
_NAMES = {"int8": torch.int8, "uint8": torch.uint8}


def _over(level: float, largest: Tensor) -> Tensor:
    """level / largest; torch would multiply with the reciprocal if the level were no tensor."""
    return torch.tensor(level, dtype=torch.float32, device=largest.device) / largest


def _f32(value: float, like: Tensor) -> Tensor:
    return torch.tensor(value, dtype=torch.float32, device=like.device)


def _one(value: Tensor) -> Tensor:
    return value.to(torch.float32).reshape(1)


def _largest(low: Tensor, high: Tensor) -> Tensor:
    """The largest magnitude in a range."""
    return torch.maximum(low.abs(), high.abs()).to(torch.float32)


def _bytes(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounded half to even, kept within the dtype."""
    limits = torch.iinfo(dtype if dtype in _LEVELS else torch.int8)
    return values.round().clamp(limits.min, limits.max).to(dtype)


def _refuse(data: Tensor, fits: bool, text: str) -> None:
    """Raise MXNetError unless the dtype fits; where only shapes are asked, it does not matter."""
    if not fits and data.device.type != "meta":
        raise MXNetError(text)


def _eight_bits(data: Tensor, op: str) -> None:
    _refuse(data, data.dtype in _LEVELS, f"Operator {op} is for int8 and uint8, not {data.dtype}")


def _three(first: str) -> Callable[[list[str | None], Attrs], DTypes]:
    """The rule for dtypes of an operator whose first output has the dtype `first`."""

    def rule(dtypes: list[str | None], attrs: Attrs) -> DTypes:
        return dtypes, [first, "float32", "float32"]

    return rule


def _as_first(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [dtypes[0], "float32", "float32"]


def _stated(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [_target(attrs["out_type"], attrs.get("min_calib_range")), "float32", "float32"]


def _target(out_type: str, low: float | None) -> str:
    """int8 or uint8; "auto" is uint8 when the calibrated range has no negative values."""
    if out_type != "auto":
        return out_type
    return "uint8" if low is not None and low >= 0 else "int8"


@operator("_contrib_quantize_v2", outputs=3, dtype=_stated)
def quantize_v2(
    data: Tensor, *, out_type: str = "int8", min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Ranged:  # fmt: skip
    """Float values as int8 or uint8, and the range that these stand for.

    Args:
        out_type: "int8", "uint8", or "auto": uint8 when min_calib_range is not negative.
        min_calib_range, max_calib_range: the range; without them that of the values.
    """
    if data.dtype in _LEVELS:
        largest = _LEVELS.get(data.dtype, 127.5)
        low = 0.0 if data.dtype is torch.uint8 else -largest
        return data.clone(), _f32(low, data).reshape(1), _f32(largest, data).reshape(1)
    if data.dtype is not torch.float32:
        raise MXNetError(f"Operator _contrib_quantize_v2 is for float32, int8 and uint8, not {data.dtype}")
    kind = _NAMES[_target(out_type, min_calib_range)]
    if min_calib_range is not None and max_calib_range is not None:
        low, high = _f32(min_calib_range, data), _f32(max_calib_range, data)
    else:
        low, high = data.detach().amin(), data.detach().amax()
    largest_value = _largest(low, high)
    if kind is torch.uint8:
        return _bytes(data.detach() * (_over(_LEVELS[kind], high)), kind), _one(low), _one(high)
    return (
        _bytes(data.detach() * (_over(_LEVELS[kind], largest_value)), kind),
        _one(-largest_value),
        _one(largest_value),
    )


@operator("_contrib_quantize", outputs=3, dtype=_stated)
def quantize(data: Tensor, min_range: Tensor, max_range: Tensor, *, out_type: str = "uint8") -> Ranged:
    """Float values as int8 or uint8 for a range that is given."""
    kind = _NAMES[out_type]
    largest = _largest(min_range, max_range)
    found = _bytes(data.detach() * (_over(_ONEDNN[kind], largest)), kind)
    if kind is torch.uint8:
        return found, _one(min_range), _one(max_range)
    return found, _one(-largest), _one(largest)


@operator("_contrib_dequantize", dtype="float32")
def dequantize(data: Tensor, min_range: Tensor, max_range: Tensor) -> Tensor:
    """The float values that int8 or uint8 values stand for."""
    _eight_bits(data, "_contrib_dequantize")
    return data.to(torch.float32) * (_largest(min_range, max_range) / _LEVELS.get(data.dtype, 127.5))


@operator("_contrib_requantize", outputs=3, dtype=_stated)
def requantize(
    data: Tensor, min_range: Tensor, max_range: Tensor, *, out_type: str = "int8",
    min_calib_range: float | None = None, max_calib_range: float | None = None,
) -> Ranged:  # fmt: skip
    """int32 sums as int8 or uint8 for a calibrated range."""
    _refuse(data, data.dtype is torch.int32, f"Operator _contrib_requantize is for int32, not {data.dtype}")
    if min_calib_range is None or max_calib_range is None:
        raise MXNetError(
            "Operator _contrib_requantize: without min_calib_range and max_calib_range MXNet's range is that of "
            "uninitialised memory; calibrate the model."
        )
    kind = _NAMES[_target(out_type, min_calib_range)]
    largest = max(abs(min_calib_range), abs(max_calib_range))
    scale = _largest(min_range, max_range) / _INT32 * _over(_ONEDNN[kind], _f32(largest, data))
    low = 0.0 if kind is torch.uint8 else -largest
    return _bytes(data.to(torch.float32) * scale, kind), _f32(low, data).reshape(1), _f32(largest, data).reshape(1)


@operator("_contrib_quantized_flatten", outputs=3, dtype=_as_first)
def quantized_flatten(data: Tensor, min_data: Tensor, max_data: Tensor) -> Ranged:
    """(N, …) as (N, K)."""
    _eight_bits(data, "_contrib_quantized_flatten")
    return data.flatten(1).clone(), _one(min_data), _one(max_data)


@operator("_contrib_quantized_act", outputs=3, dtype=_three("int8"))
def quantized_act(data: Tensor, min_data: Tensor, max_data: Tensor, *, act_type: str) -> Ranged:
    """Negative int8 values as 0: act_type="relu" is the only one."""
    if act_type != "relu":
        raise MXNetError("_contrib_quantized_act only supports act_type=relu for now")
    _refuse(data, data.dtype is torch.int8, f"Operator _contrib_quantized_act is for int8, not {data.dtype}")
    return data.clamp(min=0), _one(min_data), _one(max_data)


def _concat_inputs(attrs: Attrs) -> list[str]:
    count = attrs.get("num_args", 1)
    ranges = [f"arg{i}_{side}" for i in range(count) for side in ("min", "max")]
    return [f"arg{i}" for i in range(count)] + ranges


def _concat_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    kinds = dtypes[: attrs["num_args"]]
    found = None if None in kinds else "int8" if "int8" in kinds else "uint8"
    return dtypes, [found, "float32", "float32"]


@operator("_contrib_quantized_concat", inputs=_concat_inputs, outputs=3, dtype=_concat_dtypes)
def quantized_concat(*data: Tensor, num_args: int, dim: int = 1) -> Ranged:
    """Arrays one after the other, for their common range; data are all values, then min and max of each."""
    values = data[:num_args]
    lows, highs = torch.stack(data[num_args::2]).reshape(-1), torch.stack(data[num_args + 1 :: 2]).reshape(-1)
    for value in values:
        _eight_bits(value, "_contrib_quantized_concat")
    kind = torch.int8 if any(value.dtype is torch.int8 for value in values) else torch.uint8
    low, high = lows.amin(), highs.amax()
    wanted = _over(_ONEDNN[kind], _largest(low, high))
    parts = []
    for i, value in enumerate(values):
        own = _over(_ONEDNN.get(value.dtype, 127.0), _largest(lows[i], highs[i]))
        parts.append(_bytes(value.to(torch.float32) * (wanted / own), kind))
    return torch.cat(parts, axis_of(dim, values[0].dim(), "_contrib_quantized_concat")), _one(low), _one(high)


@operator("_contrib_quantized_pooling", outputs=3, dtype=_as_first)
def quantized_pooling(
    data: Tensor, min_data: Tensor, max_data: Tensor, *, kernel: tuple[int, ...] = (), pool_type: str = "max",
    global_pool: bool = False, pooling_convention: str = "valid", stride: tuple[int, ...] = (),
    pad: tuple[int, ...] = (), count_include_pad: bool | None = None,
) -> Ranged:  # fmt: skip
    """The largest or the mean value of each window of (N, C, H, W); the range stays."""
    _eight_bits(data, "_contrib_quantized_pooling")
    if data.dim() != 4 or pool_type not in ("max", "avg"):
        raise MXNetError("MKLDNNQuantizedPoolingForward only supports pool_type=max/avg of (N, C, H, W)")
    values = data.to(torch.float32)
    if global_pool:
        pooled = values.amax((2, 3), keepdim=True) if pool_type == "max" else values.mean((2, 3), keepdim=True)
    else:
        steps, border = stride or (1, 1), pad or (0, 0)
        ceil = pooling_convention == "full"
        if pool_type == "max":
            pooled = torch.nn.functional.max_pool2d(values, kernel, steps, border, ceil_mode=ceil)
        else:
            include = True if count_include_pad is None else count_include_pad
            pooled = torch.nn.functional.avg_pool2d(values, kernel, steps, border, ceil, include)
    return _bytes(pooled, data.dtype), _one(min_data), _one(max_data)


def _product_range(kind: torch.dtype, data: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The range of int32 sums of products, for the largest magnitudes of both factors."""
    largest = data / _ONEDNN.get(kind, 127.0) * (weight / _ONEDNN[torch.int8]) * _INT32
    return _one(-largest), _one(largest)


def _with_bias(*names: str) -> Callable[[Attrs], list[str]]:
    return taking(
        "data", "weight", "bias", "min_data", "max_data", "min_weight", "max_weight", "min_bias", "max_bias",
        **{name: lambda attrs: not attrs["no_bias"] for name in names},
    )  # fmt: skip


_BIAS = ("bias", "min_bias", "max_bias")


def _parts(arrays: tuple[Tensor, ...], no_bias: bool) -> tuple[Tensor | None, list[Tensor]]:
    """The bias, if there is one, and the ranges."""
    return (None, list(arrays)) if no_bias else (arrays[0], list(arrays[1:]))


@operator("_contrib_quantized_fully_connected", inputs=_with_bias(*_BIAS), outputs=3, dtype=_three("int32"))
def quantized_fully_connected(
    data: Tensor, weight: Tensor, *arrays: Tensor, num_hidden: int, no_bias: bool = False, flatten: bool = True
) -> Ranged:
    """data times the transposed int8 weight, plus the int8 bias, as int32 with its range."""
    _eight_bits(data, "_contrib_quantized_fully_connected")
    bias, ranges = _parts(arrays, no_bias)
    rows = data.flatten(1) if flatten else data
    # Products of bytes are below 2**16: float64 holds sums of 2**37 of them exactly.
    total = rows.to(torch.float64) @ weight.to(torch.float64).t()
    own, other = _largest(ranges[0], ranges[1]), _largest(ranges[2], ranges[3])
    if bias is not None:
        level = _over(_LEVELS.get(data.dtype, 127.5), own) * _over(_LEVELS[torch.int8], other)
        factor = level / _over(_LEVELS[torch.int8], _largest(ranges[4], ranges[5]))
        total = total + (bias.to(torch.float32) * factor).trunc()
    return total.to(torch.int32), *_product_range(data.dtype, own, other)


@operator("_contrib_quantized_conv", inputs=_with_bias(*_BIAS), outputs=3, dtype=_three("int32"))
def quantized_conv(
    data: Tensor, weight: Tensor, *arrays: Tensor, kernel: tuple[int, ...], num_filter: int,
    stride: tuple[int, ...] = (), dilate: tuple[int, ...] = (), pad: tuple[int, ...] = (), num_group: int = 1,
    no_bias: bool = False, layout: str | None = None,
) -> Ranged:  # fmt: skip
    """The convolution of uint8 data with an int8 weight, plus the bias as it is, as int32 with its range."""
    _refuse(data, data.dtype is torch.uint8, "mkldnn_quantized_conv op only supports uint8 as input type")
    if len(kernel) != 2 or layout not in (None, "NCHW"):
        raise MXNetError("_contrib_quantized_conv is for two dimensions and the layout NCHW")
    bias, ranges = _parts(arrays, no_bias)
    total = torch.nn.functional.conv2d(
        data.to(torch.float64), weight.to(torch.float64), None if bias is None else bias.to(torch.float64),
        stride or 1, pad or 0, dilate or 1, num_group,
    )  # fmt: skip
    own, other = _largest(ranges[0], ranges[1]), _largest(ranges[2], ranges[3])
    return total.to(torch.int32), *_product_range(torch.int8, own, other)


def _sum_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    if attrs.get("max_calib_range") is None:
        return dtypes, ["int32", "float32", "float32"]
    return dtypes, [dtypes[0], "float32", "float32"]


@operator("_contrib_quantized_elemwise_add", outputs=3, dtype=_sum_dtypes)
def quantized_elemwise_add(
    lhs: Tensor, rhs: Tensor, lhs_min: Tensor, lhs_max: Tensor, rhs_min: Tensor, rhs_max: Tensor, *,
    min_calib_range: float | None = None, max_calib_range: float | None = None,
) -> Ranged:  # fmt: skip
    """The sum of two int8 or two uint8: of their kind for a calibrated range, else int32 for the sum of both ranges."""
    _eight_bits(lhs, "_contrib_quantized_elemwise_add")
    if lhs.dtype is not rhs.dtype:
        raise MXNetError(f"Operator _contrib_quantized_elemwise_add: {lhs.dtype} and {rhs.dtype} are not added here")
    left, right = _largest(lhs_min, lhs_max), _largest(rhs_min, rhs_max)
    kind = torch.uint8 if lhs.dtype is torch.uint8 else torch.int8
    if min_calib_range is not None and max_calib_range is not None:
        low, high = _f32(min_calib_range, lhs), _f32(max_calib_range, lhs)
        per_unit = _over(_LEVELS[kind], _largest(low, high))
    else:
        high = left + right
        low, per_unit = -high, _over(_INT32, high)
    level = _LEVELS.get(lhs.dtype, 127.5)
    total = lhs.to(torch.float32) * (per_unit / _over(level, left))
    total = total + rhs.to(torch.float32) * (per_unit / _over(level, right))
    if max_calib_range is not None:
        return _bytes(total, kind), _one(low), _one(high)
    return total.to(torch.float64).round().clamp(-(2.0**31), _INT32).to(torch.int32), _one(low), _one(high)


@operator("_contrib_quantized_batch_norm", outputs=3, dtype=_three("int8"))
def quantized_batch_norm(
    data: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, min_data: Tensor,
    max_data: Tensor, *, eps: float = 1e-3, axis: int = 1, min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Ranged:  # fmt: skip
    """int8 values normalised with the moving mean and variance, as int8 for a calibrated range."""
    if min_calib_range is None or max_calib_range is None:
        raise MXNetError(
            "min_calib_range or max_calib_range is not available. Quantized BN currently don't support calib_mode=None"
        )
    _refuse(data, data.dtype is torch.int8, f"Operator _contrib_quantized_batch_norm is for int8, not {data.dtype}")
    own = _largest(min_data, max_data) / _LEVELS[torch.int8]
    low, high = _f32(min_calib_range, data), _f32(max_calib_range, data)
    wanted = _over(_LEVELS[torch.int8], _largest(low, high))
    scale = gamma / (moving_var + eps).sqrt()
    shape = [-1 if d == axis_of(axis, data.dim(), "_contrib_quantized_batch_norm") else 1 for d in range(data.dim())]
    # MXNet rescales to a variance of 1, to which oneDNN adds eps once more.
    factor = (scale * own * wanted / (1 + eps) ** 0.5).reshape(shape)
    shift = ((beta - moving_mean * scale) * wanted).reshape(shape)
    return _bytes(data.to(torch.float32) * factor + shift, torch.int8), _one(low), _one(high)
