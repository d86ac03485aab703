"""gluon.utils: batches split over devices, gradients clipped, files checked, hooks."""

from __future__ import annotations

import hashlib
import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim, data_dir

__all__ = [
    "HookHandle", "check_sha1", "clip_global_norm", "data_dir", "download", "shape_is_known", "split_and_load", "split_data",
]  # fmt: skip

_CHUNK_NBYTES = 1 << 20


def split_data(data: Any, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """The batch as `num_slice` arrays along `batch_axis`; the first ones are one longer where it does not divide.

    Raises:
        ValueError: `even_split`, and the size is no multiple of `num_slice`.
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice != 0:
        raise ValueError(
            f"data with shape {data.shape} cannot be evenly split into {num_slice} slices along axis {batch_axis}. "
            f"Use a batch size that's multiple of {num_slice} or set even_split=False to allow uneven partitioning "
            "of data."
        )
    short, extras = divmod(size, num_slice)
    ends = np.cumsum([0] + [short + 1] * extras + [short] * (num_slice - extras)).tolist()
    if state.np_array:
        keys = [(slice(None),) * batch_axis + (slice(a, b),) for a, b in pairwise(ends)]
        return [data[key] for key in keys]
    return [
        data[a:b] if batch_axis == 0 else ndarray.slice_axis(data, axis=batch_axis, begin=a, end=b)
        for a, b in pairwise(ends)
    ]


def split_and_load(data: Any, ctx_list: Sequence[Any], batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """The batch split over the contexts, each part lying on its own."""
    if not isinstance(data, ndarray.NDArray):
        data = _array_function()(data, ctx=ctx_list[0])
    if len(ctx_list) == 1:
        return [data.as_in_context(ctx_list[0])]
    slices = split_data(data, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(slices, ctx_list, strict=True)]


def _array_function() -> Callable[..., Any]:
    if state.np_array:
        from tensorkeep.mxnet import numpy

        return numpy.array
    return ndarray.array


def clip_global_norm(arrays: Sequence[Any], max_norm: float, check_isfinite: bool = True) -> Any:
    """Scale the arrays in place so that the 2-norm of all of them is at most `max_norm`.

    Returns:
        The norm before: a float, or an array of one element when `check_isfinite` is False (nothing waits for it then).
    """
    assert len(arrays) > 0
    ctx = arrays[0].ctx
    norms = [_square_norm(array).as_in_context(ctx) for array in arrays]
    total = ndarray.sqrt(ndarray.add_n(*norms))
    if check_isfinite and not np.isfinite(total.asscalar()):
        warnings.warn(UserWarning("nan or inf is detected. Clipping results will be undefined."), stacklevel=2)
    scale = max_norm / (total + 1e-8)
    scale = ndarray.min(ndarray.concat(scale, ndarray.ones(1, ctx=ctx), dim=0))
    for array in arrays:
        array *= scale.as_in_context(array.ctx) if array.stype == "default" else scale.asscalar()
    return total.asscalar() if check_isfinite else total


def _square_norm(array: Any) -> Any:
    if array.stype == "default":
        flat = array.reshape((-1,))
        return ndarray.dot(flat, flat)
    return array.norm().square()


def check_sha1(filename: str, sha1_hash: str) -> bool:
    """Whether the file's SHA-1 is `sha1_hash`, in hexadecimal digits."""
    sha1 = hashlib.sha1()
    with open(filename, "rb") as file:
        while data := file.read(_CHUNK_NBYTES):
            sha1.update(data)
    return sha1.hexdigest() == sha1_hash


def download(
    url: str,
    path: str | None = None,
    overwrite: bool = False,
    sha1_hash: str | None = None,
    retries: int = 5,
    verify_ssl: bool = True,
) -> str:
    """The name of the file that `url` would be stored in, when it lies there already.

    Raises:
        RuntimeError: it does not lie there, or it has another SHA-1. This package never opens a connection; the text
            says which file to put where.
    """
    name = url.rsplit("/", 1)[-1]
    if path is None:
        assert name, "Can't construct file-name from this URL. Please set the `path` option manually."
        target = name
    else:
        path = os.path.expanduser(path)
        target = os.path.join(path, name) if os.path.isdir(path) else path
    assert retries >= 0, f"Number of retries should be at least 0, currently it's {retries}"
    if os.path.exists(target) and not overwrite:
        if not sha1_hash or check_sha1(target, sha1_hash):
            return target
        problem = f"{target} is there, but its SHA-1 is not {sha1_hash}"
    else:
        problem = f"{target} is asked for anew" if overwrite else f"{target} does not exist"
    raise RuntimeError(
        f"{problem}, and tensorkeep.mxnet downloads nothing. Fetch {url} by other means and put it at "
        f"{os.path.abspath(target)}."
    )


def _get_repo_url() -> str:
    base = os.environ.get("MXNET_GLUON_REPO", "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/")
    return base if base.endswith("/") else base + "/"


def _get_repo_file_url(namespace: str, filename: str) -> str:
    return f"{_get_repo_url()}{namespace}/{filename}"


def _brief_print_list(names: Iterable[Any], limit: int = 7) -> str:
    """At most `limit` names in quotes; of longer lists the first three and the last four."""
    quoted = [f"'{name}'" for name in names]
    if len(quoted) > limit:
        quoted = [*quoted[: limit // 2], "...", *quoted[-limit // 2 :]]
    return ", ".join(quoted)


def _indent(text: str, spaces: int) -> str:
    """All lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)


class HookHandle:
    """What `register_forward_hook` gives: `detach()`, or the end of a `with` block, takes the hook away."""

    def __init__(self) -> None:
        self._hooks: Callable[[], dict[int, Any] | None] | None = None
        self._id = 0

    def attach(self, hooks_dict: Any, hook: Any) -> None:
        """Put the hook into the dict, which is only held weakly."""
        assert self._hooks is None, "The same handle cannot be attached twice."
        self._id = id(hook)
        hooks_dict[self._id] = hook
        self._hooks = weakref.ref(hooks_dict)

    def detach(self) -> None:
        """Take the hook away; nothing happens when it is gone already."""
        hooks = self._hooks() if self._hooks else None
        if hooks is not None:
            hooks.pop(self._id, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.detach()


def shape_is_known(shape: Sequence[int] | None) -> bool:
    """Whether every dimension is known: none is 0, or -1 with NumPy's semantics."""
    if shape is None:
        return False
    unknown = -1 if state.np_shape else 0
    if len(shape) == 0:
        return state.np_shape
    for dim in shape:
        if dim == unknown:
            return False
        assert dim > unknown, f"shape dimension size cannot be less than {unknown}, while received {dim}"
    return True


claim(globals())
