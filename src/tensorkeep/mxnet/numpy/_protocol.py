"""NumPy's own functions on mx.np.ndarray: np.sum(x) is mx.np.sum(x), what mx.np lacks is computed by NumPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as onp

from tensorkeep.mxnet.numpy.fallback import compute

__all__ = ["FUNCTIONS", "LINALG", "UFUNCS", "array_function", "array_ufunc"]

FUNCTIONS = (
    "all any argmin argmax around round argsort sort append broadcast_arrays broadcast_to clip concatenate copy cumsum "
    "diag diagonal diagflat dot expand_dims fix flip flipud fliplr inner insert max amax mean min amin nonzero "
    "ones_like atleast_1d atleast_2d atleast_3d prod ravel repeat reshape roll split array_split hsplit vsplit dsplit "
    "squeeze stack std sum swapaxes take tensordot tile transpose unique unravel_index diag_indices_from delete var "
    "vdot vstack column_stack hstack dstack zeros_like shape trace tril meshgrid outer einsum polyval shares_memory "
    "may_share_memory quantile percentile diff ediff1d resize where full_like bincount empty_like nan_to_num isposinf "
    "isneginf pad"
)
LINALG = "norm cholesky inv solve tensorinv tensorsolve pinv eigvals eig eigvalsh eigh"
UFUNCS = (
    "abs fabs add arctan2 copysign degrees hypot lcm subtract multiply true_divide negative power mod matmul absolute "
    "rint sign exp log log2 log10 expm1 sqrt square cbrt reciprocal invert bitwise_not remainder sin cos tan sinh cosh "
    "tanh arcsin arccos arctan arcsinh arccosh arctanh maximum minimum ceil trunc floor bitwise_and bitwise_xor "
    "bitwise_or logical_not equal not_equal less less_equal greater greater_equal"
)


@cache
def _functions() -> dict[Any, Any]:
    from tensorkeep.mxnet import numpy as np

    found = {getattr(onp, name): getattr(np, name) for name in FUNCTIONS.split()}
    found.update({getattr(onp.linalg, name): getattr(np.linalg, name) for name in LINALG.split()})
    return found


@cache
def _ufuncs() -> dict[str, Any]:
    from tensorkeep.mxnet import numpy as np

    return {getattr(onp, name).__name__: getattr(np, name) for name in UFUNCS.split()}


def array_function(cls: Any, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a function of NumPy gives for mx.np's arrays."""
    ours = _functions().get(func)
    if ours is None:
        return compute(func, func.__name__, args, kwargs)
    if not all(issubclass(kind, cls) for kind in types):
        return NotImplemented
    return ours(*args, **kwargs)


def array_ufunc(ufunc: Any, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """What a ufunc of NumPy gives for mx.np's arrays."""
    if "out" in kwargs:
        if len(kwargs["out"]) != 1:
            raise ValueError("The `out` parameter must have exactly one ndarray")
        kwargs["out"] = kwargs["out"][0]
    if method != "__call__":
        return NotImplemented
    ours = _ufuncs().get(ufunc.__name__)
    if ours is not None:
        return ours(*inputs, **kwargs)
    return compute(ufunc, ufunc.__name__, inputs, kwargs)
