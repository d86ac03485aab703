"""BucketingModule: one Module for each kind of batch (sentences of one length), all with the same parameters."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.initializer import Uniform
from tensorkeep.mxnet.model import load_params
from tensorkeep.mxnet.module.base_module import BaseModule, _check_input_names
from tensorkeep.mxnet.module.module import Module
from tensorkeep.mxnet.name import NameManager
from tensorkeep.mxnet.symbol.symbol import load

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """Modules by bucket key, made when a batch asks for one.

    Args:
        sym_gen: a bucket key → (symbol, names of the data, names of the labels).
        default_bucket_key: of the largest bucket, which owns the parameters.
        The others are Module's.
    """

    def __init__(
        self,
        sym_gen: Any,
        default_bucket_key: Any = None,
        logger: Any = logging,
        context: Context | list[Context] | None = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ) -> None:
        super().__init__(logger=logger)
        assert default_bucket_key is not None
        self._default_bucket_key = default_bucket_key
        self._sym_gen = sym_gen
        self._options: dict[str, Any] = {
            "logger": logger,
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": fixed_param_names,
            "state_names": state_names,
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        if sym_gen is not None:  # load_dict() brings the networks themselves
            symbol, data_names, label_names = self._call_sym_gen(default_bucket_key)
            _check_input_names(symbol, list(data_names or []), "data", True)
            _check_input_names(symbol, list(label_names or []), "label", False)
            _check_input_names(symbol, list(state_names or []), "state", True)
            _check_input_names(symbol, list(fixed_param_names or []), "fixed_param", True)
        self._buckets: dict[Any, Module] = {}
        self._curr_module: Any = None
        self._curr_bucket_key: Any = None
        self._params_dirty = False
        self._monitor: Any = None
        self._grad_req: Any = None

    def _call_sym_gen(self, key: Any) -> Any:
        with NameManager():  # every bucket's nodes get the same names
            return self._sym_gen(key)

    def _module(self, key: Any) -> Module:
        symbol, data_names, label_names = self._call_sym_gen(key)
        return Module(symbol, data_names, label_names, **self._options)

    @property
    def data_names(self) -> list[str]:
        """The names of the data that the current bucket takes."""
        if self.binded:
            found: list[str] = self._curr_module.data_names
            return found
        return self._call_sym_gen(self._default_bucket_key)[1]

    @property
    def output_names(self) -> list[str]:
        """The names of the current bucket's outputs."""
        if self.binded:
            return self._curr_module.output_names
        return self._call_sym_gen(self._default_bucket_key)[0].list_outputs()

    @property
    def data_shapes(self) -> Any:
        """DataDescs of the data that the current bucket is bound for."""
        assert self.binded
        return self._curr_module.data_shapes

    @property
    def label_shapes(self) -> Any:
        """DataDescs of the labels that the current bucket is bound for."""
        assert self.binded
        return self._curr_module.label_shapes

    @property
    def output_shapes(self) -> Any:
        """(name, shape) of the current bucket's outputs."""
        assert self.binded
        return self._curr_module.output_shapes

    @property
    def symbol(self) -> Any:
        """The current bucket's network."""
        assert self.binded
        return self._curr_module.symbol

    # -- parameters

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters and the auxiliary states by name."""
        assert self.params_initialized
        self._curr_module._params_dirty = self._params_dirty
        found: tuple[dict[str, Any], dict[str, Any]] = self._curr_module.get_params()
        self._params_dirty = False
        return found

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set the parameters of all buckets."""
        if not allow_missing:
            super().set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.", stacklevel=2)
            return
        self._curr_module.set_params(arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._params_dirty = True
        self.params_initialized = True

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
        if self.params_initialized and not force_init:
            return
        assert self.binded, "call bind before initializing the parameters"
        self._curr_module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._params_dirty = False
        self.params_initialized = True

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The arrays of the current bucket's states."""
        self._require("binded", "params_initialized")
        found: list[Any] = self._curr_module.get_states(merge_multi_context=merge_multi_context)
        return found

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the current bucket's states to arrays, or to one value."""
        self._require("binded", "params_initialized")
        self._curr_module.set_states(states, value)

    # -- binding

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
        """Bind the default bucket; the others follow when a batch asks for them."""
        params = self.get_params() if self.params_initialized else None
        if force_rebind:
            self.binded = False
            self._buckets = {}
            self._curr_module = self._curr_bucket_key = None
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        assert shared_module is None, "shared_module for BucketingModule is not supported"
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self._grad_req = grad_req
        key = self._default_bucket_key
        module = self._buckets.get(key) or self._module(key)
        module.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        self.binded = True
        self._buckets[key] = self._curr_module = module
        self._curr_bucket_key = key
        if params is not None:
            self.set_params(*params)

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Make a bucket the current one; it is bound for these shapes if it is new."""
        assert self.binded, "call bind before switching bucket"
        module = self._buckets.get(bucket_key)
        if module is None or not module.binded:
            new = module is None
            module = self._module(bucket_key) if module is None else module
            module.bind(
                data_shapes,
                label_shapes,
                self._curr_module.for_training,
                self._curr_module.inputs_need_grad,
                shared_module=self._buckets[self._default_bucket_key],
                grad_req=self._grad_req,
            )
            if new and self._monitor is not None:
                module.install_monitor(self._monitor)
            self._buckets[bucket_key] = module
        self._curr_module = module
        self._curr_bucket_key = bucket_key

    # -- training

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer, which all buckets share."""
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        self._curr_module.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for module in self._buckets.values():
            if module is not self._curr_module:
                module.borrow_optimizer(self._curr_module)
        self.optimizer_initialized = True

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Bind the bucket of the next batch."""
        self._require("binded", "params_initialized")
        current = self._curr_bucket_key
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        self.switch_bucket(current, None, None)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch by its bucket's network."""
        self._require("binded", "params_initialized")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients."""
        self._require("binded", "params_initialized")
        self._curr_module.backward(out_grads=out_grads)

    def update(self) -> None:
        """Let the optimizer change the parameters by the gradients."""
        self._require("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        self._curr_module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward()."""
        self._require("binded", "params_initialized")
        found: list[Any] = self._curr_module.get_outputs(merge_multi_context=merge_multi_context)
        return found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        found: list[Any] = self._curr_module.get_input_grads(merge_multi_context=merge_multi_context)
        return found

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs of the last batch."""
        self._require("binded", "params_initialized")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch all buckets."""
        assert self.binded
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)

    # -- files

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Write PREFIX-0001.params, PREFIX-KEY-symbol.json of each bucket, and PREFIX.buckets with the keys."""
        assert len(self._buckets) > 0, "Empty BucketingModule cannot be saved"
        self.save_params(f"{prefix}-{epoch:04d}.params")
        for key in self._buckets:
            symbol, _, _ = self._sym_gen(key)
            symbol.save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", nd.array(list(self._buckets), dtype=np.int32))

    @staticmethod
    def load(
        prefix: str,
        epoch: int,
        sym_gen: Callable[[Any], Any] | None = None,
        default_bucket_key: Any = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A BucketingModule with the networks and parameters of a checkpoint."""
        assert sym_gen is not None, "sym_gen is required for loading BucketingModule"
        assert default_bucket_key is not None, "default_bucket_key is required for loading BucketingModule"
        keys = nd.load(f"{prefix}.buckets")[0].asnumpy().astype("int32").tolist()
        symbols = {key: load(f"{prefix}-{key}-symbol.json") for key in keys}
        return _filled(symbols, sym_gen, default_bucket_key, *load_params(prefix, epoch), kwargs, keys=keys)

    @staticmethod
    def load_dict(
        sym_dict: Mapping[Any, Any] | None = None,
        sym_gen: Any = None,
        default_bucket_key: Any = None,
        arg_params: Any = None,
        aux_params: Any = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A BucketingModule with given networks, by bucket key, and parameters."""
        for name, value in (("sym_dict", sym_dict), ("arg_params", arg_params), ("aux_params", aux_params)):
            verb = "needs" if name == "sym_dict" else "need"
            assert value is not None, f"{name} {verb} to be provided for BucketingModule.load_dict"
        assert default_bucket_key is not None, "default_bucket_key needs to be provided for BucketingModule.load_dict"
        return _filled(sym_dict or {}, sym_gen, default_bucket_key, arg_params, aux_params, kwargs, keys=None)


def _filled(
    symbols: Mapping[Any, Any],
    sym_gen: Any,
    default_bucket_key: Any,
    arg_params: Any,
    aux_params: Any,
    options: dict[str, Any],
    keys: Any,
) -> BucketingModule:
    made = BucketingModule(sym_gen, default_bucket_key, **options)
    for key, symbol in symbols.items():
        _, data_names, label_names = sym_gen(default_bucket_key if keys is None else key)
        made._buckets[key] = module = Module(symbol, data_names, label_names, **options)
        if key == default_bucket_key:
            made._curr_module = module
    made._curr_module._arg_params, made._curr_module._aux_params = arg_params, aux_params
    made._curr_module.params_initialized = made.params_initialized = True
    return made


claim(globals())
