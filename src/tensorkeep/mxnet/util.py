"""NumPy semantics switched on and off; what MXNet's util module has besides."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, gpu_memory_info, num_gpus

__all__ = [
    "get_cuda_compute_capability", "get_gpu_count", "get_gpu_memory", "getenv", "is_np_array", "is_np_shape",
    "np_array", "np_shape", "np_ufunc_legal_option", "reset_np", "set_module", "set_np", "set_np_shape", "setenv",
    "use_np", "use_np_array", "use_np_shape", "wrap_np_binary_func", "wrap_np_unary_func",
]  # fmt: skip

_SHAPE_TEXT = (
    "NumPy-shape semantics has been activated in your code. This is required for creating and manipulating scalar and "
    "zero-size tensors, which were not supported in MXNet before, as in the official NumPy library. Please DO NOT "
    "manually deactivate this semantics while using `mxnet.numpy` and `mxnet.numpy_extension` modules."
)
_ARRAY_TEXT = (
    "NumPy array semantics has been activated in your code. This allows you to use operators from MXNet NumPy and "
    "NumPy Extension modules as well as MXNet NumPy `ndarray`s."
)
_logged: set[str] = set()


def _log_once(text: str) -> None:
    if text not in _logged:
        logging.info(text)
        _logged.add(text)


def is_np_shape() -> bool:
    """Whether 0-d and empty arrays exist in this thread; otherwise `()` and 0 stand for an unknown shape."""
    return state.np_shape


def is_np_array() -> bool:
    """Whether blocks and parameters of this thread are made of `mx.np.ndarray`."""
    return state.np_array


def set_np_shape(active: bool) -> bool:
    """Switch 0-d and empty arrays on or off in this thread; gives what it was before.

    Raises:
        ValueError: they would be switched off while arrays are `mx.np.ndarray`.
    """
    if active:
        _log_once(_SHAPE_TEXT)
    elif state.np_array:
        raise ValueError(
            "Deactivating NumPy shape semantics while NumPy array semantics is still active is not allowed. Please "
            "consider calling `npx.reset_np()` to deactivate both of them."
        )
    before = state.np_shape
    state.np_shape = bool(active)
    return before


def set_np(shape: bool = True, array: bool = True) -> None:
    """Switch both NumPy semantics on: shapes as NumPy has them, and `mx.np.ndarray` in blocks.

    Raises:
        ValueError: array without shape.
    """
    if not shape and array:
        raise ValueError("NumPy Shape semantics is required in using NumPy array semantics.")
    if array:
        _log_once(_ARRAY_TEXT)
    state.np_array = bool(array)
    set_np_shape(shape)


def reset_np() -> None:
    """Switch both NumPy semantics off."""
    set_np(shape=False, array=False)


class _ShapeScope:
    """A `with` block with 0-d and empty arrays, or without; None leaves it as it is."""

    def __init__(self, active: bool | None) -> None:
        self._wanted = active
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.np_shape if self._wanted is None else set_np_shape(self._wanted))

    def __exit__(self, *exc: object) -> None:
        before = self._before.pop()
        if before != state.np_shape:
            set_np_shape(before)


class _ArrayScope:
    """A `with` block in which blocks make `mx.np.ndarray`, or NDArray."""

    def __init__(self, active: bool) -> None:
        self._wanted = bool(active)
        self._before: list[bool] = []

    def __enter__(self) -> _ArrayScope:
        self._before.append(state.np_array)
        state.np_array = self._wanted
        return self

    def __exit__(self, *exc: object) -> None:
        state.np_array = self._before.pop()


def np_shape(active: bool = True) -> _ShapeScope:
    """A scope with NumPy's shapes, or without."""
    return _ShapeScope(active)


def np_array(active: bool = True) -> _ArrayScope:
    """A scope in which blocks take and give `mx.np.ndarray`, or NDArray."""
    return _ArrayScope(active)


