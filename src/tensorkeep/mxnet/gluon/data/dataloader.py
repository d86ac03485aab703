"""DataLoader: batches of a dataset, made by this process, by threads or by other processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import init_reductions

from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, cpu_pinned
from tensorkeep.mxnet.gluon.data.sampler import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["DataLoader"]

_EXCLUSIVE = "batch_size, shuffle, sampler and last_batch must not be specified if batch_sampler is specified."


def _numpy_face() -> Any:
    from tensorkeep.mxnet import numpy

    return numpy


def _batch(data: Any, ctx: Context | None) -> Any:
    if isinstance(data[0], ndarray.NDArray):
        stacked = _numpy_face().stack(data) if state.np_array else ndarray.stack(*data)
        return stacked if ctx is None else wrap(stacked._t, ctx, type(stacked))
    if isinstance(data[0], tuple):
        return [_batch(column, ctx) for column in zip(*data, strict=True)]
    values = np.asarray(data)
    array = _numpy_face().array if state.np_array else ndarray.array
    return array(values, dtype=values.dtype, ctx=ctx)


def default_batchify_fn(data: Any) -> Any:
    """One array of the examples in a list; of tuples, a list of arrays."""
    return _batch(data, None)


def default_mp_batchify_fn(data: Any) -> Any:
    """The same in memory that other processes see: the context is cpu_shared(0)."""
    return _batch(data, Context("cpu_shared", 0))


def _as_in_context(data: Any, ctx: Context) -> Any:
    if isinstance(data, ndarray.NDArray):
        return data.as_in_context(ctx)
    if isinstance(data, (list, tuple)):
        return [_as_in_context(item, ctx) for item in data]
    return data


def _rebuilt(tensor: torch.Tensor, kind: str, number: int, cls: Any) -> Any:
    return wrap(tensor, Context(kind, number), cls)


def _reduced(array: Any) -> Any:
    """How an array goes to another process: its tensor in shared memory, without a copy."""
    return _rebuilt, (array._t.detach(), array._ctx.device_type, array._ctx.device_id, type(array))


def _share_arrays() -> None:
    """Let queues between processes send arrays through shared memory."""
    init_reductions()
    ForkingPickler.register(ndarray.NDArray, _reduced)
    ForkingPickler.register(_numpy_face().ndarray, _reduced)


class _Worker:
    """What a worker process or thread keeps: the dataset, set once when it starts."""

    dataset: Any = None


def _start_worker(dataset: Any, np_shape: bool, np_array: bool) -> None:
    _Worker.dataset = dataset
    torch.set_num_threads(1)  # a forked process has none of the threads that its pool believes in
    _share_arrays()
    _start_thread(np_shape, np_array)


def _start_thread(np_shape: bool, np_array: bool) -> None:
    state.np_shape, state.np_array = np_shape, np_array


def _process_batch(samples: list[Any], batchify: Callable[[Any], Any]) -> Any:
    return batchify([_Worker.dataset[i] for i in samples])


class _Batches:
    """The batches of one round, made ahead by a pool and given in order."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._indices = iter(loader._batch_sampler)
        self._waiting: list[Any] = []
        for _ in range(loader._prefetch):
            self._push()

    def _push(self) -> None:
        loader = self._loader
        samples = next(self._indices, None)
        if samples is None:
            return
        if loader._thread_pool:
            work = loader._worker_pool.apply_async(loader._make, (samples,))
        else:
            work = loader._worker_pool.apply_async(_process_batch, (samples, loader._batchify_fn))
        self._waiting.append(work)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._push()
        if not self._waiting:
            raise StopIteration
        timeout = self._loader._timeout
        try:
            batch = self._waiting.pop(0).get(timeout)
        except multiprocessing.TimeoutError:
            hint = "" if self._loader._thread_pool else " Or shared memory is short: reduce num_workers."
            warnings.warn(
                f"Worker timed out after {timeout} seconds. This might be caused by a slow transform: increase timeout "
                f"to allow slower data loading in each worker.{hint}",
                stacklevel=2,
            )
            raise
        except Exception:
            self._loader._worker_pool.terminate()
            raise
        return self._loader._pinned(batch)


