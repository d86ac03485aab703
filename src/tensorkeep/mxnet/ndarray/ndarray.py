"""NDArray: MXNet's array, a thin wrapper around a torch tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import numpy_of, to_numpy, torch_of
from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, current_context

__all__ = ["NDArray", "array"]


class NDArray:
    """A multi-dimensional array of one dtype on one device.

    Attributes:
        _t: the torch tensor with the values; inside `autograd.record()` it carries the history.
        _ctx: the Context that is printed and saved.
        _grad: None, or the (NDArray, request) of `attach_grad`.
    """

    __slots__ = ("__weakref__", "_ctx", "_grad", "_t")
    __array_priority__ = 1000.0

    _t: torch.Tensor
    _ctx: Context
    _grad: Any

    def __init__(self, handle: Any, writable: bool = True) -> None:
        self._t = handle
        self._ctx = current_context()
        self._grad = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return tuple(self._t.shape)

    @property
    def dtype(self) -> Any:
        """NumPy's class of its elements: numpy.float32."""
        return numpy_of(self._t.dtype)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self._t.numel()

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return self._t.dim()

    @property
    def context(self) -> Context:
        """The device that it lies on."""
        return self._ctx

    ctx = context

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """A copy of its values as a NumPy array."""
        return to_numpy(self._t)

    def to_torch(self) -> torch.Tensor:
        """The torch tensor with its values, without a copy and without history: writes go both ways."""
        return self._t.detach()

    @property
    def grad(self) -> NDArray | None:
        """Where backward() puts its gradient; None without attach_grad()."""
        return self._grad[0] if self._grad else None

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Ask for its gradient: zeros now; backward() writes ("write"), adds ("add") or leaves it ("null")."""
        from tensorkeep.mxnet.autograd import mark_variables

        mark_variables(self, wrap(torch.zeros_like(self._t.detach()), self._ctx, type(self)), grad_req)

    def __add__(self, other: Any) -> Any:
        return _binary(self, other, _ADD, _PLUS)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return _binary(self, other, _MUL, _TIMES)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self._ctx}>"


_ADD, _PLUS = "broadcast_add", "_plus_scalar"
_MUL, _TIMES = "broadcast_mul", "_mul_scalar"


def _binary(left: NDArray, right: Any, arrays: str, scalar: str) -> Any:
    if isinstance(right, NDArray):
        return invoke(get(arrays), (left, right), None, None, NDArray)
    return invoke(get(scalar), (left,), {"scalar": right}, None, NDArray)


def array(source: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An NDArray with a copy of `source`: float32 unless `source` is an array with a dtype of its own."""
    ctx = ctx or current_context()
    if isinstance(source, NDArray):
        tensor = source._t.detach()
    elif isinstance(source, np.ndarray):
        tensor = torch.from_numpy(np.array(source, copy=True, order="C"))
    else:
        tensor = torch.from_numpy(np.array(source, dtype=np.float32))
    target = torch_of(dtype) if dtype is not None else tensor.dtype
    made: NDArray = wrap(tensor.to(ctx.torch_device, target, copy=True), ctx, NDArray)
    return made


claim(globals())
