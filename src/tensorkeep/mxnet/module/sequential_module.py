"""SequentialModule: modules one behind the other; each takes the outputs of the one before as its data."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.initializer import Uniform
from tensorkeep.mxnet.module.base_module import BaseModule

__all__ = ["SequentialModule"]


class SequentialModule(BaseModule):
    """A chain of modules. An empty one is filled by add()."""

    META_TAKE_LABELS: ClassVar[str] = "take_labels"
    META_AUTO_WIRING: ClassVar[str] = "auto_wiring"

    def __init__(self, logger: Any = logging) -> None:
        super().__init__(logger=logger)
        self._modules: list[Any] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None

    def add(self, module: Any, **kwargs: Any) -> SequentialModule:
        """Put a module behind the others; the chain itself is returned.

        Args:
            take_labels: whether it gets the labels.
            auto_wiring: whether the outputs before it take the names of its data.
        """
        for key in kwargs:
            assert key in (self.META_TAKE_LABELS, self.META_AUTO_WIRING), f'Unknown meta "{key}", a typo?'
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    @property
    def data_names(self) -> list[str]:
        """The names of the data that the first module takes."""
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> list[str]:
        """The names of the last module's outputs."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data that the first module is bound for."""
        assert self.binded
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels; None when no module takes them."""
        assert self.binded
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """(name, shape) of the last module's outputs."""
        assert self.binded
        return self._modules[-1].output_shapes

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters and the auxiliary states of all modules."""
        self._require("binded", "params_initialized")
        found: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for module in self._modules:
            for target, params in zip(found, module.get_params(), strict=True):
                target.update(params)
        return found

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill the parameters of all modules; two with one name are refused."""
        if self.params_initialized and not force_init:
            return
        assert self.binded, "call bind before initializing the parameters"
        for module in self._modules:
            module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        for which in (0, 1):
            layers: dict[str, int] = {}
            for i, module in enumerate(self._modules):
                for name in module.get_params()[which]:
                    assert name not in layers, (
                        f'Duplicated parameter names: name "{name}" in layer {i} ({type(module)}) is already used in '
                        f"layer {layers[name]} ({type(self._modules[layers[name]])})."
                    )
                    layers[name] = i
        self.params_initialized = True

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
        """Bind the modules, each for the outputs of the one before."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        assert for_training or not inputs_need_grad
        assert shared_module is None, "Shared module is not supported"
        assert len(self._modules) > 0, "Attempting to bind an empty SequentialModule"
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        shapes: Any = data_shapes
        for i, (module, meta) in enumerate(zip(self._modules, self._metas, strict=True)):
            if meta.get(self.META_AUTO_WIRING, False):
                names = module.data_names
                assert len(names) == len(shapes)
                shapes = [(name, item[1]) for name, item in zip(names, shapes, strict=True)]
            module.bind(
                data_shapes=shapes,
                label_shapes=label_shapes if meta.get(self.META_TAKE_LABELS) else None,
                for_training=for_training,
                inputs_need_grad=bool(inputs_need_grad or (for_training and i > 0)),
                force_rebind=force_rebind,
                shared_module=None,
                grad_req=grad_req,
            )
            shapes = module.output_shapes
        self._label_shapes = label_shapes if any(meta.get(self.META_TAKE_LABELS) for meta in self._metas) else None
        self.binded = True

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizers of all modules."""
        self._require("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        self.optimizer_initialized = True

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs of a batch through all modules."""
        self._require("binded", "params_initialized")
        batch = copy.copy(data_batch)
        for module in self._modules:
            if module is not self._modules[0]:
                before = self._modules[self._modules.index(module) - 1]
                batch.data = before.get_outputs()
                if hasattr(batch, "provide_data"):
                    names = [item[0] for item in before.output_shapes]
                    batch.provide_data = [(name, x.shape) for name, x in zip(names, batch.data, strict=True)]
            module.forward(batch, is_train=is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients, from the last module to the first."""
        self._require("binded", "params_initialized")
        for module in reversed(self._modules):
            module.backward(out_grads=out_grads)
            if module is not self._modules[0]:
                out_grads = module.get_input_grads()

    def update(self) -> None:
        """Let the optimizers change the parameters."""
        self._require("binded", "params_initialized", "optimizer_initialized")
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The last module's outputs."""
        self._require("binded", "params_initialized")
        found: list[Any] = self._modules[-1].get_outputs(merge_multi_context=merge_multi_context)
        return found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the first module's data."""
        self._require("binded", "params_initialized", "inputs_need_grad")
        found: list[Any] = self._modules[0].get_input_grads(merge_multi_context=merge_multi_context)
        return found

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs of the modules that take labels."""
        self._require("binded", "params_initialized")
        for module, meta in zip(self._modules, self._metas, strict=True):
            if meta.get(self.META_TAKE_LABELS):
                module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch all modules."""
        assert self.binded
        for module in self._modules:
            module.install_monitor(mon)


claim(globals())
