"""Checkpoints of symbols and parameters, and FeedForward, the model of MXNet's first years."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, cpu
from tensorkeep.mxnet.executor_manager import _check_arguments
from tensorkeep.mxnet.initializer import Uniform
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.symbol.symbol import Symbol, load

__all__ = ["BatchEndParam", "FeedForward", "load_checkpoint", "load_params", "save_checkpoint"]

BatchEndParam = namedtuple("BatchEndParam", ["epoch", "nbatch", "eval_metric", "locals"])  # MXNet's
BatchEndParam.__doc__ = "What a callback at the end of a batch is told."

_LARGE = 1024 * 1024 * 16
"""Parameters with more elements than this are not updated on a "local" key-value store, as in MXNet."""


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Symbol | None,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    remove_amp_cast: bool = True,
) -> None:
    """Write PREFIX-symbol.json (unless symbol is None) and PREFIX-0001.params."""
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
    arrays = {f"arg:{name}": array.as_in_context(cpu()) for name, array in arg_params.items()}
    arrays.update({f"aux:{name}": array.as_in_context(cpu()) for name, array in aux_params.items()})
    param_name = f"{prefix}-{epoch:04d}.params"
    nd.save(param_name, arrays)
    logging.info('Saved checkpoint to "%s"', param_name)


def load_params(prefix: str, epoch: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and auxiliary states in PREFIX-0001.params.

    Raises:
        MXNetError: there is no such file, or it is damaged.
        ValueError: a name in it has no arg: or aux: before it.
    """
    param_name = f"{prefix}-{epoch:04d}.params"
    arrays = nd.load(param_name)
    found: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    if not arrays:
        logging.warning("Params file '%s' is empty", param_name)
    else:
        for key, value in arrays.items():
            kind, name = key.split(":", 1)
            if kind in found:
                found[kind][name] = value
    return found["arg"], found["aux"]


def load_checkpoint(prefix: str, epoch: int) -> tuple[Symbol, dict[str, Any], dict[str, Any]]:
    """The symbol, the parameters and the auxiliary states of a checkpoint."""
    symbol = load(f"{prefix}-symbol.json")
    return (symbol, *load_params(prefix, epoch))


# -- where gradients meet


def _create_kvstore(kvstore: Any, num_device: int, arg_params: Mapping[str, Any]) -> tuple[Any, bool]:
    """The key-value store of a Module, None where one device needs none, and whether it applies the optimizer."""
    if kvstore is None:
        return None, False
    if isinstance(kvstore, str):
        if num_device == 1 and "dist" not in kvstore:
            return None, False
        from tensorkeep.mxnet import kvstore as kvs

        store = kvs.create(kvstore)
    elif hasattr(kvstore, "pushpull"):
        store = kvstore
    else:
        raise TypeError("kvstore must be KVStore, str or None")
    on_kvstore = bool(int(os.getenv("MXNET_UPDATE_ON_KVSTORE", "1"))) and store.is_capable("optimizer")
    if kvstore == "local" and max((prod(array.shape) for array in arg_params.values()), default=0) > _LARGE:
        on_kvstore = False
    return store, on_kvstore


def _create_sparse_kvstore(kvstore: Any) -> tuple[Any, bool]:
    """The key-value store for row-sparse parameters, which it updates itself."""
    if isinstance(kvstore, str):
        from tensorkeep.mxnet import kvstore as kvs

        kvstore = kvs.create(kvstore)
    elif not hasattr(kvstore, "pushpull"):
        raise TypeError(
            f"Cannot create '{kvstore}' KVStore with row_sparse parameters. The type must be KVStore or str."
        )
    assert kvstore.is_capable("optimizer"), (
        "KVStore with sparse weight requires optimizer support. However, type(kv) does not support optimizer. Please "
        "consider other kvstore backends (e.g. dist_device) instead."
    )
    return kvstore, True


def _initialize_kvstore(
    kvstore: Any, param_arrays: Any, arg_params: Any, param_names: Sequence[str], update_on_kvstore: bool
) -> None:
    for name, arrays in zip(param_names, param_arrays, strict=True):
        if update_on_kvstore:
            kvstore.broadcast(name, arg_params[name], out=arrays)
        else:
            kvstore.init(name, arg_params[name])


