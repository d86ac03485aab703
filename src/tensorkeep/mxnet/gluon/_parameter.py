"""Parameter and Constant: named arrays with gradients, made when their shape is known."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet import autograd, initializer, ndarray, symbol
from tensorkeep.mxnet._dtypes import BFLOAT16
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context, cpu, current_context
from tensorkeep.mxnet.gluon.utils import shape_is_known

__all__ = ["Constant", "DeferredInitializationError", "Parameter", "tensor_types"]

tensor_types = (symbol.Symbol, ndarray.NDArray)

_STYPES = ("default", "row_sparse", "csr")


class DeferredInitializationError(MXNetError):
    """A Parameter was asked for its values before the first forward pass made them."""


class Parameter:
    """An array of a Block, with a copy on each context and a gradient.

    Args:
        name: what it is called in files.
        grad_req: "write", "add" (call `zero_grad()` yourself) or "null" (no gradient).
        shape: its dimensions, 0 where one is not known yet (-1 with NumPy's semantics); None when none is.
        dtype: NumPy's class, or a name.
        lr_mult, wd_mult: factors on the learning rate and on the weight decay.
        init: its Initializer, or its name; None takes the one that `initialize()` is given.
        allow_deferred_init: whether `initialize()` may wait for the shape.
        differentiable: False holds grad_req at "null".
        stype, grad_stype: "default", "row_sparse" or "csr".
    """

    def __init__(
        self,
        name: str,
        grad_req: str = "write",
        shape: int | Sequence[int] | None = None,
        dtype: Any = np.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
        differentiable: bool = True,
        stype: str = "default",
        grad_stype: str = "default",
    ) -> None:
        self._var: Any = None
        self._data: list[Any] | None = None
        self._grad: list[Any] | None = None
        self._ctx_list: list[Context] = []
        self._trainer: Any = None
        self._deferred_init: tuple[Any, ...] = ()
        self._differentiable = differentiable
        self._allow_deferred_init = allow_deferred_init
        self._grad_req: str | None = None
        self._shape: Any = (shape,) if isinstance(shape, int) else shape
        self.name = name
        self._dtype = dtype
        self.lr_mult = lr_mult
        self.wd_mult = wd_mult
        self.grad_req = grad_req
        self.init = init
        for kind, value in (("grad_stype", grad_stype), ("stype", stype)):
            assert value in _STYPES, (
                f"{kind} for Parameter '{name}' must be one of 'default', 'row_sparse', or 'csr', but got '{value}'"
            )
        self._grad_stype = grad_stype
        self._stype = stype

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.name} (shape={self.shape}, dtype={self.dtype})"

    @property
    def grad_req(self) -> Any:
        """What backward() does with its gradient: "write", "add" or "null"."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, req: str) -> None:
        assert req in ("write", "add", "null"), f"grad_req must be one of 'write', 'add', or 'null', but got '{req}'"
        if not self._differentiable:
            req = "null"
        if self._grad_req == req:
            return
        self._grad_req = req
        if req == "null" and self._grad is not None:
            self._grad = None
            self._data = [array.detach() for array in self._data or ()]
        elif self._data is not None:
            self._init_grad()

    @property
    def dtype(self) -> Any:
        """Its dtype as it was given; setting it casts values and gradients."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        self.cast(dtype)

    @property
    def shape(self) -> Any:
        """Its dimensions; unknown ones are 0, or -1 with NumPy's semantics."""
        if self._shape is not None and state.np_shape:
            return tuple(dim or -1 for dim in self._shape)
        return self._shape

    @shape.setter
    def shape(self, new_shape: Sequence[int]) -> None:
        if self._shape is not None:
            fits = len(self._shape) == len(new_shape) and all(
                old in (-1, 0, new) for new, old in zip(new_shape, self._shape, strict=True)
            )
            assert fits, f"Expected shape {new_shape} is incompatible with given shape {self._shape}."
        self._shape = new_shape

    def _set_trainer(self, trainer: Any) -> None:
        if self._stype != "default" and self._trainer and trainer and self._trainer is not trainer:
            raise RuntimeError(
                f"Failed to set the trainer for Parameter '{self.name}' because it was already set. "
                f"More than one trainers for a {self._stype} Parameter is not supported."
            )
        self._trainer = trainer

    def _check_and_get(self, arrays: list[Any] | None, ctx: Any) -> Any:
        """The array on a context; all of them for the class `list`; the only one for None."""
        if arrays is None:
            raise self._not_there()
        if ctx is list:
            return arrays
        if ctx is None:
            if len(arrays) == 1:
                return arrays[0]
            ctx = current_context()
        for own, array in zip(self._ctx_list, arrays, strict=True):
            # cpu, cpu_pinned and cpu_shared are odd numbers and stand for each other.
            if own.device_id == ctx.device_id and not (own.device_typeid ^ ctx.device_typeid) & 1:
                return array
        raise RuntimeError(
            f"Parameter '{self.name}' was not initialized on context {ctx}. "
            f"It was only initialized on {self._ctx_list}."
        )

    def _not_there(self) -> Exception:
        if self._deferred_init:
            return DeferredInitializationError(
                f"Parameter '{self.name}' has not been initialized yet because initialization was deferred. Actual "
                "initialization happens during the first forward pass. Please pass one batch of data through the "
                "network before accessing Parameters. You can also avoid deferred initialization by specifying "
                "in_units, num_features, etc., for network layers."
            )
        return RuntimeError(
            f"Parameter '{self.name}' has not been initialized. Note that you should initialize parameters and "
            "create Trainer with Block.collect_params() instead of Block.params because the later does not include "
            "Parameters of nested child Blocks"
        )

    def _get_row_sparse(self, arrays: list[Any] | None, ctx: Any, row_id: Any) -> Any:
        if not isinstance(row_id, ndarray.NDArray):
            raise TypeError(f"row_id must have NDArray type, but {type(row_id)} is given")
        if not self._trainer:
            raise RuntimeError(
                f"Cannot get row_sparse data for Parameter '{self.name}' when no Trainer is created with it."
            )
        found = self._check_and_get(arrays, ctx)
        with autograd.pause():
            self._trainer._row_sparse_pull(self, found if ctx is list else [found], row_id)
        return found

    def _load_init(self, data: Any, ctx: Any, cast_dtype: bool = False, dtype_source: str = "current") -> None:
        """Take values that were loaded; it is initialised when it was not.

        Raises:
            AssertionError: shape, dtype or contexts do not fit.
        """
        self._check_load(data, ctx, cast_dtype, dtype_source)
        if self.shape:
            unknown = -1 if state.np_shape else 0
            pairs = zip(self.shape, data.shape, strict=False)
            self.shape = tuple(saved if own == unknown else own for own, saved in pairs)
        if self.dtype and not self._has_dtype_of(data):
            if dtype_source == "current":
                data = data.astype(self.dtype, copy=False)
            else:
                self.dtype = data.dtype
        if self._stype != data.stype:
            data = data.tostype(self._stype)
        contexts = [ctx] if isinstance(ctx, Context) else ctx
        if self._data is not None:
            self.set_data(data)
        elif self._deferred_init:
            self._init_impl(data, self._deferred_init[1])
        else:
            self._init_impl(data, [cpu()] if contexts is None else contexts)
        self._deferred_init = ()

    def _check_load(self, data: Any, ctx: Any, cast_dtype: bool, dtype_source: str) -> None:
        """Raise what `_load_init` would, and change nothing: a file is taken over whole or not at all."""
        if cast_dtype:
            assert dtype_source in ("current", "saved")
        if self.shape:
            unknown = -1 if state.np_shape else 0
            # MXNet compares the dimensions that both have.
            assert all(own in (unknown, saved) for own, saved in zip(self.shape, data.shape, strict=False)), (
                f"Failed loading Parameter '{self.name}' from saved params: shape incompatible expected "
                f"{self.shape} vs saved {data.shape}"
            )
        assert not self.dtype or cast_dtype or self._has_dtype_of(data), (
            f"Failed loading Parameter '{self.name}' from saved params: dtype incompatible expected {self.dtype} vs "
            f"saved {data.dtype}. Set cast_dtype=True to cast the dtype of saved params."
        )
        if self._data is not None or self._deferred_init:
            own = self.list_ctx()
            contexts = [ctx] if isinstance(ctx, Context) else ctx
            assert contexts is None or set(contexts) == set(own), (
                f"Failed to load Parameter '{self.name}' on {contexts} because it was previous initialized on {own}."
            )

    def _has_dtype_of(self, data: Any) -> bool:
        own = np.dtype(self.dtype)
        same: bool = own == data.dtype if data.dtype == BFLOAT16 else own.type == data.dtype
        return same

    def _finish_deferred_init(self) -> None:
        """Make the values, now that the shape is known; nothing when they are there."""
        if not self._deferred_init:
            return
        init, ctx, default_init, data = self._deferred_init
        self._deferred_init = ()
        assert shape_is_known(self.shape), (
            f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}. "
            "Please specify in_units, in_channels, etc for `Block`s."
        )
        with autograd.pause():
            if data is None:
                data = self._zeros(self.shape, self.dtype, cpu(), self._stype)
                initializer.create(default_init)(initializer.InitDesc(self.name, {"__init__": init}), data)
            self._init_impl(data, ctx)

    def _zeros(self, shape: Any, dtype: Any, ctx: Context, stype: str) -> Any:
        if not state.np_array:
            if stype == "default":
                return ndarray.zeros(shape, ctx=ctx, dtype=dtype)
            return ndarray.sparse.zeros(stype, shape, ctx=ctx, dtype=dtype)
        if stype != "default":
            raise ValueError(f"mxnet.numpy.zeros does not support stype = {stype}")
        from tensorkeep.mxnet import numpy

        return numpy.zeros(shape, ctx=ctx, dtype=dtype)

    def _init_impl(self, data: Any, ctx_list: Sequence[Context]) -> None:
        self._ctx_list = list(ctx_list)
        self._data = [data.copyto(ctx) for ctx in self._ctx_list]
        self._init_grad()

    def _init_grad(self) -> None:
        if self.grad_req == "null":
            self._grad = None
            return
        arrays = self._check_and_get(self._data, list)
        self._grad = [self._zeros(a.shape, a.dtype, a.ctx, self._grad_stype) for a in arrays]
        autograd.mark_variables(arrays, self._grad, self.grad_req)

    def _reduce(self) -> Any:
        """Its values in CPU memory: the mean over all contexts."""
        if self._stype != "default":
            first = self._check_and_get(self._data, list)[0].copyto(cpu())
            if self._trainer:  # the arrays hold the rows that were asked for last; all of them are in the kvstore
                rows = ndarray.arange(0, self.shape[0], dtype="int64")
                self._trainer._row_sparse_pull(self, [first], rows)
            return first
        arrays = [array.copyto(cpu()) for array in self.list_data()]
        return arrays[0] if len(arrays) == 1 else sum(arrays[1:], arrays[0]) / len(arrays)

    def initialize(
        self, init: Any = None, ctx: Any = None, default_init: Any = None, force_reinit: bool = False
    ) -> None:
        """Make its values and gradients, or remember to do so when the shape is known.

        Args:
            init: its Initializer; it goes before the Parameter's own and `default_init` (Uniform() when None).
            ctx: a Context, or a list of them: each gets a copy. None is the current one.
            force_reinit: whether values that are there are made anew; without it they stay, with a warning.
        Raises:
            ValueError: the shape is not known, and initialisation may not wait.
        """
        if self._data is not None and not force_reinit:
            warnings.warn(
                f"Parameter '{self.name}' is already initialized, ignoring. Set force_reinit=True to re-initialize.",
                stacklevel=2,
            )
            return
        self._data = self._grad = None
        default_init = initializer.Uniform() if default_init is None else default_init
        if init is None:
            init = default_init if self.init is None else self.init
        if not shape_is_known(self.shape) and not self._allow_deferred_init:
            raise ValueError(f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}.")
        self._deferred_init = (init, _contexts(ctx), default_init, None)
        if shape_is_known(self.shape):
            self._finish_deferred_init()

    def reset_ctx(self, ctx: Any) -> None:
        """Move it to another Context, or to a list of them.

        Raises:
            ValueError: it has not been initialised.
        """
        contexts = _contexts(ctx)
        if self._data:
            data = self._reduce()
            with autograd.pause():
                self._init_impl(data, contexts)
        elif self._deferred_init:
            init, _, default_init, data = self._deferred_init
            self._deferred_init = (init, contexts, default_init, data)
        else:
            raise ValueError(f"Cannot reset context for Parameter '{self.name}' because it has not been initialized.")

    def set_data(self, data: Any) -> None:
        """Write values on all contexts."""
        self.shape = data.shape
        if self._data is None:
            assert self._deferred_init, f"Parameter '{self.name}' has not been initialized"
            self._deferred_init = (*self._deferred_init[:3], data)
            return
        trainer = self._trainer
        if trainer and trainer._kv_initialized and trainer._update_on_kvstore and self not in trainer._params_to_init:
            trainer._reset_kvstore()
        for array in self._data:
            array[:] = data

    def row_sparse_data(self, row_id: Any) -> Any:
        """The given rows of a row_sparse Parameter, on the context of `row_id`."""
        if self._stype != "row_sparse":
            raise RuntimeError(
                f"Cannot return a copy of Parameter {self.name} via row_sparse_data() because its storage type is "
                f"{self._stype}. Please use data() instead."
            )
        return self._get_row_sparse(self._data, row_id.ctx, row_id)

    def list_row_sparse_data(self, row_id: Any) -> Any:
        """The given rows of a row_sparse Parameter, on every context."""
        if self._stype != "row_sparse":
            raise RuntimeError(
                f"Cannot return copies of Parameter '{self.name}' on all contexts via list_row_sparse_data() because "
                f"its storage type is {self._stype}. Please use data() instead."
            )
        return self._get_row_sparse(self._data, list, row_id)

    def data(self, ctx: Context | None = None) -> Any:
        """Its values on one context: the array itself, no copy.

        Raises:
            DeferredInitializationError: they are made in the first forward pass.
            RuntimeError: it has not been initialised, or not there.
        """
        if self._stype != "default":
            raise RuntimeError(
                f"Cannot return a copy of Parameter '{self.name}' on ctx {ctx} via data() because its storage type is "
                f"{self._stype}. Please use row_sparse_data() instead."
            )
        return self._check_and_get(self._data, ctx)

    def list_data(self) -> list[Any]:
        """Its values on every context, in the order of `list_ctx()`."""
        if self._stype != "default":
            raise RuntimeError(
                f"Cannot return copies of Parameter '{self.name}' on all contexts via list_data() because its storage "
                f"type is {self._stype}. Please use row_sparse_data() instead."
            )
        arrays: list[Any] = self._check_and_get(self._data, list)
        return arrays

    def grad(self, ctx: Context | None = None) -> Any:
        """Its gradient on one context.

        Raises:
            RuntimeError: grad_req is "null", or it has not been initialised.
        """
        return self._check_and_get(self._gradients(), ctx)

    def list_grad(self) -> list[Any]:
        """Its gradients on every context, in the order of `list_ctx()`."""
        arrays: list[Any] = self._check_and_get(self._gradients(), list)
        return arrays

    def _gradients(self) -> list[Any] | None:
        if self._data is not None and self._grad is None:
            raise RuntimeError(f"Cannot get gradient array for Parameter '{self.name}' because grad_req='null'")
        return self._grad

    def list_ctx(self) -> list[Context]:
        """The contexts that it is initialised on, or will be."""
        if self._data is not None:
            return self._ctx_list
        if self._deferred_init:
            contexts: list[Context] = self._deferred_init[1]
            return contexts
        raise RuntimeError(f"Parameter '{self.name}' has not been initialized")

    def zero_grad(self) -> None:
        """Fill its gradients with zeros; nothing where there are none."""
        for gradient in self._grad or ():
            gradient[() if gradient.ndim == 0 else slice(None)] = 0

    def var(self) -> Any:
        """The variable that stands for it in a Symbol."""
        if self._var is None:
            self._var = symbol.var(
                self.name,
                shape=self.shape,
                dtype=self.dtype,
                lr_mult=self.lr_mult,
                wd_mult=self.wd_mult,
                init=self.init,
                stype=self._stype,
            )
            if state.np_array:
                self._var = self._var.as_np_ndarray()
        return self._var

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its values and gradients."""
        self._dtype = dtype
        if self._data is None:
            return
        with autograd.pause():
            self._data = [array.astype(dtype) for array in self._data]
            if self._grad is not None:
                self._grad = [array.astype(dtype) for array in self._grad]
                autograd.mark_variables(self._data, self._grad, self.grad_req)


def _contexts(ctx: Any) -> list[Context]:
    if ctx is None:
        return [current_context()]
    return [ctx] if isinstance(ctx, Context) else ctx


class Constant(Parameter):
    """A Parameter that is not trained; `set_data` still changes it.

    Args:
        value: an array, or nested lists.
    """

    def __init__(self, name: str, value: Any) -> None:
        if not isinstance(value, ndarray.NDArray):
            if state.np_array:
                from tensorkeep.mxnet import numpy

                value = numpy.array(value)
            else:
                value = ndarray.array(value)
        self.value = value
        super().__init__(name, grad_req="null", shape=value.shape, dtype=value.dtype, init=initializer.Constant(value))

    @property
    def grad_req(self) -> Any:
        """Always "null"."""
        return "null"

    @grad_req.setter
    def grad_req(self, req: str) -> None:
        if req != "null":
            warnings.warn(
                f'Constant parameter "{self.name}" does not support grad_req other than "null", and new value '
                f'"{req}" is ignored.',
                stacklevel=2,
            )