class DataLoader:
    """Batches of a dataset, one round each time it is iterated over.

    Args:
        batch_size: how many examples a batch has.
        shuffle: whether the order is random; `sampler` gives another order.
        last_batch: "keep" (default), "discard" or "rollover"; see BatchSampler.
        batch_sampler: gives lists of indices, instead of all the above.
        batchify_fn: list of examples → batch; by default arrays are stacked.
        num_workers: how many processes make batches; 0 makes them here.
        pin_memory, pin_device_id: whether batches lie in memory that is pinned for copies to that GPU.
        prefetch: how many batches are made ahead: two a worker when None.
        thread_pool: whether threads take the place of processes.
        timeout: how many seconds a batch may take.
        auto_reload: whether the next round is begun as soon as one ends.
    Raises:
        ValueError: arguments that exclude each other.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Any = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: Callable[[Any], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,
    ) -> None:
        assert timeout > 0, f"timeout must be positive, given {timeout}"
        self._worker_pool: Any = None
        self._dataset = dataset
        self._pin_memory = pin_memory
        self._pin_device_id = pin_device_id
        self._thread_pool = thread_pool
        self._timeout = timeout
        if batch_sampler is None:
            batch_sampler = _batch_sampler(dataset, batch_size, shuffle, sampler, last_batch)
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise ValueError(_EXCLUSIVE)
        self._batch_sampler = batch_sampler
        self._num_workers = max(0, num_workers)
        self._prefetch = max(0, 2 * self._num_workers if prefetch is None else int(prefetch))
        if batchify_fn is None:
            batchify_fn = default_mp_batchify_fn if num_workers > 0 else default_batchify_fn
        self._batchify_fn = batchify_fn
        if self._num_workers > 0:
            self._worker_pool = self._pool()
        self.auto_reload = auto_reload
        self._iter: Iterator[Any] | None = None
        if auto_reload:
            self.refresh()

    def _pool(self) -> Any:
        semantics = state.np_shape, state.np_array
        if self._thread_pool:
            return ThreadPool(self._num_workers, initializer=_start_thread, initargs=semantics)
        _share_arrays()
        # Forked workers have the dataset without pickling it, as MXNet's users are used to.
        methods: list[str] = list(multiprocessing.get_all_start_methods())
        forks = "fork" in methods and methods[0] != "spawn"  # the default comes first: macOS can fork, but should not
        chosen = multiprocessing.get_context("fork" if forks else None)
        ours = threading.current_thread() is threading.main_thread()
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if ours else None  # Ctrl-C is for the parent
        try:
            return chosen.Pool(self._num_workers, initializer=_start_worker, initargs=(self._dataset, *semantics))
        finally:
            if ours:
                signal.signal(signal.SIGINT, handler)

    def _make(self, samples: list[Any]) -> Any:
        return self._batchify_fn([self._dataset[i] for i in samples])

    def _pinned(self, batch: Any) -> Any:
        return _as_in_context(batch, cpu_pinned(self._pin_device_id)) if self._pin_memory else batch

    def _round(self) -> Iterator[Any]:
        if self._num_workers > 0:
            return _Batches(self)
        return (self._pinned(self._make(samples)) for samples in self._batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if self._iter is None:
            self.refresh()
        batches, self._iter = self._iter, None
        assert batches is not None
        yield from batches
        if self.auto_reload and not self._begun():
            self.refresh()

    def _begun(self) -> bool:
        return self._iter is not None

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __del__(self) -> None:
        pool = getattr(self, "_worker_pool", None)
        if isinstance(pool, Pool):
            pool.terminate()

    def refresh(self) -> None:
        """Begin a round now; the next iteration goes on with it."""
        self._iter = self._round()

    def clean(self) -> None:
        """Forget a round that was begun."""
        self._iter = None


def _batch_sampler(
    dataset: Any, batch_size: int | None, shuffle: bool, sampler: Any, last_batch: str | None
) -> BatchSampler:
    if batch_size is None:
        raise ValueError("batch_size must be specified unless batch_sampler is specified")
    if sampler is None:
        sampler = (RandomSampler if shuffle else SequentialSampler)(len(dataset))
    elif shuffle:
        raise ValueError("shuffle must not be specified if sampler is specified")
    return BatchSampler(sampler, batch_size, last_batch or "keep")


claim(globals())