def _update_params_on_kvstore(param_arrays: Any, grad_arrays: Any, kvstore: Any, param_names: Sequence[str]) -> None:
    for i, (name, arrays, grads) in enumerate(zip(param_names, param_arrays, grad_arrays, strict=True)):
        if grads[0] is not None:
            kvstore.pushpull(name, grads, out=arrays, priority=-i)


def _update_params(
    param_arrays: Any,
    grad_arrays: Any,
    updater: Any,
    num_device: int,
    kvstore: Any = None,
    param_names: Sequence[str] | None = None,
) -> None:
    """Let the updater change the parameters on each device; a store sums up their gradients before."""
    updates: list[list[tuple[int, Any, Any]]] = [[] for _ in range(num_device)]
    for i, (arrays, grads) in enumerate(zip(param_arrays, grad_arrays, strict=True)):
        if grads[0] is None:
            continue
        if kvstore and param_names is not None:
            kvstore.pushpull(param_names[i], grads, priority=-i)
        for k, (array, grad) in enumerate(zip(arrays, grads, strict=True)):
            updates[k].append((i * num_device + k, grad, array))
    for found in updates:
        if found:
            indices, grads, arrays = zip(*found, strict=True)
            updater(list(indices), list(grads), list(arrays))


def _multiple_callbacks(callbacks: Any, *args: Any, **kwargs: Any) -> None:
    for callback in callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []:
        callback(*args, **kwargs)


