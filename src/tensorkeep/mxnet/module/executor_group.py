"""DataParallelExecutorGroup: one executor for each context, each with its share of every batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet._dtypes import TORCH, name_of, numpy_of
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, cpu
from tensorkeep.mxnet.executor_manager import _split_input_slice
from tensorkeep.mxnet.io import DataDesc
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["DataParallelExecutorGroup"]


def described(shapes: Iterable[Any]) -> list[Any]:
    """DataDescs of (name, shape) pairs; those that are DataDescs stay."""
    return [item if isinstance(item, DataDesc) else DataDesc(*item) for item in shapes]


def _load(sources: Sequence[Any], targets: Sequence[Any], axes: Sequence[int]) -> None:
    """Copy arrays into the executors' shares of them.

    Args:
        targets: for each source the list of (slice of the batch, array).
        axes: along which axis a source is cut; -1 for one that every executor gets whole.
    """
    for source, shares, axis in zip(sources, targets, axes, strict=False):
        if isinstance(source, (list, tuple)):  # cut already: one array for each executor
            for part, (_, target) in zip(source, shares, strict=False):
                part.copyto(target)
            continue
        for share, target in shares:
            if axis < 0 or (share.start == 0 and share.stop == source.shape[axis]):
                source.copyto(target)
            elif axis == 0:
                source[share.start : share.stop].copyto(target)
            else:
                nd.slice_axis(source, axis=axis, begin=share.start, end=share.stop).copyto(target)


def _load_batch(batch: Any, which: str, targets: Sequence[Any], axes: Sequence[int]) -> None:
    if isinstance(batch, list):
        _load([[getattr(part, which)[i] for part in batch] for i in range(len(targets))], targets, axes)
    else:
        _load(getattr(batch, which), targets, axes)


def _merged(outputs: Sequence[Sequence[Any]], axes: Sequence[int]) -> list[Any]:
    """The executors' arrays joined along the axis of the batch."""
    found = []
    for parts, axis in zip(outputs, axes, strict=False):
        if axis < 0 or len(parts) == 1:
            found.append(parts[0])
        else:
            found.append(nd.concat(*[part.as_in_context(parts[0].context) for part in parts], dim=axis))
    return found


def _group_contexts(group2ctxs: Any, count: int) -> list[Any]:
    """One dict of group → context for each executor."""
    if group2ctxs is None:
        return [None] * count
    if isinstance(group2ctxs, list):
        assert len(group2ctxs) == count, f"length of group2ctxs should be {count}"
        return group2ctxs
    assert isinstance(group2ctxs, dict), (
        "group2ctxs should be list of dict of str to context, or dict of str to context or list of context"
    )
    made: list[dict[str, Any]] = [{} for _ in range(count)]
    for group, given in group2ctxs.items():
        contexts = [given] * count if isinstance(given, Context) else given * count if len(given) == 1 else given
        assert len(contexts) == count, f"length of group2ctxs[{group}] should be {count} or 1"
        for one, context in zip(made, contexts, strict=True):
            one[group] = context
    return made


