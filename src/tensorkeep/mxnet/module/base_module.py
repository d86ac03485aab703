"""BaseModule: what all modules share: fit, score, predict, parameters and their files."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet import metric
from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import cpu
from tensorkeep.mxnet.initializer import Uniform
from tensorkeep.mxnet.io import DataBatch, DataDesc, DataIter
from tensorkeep.mxnet.model import BatchEndParam
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["BaseModule"]

Shapes = Sequence[Any]
"""DataDescs, or (name, shape) pairs."""


def _check_input_names(symbol: Any, names: Sequence[str], typename: str, throw: bool) -> None:
    """Raise ValueError, or warn, when the symbol has no input of a name that the Module was told."""
    args = symbol.list_arguments()
    parameters = ("_weight", "_bias", "_gamma", "_beta")
    for name in names:
        if name not in args:
            candidates = [arg for arg in args if not arg.endswith(parameters)]
            listed = "\n\t".join(candidates)
            text = (
                f"\033[91mYou created Module with Module(..., {typename}_names={names}) but input with name '{name}' "
                f"is not found in symbol.list_arguments(). Did you mean one of:\n\t{listed}\033[0m"
            )
            if throw:
                raise ValueError(text)
            warnings.warn(text, stacklevel=3)


def _check_names_match(data_names: Sequence[str], data_shapes: Shapes, name: str, throw: bool) -> None:
    if sorted(data_names) != sorted(item[0] for item in data_shapes):
        text = (
            f"Data provided by {name}_shapes don't match names specified by {name}_names ({data_shapes} vs. "
            f"{data_names})"
        )
        if throw:
            raise ValueError(text)
        warnings.warn(text, stacklevel=4)


def _parse_data_desc(
    data_names: Sequence[str], label_names: Sequence[str], data_shapes: Shapes, label_shapes: Shapes | None
) -> tuple[list[Any], list[Any] | None]:
    data = [item if isinstance(item, DataDesc) else DataDesc(*item) for item in data_shapes]
    _check_names_match(data_names, data, "data", True)
    if label_shapes is None:
        _check_names_match(label_names, [], "label", False)
        return data, None
    labels = [item if isinstance(item, DataDesc) else DataDesc(*item) for item in label_shapes]
    _check_names_match(label_names, labels, "label", False)
    return data, labels


def _callbacks(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _sent(callback: Any, epoch: int, nbatch: int, eval_metric: Any, variables: dict[str, Any]) -> None:
    """Tell callbacks about the end of a batch."""
    if callback is not None:
        param = BatchEndParam(epoch=epoch, nbatch=nbatch, eval_metric=eval_metric, locals=variables)
        for one in _callbacks(callback):
            one(param)


class BaseModule:
    """A network that can be bound to shapes, trained and asked.

    Attributes:
        binded, params_initialized, optimizer_initialized: which steps were taken.
        for_training, inputs_need_grad: what bind() was told.
        symbol: the network.
    """

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol: Any = None
        self._total_exec_bytes = 0

    @property
    def symbol(self) -> Any:
        """The network."""
        return self._symbol

    def _require(self, *steps: str) -> None:
        """Raise AssertionError unless all these steps were taken."""
        for step in steps:
            assert getattr(self, step)

    # -- what is done with a network

    def forward_backward(self, data_batch: Any) -> None:
        """forward() as in training, then backward()."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        score_end_callback: Any = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, float]]:
        """(name, value) of a metric over the batches of an iterator."""
        self._require("binded", "params_initialized")
        if reset:
            eval_data.reset()
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        eval_metric.reset()
        count = 0
        for nbatch, eval_batch in enumerate(eval_data):
            if num_batch is not None and nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            self._measure(eval_metric, eval_batch)
            _sent(batch_end_callback, epoch, nbatch, eval_metric, locals())
            count += 1
        if score_end_callback:
            _sent(score_end_callback, epoch, count, eval_metric, locals())
        found: list[tuple[str, float]] = eval_metric.get_name_value()
        return found

    def _measure(self, eval_metric: Any, batch: Any) -> None:
        if isinstance(batch, list):
            self.update_metric(eval_metric, [part.label for part in batch], pre_sliced=True)
        else:
            self.update_metric(eval_metric, batch.label)

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple[list[Any], int, Any]]:
        """(outputs without padding, number, batch) for each batch of an iterator."""
        self._require("binded", "params_initialized")
        if reset:
            eval_data.reset()
        for nbatch, batch in enumerate(eval_data):
            if num_batch is not None and nbatch == num_batch:
                break
            self.prepare(batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(batch, is_train=False)
            yield [out[0 : out.shape[0] - (batch.pad or 0)] for out in self.get_outputs()], nbatch, batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """The outputs for an array or for all batches of an iterator, joined.

        Args:
            merge_batches: False for a list with the outputs of each batch.
            always_output_list: a list also where the network has one output.
        """
        self._require("binded", "params_initialized")
        if isinstance(eval_data, (NDArray, np.ndarray)):
            array = eval_data if isinstance(eval_data, NDArray) else nd.array(eval_data)
            self.forward(DataBatch([array]))
            return self.get_outputs()[0]
        if not isinstance(eval_data, DataIter):
            raise ValueError("eval_data must be of type NDArray or DataIter")
        batches = [
            [out.copy() for out in outputs]
            for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        ]
        if not batches or not merge_batches:
            return batches
        count = len(batches[0])
        for outputs in batches:
            assert len(outputs) == count, (
                "Cannot merge batches, as num of outputs is not the same in mini-batches. Maybe bucketing is used?"
            )
        joined = [nd.concatenate([outputs[i] for outputs in batches]) for i in range(count)]
        return joined[0] if count == 1 and not always_output_list else joined

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:
        """Bind, initialise and train for epochs; metrics and times are logged.

        Args:
            epoch_end_callback: called with (epoch, symbol, arg_params, aux_params).
            batch_end_callback: called with a BatchEndParam.
            begin_epoch, num_epoch: the numbers of the first epoch and of the one after the last.
        """
        assert num_epoch is not None, "please specify number of epochs"
        self.bind(
            data_shapes=train_data.provide_data,
            label_shapes=train_data.provide_label,
            for_training=True,
            force_rebind=force_rebind,
        )
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
        )
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        validation_metric = eval_metric if validation_metric is None else validation_metric
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        for epoch in range(begin_epoch, num_epoch):
            begun = time.time()
            eval_metric.reset()
            values = self._fit_epoch(train_data, eval_metric, batch_end_callback, epoch, monitor, sparse_row_id_fn)
            for name, value in values:
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - begun)
            # Executors on several contexts each have their own auxiliary states: from here on all have the mean.
            arg_params, aux_params = self.get_params()
            self.set_params(arg_params, aux_params)
            if epoch_end_callback is not None:
                for callback in _callbacks(epoch_end_callback):
                    callback(epoch, self.symbol, arg_params, aux_params)
            if eval_data is not None:
                found = self.score(
                    eval_data,
                    validation_metric,
                    score_end_callback=eval_end_callback,
                    batch_end_callback=eval_batch_end_callback,
                    epoch=epoch,
                )
                for name, value in found:
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            train_data.reset()

    def _fit_epoch(
        self,
        train_data: Any,
        eval_metric: Any,
        batch_end_callback: Any,
        epoch: int,
        monitor: Any,
        sparse_row_id_fn: Any,
    ) -> list[tuple[str, float]]:
        batches = iter(train_data)
        data_batch = next(batches)
        values: list[tuple[str, float]] = []
        nbatch = 0
        while data_batch is not None:
            if monitor is not None:
                monitor.tic()
            self.forward_backward(data_batch)
            self.update()
            self._measure(eval_metric, data_batch)
            next_data_batch = next(batches, None)
            if next_data_batch is not None:
                self.prepare(next_data_batch, sparse_row_id_fn=sparse_row_id_fn)
            if monitor is not None:
                monitor.toc_print()
            if next_data_batch is None:
                values = eval_metric.get_global_name_value()
            _sent(batch_end_callback, epoch, nbatch, eval_metric, locals())
            data_batch = next_data_batch
            nbatch += 1
        return values

    # -- parameters

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set the parameters."""
        self.init_params(
            initializer=None,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
            allow_extra=allow_extra,
        )

    def save_params(self, fname: str) -> None:
        """Write the parameters to a file, by the names arg:NAME and aux:NAME."""
        arg_params, aux_params = self.get_params()
        arrays = {f"arg:{name}": array.as_in_context(cpu()) for name, array in arg_params.items()}
        arrays.update({f"aux:{name}": array.as_in_context(cpu()) for name, array in aux_params.items()})
        nd.save(fname, arrays)

    def load_params(self, fname: str) -> None:
        """Set the parameters from a file of save_params().

        Raises:
            ValueError: a name begins with neither arg: nor aux:.
        """
        found: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
        for key, value in nd.load(fname).items():
            kind, name = key.split(":", 1)
            if kind not in found:
                raise ValueError("Invalid param file " + fname)
            found[kind][name] = value
        self.set_params(found["arg"], found["aux"])

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The values of the states; a plain module has none."""
        self._require("binded", "params_initialized")
        assert not merge_multi_context
        return []

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states; a plain module has none."""
        self._require("binded", "params_initialized")
        assert not states
        assert not value

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for the next batch."""
        if sparse_row_id_fn is not None:
            warnings.warn("sparse_row_id_fn is not invoked for BaseModule.", UserWarning, stacklevel=2)

    # -- what every kind of module does in its own way

    @property
    def data_names(self) -> list[str]:
        """The names of the data that it takes."""
        raise NotImplementedError()

    @property
    def output_names(self) -> list[str]:
        """The names of its outputs."""
        raise NotImplementedError()

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data that it is bound for."""
        raise NotImplementedError()

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels that it is bound for; None without labels."""
        raise NotImplementedError()

    @property
    def output_shapes(self) -> Any:
        """(name, shape) of its outputs."""
        raise NotImplementedError()

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters and the auxiliary states by name."""
        raise NotImplementedError()

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill the parameters: from the given arrays, else by the initializer."""
        raise NotImplementedError()

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch it."""
        raise NotImplementedError()

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs for a batch."""
        raise NotImplementedError()

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients."""
        raise NotImplementedError()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward()."""
        raise NotImplementedError()

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the data."""
        raise NotImplementedError()

    def update(self) -> None:
        """Let the optimizer change the parameters by the gradients."""
        raise NotImplementedError()

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs of the last batch."""
        raise NotImplementedError()

    def bind(
        self,
        data_shapes: Shapes,
        label_shapes: Shapes | None = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the arrays and executors for these shapes."""
        raise NotImplementedError()

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer."""
        raise NotImplementedError()


claim(globals())
