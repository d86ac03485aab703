"""Trainer: an optimizer applied to Parameters, after their gradients were summed over devices."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet import optimizer as opt
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.parameter import Parameter, ParameterDict
from tensorkeep.storage.atomic import replace_file

__all__ = ["Trainer"]

_STALE = (
    "Gradient of Parameter `{}` on context {} has not been updated by backward since last `step`. This could mean a bug "
    "in your model that made it only use a subset of the Parameters (Blocks) for this iteration. If you are "
    "intentionally only using a subset, call step with ignore_stale_grad=True to suppress this warning and skip "
    "updating of Parameters with stale gradient"
)


class Trainer:
    """Applies an optimizer to Parameters, once for each `step`.

    Args:
        params: a ParameterDict or dict (taken in the order of names), or a list.
        optimizer: an Optimizer, or its name.
        optimizer_params: its arguments, where it is given by name.
        kvstore: what sums gradients over several contexts: "device", "local", a KVStore, or None.
        compression_params: of gradients between machines.
        update_on_kvstore: whether the kvstore applies the optimizer; None lets it choose.
    Raises:
        ValueError: `params` holds something else than Parameters.
        AssertionError: Parameters lie on different contexts.
    """

    def __init__(
        self,
        params: Any,
        optimizer: Any,
        optimizer_params: dict[str, Any] | None = None,
        kvstore: Any = "device",
        compression_params: dict[str, Any] | None = None,
        update_on_kvstore: bool | None = None,
    ) -> None:
        if isinstance(params, (dict, ParameterDict)):
            params = [params[name] for name in sorted(params.keys())]
        if not isinstance(params, (list, tuple)):
            raise ValueError(f"First argument must be a list or dict of Parameters, got {type(params)}.")
        self._params: list[Parameter] = []
        self._param2idx: dict[str, int] = {}
        self._contains_sparse_weight = self._contains_sparse_grad = False
        for i, param in enumerate(params):
            if not isinstance(param, Parameter):
                raise ValueError(f"First argument must be a list or dict of Parameters, got list of {type(param)}.")
            self._param2idx[param.name] = i
            self._params.append(param)
            param._set_trainer(self)
            self._contains_sparse_weight |= param._stype != "default"
            self._contains_sparse_grad |= param._grad_stype != "default"
        self._compression_params = compression_params
        self._contexts = self._check_contexts()
        self._init_optimizer(optimizer, optimizer_params or {})
        self._scale = self._optimizer.rescale_grad
        self._kvstore_params = {"kvstore": kvstore, "update_on_kvstore": update_on_kvstore}
        self._kvstore: Any = None
        self._reset_kvstore()

    def _check_contexts(self) -> list[Any]:
        contexts: list[Any] | None = None
        for param in self._params:
            own = param.list_ctx()
            assert contexts is None or contexts == own, (
                f"All Parameters must be initialized on the same set of contexts, but Parameter {param.name} is "
                f"initialized on {own} while previous Parameters are initialized on {contexts}."
            )
            contexts = own
        return contexts or []

    def _init_optimizer(self, optimizer: Any, optimizer_params: dict[str, Any]) -> None:
        param_dict = dict(enumerate(self._params))
        if isinstance(optimizer, opt.Optimizer):
            assert not optimizer_params, (
                "optimizer_params must be None if optimizer is an instance of Optimizer instead of str"
            )
            self._optimizer = optimizer
            self._optimizer.param_dict = param_dict
        else:
            self._optimizer = opt.create(optimizer, param_dict=param_dict, **optimizer_params)
        self._updaters = [opt.get_updater(self._optimizer) for _ in self._contexts]

    def _reset_kvstore(self) -> None:
        if self._kvstore and "dist" in self._kvstore.type:
            raise RuntimeError("Cannot reset distributed KVStore.")
        self._kv_initialized = False
        self._kvstore = None
        self._distributed: bool | None = None
        self._update_on_kvstore: bool | None = None
        self._params_to_init = list(self._params)

    def _ready(self) -> None:
        """Make the kvstore and give it the Parameters, where that has not been done."""
        if not self._kv_initialized:
            self._init_kvstore()
        if self._params_to_init:
            self._init_params()

    def _init_kvstore(self) -> None:
        wanted = self._kvstore_params["update_on_kvstore"]
        source = self._kvstore_params["kvstore"]
        if self._contains_sparse_weight:
            from tensorkeep.mxnet.model import _create_sparse_kvstore

            kvstore, on_kvstore = _create_sparse_kvstore(source)
            if wanted is False:
                raise ValueError("Cannot set update_on_kvstore=False when sparse weights are present.")
        else:
            arrays = {param.name: param.data(self._contexts[0]) for param in self._params}
            if source is None or (isinstance(source, str) and "dist" not in source and len(self._contexts) == 1):
                kvstore, on_kvstore = None, False  # nothing is to be summed
            else:
                from tensorkeep.mxnet.model import _create_kvstore

                kvstore, on_kvstore = _create_kvstore(source, len(self._contexts), arrays)
            on_kvstore = self._chosen(kvstore, on_kvstore, wanted)
        self._distributed = bool(kvstore) and "dist" in kvstore.type
        if kvstore:
            if self._compression_params:
                kvstore.set_gradient_compression(self._compression_params)
            if on_kvstore:
                kvstore.set_optimizer(self._optimizer)
            self._update_on_kvstore = on_kvstore
        self._kvstore = kvstore
        self._kv_initialized = True

    def _chosen(self, kvstore: Any, on_kvstore: bool, wanted: bool | None) -> bool:
        """Whether the kvstore applies the optimizer."""
        distributed = bool(kvstore) and "dist" in kvstore.type
        if self._contains_sparse_grad:
            on_kvstore = distributed
            if wanted is False and distributed:
                raise ValueError(
                    "Cannot set update_on_kvstore=False on dist kvstore when sparse gradients are present."
                )
        elif distributed and "async" in kvstore.type:
            on_kvstore = True
            if wanted is False:
                raise ValueError("Please set update_on_kvstore=True when training in async mode.")
        if wanted is not None:
            on_kvstore = wanted
        if kvstore and on_kvstore and not kvstore.is_capable("optimizer"):
            if wanted:
                raise ValueError(f"Please set update_on_kvstore=False when training with {type(kvstore)}")
            on_kvstore = False
        return on_kvstore

    def _init_params(self) -> None:
        assert self._kv_initialized, "Cannot initialize parameters in KVStore when KVStore is not initialized."
        waiting = []
        for param in self._params_to_init if self._kvstore else ():
            if param._deferred_init:
                waiting.append(param)
                continue
            arrays = param._check_and_get(param._data, list)
            index = self._param2idx[param.name]
            if param._stype != "default":
                self._kvstore.init(index, arrays[0])
            else:
                self._kvstore.broadcast(index, arrays[0], arrays)
        self._params_to_init = waiting

    def _row_sparse_pull(self, parameter: Any, out: list[Any], row_id: Any) -> None:
        """Copy rows of a Parameter, which the kvstore updates, to its arrays."""
        self._ready()
        self._kvstore.row_sparse_pull(self._param2idx[parameter.name], out=out, row_ids=row_id)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        if not isinstance(self._optimizer, opt.Optimizer):
            raise UserWarning("Optimizer has to be defined before its learning rate can be accessed.")
        rate: float = self._optimizer.learning_rate
        return rate

    @property
    def optimizer(self) -> Any:
        """What updates the Parameters, with its hyperparameters as they are now."""
        if isinstance(self._optimizer, opt.Optimizer):
            return self._optimizer
        raise UserWarning("Optimizer has not been initialized yet")

    def set_learning_rate(self, lr: float) -> None:
        """Change the learning rate.

        Raises:
            UserWarning: the optimizer has a scheduler, which sets it.
        """
        if not isinstance(self._optimizer, opt.Optimizer):
            raise UserWarning("Optimizer has to be defined before its learning rate is mutated.")
        self._optimizer.set_learning_rate(lr)

    def _check_and_rescale_grad(self, scale: float) -> None:
        changed = self._optimizer.rescale_grad != scale
        if self._update_on_kvstore and self._distributed and self._kv_initialized and changed:
            raise UserWarning(
                "Possible change in the `batch_size` from previous `step` detected. Optimizer gradient normalizing "
                "factor will not change w.r.t new batch_size when update_on_kvstore=True and when distributed kvstore "
                "is used."
            )
        self._optimizer.rescale_grad = scale

    def step(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Sum gradients over contexts, divide them by `batch_size`, and apply the optimizer.

        Args:
            ignore_stale_grad: leave Parameters alone that backward() did not reach.
        Raises:
            UserWarning: backward() did not reach a Parameter since the last step.
        """
        self._check_and_rescale_grad(self._scale / batch_size)
        self._ready()
        self._allreduce_grads()
        self._update(ignore_stale_grad)

    def allreduce_grads(self) -> None:
        """Sum gradients over contexts; `update` follows.

        Raises:
            AssertionError: the kvstore applies the optimizer.
        """
        self._ready()
        assert not (self._kvstore and self._update_on_kvstore), (
            "allreduce_grads() when parameters are updated on kvstore is not supported. Try setting "
            "`update_on_kvstore` to False when creating trainer."
        )
        self._allreduce_grads()

    def _allreduce_grads(self) -> None:
        if not self._kvstore:
            return
        for i, param in enumerate(self._params):
            if param.grad_req == "null":
                continue
            grads = param.list_grad()
            if grads[0].stype != "default":
                self._kvstore.push(i, grads, priority=-i)
                if param._stype == "default":
                    out = param.list_data() if self._update_on_kvstore else grads
                    self._kvstore.pull(i, out, priority=-i, ignore_sparse=self._distributed)
            elif self._update_on_kvstore:
                self._kvstore.pushpull(i, grads, out=param.list_data(), priority=-i)
            else:
                self._kvstore.pushpull(i, grads, priority=-i)

    def update(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Divide gradients by `batch_size` and apply the optimizer, without summing them over contexts.

        Raises:
            AssertionError: the kvstore applies the optimizer.
            UserWarning: backward() did not reach a Parameter since the last step.
        """
        self._ready()
        assert not (self._kvstore and self._update_on_kvstore), (
            "update() when parameters are updated on kvstore is not supported. Try setting `update_on_kvstore` to "
            "False when creating trainer."
        )
        self._check_and_rescale_grad(self._scale / batch_size)
        self._update(ignore_stale_grad)

    def _update(self, ignore_stale_grad: bool = False) -> None:
        scaler = getattr(self, "_amp_loss_scaler", None)
        if scaler is not None and scaler.has_overflow(self._params):
            return
        trained = [(i, param) for i, param in enumerate(self._params) if param.grad_req != "null"]
        # All are looked at before one is changed: a step that is refused can be taken again.
        for _, param in trained if not ignore_stale_grad else ():
            for array in param._check_and_get(param._data, list):
                if not array._fresh_grad:
                    raise UserWarning(_STALE.format(param.name, array.ctx))
        if self._kvstore and self._update_on_kvstore:
            return
        updates: list[list[tuple[int, Any, Any]]] = [[] for _ in self._updaters]
        for i, param in trained:
            for update, array, grad in zip(updates, param.list_data(), param.list_grad(), strict=True):
                if not ignore_stale_grad or array._fresh_grad:
                    update.append((i, grad, array))
                    array._fresh_grad = False
        for updater, update in zip(self._updaters, updates, strict=True):
            if update:
                updater(*zip(*update, strict=True))

    def save_states(self, fname: str) -> None:
        """Write the optimizer and its states, as MXNet pickles them; `load_states` and MXNet read the file."""
        assert self._optimizer is not None
        self._ready()
        if self._update_on_kvstore:
            assert not self._params_to_init, (
                "Cannot save trainer states when some parameters are not yet initialized in kvstore."
            )
            self._kvstore.save_optimizer_states(fname, dump_optimizer=True)
        else:
            with replace_file(fname) as file:
                file.write(self._updaters[0].get_states(dump_optimizer=True))

    def load_states(self, fname: str) -> None:
        """Read the optimizer and its states; what the file names is not imported and not run."""
        self._ready()
        if self._update_on_kvstore:
            self._kvstore.load_optimizer_states(fname)
            self._optimizer = self._kvstore._updater.optimizer
        else:
            with open(fname, "rb") as file:
                states = file.read()
            for updater in self._updaters:
                updater.set_states(states)
                updater.optimizer = self._updaters[0].optimizer
            self._optimizer = self._updaters[0].optimizer
        self._optimizer.param_dict = dict(enumerate(self._params))


claim(globals())