class DataParallelExecutorGroup:
    """The executors of a Module.

    Attributes:
        execs: one for each context.
        param_arrays, grad_arrays, aux_arrays: for each parameter the arrays of all executors.
        slices: which part of a batch each executor gets.
    """

    def __init__(
        self,
        symbol: Any,
        contexts: Sequence[Context],
        workload: Sequence[float],
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None,
        param_names: list[str],
        for_training: bool,
        inputs_need_grad: bool,
        shared_group: DataParallelExecutorGroup | None = None,
        logger: Any = logging,
        fixed_param_names: Sequence[str] | None = None,
        grad_req: Any = "write",
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
    ) -> None:
        self.symbol = symbol
        self.contexts = contexts
        self.workload = workload
        self.param_names = param_names
        self.arg_names = symbol.list_arguments()
        self.aux_names = symbol.list_auxiliary_states()
        self.output_names = symbol.list_outputs()
        self.for_training = for_training
        self.inputs_need_grad = inputs_need_grad
        self.fixed_param_names = list(fixed_param_names or [])
        self.state_names = list(state_names or [])
        self.group2ctxs = _group_contexts(group2ctxs, len(contexts))
        self.logger = logger
        data_shapes = described(data_shapes)
        label_shapes = None if label_shapes is None else described(label_shapes)
        self.grad_req = self._requests(grad_req if for_training else "null", [item.name for item in data_shapes])
        self.shared_data_arrays: list[dict[str, Any]] = (
            [{} for _ in contexts] if shared_group is None else shared_group.shared_data_arrays
        )
        self.output_layouts = [
            DataDesc.get_batch_axis(symbol[i].attr("__layout__")) for i in range(len(self.output_names))
        ]
        self.batch_size: int | None = None
        self.slices: list[slice] = []
        self.execs: list[Any] = []
        self._first_execs: list[Any] | None = None
        self.label_layouts: list[int] = []
        self.bind_exec(data_shapes, label_shapes, shared_group)

    def _requests(self, grad_req: Any, data_names: list[str]) -> dict[str, str]:
        if isinstance(grad_req, (list, tuple)):
            assert len(grad_req) == len(self.arg_names)
            return dict(zip(self.arg_names, grad_req, strict=True))
        if not isinstance(grad_req, (str, dict)):
            raise ValueError("grad_req must be one of str, list, tuple, or dict.")
        default = grad_req if isinstance(grad_req, str) else "write"
        wanted = set(self.param_names) - set(self.fixed_param_names)
        if self.inputs_need_grad:
            wanted |= set(data_names) - set(self.param_names)
        found = {name: default if name in wanted else "null" for name in self.arg_names}
        return found if isinstance(grad_req, str) else {**found, **grad_req}

    # -- binding

    def _slices(self, shapes: Sequence[Any]) -> list[int]:
        axes = [DataDesc.get_batch_axis(item.layout) for item in shapes]
        for item, axis in zip(shapes, axes, strict=True):
            if axis == -1:
                continue
            size = item.shape[axis]
            if self.batch_size is None:
                self.batch_size = size
                self.slices = _split_input_slice(size, self.workload)
            else:
                assert size == self.batch_size, (
                    f"all data must have the same batch size: batch_size = {self.batch_size}, but {item.name} has "
                    f"shape {item.shape}"
                )
        return axes

    def bind_exec(
        self,
        data_shapes: list[Any],
        label_shapes: list[Any] | None,
        shared_group: DataParallelExecutorGroup | None = None,
        reshape: bool = False,
    ) -> None:
        """Make the executors for these shapes, or give the present ones other shapes."""
        assert reshape or not self.execs
        self.batch_size = None
        self.slices = []
        self.data_layouts = self._slices(data_shapes)
        if label_shapes is not None:
            self.label_layouts = self._slices(label_shapes)
        for i in range(len(self.contexts)):
            data = self._share(data_shapes, i, self.data_layouts)
            labels = [] if label_shapes is None else self._share(label_shapes, i, self.label_layouts)
            if reshape and self._first_execs is not None:
                shapes = {item.name: item.shape for item in [*data, *labels]}
                self.execs[i] = self._first_execs[i].reshape(allow_up_sizing=True, **shapes)
            else:
                self.execs.append(self._bind_one(i, data, labels, shared_group))
        self.data_shapes = data_shapes
        self.label_shapes = label_shapes
        self.data_names = [item.name for item in data_shapes]
        self.label_names = [item.name for item in label_shapes or []]
        self._collect()
        arrays = [array for one in self.execs for array in (*one.arg_arrays, *one.aux_arrays)]
        self._total_exec_bytes = sum(array.size * np.dtype(array.dtype).itemsize for array in arrays)

    def _share(self, shapes: Sequence[Any], i: int, axes: Sequence[int]) -> list[Any]:
        found = []
        for item, axis in zip(shapes, axes, strict=True):
            shape = list(item.shape)
            if axis >= 0:
                shape[axis] = self.slices[i].stop - self.slices[i].start
            found.append(DataDesc(item.name, tuple(shape), item.dtype, item.layout))
        return found

    def _bind_one(
        self, i: int, data: list[Any], labels: list[Any], shared_group: DataParallelExecutorGroup | None
    ) -> Any:
        attrs = self.symbol.attr_dict()
        types = {item.name: item.dtype for item in data}
        for name in types:
            declared = attrs.get(name, {}).get("__dtype__", "-1")
            if declared != "-1":
                types[name] = numpy_of(TORCH[name_of(int(declared))])
        types.update({item.name: item.dtype for item in labels})
        return self.symbol.simple_bind(
            ctx=self.contexts[i],
            grad_req=self.grad_req,
            type_dict=types,
            shared_arg_names=self.param_names,
            shared_exec=None if shared_group is None else shared_group.execs[i],
            group2ctx=self.group2ctxs[i],
            shared_buffer=self.shared_data_arrays[i],
            **{item.name: item.shape for item in [*data, *labels]},
        )

    def _collect(self) -> None:
        """Regroup the executors' arrays by name."""
        shares = self.slices or [slice(i, i + 1) for i in range(len(self.execs))]

        def inputs(names: Iterable[str]) -> list[list[tuple[slice, Any]]]:
            return [
                [(share, one.arg_dict[name]) for share, one in zip(shares, self.execs, strict=True)]
                for name in names
                if name in self.arg_names
            ]

        params = set(self.param_names)
        places = [i for i, name in enumerate(self.arg_names) if name in params]
        self.data_arrays = inputs(self.data_names)
        self.label_arrays = None if self.label_shapes is None else inputs(self.label_names)
        self.state_arrays = [[one.arg_dict[name] for one in self.execs] for name in self.state_names]
        self.param_arrays = [[one.arg_arrays[i] for one in self.execs] for i in places]
        self.grad_arrays = [[one.grad_arrays[i] for one in self.execs] for i in places] if self.for_training else None
        self.aux_arrays = [[one.aux_arrays[i] for one in self.execs] for i in range(len(self.aux_names))]
        self.input_grad_arrays = None
        if self.inputs_need_grad:
            self.input_grad_arrays = [
                [one.grad_arrays[self.arg_names.index(name)] for one in self.execs]
                for name in self.data_names
                if name in self.arg_names
            ]

    def reshape(self, data_shapes: list[Any], label_shapes: list[Any] | None) -> None:
        """Give the executors other shapes; the parameters stay."""
        if data_shapes == self.data_shapes and label_shapes == self.label_shapes:
            return
        if self._first_execs is None:
            self._first_execs = list(self.execs)
        self.bind_exec(data_shapes, label_shapes, reshape=True)

    # -- parameters

    def set_params(
        self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any] | None, allow_extra: bool = False
    ) -> None:
        """Copy parameters to all executors."""
        for one in self.execs:
            one.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def get_params(self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
        """Write the mean of all executors' parameters into the given arrays."""
        for names, blocks, targets in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks, strict=True):
                mean = sum(array.copyto(cpu()) for array in block) / len(block)
                mean.astype(targets[name].dtype).copyto(targets[name])

    # -- running

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Copy a batch in and compute the outputs."""
        _load_batch(data_batch, "data", self.data_arrays, self.data_layouts)
        first = data_batch[0] if isinstance(data_batch, list) else data_batch
        if self.label_arrays is not None and first.label:
            _load_batch(data_batch, "label", self.label_arrays, self.label_layouts)
        for one in self.execs:
            one.forward(is_train=self.for_training if is_train is None else is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients; `out_grads` are those of whole batches."""
        assert self.for_training, "re-bind with for_training=True to run backward"
        given = [out_grads] if isinstance(out_grads, NDArray) else list(out_grads or [])
        for i, (one, share) in enumerate(zip(self.execs, self.slices, strict=True)):
            parts = []
            for gradient, axis in zip(given, self.output_layouts, strict=False):
                if axis >= 0:
                    part = nd.slice_axis(gradient, axis=axis, begin=share.start, end=share.stop)
                    parts.append(part.as_in_context(self.contexts[i]))
                else:
                    parts.append(gradient.copyto(self.contexts[i]))
            one.backward(out_grads=parts)

    def get_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """(name, shape) of the outputs for a whole batch."""
        found = []
        for name, output, axis in zip(self.output_names, self.execs[0].outputs, self.output_layouts, strict=True):
            shape = list(output.shape)
            if axis >= 0 and self.batch_size is not None:
                shape[axis] = self.batch_size
            found.append((name, tuple(shape)))
        return found

    def get_outputs(self, merge_multi_context: bool = True, begin: int = 0, end: int | None = None) -> list[Any]:
        """The outputs, joined, or for each a list of the executors' parts."""
        last = len(self.output_names) if end is None else end
        found = [[one.outputs[i] for one in self.execs] for i in range(begin, last)]
        return _merged(found, self.output_layouts) if merge_multi_context else found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the data, joined, or for each a list of the executors' parts."""
        assert self.input_grad_arrays is not None
        return _merged(self.input_grad_arrays, self.data_layouts) if merge_multi_context else self.input_grad_arrays

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states' arrays, for each a list of the executors' own."""
        assert not merge_multi_context, "merge_multi_context=True is not supported for get_states yet."
        return self.state_arrays

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Copy arrays into the states, or one value everywhere."""
        if states is not None:
            assert value is None, "Only one of states & value can be specified."
            shares = [[(slice(0, array.shape[0]), array) for array in arrays] for arrays in self.state_arrays]
            _load(states, shares, (0,) * len(states))
            return
        assert value is not None, "At least one of states & value must be specified."
        for arrays in self.state_arrays:
            for array in arrays:
                array[:] = value

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool) -> None:
        """Give a metric the labels and outputs of the last batch."""
        for i, (one, share) in enumerate(zip(self.execs, self.slices, strict=True)):
            if pre_sliced:
                parts = labels[i]
            else:
                parts = []
                for label, axis in zip(labels, self.label_layouts, strict=False):
                    if axis == 0:
                        parts.append(label[share])
                    elif axis > 0:
                        parts.append(nd.slice_axis(label, axis=axis, begin=share.start, end=share.stop))
                    else:
                        parts.append(label)
            names = dict(zip(self.label_names, parts, strict=False))
            eval_metric.update_dict(names, dict(zip(self.output_names, one.outputs, strict=True)))

    def install_monitor(self, mon: Any) -> None:
        """Let a Monitor watch all executors."""
        for one in self.execs:
            mon.install(one)


claim(globals())
