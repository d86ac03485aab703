"""Comparing arrays within tolerances that follow from their dtypes."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, current_context
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "almost_equal", "assert_allclose", "assert_almost_equal", "assert_almost_equal_ignore_nan",
    "assert_almost_equal_with_err", "assert_exception", "checkShapes", "compare_ndarray_tuple", "default_atols",
    "default_context", "default_dtype", "default_numeric_eps", "default_rtols", "effective_dtype", "get_atol",
    "get_etol", "get_rtol", "get_tolerance", "get_tols", "retry", "same", "same_array", "set_default_context",
]  # fmt: skip

Array = np.ndarray[Any, Any]
_EXACT = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")


def default_context() -> Context:
    """The context that tests run on: the current one."""
    return current_context()


def set_default_context(ctx: Context) -> None:
    """Make it another one."""
    Context._default_ctx.value = ctx


def default_dtype() -> Any:
    """What arrays of tests are made of: numpy.float32."""
    return np.float32


def _by_dtype(**given: float) -> dict[np.dtype[Any], float]:
    return {**{np.dtype(name): value for name, value in given.items()}, **{np.dtype(name): 0 for name in _EXACT}}


def default_rtols() -> dict[np.dtype[Any], float]:
    """The relative tolerance of each dtype."""
    return _by_dtype(float16=1e-2, float32=1e-4, float64=1e-5)


def default_atols() -> dict[np.dtype[Any], float]:
    """The absolute tolerance of each dtype."""
    return _by_dtype(float16=1e-1, float32=1e-3, float64=1e-20)


def default_numeric_eps() -> dict[np.dtype[Any], float]:
    """The step of numeric gradients for each dtype."""
    return {np.dtype(np.float16): 2**-6, np.dtype(np.float32): 2**-9, np.dtype(np.float64): 2**-14}


def effective_dtype(dat: Any) -> np.dtype[Any]:
    """The dtype that counts for tolerances: the array's own."""
    return np.dtype(dat.dtype)


def get_tolerance(dat: Any, tol: Any, default_tol: dict[np.dtype[Any], float]) -> float:
    """A tolerance: `tol` if it is a number, what it says of the dtype, or the default."""
    if isinstance(tol, numbers.Real):
        return float(tol)
    dtype = effective_dtype(dat)
    found: float = (tol or {}).get(dtype, default_tol[dtype])
    return found


def get_tols(x: Any, y: Any, rtol: Any, atol: Any) -> tuple[float, float]:
    """The larger relative and absolute tolerance of two arrays or numbers."""
    both = [np.array(each) if isinstance(each, numbers.Number) else each for each in (x, y)]
    return (
        max(get_tolerance(each, rtol, default_rtols()) for each in both),
        max(get_tolerance(each, atol, default_atols()) for each in both),
    )


def get_atol(atol: float | None = None, dtype: Any = np.float64) -> float:
    """The absolute tolerance of a dtype, unless one is given."""
    return default_atols()[np.dtype(dtype)] if atol is None else atol


def get_rtol(rtol: float | None = None, dtype: Any = np.float64) -> float:
    """The relative tolerance of a dtype, unless one is given."""
    return default_rtols()[np.dtype(dtype)] if rtol is None else rtol


def get_etol(etol: float | None = None) -> float:
    """The share of elements that may differ: 0 unless one is given."""
    return 0 if etol is None else etol


def _plain(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, NDArray) else value


def same(a: Any, b: Any) -> bool:
    """Whether two NumPy arrays are equal."""
    return bool(np.array_equal(a, b))


def same_array(array1: NDArray, array2: NDArray) -> bool:
    """Whether two arrays share their memory: a change of one is seen in the other, and undone."""
    array1[:] += 1
    shared = same(array1.asnumpy(), array2.asnumpy())
    array1[:] -= 1
    return shared and same(array1.asnumpy(), array2.asnumpy())


def checkShapes(a: Any, b: Any) -> None:
    """Raise AssertionError when the shapes differ."""
    if a.shape != b.shape:
        raise AssertionError(f"a.shape = {a.shape} and b.shape = {b.shape} are not equal")


def almost_equal(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, equal_nan: bool = False, use_broadcast: bool = True
) -> bool:
    """Whether two NumPy arrays are equal within the tolerances."""
    if not use_broadcast:
        checkShapes(a, b)
    return bool(np.allclose(a, b, rtol=get_rtol(rtol), atol=get_atol(atol), equal_nan=equal_nan))


