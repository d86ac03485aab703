"""NDArray: MXNet's array, a thin wrapper around a torch tensor."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import numpy_of, to_numpy, torch_of
from tensorkeep.mxnet._history import carried, shadows
from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._registry import Operator, get
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import Context, current_context
from tensorkeep.mxnet.dlpack import to_dlpack_for_read, to_dlpack_for_write
from tensorkeep.mxnet.ndarray._arithmetic import add_operators, binary
from tensorkeep.mxnet.ndarray._fluent import METHODS, add_methods
from tensorkeep.mxnet.ndarray._indexing import assign, getitem, setitem
from tensorkeep.mxnet.ndarray._shapes import reshaped, squeezed

__all__ = [
    "NDArray", "add", "divide", "equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "modulo", "multiply", "not_equal", "power", "subtract",
    "true_divide",
]  # fmt: skip

py_slice = slice
_STORAGE_TYPE_STR_TO_ID = {"undefined": -1, "default": 0, "row_sparse": 1, "csr": 2}
"""The number of a storage type in files and in MXNet's C interface."""


class NDArray:
    """A multi-dimensional array of one dtype on one device.

    Attributes:
        _t: the torch tensor with the values; inside `autograd.record()` it carries the history.
        _ctx: the Context that is printed and saved.
        _grad: None, or [NDArray, request, whether backward() wrote it, when] of `attach_grad`.
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
        return self if self._t.dim() < 2 else _operator("transpose", self)

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

    def item(self) -> Any:
        """Its only value as a Python number."""
        if self._t.numel() != 1:
            raise ValueError("The current array is not a scalar")
        return self._t.item()

    def wait_to_read(self) -> None:
        """Wait until its values are computed."""
        if self._t.device.type == "cuda":
            torch.cuda.synchronize(self._t.device)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """A copy with another dtype; the array itself when copy=False and the dtype is its own."""
        target = torch_of(dtype)
        if not copy and target is self._t.dtype:
            return self
        source = _recorded(self._t)
        found = source.to(target, copy=True)
        if state.recording and not found.requires_grad and (shadows or source.requires_grad):
            found = carried(source, found, torch.Tensor.double)
        return self._like(found, self._ctx)

    def copyto(self, other: NDArray | Context) -> Any:
        """Its values in another array of the same shape, which is returned, or in a new one on a device.

        Raises:
            MXNetError: the other array has another shape, or is recorded.
        """
        if isinstance(other, NDArray):
            if other is self:
                warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
                return False
            if other.shape != self.shape:
                raise MXNetError(
                    "Operator _copyto: Incompatible attr in node  at 0-th output: expected "
                    f"{list(other.shape)}, got {list(self.shape)}"
                )
            if other.stype == "default":
                assign(other, self, torch.Tensor.copy_)
            else:
                other[:] = self
            return other
        if isinstance(other, Context):
            return self._like(_recorded(self._t).to(other.torch_device, copy=True), other)
        raise TypeError(f"copyto does not support type {type(other)}")

    def copy(self) -> Any:
        """A copy on the same device."""
        return self.copyto(self._ctx)

    def as_in_context(self, context: Context) -> Any:
        """The array itself if it lies on that device, else a copy there."""
        return self if self._ctx == context else self.copyto(context)

    def as_nd_ndarray(self) -> NDArray:
        """The same memory as an NDArray."""
        return self

    def as_np_ndarray(self) -> Any:
        """The same memory as an mx.np.ndarray.

        Raises:
            ValueError: it is sparse.
        """
        from tensorkeep.mxnet.numpy import ndarray

        if self.stype != "default":
            raise ValueError(f"cannot convert ndarray of stype {type(self.stype)} to numpy ndarray")
        return self._cast(ndarray)

    def tostype(self, stype: str) -> Any:
        """Its values in another storage type: "default", "row_sparse" or "csr".

        Raises:
            ValueError: to csr from something that is no matrix.
        """
        if stype == "default":
            return self._like(_recorded(self._t).clone(), self._ctx)
        from tensorkeep.mxnet.ndarray.sparse import to_sparse

        return to_sparse(self, stype)

    def _cast(self, cls: Any) -> Any:
        array = wrap(self._t, self._ctx, cls)
        array._grad = self._grad
        return array

    def _like(self, tensor: torch.Tensor, ctx: Context) -> Any:
        return wrap(tensor, ctx, type(self))

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """The same memory in another shape; the codes 0, -1, -2, -3, -4 are those of the operator Reshape."""
        return self._view(reshaped(self._t, shape, kwargs))

    def _view(self, shape: Any) -> Any:
        if not self._t.is_contiguous():
            self._t = self._t.contiguous()
        source = _recorded(self._t)
        found = source.view(shape)
        if shadows and state.recording:
            found = carried(source, found, lambda history: history.view(shape))
        return self._like(found, self._ctx)

    def flatten(self, inplace: bool = False) -> Any:
        """All dimensions behind the first made one; in the same memory with inplace=True."""
        return self.reshape((0, -1)) if inplace else _operator("Flatten", self)

    def expand_dims(self, axis: int, inplace: bool = False) -> Any:
        """A new dimension of size 1 at `axis`; in the same memory with inplace=True."""
        if not inplace:
            return _operator("expand_dims", self, axis=axis)
        ndim = self._t.dim()
        assert -ndim - 1 <= axis <= ndim, f"axis {axis} is out of range for {ndim}d array"
        return self._view(self._t.unsqueeze(axis).shape)

    def squeeze(self, axis: Any = None, inplace: bool = False) -> Any:
        """Without dimensions of size 1, all or those of `axis`; in the same memory with inplace=True."""
        return self._view(squeezed(self.shape, axis)) if inplace else _operator("squeeze", self, axis=axis)

    def broadcast_to(self, shape: Any) -> Any:
        """Repeated along dimensions of size 1 until it has `shape`.

        Raises:
            ValueError: it cannot have.
        """
        own, wanted = self.shape, tuple(shape)
        padded = (1,) * (len(wanted) - len(own)) + own
        if len(wanted) < len(own) or any(n not in (1, m) for n, m in zip(padded, wanted, strict=True)):
            raise ValueError(
                "operands could not be broadcast together with remapped shapes[original->remapped]: "
                f"{own} and requested shape {shape}"
            )
        array = self if padded == own else self.reshape(padded)
        return _operator("broadcast_to", array, shape=wanted)

    def broadcast_like(self, other: NDArray) -> Any:
        """Repeated along dimensions of size 1 until it has the shape of `other`."""
        return self.broadcast_to(other.shape)

    def split_v2(self, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
        """Its parts along an axis: so many equal ones, or those that begin at the positions given."""
        from tensorkeep.mxnet.ndarray._creation import split_v2

        return split_v2(self, indices_or_sections, axis, squeeze_axis)

    def slice_assign(self, rhs: NDArray, begin: Any, end: Any, step: Any) -> Any:
        """Write `rhs` where slices from `begin` to `end` point; the array itself is returned."""
        setitem(self, tuple(map(slice, begin, end, step)), rhs)
        return self

    def slice_assign_scalar(self, value: float, begin: Any, end: Any, step: Any) -> Any:
        """Write a number where slices from `begin` to `end` point; the array itself is returned."""
        setitem(self, tuple(map(slice, begin, end, step)), value)
        return self

    def detach(self) -> Any:
        """The same memory without history and gradient."""
        return self._like(self._t.detach(), self._ctx)

    @property
    def grad(self) -> Any:
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
        """Ask for its gradient: zeros now; backward() writes ("write"), adds ("add") or leaves it ("null").

        Args:
            stype: how the gradient is stored; by default like the array.
        """
        from tensorkeep.mxnet.autograd import mark_variables

        own = self.stype
        gradient = wrap(torch.zeros_like(self._t.detach()), self._ctx, type(self) if own == "default" else NDArray)
        if (stype or own) != "default":
            gradient = gradient.tostype(stype or own)
        mark_variables(self, gradient, grad_req)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Compute the gradients of what this array was computed from."""
        from tensorkeep.mxnet.autograd import backward

        backward([self], None if out_grad is None else [out_grad], retain_graph, train_mode)

    def to_dlpack_for_read(self) -> Any:
        """A DLPack capsule of its memory, for libraries that only read it."""
        return to_dlpack_for_read(self)

    def to_dlpack_for_write(self) -> Any:
        """A DLPack capsule of its memory; what is written there is its new value."""
        return to_dlpack_for_write(self)

    def __dlpack__(self, **options: Any) -> Any:
        return self._t.detach().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._t.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        values = self.asnumpy()
        return values if dtype is None else values.astype(dtype)

    def __reduce__(self) -> Any:
        from tensorkeep.mxnet._pickling import reduced

        return reduced(self)

    def __getstate__(self) -> dict[str, Any]:
        from tensorkeep.mxnet._files import write_record

        return {"handle": write_record(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from tensorkeep.mxnet._pickling import restore

        restore(self, state)

    def __getitem__(self, key: Any) -> Any:
        tensor = _recorded(self._t)
        found = getitem(tensor, key)
        if found is tensor:
            return self
        if shadows and state.recording:
            found = carried(tensor, found, lambda history: getitem(history, key))
        return self._like(found, self._ctx)

    def __setitem__(self, key: Any, value: Any) -> None:
        setitem(self, key, value)

    def _sync_copyfrom(self, source_array: Any) -> None:
        """Take the values of a NumPy array of the same shape."""
        values = np.asarray(source_array, dtype=self.dtype)
        if values.shape != self.shape:
            raise ValueError(f"Shape inconsistent: expected {values.shape} vs got {self.shape}")
        self[:] = values

    def __len__(self) -> int:
        return self._t.shape[0]

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._t.is_floating_point():
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return int(self.item())

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
        return _operator("abs", self)

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self._ctx}>"


def _operator(name: str, array: NDArray, **attrs: Any) -> Any:
    return call(get(name), [array], attrs, None)


def _recorded(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with its history while recording, without otherwise."""
    return tensor if state.recording or not tensor.requires_grad else tensor.detach()


def call(op: Operator, inputs: Any, attrs: dict[str, Any] | None, out: Any, name: Any = None) -> Any:
    """Compute an operator on NDArrays, dense or sparse; a name is accepted and has no meaning here.

    Raises:
        TypeError: an input is an array of mx.np.
    """
    for array in inputs:
        if array.__class__ is not NDArray and array is not None:
            return _call_others(op, inputs, attrs, out)
    if out is not None and out.__class__ is not NDArray:
        return _call_others(op, inputs, attrs, out)
    return invoke(op, inputs, attrs, out, NDArray)


def _call_others(op: Operator, inputs: Any, attrs: dict[str, Any] | None, out: Any) -> Any:
    targets = out if isinstance(out, (list, tuple)) else [out]
    arrays = [array for array in (*inputs, *targets) if array is not None]
    if any(is_np(array) for array in arrays):
        raise TypeError(
            f"Operator `{op.name}` registered in backend is a legacy operator which can only accept legacy ndarrays, "
            "while received an MXNet numpy ndarray. Please call `as_nd_ndarray()` upon the numpy ndarray to convert it "
            "to a legacy ndarray, and then feed the converted array to this operator."
        )
    if any(isinstance(array, NDArray) and array.stype != "default" for array in arrays):
        from tensorkeep.mxnet.ndarray._sparse_rules import compute

        return compute(op, [array for array in inputs if array is not None], attrs, out)
    return invoke(op, inputs, attrs, out, NDArray)


def is_np(array: Any) -> bool:
    """Whether it is an array of mx.np."""
    if type(array) is NDArray or not isinstance(array, NDArray) or array.stype != "default":
        return False
    from tensorkeep.mxnet.numpy.multiarray import ndarray

    return isinstance(array, ndarray)


add = binary("add", NDArray, call)
divide = binary("divide", NDArray, call)
equal = binary("equal", NDArray, call)
greater = binary("greater", NDArray, call)
greater_equal = binary("greater_equal", NDArray, call)
lesser = binary("lesser", NDArray, call)
lesser_equal = binary("lesser_equal", NDArray, call)
logical_and = binary("logical_and", NDArray, call)
logical_or = binary("logical_or", NDArray, call)
logical_xor = binary("logical_xor", NDArray, call)
maximum = binary("maximum", NDArray, call)
minimum = binary("minimum", NDArray, call)
modulo = binary("modulo", NDArray, call)
multiply = binary("multiply", NDArray, call)
not_equal = binary("not_equal", NDArray, call)
power = binary("power", NDArray, call)
subtract = binary("subtract", NDArray, call)
true_divide = divide

add_operators(NDArray, globals(), call)
add_methods(NDArray, call, METHODS)


def __getattr__(name: str) -> Any:
    # MXNet defines array(), zeros() and so on in this module.
    if name.startswith("__"):
        raise AttributeError(name)
    from tensorkeep.mxnet import ndarray

    return getattr(ndarray, name)


claim(globals())
