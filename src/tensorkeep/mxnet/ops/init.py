"""Arrays made from nothing, or from another array's shape."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like, same_dtype
from tensorkeep.mxnet.ops._shapes import DTypes, Shapes

Dims = tuple[int | None, ...]


def declared(dims: Dims | None) -> Shape:
    """The shape that a `shape` attribute declares: what it leaves open is -1, or None.

    Without NumPy semantics 0 stands for an unknown dimension and () for an unknown rank.
    """
    if dims is None or None in dims:
        return None
    known = tuple([d for d in dims if d is not None])
    if state.np_shape:
        return known
    return tuple([d if d > 0 else -1 for d in known]) or None


def _declared(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return [], [declared(attrs["shape"])]


def _dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return [], [attrs["dtype"]]


def _known(name: str, shape: Dims | None, dtype: str = "", device: torch.device | None = None) -> tuple[int, ...]:
    dims = declared(shape)
    if dims is None or min(dims, default=0) < 0:
        shown = "None" if dims is None else like(dims)
        more = f"dtype : {dtype}\nctx : {device.type}({device.index or 0})\n" if device is not None else ""
        raise MXNetError(
            f"Operator {name} inferring shapes failed.\ninput shapes:\noutput shapes:\n{shown}\n"
            f"operator attributes:\n{more}shape : {shape}\n"
        )
    return dims


@operator("_zeros", shape=_declared, dtype=_dtype)
def zeros(*, shape: Dims = (), dtype: str = "float32", device: torch.device) -> Tensor:
    """An array of zeros."""
    return torch.zeros(_known("_zeros", shape, dtype, device), dtype=TORCH[dtype], device=device)


@operator("_ones", shape=_declared, dtype=_dtype)
def ones(*, shape: Dims = (), dtype: str = "float32", device: torch.device) -> Tensor:
    """An array of ones."""
    return torch.ones(_known("_ones", shape, dtype, device), dtype=TORCH[dtype], device=device)


@operator("_full", shape=_declared, dtype=_dtype)
def full(*, shape: Dims | None = None, dtype: str = "float32", value: float, device: torch.device) -> Tensor:
    """An array filled with a number."""
    return torch.full(_known("_full", shape), _in(dtype, value), dtype=TORCH[dtype], device=device)


def _in(dtype: str, value: float) -> float:
    return value if "float" in dtype else int(value)


def _eye_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return [], [(attrs["N"], attrs["M"] or attrs["N"])]


@operator("_eye", shape=_eye_shapes, dtype=_dtype)
def eye(*, N: int, M: int = 0, k: int = 0, dtype: str = "float32", device: torch.device) -> Tensor:
    """A matrix of N rows and M columns (0: as many) with ones on diagonal k: 0 the main one, above it positive."""
    columns = M or N
    rows = torch.arange(N, device=device)[:, None]
    return (torch.arange(columns, device=device)[None, :] - rows == k).to(TORCH[dtype])


def _range(start: float, stop: float | None, step: float, repeat: int, infer_range: bool) -> tuple[float, int]:
    """(start, length) of _arange; length -1 when it follows from elsewhere."""
    if step == 0:
        raise MXNetError("Range does not support step=0, received 0")
    if repeat < 1:
        raise MXNetError(f"repeat must be at least 1, received {repeat}")
    if stop is None:
        if infer_range:
            return start, -1
        start, stop = 0.0, start
    if (stop - start) * step <= 0:
        raise MXNetError(f"Invalid range (start, stop, step) = ({start:g},{stop:g},{step:g})")
    return start, ceil((stop - start) / step) * repeat


def _steps(start: float, step: float, repeat: int, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """start + i // repeat * step for `length` i, computed in the dtype, which cuts both off unless it is a wide float."""
    if dtype not in (torch.float32, torch.float64):
        start, step = int(start), int(step)
    count = torch.arange(length, device=device)
    if repeat != 1:
        count = torch.div(count, repeat, rounding_mode="floor")
    return count.to(dtype) * step + start


def _arange_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    _, length = _range(*[attrs[key] for key in ("start", "stop", "step", "repeat", "infer_range")])
    return [], [(length,)]


@operator("_arange", shape=_arange_shapes, dtype=_dtype)
def arange(
    *, start: float, stop: float | None = None, step: float = 1.0, repeat: int = 1, infer_range: bool = False,
    dtype: str = "float32", device: torch.device, out: Tensor | None = None, shape: tuple[int, ...] | None = None,
) -> Tensor:  # fmt: skip
    """The numbers from start up to, not including, stop, each `repeat` times.

    One number counts from 0 to it. infer_range: the length follows from the array that the numbers go to (out=), in a
    network from those that they meet.
    """
    start, length = _range(start, stop, step, repeat, infer_range)
    if length < 0:
        if out is not None:
            length = out.numel()
        elif shape is not None:
            length = shape[0]
        else:
            raise MXNetError(
                "Operator _arange inferring shapes failed.\ninput shapes:\noutput shapes:\nNone\n"
                f"operator attributes:\ninfer_range : True\nstart : {start:g}\n"
            )
    return _steps(start, step, repeat, length, TORCH[dtype], device)


def _linspace_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return [], [(attrs["num"],)]


@operator("_linspace", shape=_linspace_shapes, dtype=_dtype)
def linspace(
    *, start: float, stop: float, num: int, endpoint: bool = True, dtype: str = "float32", device: torch.device
) -> Tensor:
    """`num` numbers at equal distances from start to stop, which is the last one unless endpoint=False."""
    if num < 0:
        raise MXNetError(f"Number of sequence should be non-negative, received {num}")
    spaces = num - 1 if endpoint else num
    step = (stop - start) / spaces if spaces else 0.0
    found = torch.arange(num, dtype=torch.float64, device=device) * step + start
    if endpoint and num > 1:
        found[-1] = stop
    return found.to(TORCH[dtype])