def _decorated(name: str, scope: Callable[[], Any], func: Any) -> Any:
    """A callable run inside `scope()`; of a class all its functions and properties."""
    if inspect.isclass(func):
        for key, member in inspect.getmembers(func):
            if inspect.isfunction(member) or inspect.ismethod(member):
                setattr(func, key, _decorated(name, scope, member))
            elif isinstance(member, property):
                get, put, remove = (
                    part and _decorated(name, scope, part) for part in (member.fget, member.fset, member.fdel)
                )
                setattr(func, key, property(get, put, remove, member.__doc__))
        return func
    if not callable(func):
        raise TypeError(f"{name} can only decorate classes and callable objects, while received a {type(func)}")

    @functools.wraps(func)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return func(*args, **kwargs)

    return scoped


def use_np_shape(func: Any) -> Any:
    """A function or class whose code runs with NumPy's shapes."""
    return _decorated("use_np_shape", np_shape, func)


def use_np_array(func: Any) -> Any:
    """A function or class whose code makes `mx.np.ndarray`."""
    return _decorated("use_np_array", np_array, func)


def use_np(func: Any) -> Any:
    """A function or class whose code runs with both NumPy semantics."""
    return use_np_shape(use_np_array(func))


_UFUNC_DEFAULTS = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}
_UFUNC_DTYPES = ("int8", "uint8", "int32", "int64", "float16", "float32", "float64")


def np_ufunc_legal_option(key: str, value: Any) -> bool:
    """Whether NumPy's ufuncs know this keyword with this value."""
    if key == "casting":
        return value in ("no", "equiv", "safe", "same_kind", "unsafe")
    if key == "dtype":
        return value in _UFUNC_DTYPES or getattr(value, "__name__", None) in _UFUNC_DTYPES
    return key == "where" or (key == "order" and isinstance(value, str)) or (key == "subok" and isinstance(value, bool))


def refuse_ufunc_options(function: str, options: dict[str, Any], *, unary: bool) -> None:
    """Raise what MXNet raises for NumPy's ufunc keywords: it takes them with their default values only."""
    for key, value in options.items():
        if key not in _UFUNC_DEFAULTS:
            raise TypeError(f"{key} is an invalid keyword to function '{function}'")
        if value == _UFUNC_DEFAULTS[key]:
            continue
        behind = f" for operator {function}" if unary else ""
        if np_ufunc_legal_option(key, value):
            raise NotImplementedError(f"{key}={value} is not implemented yet{behind}")
        raise TypeError(f"{key}={value} not understood{behind}" if unary else f"{key} {value} not understood")


def wrap_np_unary_func(func: Callable[..., Any]) -> Callable[..., Any]:
    """func(x, out) as a ufunc that refuses the keywords it does not have."""

    @functools.wraps(func)
    def unary(x: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            refuse_ufunc_options(func.__name__, kwargs, unary=True)
        return func(x, out=out)

    return unary


def wrap_np_binary_func(func: Callable[..., Any]) -> Callable[..., Any]:
    """func(x1, x2, out) as a ufunc that refuses the keywords it does not have."""

    @functools.wraps(func)
    def binary(x1: Any, x2: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            refuse_ufunc_options(func.__name__, kwargs, unary=False)
        return func(x1, x2, out=out)

    return binary


def set_module(module: str | None) -> Callable[[Any], Any]:
    """A decorator that sets `__module__`."""

    def decorated(func: Any) -> Any:
        if module is not None:
            func.__module__ = module
        return func

    return decorated


def get_gpu_count() -> int:
    """How many GPUs this machine has."""
    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Free and total bytes of a GPU."""
    return gpu_memory_info(gpu_dev_id)


def get_cuda_compute_capability(ctx: Context) -> int:
    """70 for a device of compute capability 7.0.

    Raises:
        ValueError: the context is no gpu.
        OSError: there is no CUDA on this machine.
    """
    if ctx.device_type != "gpu":
        raise ValueError(f"Expecting a gpu context to get cuda compute capability, while received ctx {ctx}")
    import torch

    if not torch.cuda.is_available():
        raise OSError("could not load any of: libcuda.so libcuda.dylib cuda.dll")
    major, minor = torch.cuda.get_device_capability(ctx.device_id)
    return int(major) * 10 + int(minor)


def getenv(name: str) -> str | None:
    """The value of an environment variable, None where it is not set."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Set an environment variable; None removes it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


claim(globals())