class FeedForward:
    """A network with fit(), predict() and score(). Module has taken its place.

    Args:
        symbol: the network, or a function from a bucket's key to one.
        ctx: a Context or a list of them.
        num_epoch, epoch_size: how many epochs fit() trains, and of how many batches; None for the whole iterator.
        numpy_batch_size: the size of batches that are made from NumPy arrays.
        arg_params, aux_params: parameters to begin with.
        kwargs: for the optimizer.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Context | list[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        numpy_batch_size: int = 128,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        warnings.warn(
            "\033[91mmxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead.\033[0m",
            DeprecationWarning,
            stacklevel=2,
        )
        self.symbol: Any = symbol if isinstance(symbol, Symbol) else None
        self.sym_gen: Callable[[Any], Any] | None = None if isinstance(symbol, Symbol) else symbol
        assert self.symbol is not None or callable(symbol)
        self.arg_params = arg_params
        self.aux_params = aux_params
        self.allow_extra_params = allow_extra_params
        self.ctx = [cpu()] if ctx is None else [ctx] if isinstance(ctx, Context) else ctx
        self.num_epoch = num_epoch
        self.epoch_size = epoch_size
        self.kwargs = dict(kwargs)
        self.optimizer = optimizer
        self.initializer = initializer
        self.numpy_batch_size = numpy_batch_size
        self.begin_epoch = begin_epoch
        self._pred_exec: Any = None
        if self.symbol is not None:
            self._check_arguments()

    def _check_arguments(self) -> None:
        _check_arguments(self.symbol)
        if self.allow_extra_params:
            for attribute, names in (
                ("arg_params", self.symbol.list_arguments()),
                ("aux_params", self.symbol.list_auxiliary_states()),
            ):
                given = getattr(self, attribute)
                if given:
                    setattr(self, attribute, {name: given[name] for name in given if name in names})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pred_exec": None}

    # -- data

    def _init_iter(self, X: Any, y: Any, is_train: bool) -> Any:
        from tensorkeep.mxnet import io

        if not isinstance(X, (np.ndarray, NDArray)):
            if not isinstance(X, io.DataIter):
                raise TypeError("X must be DataIter, NDArray or numpy.ndarray")
            return X
        if y is None:
            if is_train:
                raise ValueError("y must be specified when X is numpy.ndarray")
            y = np.zeros(X.shape[0])
        if not isinstance(y, (np.ndarray, NDArray)):
            raise TypeError("y must be ndarray when X is numpy.ndarray")
        if X.shape[0] != y.shape[0]:
            raise ValueError("The numbers of data points and labels not equal")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.flatten()
        if y.ndim != 1:
            raise ValueError("Label must be 1D or 2D (with 2nd dimension being 1)")
        size = min(X.shape[0], self.numpy_batch_size)
        if is_train:
            return io.NDArrayIter(X, y, size, shuffle=True, last_batch_handle="roll_over")
        return io.NDArrayIter(X, y, size, shuffle=False)

    def _init_eval_iter(self, eval_data: Any) -> Any:
        from tensorkeep.mxnet import io

        if eval_data is None:
            return None
        if isinstance(eval_data, (tuple, list)) and len(eval_data) == 2:
            data, label = eval_data
            if data is None:
                raise ValueError("Eval data is NONE")
            if label is None and isinstance(data, io.DataIter):
                return data
            data = np.array(data) if isinstance(data, list) else data
            label = np.array(label) if isinstance(label, list) else label
            return self._init_iter(data, label, is_train=True)
        if not isinstance(eval_data, io.DataIter):
            raise TypeError(
                "Eval data must be DataIter, or NDArray/numpy.ndarray/list pair (i.e. tuple/list of length 2)"
            )
        return eval_data

    # -- inference

    def _init_predictor(self, X: Any) -> list[str]:
        """Make the executor for an iterator's shapes; the names of its data."""
        shapes = {name: array.shape for name, array in self.arg_params.items()}
        types = {name: array.dtype for name, array in self.arg_params.items()}
        for item in X.provide_data:
            shapes[item[0]] = item[1]
            types[item[0]] = getattr(item, "dtype", np.float32)
        names = [item[0] for item in X.provide_data]
        if self._pred_exec is not None:
            wanted, _, _ = self.symbol.infer_shape(**shapes)
            assert wanted is not None, "Incomplete input shapes"
            if wanted == [array.shape for array in self._pred_exec.arg_arrays]:
                return names
        _check_arguments(self.symbol)
        executor = self.symbol.simple_bind(self.ctx[0], grad_req="null", type_dict=types, **shapes)
        executor.copy_params_from(self.arg_params, self.aux_params)
        self._pred_exec = executor
        return names

    def _batches(self, X: Any, num_batch: int | None, reset: bool) -> Any:
        if reset:
            X.reset()
        arrays = [self._pred_exec.arg_dict[name] for name in self._init_predictor(X) if self._pred_exec is not None]
        for i, batch in enumerate(X):
            if num_batch is not None and i == num_batch:
                return
            for source, target in zip(batch.data, arrays, strict=True):
                source.copyto(target)
            self._pred_exec.forward(is_train=False)
            yield batch

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:
        """The outputs as NumPy arrays: one, or a list; with return_data=True (outputs, data, labels)."""
        X = self._init_iter(X, None, is_train=False)
        outputs: list[list[Any]] = []
        data: list[list[Any]] = []
        labels: list[list[Any]] = []
        for batch in self._batches(X, num_batch, reset):
            size = X.batch_size - (batch.pad or 0)
            outputs.append([array[0:size].asnumpy() for array in self._pred_exec.outputs])
            if return_data:
                data.append([array[0:size].asnumpy() for array in batch.data])
                labels.append([array[0:size].asnumpy() for array in batch.label])
        joined = [_joined(parts) for parts in (outputs, data, labels)]
        return tuple(joined) if return_data else joined[0]

    def score(
        self,
        X: Any,
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        reset: bool = True,
    ) -> Any:
        """The value of a metric."""
        from tensorkeep.mxnet import metric

        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        X = self._init_iter(X, None, is_train=False)
        for i, batch in enumerate(self._batches(X, num_batch, reset)):
            eval_metric.update(batch.label, self._pred_exec.outputs)
            if batch_end_callback is not None:
                _multiple_callbacks(batch_end_callback, BatchEndParam(0, i, eval_metric, locals()))
        return eval_metric.get()[1]

    # -- training

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        monitor: Any = None,
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
    ) -> None:
        """Train for num_epoch epochs on an iterator, or on arrays X and y."""
        from tensorkeep.mxnet import metric
        from tensorkeep.mxnet.callback import LogValidationMetricsCallback
        from tensorkeep.mxnet.module import BucketingModule, Module

        data = self._init_iter(X, y, is_train=True)
        eval_data = self._init_eval_iter(eval_data)
        eval_end_callback = LogValidationMetricsCallback() if eval_end_callback is None else eval_end_callback
        logger = logging if logger is None else logger
        logger.info("Start training with %s", self.ctx)
        names = [item[0] for item in data.provide_data], [item[0] for item in data.provide_label]
        options = {"logger": logger, "context": self.ctx, "work_load_list": work_load_list}
        module: Any
        if self.sym_gen is not None:
            make = self.sym_gen
            self.symbol = make(data.default_bucket_key)
            self._check_arguments()
            module = BucketingModule(lambda key: (make(key), *names), data.default_bucket_key, **options)
        else:
            module = Module(self.symbol, *names, **options)
        module.bind(data.provide_data, data.provide_label)
        if monitor is not None:
            module.install_monitor(monitor)
        module.init_params(self.initializer, self.arg_params, self.aux_params, allow_missing=True, allow_extra=True)
        module.init_optimizer(kvstore, self.optimizer, self.kwargs)
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        data.reset()
        for epoch in range(self.begin_epoch, self.num_epoch or 0):
            begun = time.time()
            eval_metric.reset()
            self._fit_epoch(module, data, eval_metric, batch_end_callback, epoch, logger, monitor)
            logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - begun)
            self.arg_params, self.aux_params = module.get_params()
            _multiple_callbacks(epoch_end_callback, epoch, self.symbol, self.arg_params, self.aux_params)
            if eval_data:
                module.score(
                    eval_data,
                    eval_metric,
                    batch_end_callback=eval_batch_end_callback,
                    score_end_callback=eval_end_callback,
                    epoch=epoch,
                )
                eval_data.reset()

    def _fit_epoch(
        self, module: Any, data: Any, eval_metric: Any, batch_end_callback: Any, epoch: int, logger: Any, monitor: Any
    ) -> None:
        """One epoch: epoch_size batches, across the end of the iterator if need be."""
        nbatch = 0
        while True:
            for batch in data:
                if monitor is not None:
                    monitor.tic()
                module.forward_backward(batch)
                module.update()
                if monitor is not None:
                    monitor.toc_print()
                module.update_metric(eval_metric, batch.label)
                nbatch += 1
                if batch_end_callback is not None:
                    _multiple_callbacks(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                if self.epoch_size is not None and nbatch >= self.epoch_size:
                    return
            logger.info("Epoch[%d] Resetting Data Iterator", epoch)
            data.reset()
            if self.epoch_size is None:
                return

    # -- files

    def save(self, prefix: str, epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Write a checkpoint; the epoch is num_epoch unless given."""
        epoch = self.num_epoch if epoch is None else epoch
        assert epoch is not None
        save_checkpoint(prefix, epoch, self.symbol, self.arg_params, self.aux_params, remove_amp_cast=remove_amp_cast)

    @staticmethod
    def load(prefix: str, epoch: int, ctx: Any = None, **kwargs: Any) -> FeedForward:
        """The model of a checkpoint; fit() goes on behind its epoch."""
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx=ctx, arg_params=arg_params, aux_params=aux_params, begin_epoch=epoch, **kwargs)

    @staticmethod
    def create(
        symbol: Any,
        X: Any,
        y: Any = None,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        **kwargs: Any,
    ) -> FeedForward:
        """A model that was trained on X."""
        made = FeedForward(symbol, ctx, num_epoch, epoch_size, optimizer, initializer, **kwargs)
        made.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            work_load_list,
            None,
            eval_end_callback,
            eval_batch_end_callback,
        )
        return made


def _joined(batches: list[list[Any]]) -> Any:
    """For each output the batches one behind the other: an array, or a list where there are several outputs."""
    found = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    return found[0] if len(found) == 1 else found


claim(globals())