@operator("zeros_like", shape="same")
def zeros_like(data: Tensor) -> Tensor:
    """Zeros of the shape and dtype of data."""
    return torch.zeros_like(data)


@operator("ones_like", shape="same")
def ones_like(data: Tensor) -> Tensor:
    """Ones of the shape and dtype of data."""
    return torch.ones_like(data)


def _int64(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, ["int64"]


@operator(
    "shape_array",
    shape=lambda shapes, attrs: (shapes, [None if s is None else (len(s),) for s in shapes]),
    dtype=_int64,
)
def shape_array(data: Tensor) -> Tensor:
    """The shape of data as an array of int64."""
    return torch.tensor(tuple(data.shape), dtype=torch.int64, device=data.device)


@operator("size_array", shape=lambda shapes, attrs: (shapes, [(1,)]), dtype=_int64)
def size_array(data: Tensor) -> Tensor:
    """How many elements data has, as an array of int64."""
    return torch.tensor([data.numel()], dtype=torch.int64, device=data.device)


def _arange_like_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    data, axis = shapes[0], attrs["axis"]
    return shapes, [data if data is None or axis is None else (data[axis],)]


@operator("_contrib_arange_like", shape=_arange_like_shapes)
def arange_like(
    data: Tensor, *, start: float = 0.0, step: float = 1.0, repeat: int = 1, axis: int | None = None
) -> Tensor:
    """Numbers from start by steps, each `repeat` times: as many as data has elements, or is long along an axis."""
    if axis is not None and not -data.dim() <= axis < data.dim():
        raise MXNetError(f"axis {axis} exceeds the input dimension of {data.dim()}")
    length = data.numel() if axis is None else data.shape[axis]
    found = _steps(start, step, repeat, length, data.dtype, data.device)
    return found.reshape(data.shape) if axis is None else found


@operator("_set_value")
def set_value(*, src: float = 0.0, device: torch.device, out: Tensor | None = None) -> Tensor:
    """The array given as out= filled with a number."""
    if out is None:
        raise MXNetError("Set value target must not be empty")
    return torch.full_like(out, _in(str(out.dtype), src))


def _fits_rows(rows: Tensor, *indices: Tensor) -> None:
    if rows.dim() != 2 or any(tuple(index.shape) != (rows.shape[0],) for index in indices):
        raise MXNetError(f"{like(rows.shape)} must be a matrix with a row for each of {like(indices[0].shape)}")


@operator("_onehot_encode", shape=lambda shapes, attrs: (shapes, [shapes[1]]), dtype=lambda d, attrs: (d, [d[1]]))
def onehot_encode(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Rows of zeros like those of rhs, with 1 in the column that lhs names."""
    _fits_rows(rhs, lhs)
    return torch.zeros_like(rhs).scatter_(1, lhs.long()[:, None], 1)


@operator("fill_element_0index", shape=lambda shapes, attrs: (shapes, [shapes[0]]))
def fill_element_0index(lhs: Tensor, mhs: Tensor, rhs: Tensor) -> Tensor:
    """A copy of the matrix lhs, in each row of which the column that rhs names holds the element of mhs."""
    _fits_rows(lhs, mhs, rhs)
    return lhs.scatter(1, rhs.long()[:, None], mhs[:, None])


def _edges(text: str) -> tuple[float, float]:
    parts = text.strip("()[] ").split(",")
    if len(parts) != 2:
        raise MXNetError(f"range must be two numbers, but it is {text}")
    return float(parts[0]), float(parts[1])


def _histogram_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    count = attrs["bin_cnt"]
    if count is not None:
        return shapes, [(count,), (count + 1,)]
    bins = shapes[1]
    return shapes, [None, None] if bins is None else [(bins[0] - 1,), bins]


@operator(
    "_histogram", inputs=taking("data", "bins", bins=lambda a: a["bin_cnt"] is None), outputs=2,
    shape=_histogram_shapes, dtype=lambda d, attrs: (d, ["int64", d[0]]),
)  # fmt: skip
def histogram(
    data: Tensor, bins: Tensor | None = None, *, bin_cnt: int | None = None, range: str | None = None
) -> tuple[Tensor, Tensor]:
    """How many elements fall into each bin, as int64, and the edges of the bins; the last bin has its right edge.

    bins: their ascending edges. bin_cnt and range: as many bins of equal width between two numbers, "(0, 1)".
    """
    if (bin_cnt is None) != (range is None) or (bins is None) == (bin_cnt is None):
        raise MXNetError("cnt and range should both or neither specified")
    if bin_cnt is not None and range is not None:
        low, high = _edges(range)
        if low > high:
            raise MXNetError(
                f"left hand side of range({low:g})should be less than or equal to right hand side({high:g})"
            )
        if bin_cnt < 1:
            raise MXNetError(f"bin_cnt must be at least 1, but it is {bin_cnt}")
        width = torch.arange(bin_cnt + 1, dtype=torch.float64, device=data.device) * (high - low) / bin_cnt
        bins = (width + low).to(data.dtype)
    assert bins is not None
    same_dtype(data, bins)
    flat = data.detach().flatten()
    at = torch.searchsorted(bins.contiguous(), flat, right=True) - 1
    last = bins.numel() - 1
    at = torch.where(flat == bins[-1], last - 1, at)
    inside = (at >= 0) & (at < last) & (flat <= bins[-1])
    counts = torch.zeros(last, dtype=torch.int64, device=data.device)
    return counts.scatter_add_(0, at.clamp(0, last - 1), inside.long()), bins.clone()
