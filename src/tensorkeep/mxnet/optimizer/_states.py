"""Pickles as MXNet writes them: optimizers and their states.

Writing names classes by MXNet's paths, whether or not `import mxnet` gives anything. Reading goes through the pickle
machine of tensorkeep.formats, which imports and runs nothing: only arrays, plain data, optimizers and schedulers of ours
come back as objects.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pickle import _Pickler  # only writes; the C one insists that the modules of classes can be imported
from typing import Any

from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.errors import TensorkeepError, UnsafeFileError
from tensorkeep.formats._mxnet_pickle import MXNET
from tensorkeep.formats._pickle import load
from tensorkeep.mxnet._files import write_record
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import cpu
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["dumps", "loads"]

MAX_NBYTES = 4 << 30
"""A pickle of states: the arrays lie inside it, and all of it is in memory at once."""


class _Writer(_Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Arrays as MXNet reduces them; everything else as pickle does."""
        if isinstance(obj, NDArray):
            return type(obj), (None,), {"handle": write_record(obj)}
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """A class of ours by MXNet's path, without a look at what can be imported."""
        module = getattr(obj, "__module__", None) or ""
        if not module.startswith("mxnet."):
            super().save_global(obj, name)  # type: ignore[misc]  # typeshed leaves it out
            return
        self.save(module)  # type: ignore[attr-defined]  # typeshed leaves it out
        self.save(obj.__qualname__)  # type: ignore[attr-defined]  # as above
        self.write(b"\x93")  # type: ignore[attr-defined]  # STACK_GLOBAL
        self.memoize(obj)  # type: ignore[attr-defined]  # as above


def dumps(value: Any) -> bytes:
    """The pickle of arrays, optimizers and plain data, protocol 4: the bytes that MXNet 1.9.1 writes."""
    out = io.BytesIO()
    _Writer(out, protocol=4).dump(value)
    return out.getvalue()


def loads(data: bytes, *, what: str) -> Any:
    """The arrays, optimizers and plain data of a pickle.

    Args:
        what: what errors call it.
    Raises:
        UnsafeFileError: it asks for something else; all of it is listed, and nothing was executed.
        MXNetError: it is damaged.
    """
    try:
        found = load(bytes(data), what=what, known=MXNET, max_nbytes=MAX_NBYTES)
    except UnsafeFileError:
        raise
    except TensorkeepError as err:
        raise MXNetError(str(err)) from err
    return _Objects(what).made(found.value)


class _Objects:
    """Makes objects of ours from what the machine read; the same record becomes the same object again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: dict[int, Any] = {}

    def made(self, value: Any) -> Any:
        key = id(value)
        if key in self._seen:
            return self._seen[key]
        kind = type(value)
        made: Any
        if isinstance(value, Tensor):
            made = wrap(value.torch(), cpu(0), NDArray)
        elif isinstance(value, SparseTensor):
            from tensorkeep.mxnet.ndarray.sparse import from_parts

            parts = [value.data, value.indices, value.indptr]
            tensors = [None if part is None else part.torch() for part in parts]
            made = from_parts(value.kind, value.shape, *tensors, ctx=cpu(0))
        elif kind is dict:
            made = dict[Any, Any]()
            self._seen[key] = made
            made.update((name, self.made(item)) for name, item in value.items())
        elif kind is list:
            made = list[Any]()
            self._seen[key] = made
            made.extend(self.made(item) for item in value)
        elif kind is tuple:
            made = tuple(self.made(item) for item in value)
        elif isinstance(value, Inert):
            made = self._object(value)
        else:
            return value
        self._seen[key] = made
        return made

    def _object(self, record: Inert) -> Any:
        build = _builders().get(record.name) if record.module.startswith(_ROOMS) else None
        if build is None or record.args or not isinstance(record.state, dict):
            raise UnsafeFileError(
                f"{self._what}: {record.module}.{record.name} is no optimizer or scheduler that tensorkeep makes from a "
                "file. Nothing was executed. tensorkeep.load(path) shows it as a record.",
                requests=((record.module, record.name),),
            )
        state = {name: item for name, item in record.state.items() if name != "param_dict"}
        return build(self.made(state))


_ROOMS = ("mxnet.optimizer", "mxnet.lr_scheduler")


def _builders() -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Class name → a function that makes an object of that class from its attributes."""
    from tensorkeep.mxnet import lr_scheduler
    from tensorkeep.mxnet.optimizer import contrib, optimizer

    classes = [getattr(lr_scheduler, name) for name in lr_scheduler.__all__]
    classes += [c for c in vars(optimizer).values() if isinstance(c, type) and issubclass(c, optimizer.Optimizer)]
    classes.append(contrib.GroupAdaGrad)
    return {cls.__name__: _builder(cls) for cls in classes}


def _builder(cls: type) -> Callable[[dict[str, Any]], Any]:
    def build(state: dict[str, Any]) -> Any:
        made: Any = object.__new__(cls)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            made.__dict__.update(state)
        return made

    return build
