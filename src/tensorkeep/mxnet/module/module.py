"""Module: a network with its executors, parameters and optimizer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet import optimizer as opt
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import Context, cpu
from tensorkeep.mxnet.initializer import InitDesc, Uniform
from tensorkeep.mxnet.io import DataDesc
from tensorkeep.mxnet.model import (
    _create_kvstore,
    _initialize_kvstore,
    _update_params,
    _update_params_on_kvstore,
    load_checkpoint,
)
from tensorkeep.mxnet.module.base_module import BaseModule, _check_input_names, _parse_data_desc
from tensorkeep.mxnet.module.executor_group import DataParallelExecutorGroup
from tensorkeep.storage.atomic import replace_file

__all__ = ["Module"]


class Module(BaseModule):
    """A network, its parameters and its optimizer, on one context or several.

    Args:
        symbol: the network.
        data_names, label_names, state_names: which of its variables are no parameters.
        fixed_param_names: parameters that are not trained.
        context: a Context or a list: every batch is cut into parts.
        work_load_list: the share of each context.
        group2ctxs: where the arrays of each ctx_group lie; every executor computes on its own context.
    Raises:
        ValueError: the symbol has no variable of such a name.
    """

    def __init__(
        self,
        symbol: Any,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Context | list[Context] | None = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger=logger)
        context = cpu() if context is None else context
        self._context = [context] if isinstance(context, Context) else context
        self._work_load_list = [1] * len(self._context) if work_load_list is None else work_load_list
        assert len(self._work_load_list) == len(self._context)
        self._group2ctxs = group2ctxs
        self._compression_params = compression_params
        self._symbol = symbol
        self._data_names = list(data_names or [])
        self._label_names = list(label_names or [])
        self._state_names = list(state_names or [])
        self._fixed_param_names = list(fixed_param_names or [])
        _check_input_names(symbol, self._data_names, "data", True)
        _check_input_names(symbol, self._label_names, "label", False)
        _check_input_names(symbol, self._state_names, "state", True)
        _check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        self._arg_params: dict[str, Any] | None = None
        self._aux_params: dict[str, Any] | None = None
        self._params_dirty = False
        self._optimizer: Any = None
        self._kvstore: Any = None
        self._update_on_kvstore: bool | None = None
        self._updater: Any = None
        self._preload_opt_states: str | None = None
        self._exec_group: Any = None
        self._data_shapes: Any = None
        self._label_shapes: Any = None
        self._grad_req: Any = None

    # -- files

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """A Module with the network and parameters of a checkpoint.

        Args:
            load_optimizer_states: whether init_optimizer() will load the optimizer's states too.
            kwargs: for Module().
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        found = Module(symbol=symbol, **kwargs)
        found._arg_params, found._aux_params = arg_params, aux_params
        found.params_initialized = True
        if load_optimizer_states:
            found._preload_opt_states = f"{prefix}-{epoch:04d}.states"
        return found

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Write PREFIX-symbol.json and PREFIX-0001.params, and PREFIX-0001.states if asked."""
        self._symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
        param_name = f"{prefix}-{epoch:04d}.params"
        self.save_params(param_name)
        logging.info('Saved checkpoint to "%s"', param_name)
        if save_optimizer_states:
            state_name = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(state_name)
            logging.info('Saved optimizer state to "%s"', state_name)

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's states, as MXNet pickles them."""
        assert self.optimizer_initialized
        if self._update_on_kvstore:
            self._kvstore.save_optimizer_states(fname)
            return
        states = self._updater.get_states()
        with replace_file(fname, nbytes=len(states)) as file:
            file.write(states)

    def load_optimizer_states(self, fname: str) -> None:
        """Set the optimizer's states from a file of MXNet or of save_optimizer_states()."""
        assert self.optimizer_initialized
        if self._update_on_kvstore:
            self._kvstore.load_optimizer_states(fname)
            return
        with open(fname, "rb") as file:
            self._updater.set_states(file.read())

    # -- what it is bound to

    @property
    def data_names(self) -> list[str]:
        """The names of the data that it takes."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """The names of the labels that it takes."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """The names of its outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> Any:
        """DataDescs of the data that it is bound for."""
        assert self.binded
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """DataDescs of the labels that it is bound for; None without labels."""
        assert self.binded
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """(name, shape) of its outputs."""
        assert self.binded
        return self._exec_group.get_output_shapes()

    def bind(
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the arrays and executors for these shapes.

        Args:
            for_training, inputs_need_grad: whether there are gradients, of the parameters and of the data.
            force_rebind: whether to bind again when it is bound; parameters stay.
            shared_module: a bound Module, whose parameters and gradients are used.
            grad_req: "write", "add" or "null", for all, in order or by name.
        """
        if force_rebind:
            self.binded = False
            self._exec_group = self._data_shapes = self._label_shapes = None
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        assert for_training or not inputs_need_grad
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self._grad_req = grad_req
        self._data_shapes, self._label_shapes = _parse_data_desc(
            self.data_names, self.label_names, data_shapes, label_shapes
        )
        shared_group = None
        if shared_module is not None:
            assert isinstance(shared_module, Module)
            shared_module._require("binded", "params_initialized")
            shared_group = shared_module._exec_group
            assert len(shared_group.execs) >= len(self._context)
        self._exec_group = DataParallelExecutorGroup(
            self._symbol,
            self._context,
            self._work_load_list,
            self._data_shapes,
            self._label_shapes,
            self._param_names,
            for_training,
            inputs_need_grad,
            shared_group,
            logger=self.logger,
            fixed_param_names=self._fixed_param_names,
            grad_req=grad_req,
            state_names=self._state_names,
            group2ctxs=self._group2ctxs,
        )
        self._total_exec_bytes = self._exec_group._total_exec_bytes
        if shared_module is not None:
            self.params_initialized = True
            self._arg_params, self._aux_params = shared_module._arg_params, shared_module._aux_params
        elif self.params_initialized:
            self._exec_group.set_params(self._arg_params, self._aux_params)
        else:
            self._arg_params = _like(self._param_names, self._exec_group.param_arrays)
            self._aux_params = _like(self._aux_names, self._exec_group.aux_arrays)
        if shared_module is not None and shared_module.optimizer_initialized:
            self.borrow_optimizer(shared_module)
        self.binded = True

    def reshape(self, data_shapes: Sequence[Any], label_shapes: Sequence[Any] | None = None) -> None:
        """Bind for other shapes; the parameters stay."""
        assert self.binded
        self._data_shapes, self._label_shapes = _parse_data_desc(
            self.data_names, self.label_names, data_shapes, label_shapes
        )
        self._exec_group.reshape(self._data_shapes, self._label_shapes)

    # -- parameters

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters and the auxiliary states by name, in CPU memory."""
        assert self.params_initialized
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params  # type: ignore[return-value]  # bound, so they are there

    def _sync_params_from_devices(self) -> None:
        self._exec_group.get_params(self._arg_params, self._aux_params)
        self._params_dirty = False

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill the parameters: from the given arrays, else by the initializer.

        Args:
            allow_missing: whether the initializer may fill what the given arrays lack.
            force_init: whether to do so again.
            allow_extra: accepted; arrays with other names are not used.
        Raises:
            RuntimeError: a parameter is not among the given arrays.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        assert self.binded, "call bind before initializing the parameters"
        attrs = self._symbol.attr_dict()
        for params, given in ((self._arg_params, arg_params), (self._aux_params, aux_params)):
            for name, array in sorted((params or {}).items()):
                source = None if given is None else given.get(name)
                if source is not None:
                    _copy(source, array)
                elif given is not None and not allow_missing:
                    raise RuntimeError(f"{name} is not presented")
                elif initializer is not None or given is None:
                    initializer(InitDesc(name, attrs.get(name)), array)
        self.params_initialized = True
        self._params_dirty = False
        self._exec_group.set_params(self._arg_params, self._aux_params, allow_extra=allow_extra)

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set the parameters.

        Args:
            allow_missing: whether parameters that are not given stay as they are.
            allow_extra: whether arrays with other names are accepted, where allow_missing=True.
        """
        if not allow_missing:
            super().set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._exec_group.set_params(arg_params, aux_params, allow_extra=allow_extra)
        self._params_dirty = True
        self.params_initialized = True

    # -- training

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer; gradients are divided by the batch size unless rescale_grad is given."""
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        if self._params_dirty:
            self._sync_params_from_devices()
        count = len(self._context)
        kvstore, on_kvstore = _create_kvstore(kvstore, count, self._arg_params or {})
        batch_size = self._exec_group.batch_size
        if kvstore and "dist" in kvstore.type and "_sync" in kvstore.type:
            batch_size *= kvstore.num_workers
        rescale_grad = 1.0 / batch_size
        names = self._exec_group.param_names
        if on_kvstore:
            idx2name = dict(enumerate(names))
        else:
            idx2name = {i * count + k: name for k in range(count) for i, name in enumerate(names)}
        if isinstance(optimizer, str):
            params = {"rescale_grad": rescale_grad, **dict(optimizer_params)}
            optimizer = opt.create(optimizer, sym=self.symbol, param_idx2name=idx2name, **params)
        else:
            assert isinstance(optimizer, opt.Optimizer)
            if optimizer.rescale_grad != rescale_grad:
                warnings.warn(
                    "Optimizer created manually outside Module but rescale_grad is not normalized to "
                    f"1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale_grad}). Is this intended?",
                    stacklevel=2,
                )
            if not optimizer.idx2name:
                optimizer.idx2name = dict(idx2name)
        self._optimizer, self._kvstore, self._update_on_kvstore = optimizer, kvstore, on_kvstore
        self._updater = None
        if kvstore:
            if self._compression_params:
                kvstore.set_gradient_compression(self._compression_params)
            if on_kvstore:
                kvstore.set_optimizer(optimizer)
            _initialize_kvstore(kvstore, self._exec_group.param_arrays, self._arg_params, self._param_names, on_kvstore)
        if not on_kvstore:
            self._updater = opt.get_updater(optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def borrow_optimizer(self, shared_module: Any) -> None:
        """Use the optimizer of another Module, with its states."""
        assert shared_module.optimizer_initialized
        self._optimizer, self._kvstore = shared_module._optimizer, shared_module._kvstore
        self._update_on_kvstore, self._updater = shared_module._update_on_kvstore, shared_module._updater
        self.optimizer_initialized = True

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs for a batch, or for a list with one batch for each context; other shapes are bound for."""
        self._require("binded", "params_initialized")
        shapes = _batch_shapes(data_batch)
        if shapes != tuple([item.shape for item in self._data_shapes]):
            self.reshape(*self._described(data_batch, shapes))
        self._exec_group.forward(data_batch, is_train)

    def _described(self, batch: Any, shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, Any]:
        data = getattr(batch, "provide_data", None) or [
            DataDesc(item.name, shape, item.dtype, item.layout)
            for item, shape in zip(self._data_shapes, shapes, strict=False)
        ]
        labels = getattr(batch, "provide_label", None)
        if not labels and getattr(batch, "label", None) and self._label_shapes:
            labels = [
                DataDesc(item.name, label.shape, item.dtype, item.layout)
                for item, label in zip(self._label_shapes, batch.label, strict=False)
            ]
        return data, labels or None

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients; `out_grads` are those of outputs that are no losses."""
        self._require("binded", "params_initialized")
        self._exec_group.backward(out_grads=out_grads)

    def update(self) -> None:
        """Let the optimizer change the parameters by the gradients."""
        self._require("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        group = self._exec_group
        if self._update_on_kvstore:
            _update_params_on_kvstore(group.param_arrays, group.grad_arrays, self._kvstore, group.param_names)
        else:
            _update_params(
                group.param_arrays,
                group.grad_arrays,
                updater=self._updater,
                num_device=len(self._context),
                kvstore=self._kvstore,
                param_names=group.param_names,
            )

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward(): joined, or for each a list of the contexts' parts."""
        self._require("binded", "params_initialized")
        found: list[Any] = self._exec_group.get_outputs(merge_multi_context=merge_multi_context)
        return found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        found: list[Any] = self._exec_group.get_input_grads(merge_multi_context=merge_multi_context)
        return found

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The arrays of the states."""
        self._require("binded", "params_initialized")
        found: list[Any] = self._exec_group.get_states(merge_multi_context=merge_multi_context)
        return found

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states to arrays, or to one value."""
        self._require("binded", "params_initialized")
        self._exec_group.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs of the last batch."""
        self._exec_group.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch the executors."""
        assert self.binded
        self._exec_group.install_monitor(mon)

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for the next batch: nothing, parameters are whole on every context."""
        assert self.binded
        if sparse_row_id_fn is not None:
            warnings.warn(
                "Parameters are not updated in the KVStore. No need to call sparse_row_id_fn.",
                UserWarning,
                stacklevel=2,
            )


def _like(names: list[str], arrays: list[list[Any]]) -> dict[str, Any]:
    return {name: nd.zeros(block[0].shape, dtype=block[0].dtype) for name, block in zip(names, arrays, strict=True)}


def _copy(source: Any, target: Any) -> None:
    if source is target:
        return
    if source.shape != target.shape:
        shapes = ["[" + ",".join(map(str, array.shape)) + "]" for array in (source, target)]
        raise MXNetError(f"Incompatible attr in node  at 0-th output: expected {shapes[0]}, got {shapes[1]}")
    source.copyto(target)


def _batch_shapes(batch: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of a batch's arrays; of a list of batches, of all of them joined."""
    if not isinstance(batch, list):
        return tuple([array.shape for array in batch.data])
    first = batch[0].data
    for i, array in enumerate(first):
        for part in batch:
            assert part.data[i].shape == array.shape, "All data batches in a list need to have the same shape"
    return tuple([(len(batch) * array.shape[0], *array.shape[1:]) for array in first])


claim(globals())
