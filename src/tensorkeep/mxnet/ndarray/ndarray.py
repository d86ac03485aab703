"""NDArray: MXNet's array, a thin wrapper around a torch tensor."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import numpy_of, to_numpy, torch_of
from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, current_context
from tensorkeep.mxnet.ndarray._arithmetic import add_operators, binary
from tensorkeep.mxnet.ndarray._fluent import METHODS, add_methods
from tensorkeep.mxnet.ndarray._indexing import getitem, setitem
from tensorkeep.mxnet.ndarray._shapes import reshaped

__all__ = [
    "NDArray", "add", "divide", "equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "modulo", "multiply", "not_equal", "power", "subtract",
    "true_divide",
]  # fmt: skip


class NDArray:
    """A multi-dimensional array of one dtype on one device.

    Attributes:
        _t: the torch tensor with the values; inside `autograd.record()` it carries the history.
        _ctx: the Context that is printed and saved.
        _grad: None, or [NDArray, request, whether backward() wrote it] of `attach_grad`.
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

    @property
    def stype(self) -> str:
        """How it is stored: "default", "row_sparse" or "csr"."""
        return "default"

    @property
    def T(self) -> Any:
        """Its axes in the other order."""
        return self if self._t.dim() < 2 else self.transpose()  # type: ignore[attr-defined]  # a fluent method

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """A copy of its values as a NumPy array."""
        return to_numpy(self._t)

    def asscalar(self) -> Any:
        """Its only value as a NumPy scalar.

        Raises:
            ValueError: it has not exactly one.
        """
        if self._t.numel() != 1:
            raise ValueError("The current array is not a scalar")
        return self.asnumpy().reshape(-1)[0]

    def to_torch(self) -> torch.Tensor:
        """The torch tensor with its values, without a copy and without history: writes go both ways."""
        return self._t.detach()

    def wait_to_read(self) -> None:
        """Wait until its values are computed."""
        if self._t.device.type == "cuda":
            torch.cuda.synchronize(self._t.device)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """A copy with another dtype; the array itself when copy=False and the dtype is its own."""
        target = torch_of(dtype)
        if not copy and target is self._t.dtype:
            return self
        return self._like(_recorded(self._t).to(target, copy=True), self._ctx)

    def copyto(self, other: NDArray | Context) -> Any:
        """Its values in another array of the same shape, which is returned, or in a new one on a device."""
        if isinstance(other, NDArray):
            if other is self:
                warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
                return False
            return invoke(get("_copyto"), (self,), None, other, type(self))
        if isinstance(other, Context):
            return self._like(_recorded(self._t).to(other.torch_device, copy=True), other)
        raise TypeError(f"copyto does not support type {type(other)}")

    def copy(self) -> NDArray:
        """A copy on the same device."""
        return self.copyto(self._ctx)

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself if it lies on that device, else a copy there."""
        return self if self._ctx == context else self.copyto(context)

    def as_nd_ndarray(self) -> NDArray:
        """The same memory as an NDArray."""
        return self

    def as_np_ndarray(self) -> Any:
        """The same memory as an mx.np.ndarray."""
        from tensorkeep.mxnet.numpy import ndarray

        return self._cast(ndarray)

    def _cast(self, cls: Any) -> Any:
        array = wrap(self._t, self._ctx, cls)
        array._grad = self._grad
        return array

    def _like(self, tensor: torch.Tensor, ctx: Context) -> Any:
        return wrap(tensor, ctx, type(self))

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """The same memory in another shape; the codes 0, -1, -2, -3, -4 are those of the operator Reshape."""
        if not self._t.is_contiguous():
            self._t = self._t.contiguous()
        tensor = _recorded(self._t)
        return self._like(tensor.view(reshaped(tensor, shape, kwargs)), self._ctx)

    def detach(self) -> NDArray:
        """The same memory without history and gradient."""
        return self._like(self._t.detach(), self._ctx)

    @property
    def grad(self) -> NDArray | None:
        """Where backward() puts its gradient; None without attach_grad()."""
        return self._grad[0] if self._grad else None

    @property
    def _fresh_grad(self) -> bool:
        """Whether backward() wrote its gradient since this was last set to False; gluon.Trainer does so."""
        return bool(self._grad and self._grad[2])

    @_fresh_grad.setter
    def _fresh_grad(self, fresh: bool) -> None:
        if self._grad:
            self._grad[2] = fresh

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Ask for its gradient: zeros now; backward() writes ("write"), adds ("add") or leaves it ("null")."""
        from tensorkeep.mxnet.autograd import mark_variables

        mark_variables(self, self._like(torch.zeros_like(self._t.detach()), self._ctx), grad_req)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Compute the gradients of what this array was computed from."""
        from tensorkeep.mxnet.autograd import backward

        backward([self], None if out_grad is None else [out_grad], retain_graph, train_mode)

    def __getitem__(self, key: Any) -> Any:
        found = getitem(_recorded(self._t), key)
        return self if found is self._t else self._like(found, self._ctx)

    def __setitem__(self, key: Any, value: Any) -> None:
        setitem(self, key, value)

    def __len__(self) -> int:
        return self._t.shape[0]

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __bool__(self) -> bool:
        count = self._t.numel()
        if count > 1:
            raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")
        return bool(count and self._t.item())

    def __hash__(self) -> int:
        return id(self) // 16

    def __neg__(self) -> Any:
        return multiply(self, -1.0)

    def __abs__(self) -> Any:
        return self.abs()  # type: ignore[attr-defined]  # a fluent method

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self._ctx}>"


def _recorded(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with its history while recording, without otherwise."""
    return tensor if state.recording or not tensor.requires_grad else tensor.detach()


add = binary("add", NDArray)
divide = binary("divide", NDArray)
equal = binary("equal", NDArray)
greater = binary("greater", NDArray)
greater_equal = binary("greater_equal", NDArray)
lesser = binary("lesser", NDArray)
lesser_equal = binary("lesser_equal", NDArray)
logical_and = binary("logical_and", NDArray)
logical_or = binary("logical_or", NDArray)
logical_xor = binary("logical_xor", NDArray)
maximum = binary("maximum", NDArray)
minimum = binary("minimum", NDArray)
modulo = binary("modulo", NDArray)
multiply = binary("multiply", NDArray)
not_equal = binary("not_equal", NDArray)
power = binary("power", NDArray)
subtract = binary("subtract", NDArray)
true_divide = divide

add_operators(NDArray, globals())
add_methods(NDArray, lambda op, inputs, attrs, out, name: invoke(op, inputs, attrs, out, NDArray), METHODS)


def __getattr__(name: str) -> Any:
    # MXNet defines array(), zeros() and so on in this module.
    if name.startswith("__"):
        raise AttributeError(name)
    from tensorkeep.mxnet import ndarray

    return getattr(ndarray, name)


claim(globals())
