"""PythonModule and PythonLossModule: modules whose computation is written in Python."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.initializer import Uniform
from tensorkeep.mxnet.module.base_module import BaseModule
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A module without parameters; subclasses write forward(), backward() and _compute_output_shapes().

    Args:
        data_names, label_names, output_names: what its data, labels and outputs are called.
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ) -> None:
        super().__init__(logger=logger)
        self._data_names = list(data_names)
        self._label_names = None if label_names is None else list(label_names)
        self._output_names = list(output_names)
        self._data_shapes: Any = None
        self._label_shapes: Any = None
        self._output_shapes: Any = None

    @property
    def data_names(self) -> list[str]:
        """What its data are called, in the order in which batches hold them."""
        return self._data_names

    @property
    def output_names(self) -> list[str]:
        """The names of its outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> Any:
        """Descriptions of its data."""
        return self._data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of its labels."""
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """(name, shape) of its outputs."""
        return self._output_shapes

    def get_params(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two empty dicts: it has no parameters."""
        return {}, {}

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008  # MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Nothing: it has no parameters."""

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Nothing: it has no parameters."""

    def update(self) -> None:
        """Nothing: it has no parameters."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs, where it has labels."""
        if self._label_shapes is None:
            return
        if pre_sliced:
            raise RuntimeError("PythonModule does not support presliced labels")
        eval_metric.update(labels, self.get_outputs())

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
        """Note the shapes; their names must be its own."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        assert grad_req == "write", "Python module only support write gradient"
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        assert [item[0] for item in data_shapes] == self._data_names
        if label_shapes is not None:
            assert self._label_names is not None
            assert [item[0] for item in label_shapes] == self._label_names
        self._data_shapes = data_shapes
        self._label_shapes = label_shapes
        self._output_shapes = self._compute_output_shapes()

    def _compute_output_shapes(self) -> Any:
        """(name, shape) of the outputs for the shapes of the data."""
        raise NotImplementedError()


class PythonLossModule(PythonModule):
    """A loss whose gradient is a Python function.

    Args:
        grad_func: (scores, labels) → the gradient of the scores, an NDArray or NumPy array.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [f"{name}_output"], logger=logger)
        assert len(data_names) == 1
        assert len(label_names) == 1
        assert grad_func is None or callable(grad_func)
        self._name = name
        self._grad_func = grad_func
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None

    def _compute_output_shapes(self) -> Any:
        return [(f"{self._name}_output", self._data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Note the scores, and in training the labels."""
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The scores."""
        assert merge_multi_context is True
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradient of the scores."""
        assert out_grads is None, "For a loss module, out_grads should be None"
        assert self.for_training
        self._backward_impl()

    def _backward_impl(self) -> None:
        """The gradient by grad_func; subclasses may write it themselves."""
        if self._grad_func is None:
            raise NotImplementedError()
        found = self._grad_func(self._scores, self._labels)
        self._scores_grad = found if isinstance(found, NDArray) else nd.array(found)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradient of the scores."""
        assert merge_multi_context is True
        return [self._scores_grad]

    def install_monitor(self, mon: Any) -> None:
        """Not possible: there is no executor to watch."""
        raise NotImplementedError()


claim(globals())
