"""mx.np's arrays from nothing: zeros, ones, arange, eye, windows and grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, operator
from tensorkeep.mxnet.base import MXNetError


def _declared(names: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return names, [attrs["dtype"]]


def _counted(value: Any, what: str) -> int:
    """The text of an optional number ("5", "None") as an int.

    Raises:
        MXNetError: it is none.
    """
    if value is None or value == "None":
        raise MXNetError(f"missing 1 required positional argument: '{what}'")
    return int(value)


@operator("_npi_zeros", dtype=_declared)
def zeros(*, shape: tuple[int, ...] = (), dtype: str = "float32", device: Any = None) -> Tensor:
    """Zeros of a shape."""
    return torch.zeros(shape, dtype=TORCH[dtype], device=device)


@operator("_npi_ones", dtype=_declared)
def ones(*, shape: tuple[int, ...] = (), dtype: str = "float32", device: Any = None) -> Tensor:
    """Ones of a shape."""
    return torch.ones(shape, dtype=TORCH[dtype], device=device)


@operator("_npi_full_like", shape="same", dtype=lambda names, attrs: (names, [attrs["dtype"] or names[0]]))
def full_like(a: Tensor, *, fill_value: float, dtype: str | None = None) -> Tensor:
    """An array of one value with the shape of `a`, and with its dtype unless another is said."""
    kind = a.dtype if dtype is None else TORCH[dtype]
    value: Any = fill_value if kind.is_floating_point else bool(fill_value) if kind is torch.bool else int(fill_value)
    return torch.full(a.shape, value, dtype=kind, device=a.device)


@operator("_npi_arange", dtype=_declared)
def arange(
    *, start: float, stop: float | None = None, step: float = 1.0, repeat: int = 1, infer_range: bool = False,
    dtype: str = "float32", device: Any = None,
) -> Tensor:  # fmt: skip
    """Evenly spaced values from start up to, without, stop; from 0 up to start without a stop."""
    if repeat != 1:
        raise MXNetError(f"_npi_arange only supports repeat=1, received {repeat}")
    if stop is None:
        start, stop = 0.0, start
    if step == 0:
        raise MXNetError("Invalid range (start, stop, step): step cannot be 0")
    count = max(0, math.ceil((stop - start) / step))
    kind = TORCH[dtype]
    if not kind.is_floating_point:
        # MXNet casts start and step to the dtype, then adds: arange(0, 2.5, 0.5, int) is all 0.
        start, step = int(start), int(step)
    return (torch.arange(count, device=device, dtype=torch.float64) * step + start).to(kind)


@operator("_npi_identity", dtype=_declared)
def identity(*, shape: tuple[int, ...] = (), dtype: str = "float32", device: Any = None) -> Tensor:
    """Ones on the diagonal of a square, zeros beside it."""
    return torch.eye(*shape, dtype=TORCH[dtype], device=device)


@operator("_npi_eye", dtype=_declared)
def eye(*, N: int, M: Any = None, k: int = 0, dtype: str = "float32", device: Any = None) -> Tensor:
    """Ones on the k-th diagonal of an N × M array, zeros beside it; M is N where it is not given."""
    columns = N if M in (None, "None") else int(M)
    row = torch.arange(N, device=device)[:, None]
    return (torch.arange(columns, device=device)[None, :] == row + k).to(TORCH[dtype])


@operator("_npi_logspace", dtype=_declared)
def logspace(
    *, start: float, stop: float, num: int, endpoint: bool = True, base: float = 10.0, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """`num` powers of `base`, their exponents evenly spaced from start to stop."""
    if num < 0:
        raise MXNetError(f"Number of sequence should be non-negative, received {num}")
    step = (stop - start) / ((num - 1 if endpoint else num) or 1)
    exponents = torch.arange(num, dtype=torch.float64, device=device) * step + start
    return torch.pow(torch.tensor(base, dtype=torch.float64), exponents).to(TORCH[dtype])


def _window(M: Any, dtype: str, device: Any, coefficients: tuple[float, ...]) -> Tensor:
    """A sum of cosines over M points: a0 - a1 cos(2πn / (M-1)) + a2 cos(4πn / (M-1))."""
    count = _counted(M, "M")
    if count < 1:
        return torch.zeros(0, dtype=TORCH[dtype], device=device)
    if count == 1:
        return torch.ones(1, dtype=TORCH[dtype], device=device)
    at = torch.arange(count, dtype=torch.float64, device=device) * (2 * math.pi / (count - 1))
    terms = [(-1) ** i * a * torch.cos(i * at) for i, a in enumerate(coefficients)]
    return torch.stack(terms).sum(0).to(TORCH[dtype])


@operator("_npi_hanning", dtype=_declared)
def hanning(*, M: Any = None, dtype: str = "float32", device: Any = None) -> Tensor:
    """The Hanning window of M points: a raised cosine that ends at 0."""
    return _window(M, dtype, device, (0.5, 0.5))


@operator("_npi_hamming", dtype=_declared)
def hamming(*, M: Any = None, dtype: str = "float32", device: Any = None) -> Tensor:
    """The Hamming window of M points: a raised cosine that ends at 0.08."""
    return _window(M, dtype, device, (0.54, 0.46))


@operator("_npi_blackman", dtype=_declared)
def blackman(*, M: Any = None, dtype: str = "float32", device: Any = None) -> Tensor:
    """The Blackman window of M points: three cosines, which end near 0."""
    return _window(M, dtype, device, (0.42, 0.5, 0.08))


@operator("_npi_indices", dtype=_declared)
def indices(*, dimensions: tuple[int, ...], dtype: str = "int32", device: Any = None) -> Tensor:
    """The position of each element of a grid: one row for each axis."""
    axes = [torch.arange(n, device=device) for n in dimensions]
    if not axes:
        return torch.zeros(0, dtype=TORCH[dtype], device=device)
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).to(TORCH[dtype])