def _violations(a: Any, b: Any, rtol: float, atol: float) -> Array:
    wide = [np.asarray(each, dtype=np.float64) for each in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.abs(wide[0] - wide[1]) / (atol + rtol * np.abs(wide[1]) + 1e-20)
    return np.nan_to_num(found, nan=np.inf)


def _report(a: Any, b: Any, rtol: float, atol: float, names: tuple[str, str], most: int = 10) -> str:
    """What differs, worst first."""
    violations = _violations(a, b, rtol, atol)
    wide = [np.broadcast_to(np.asarray(each), violations.shape) for each in (a, b)]
    order = np.argsort(violations, axis=None)[::-1][:most]
    lines = []
    for flat in order.tolist():
        at = tuple(int(i) for i in np.unravel_index(flat, violations.shape))
        if violations[at] > 1:
            lines.append(f"Position {at}: {names[0]} {wide[0][at]!s}, {names[1]} {wide[1][at]!s}")
    wrong = int((violations > 1).sum())
    return (
        f"Error {violations.max(initial=0):f} exceeds tolerance rtol={rtol:e}, atol={atol:e} "
        f"({wrong} of {violations.size} elements differ).\n" + "\n".join(lines)
    )


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """Raise AssertionError unless two arrays are equal within tolerances: given ones, or those of their dtypes.

    Args:
        rtol, atol: numbers, or dtype → number.
        names: what the two are called in the error.
        equal_nan: whether NaN is equal to NaN.
        use_broadcast: whether the shapes may differ.
        mismatches: (…, how many differences are listed).
    """
    if not use_broadcast:
        checkShapes(a, b)
    rtol, atol = get_tols(a, b, rtol, atol)
    a, b = _plain(a), _plain(b)
    if getattr(a, "dtype", None) == np.bool_ and getattr(b, "dtype", None) == np.bool_:
        np.testing.assert_equal(a, b)
        return
    if not almost_equal(a, b, rtol, atol, equal_nan=equal_nan):
        raise AssertionError(_report(a, b, rtol, atol, names, mismatches[1] if mismatches[1] > 0 else 10))


def assert_allclose(a: Any, b: Any, rtol: float = 1e-07, atol: float = 0, equal_nan: bool = True) -> None:
    """assert_almost_equal() with the tolerances of numpy.testing.assert_allclose."""
    assert_almost_equal(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: Any = None,
    atol: Any = None,
    etol: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """assert_almost_equal() for all elements but a share of `etol`."""
    if get_etol(etol) <= 0:
        assert_almost_equal(a, b, rtol=rtol, atol=atol, names=names, equal_nan=equal_nan)
        return
    rtol, atol = get_tols(a, b, rtol, atol)
    a, b = _plain(a), _plain(b)
    equal = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if 1 - np.count_nonzero(equal) / equal.size > get_etol(etol):
        raise AssertionError(_report(a, b, rtol, atol, names))


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, names: tuple[str, str] = ("a", "b")
) -> None:
    """assert_almost_equal() of what is NaN in neither."""
    a, b = np.copy(a), np.copy(b)
    nan = np.isnan(a) | np.isnan(b)
    a[nan] = b[nan] = 0
    assert_almost_equal(a, b, rtol, atol, names)


def assert_exception(f: Callable[..., Any], exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """Raise AssertionError unless the call raises that exception."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"{getattr(f, '__name__', f)} did not raise {exception_type.__name__}")


def retry(n: int) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """A decorator: a test of random numbers may fail n - 1 times."""
    assert n > 0

    def decorate(f: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            for i in range(n):
                try:
                    f(*args, **kwargs)
                    return
                except AssertionError:
                    if i == n - 1:
                        raise

        return wrapper

    return decorate


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: Any = None, atol: Any = None) -> None:
    """assert_almost_equal() of arrays in nested tuples; nothing when one of the two is None."""
    if t1 is None or t2 is None:
        return
    if isinstance(t1, tuple):
        for s1, s2 in zip(t1, t2, strict=False):
            compare_ndarray_tuple(s1, s2, rtol, atol)
    else:
        assert_almost_equal(t1, t2, rtol=rtol, atol=atol)


claim(globals(), "mxnet.test_utils")
