"""mx.np.ndarray: the array with NumPy's behaviour, and how one is made."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as onp
import torch

from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._numpy.elemwise import BINARY
from tensorkeep.mxnet._numpy.face import NUMBERS, OPERATORS, context
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray._creation import from_values
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.numpy import _indexing
from tensorkeep.mxnet.numpy._eager import Eager
from tensorkeep.mxnet.numpy._methods import add_methods
from tensorkeep.mxnet.numpy._protocol import array_function, array_ufunc

__all__ = ["array", "empty", "empty_like", "face", "ndarray", "resize", "shape", "unravel_index"]


class ndarray(NDArray):
    """A multi-dimensional array that behaves as NumPy's: 0-d and empty shapes, bool comparisons, NumPy's methods.

    Attributes:
        _t, _ctx, _grad: as in NDArray.
    """

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of its elements: dtype('float32')."""
        return onp.dtype(super().dtype)

    @property
    def ctx(self) -> Context:
        """The device that it lies on."""
        return self._ctx

    @property
    def context(self) -> Context:
        """`ctx` by its older name."""
        warnings.warn("ndarray.context has been renamed to ndarray.ctx", DeprecationWarning, stacklevel=2)
        return self._ctx

    @property
    def T(self) -> Any:
        """Its axes in the other order."""
        return self.transpose()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> onp.ndarray[Any, Any]:
        values = self.asnumpy()
        return values if dtype is None else values.astype(dtype)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return array_function(ndarray, func, types, args, kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return array_ufunc(ufunc, method, inputs, kwargs)

    def item(self, *args: Any) -> Any:
        """One of its elements as a Python number: the only one, or that at a position."""
        return self.asnumpy().item(*args)

    def tolist(self) -> Any:
        """Its elements as nested lists of Python numbers."""
        return self.asnumpy().tolist()

    def as_nd_ndarray(self) -> NDArray:
        """The same memory as an NDArray."""
        return self._cast(NDArray)

    def as_np_ndarray(self) -> ndarray:
        """The array itself."""
        return self

    def as_in_ctx(self, ctx: Context) -> ndarray:
        """The array itself if it lies on that device, else a copy there."""
        return self if self._ctx == ctx else self.copyto(ctx)

    def as_in_context(self, context: Context) -> ndarray:
        """`as_in_ctx` by its older name."""
        warnings.warn("ndarray.as_in_context has been renamed to ndarray.as_in_ctx", DeprecationWarning, stacklevel=2)
        return self.as_in_ctx(context)

    def astype(  # type: ignore[override]  # NumPy's arguments
        self, dtype: Any, order: str | None = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> ndarray:
        """A copy with another dtype; the array itself when copy=False and the dtype is its own."""
        if order not in (None, "K", "C"):
            raise ValueError("order must be either 'K' or 'C'")
        if casting != "unsafe":
            raise ValueError("casting must be equal to 'unsafe'")
        if not subok:
            raise ValueError("subok must be equal to True")
        return super().astype(dtype, copy)

    def copy(self, order: str = "C") -> ndarray:
        """A copy on the same device."""
        if order != "C":
            raise NotImplementedError(f"ndarray.copy only supports order='C', while received {order}")
        return self.copyto(self._ctx)

    def copyto(self, other: Any) -> Any:
        """Its values in another array of the same shape, which is returned, or in a new one on a device."""
        if isinstance(other, NDArray) and not isinstance(other, ndarray):
            raise TypeError(f"copyto does not support type {type(other)}")
        return super().copyto(other)

    def reshape(self, *args: Any, **kwargs: Any) -> Any:
        """Its elements in another shape: reshape(2, 3) or reshape((2, 3)); -1 is what is left."""
        if len(kwargs) > 1:
            raise TypeError("function takes at most 1 keyword argument")
        if kwargs and "order" not in kwargs:
            raise TypeError(f"{next(iter(kwargs))} is an invalid keyword argument for this function")
        order = kwargs.get("order", "C")
        if order != "C":
            raise NotImplementedError(f"only supports C-order, while received {order}")
        if not args:
            raise TypeError("reshape() takes exactly 1 argument (0 given)")
        shape = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        return face.reshape(self, shape, order)

    def reshape_view(self, *shape: Any, **kwargs: Any) -> Any:
        """The same memory in another shape; the codes are those of NDArray.reshape."""
        return super().reshape(*shape, **kwargs)

    def flatten(self, order: str = "C") -> Any:  # type: ignore[override]  # NumPy's argument
        """Its elements in one dimension."""
        return self.reshape(-1, order=order)

    def transpose(self, *axes: Any) -> Any:
        """Its axes in another order; without arguments in the reverse one."""
        order: Any = axes or None
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            order = axes[0]
        return face.transpose(self, order)

    def __getitem__(self, key: Any) -> Any:
        tensor = self._t if state.recording or not self._t.requires_grad else self._t.detach()
        found = _indexing.get(tensor, key)
        return self if found is self._t else wrap(found, self._ctx, ndarray)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, NDArray) and not isinstance(value, ndarray):
            raise TypeError("Cannot assign mx.nd.NDArray to mxnet.numpy.ndarray")
        _indexing.set_(self, key, value)

    def __len__(self) -> int:
        if not self._t.dim():
            raise TypeError("len() of unsized object")
        return self._t.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self._t.dim():
            raise TypeError("iteration over a 0-d array")
        for i in range(self._t.shape[0]):
            yield self[i]

    def __bool__(self) -> bool:
        count = self._t.numel()
        if count > 1:
            raise ValueError("The truth value of an ndarray with multiple elements is ambiguous.")
        if count == 0:
            warnings.warn(
                "The truth value of an empty array is ambiguous. Returning False, but in future this will result in "
                "an error.",
                DeprecationWarning,
                stacklevel=2,
            )
        return bool(count and self._t.item())

    def __float__(self) -> float:
        return float(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def _only(self) -> Any:
        if self._t.numel() != 1:
            raise TypeError("only size-1 arrays can be converted to Python scalars")
        return self._t.item()

    def __hash__(self) -> int:
        raise NotImplementedError("an mx.np.ndarray has no hash: == compares element by element")

    def __reduce__(self) -> Any:
        return ndarray, (None,), self.__getstate__()

    def __round__(self, n: int = 0) -> Any:
        return face.around(self, n)

    def __abs__(self) -> Any:
        return invoke(OPERATORS["_npi_absolute"], (self,), None, None, ndarray)

    def __ceil__(self) -> Any:
        return invoke(OPERATORS["_npi_ceil"], (self,), None, None, ndarray)

    def __floor__(self) -> Any:
        return invoke(OPERATORS["_npi_floor"], (self,), None, None, ndarray)

    def __trunc__(self) -> Any:
        return invoke(OPERATORS["_npi_trunc"], (self,), None, None, ndarray)

    def __invert__(self) -> Any:
        return invoke(OPERATORS["_npi_bitwise_not"], (self,), None, None, ndarray)

    def __neg__(self) -> Any:
        return invoke(OPERATORS["_npi_multiply_scalar"], (self,), {"scalar": -1.0}, None, ndarray)

    def __matmul__(self, other: Any) -> Any:
        return face.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return face.matmul(other, self)

    def __imatmul__(self, other: Any) -> Any:
        return face.matmul(self, other, out=self)

    def __repr__(self) -> str:
        text = repr(self.asnumpy())
        if self._t.numel() and ", shape=" in text:
            text = _SHAPE.sub("", text)  # NumPy 2 adds the shape of long arrays
        dtype = self.dtype
        if "dtype=" in text:
            if dtype == onp.float32:
                text = text[: text.rindex(",")] + ")"
        elif dtype not in (onp.float32, onp.bool_):
            text = f"{text[:-1]}, dtype={dtype})"
        return text if self._ctx.device_type == "cpu" else f"{text[:-1]}, ctx={self._ctx})"

    def __str__(self) -> str:
        text = str(self.asnumpy())
        return text if self._ctx.device_type == "cpu" or not self._t.dim() else f"{text} @{self._ctx}"

    def __format__(self, fmt: str) -> str:
        if not self._t.dim():
            return format(self.item(), fmt)
        if fmt:
            raise TypeError("Cannot format mxnet.numpy.ndarray with format_spec")
        return str(self)


def _arithmetic(name: str, *, reversed_: bool = False, in_place: bool = False) -> Callable[[Any, Any], Any]:
    """An operator's method: x + y, y + x or x += y."""
    operator, reverse = BINARY[name]
    arrays = f"_npi_{operator}"
    number = f"_npi_{(reverse if reversed_ else '') or operator}_scalar"

    def method(self: ndarray, other: Any) -> Any:
        out = self if in_place else None
        if isinstance(other, ndarray):
            pair = (other, self) if reversed_ else (self, other)
            return invoke(OPERATORS[arrays], pair, None, out, ndarray)
        if isinstance(other, NUMBERS):
            return invoke(OPERATORS[number], (self,), {"scalar": float(other)}, out, ndarray)
        raise TypeError(f"type {type(other)} not supported")

    return method


for _method, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "div": "divide", "mod": "mod",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "eq": "equal", "ne": "not_equal",
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_method}__", _arithmetic(_name))
for _method, _name in {
    "radd": "add", "rsub": "subtract", "rmul": "multiply", "rtruediv": "divide", "rdiv": "divide", "rmod": "mod",
    "rpow": "power",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_method}__", _arithmetic(_name, reversed_=True))
for _method, _name in {
    "iadd": "add", "isub": "subtract", "imul": "multiply", "itruediv": "divide", "idiv": "divide", "imod": "mod",
    "iand": "bitwise_and", "ior": "bitwise_or", "ixor": "bitwise_xor",
}.items():  # fmt: skip
    setattr(ndarray, f"__{_method}__", _arithmetic(_name, in_place=True))
ndarray.__name__ = ndarray.__qualname__ = "ndarray"

_SHAPE = re.compile(r",\s*shape=\([^)]*\)")

face = Eager(ndarray)
"""Every function of mx.np as a method."""
add_methods(ndarray, face)


def shape(a: Any) -> tuple[int, ...]:
    """The dimensions of an array."""
    dims: tuple[int, ...] = a.shape
    return dims


def empty_like(prototype: Any, dtype: Any = None, order: str = "C", subok: bool = False, shape: Any = None) -> ndarray:
    """An array like another, whose values are whatever the memory held."""
    if order != "C":
        raise NotImplementedError("Only support C-order at this moment")
    if subok:
        raise NotImplementedError("Creating array by using sub-class is not supported at this moment")
    if shape is not None:
        raise NotImplementedError("Assigning new shape is not supported at this moment")
    return empty(prototype.shape, prototype.dtype if dtype is None else dtype, ctx=prototype.ctx)


def resize(a: Any, new_shape: Any) -> ndarray:
    """The elements in another shape, from the start again where there are too few."""
    return array(onp.resize(a.asnumpy(), new_shape), dtype=a.dtype, ctx=a.ctx)


def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    """The coordinates of flat positions: an array for each dimension."""
    if order != "C":
        raise NotImplementedError("Do not support column-major (Fortran-style) order at this moment")
    if isinstance(indices, NUMBERS):
        return onp.unravel_index(int(indices), shape)
    found = onp.unravel_index(indices.asnumpy(), shape)
    return tuple(array(part, dtype=indices.dtype, ctx=indices.ctx) for part in found)


def empty(shape: Any, dtype: Any = onp.float32, order: str = "C", ctx: Any = None) -> ndarray:
    """An array whose values are whatever the memory held."""
    if order != "C":
        raise NotImplementedError(f"`empty` only supports order equal to `C`, while received {order}")
    ctx = context(ctx)
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = torch_of(onp.float32 if dtype is None else dtype)
    made: ndarray = wrap(torch.empty(dims, dtype=kind, device=ctx.torch_device), ctx, ndarray)
    return made


def array(object: Any, dtype: Any = None, ctx: Any = None) -> ndarray:
    """A copy of anything like an array: its own dtype if it has one, else float32.

    Raises:
        ValueError: it is an NDArray; those are not copied but converted by `as_np_ndarray`.
        TypeError: NumPy makes no array of it.
    """
    ctx = context(ctx)
    if isinstance(object, ndarray):
        target = object._t.dtype if dtype is None else torch_of(dtype)
        copy: ndarray = wrap(object._t.detach().to(ctx.torch_device, target, copy=True), ctx, ndarray)
        return copy
    if isinstance(object, NDArray):
        raise ValueError(
            "If you're trying to create a mxnet.numpy.ndarray from mx.nd.NDArray, please use the zero-copy "
            "as_np_ndarray function."
        )
    kind = getattr(object, "dtype", onp.float32) if dtype is None else dtype
    if isinstance(object, torch.Tensor):
        object = object.detach().cpu().numpy()
        kind = object.dtype if dtype is None else dtype
    if not isinstance(object, onp.ndarray):
        try:
            object = onp.array(object, dtype=kind)
        except OverflowError:
            object = onp.array(object).astype(kind)  # 300 wraps to 44 in uint8, as before NumPy 2
        except Exception as err:
            raise TypeError(str(err)) from err
    try:
        target = torch_of(kind)
    except TypeError as err:
        raise MXNetError(str(err)) from err
    made: ndarray = wrap(from_values(object, target).to(ctx.torch_device), ctx, ndarray)
    return made


claim(globals())
ndarray.__module__ = "mxnet.numpy"
