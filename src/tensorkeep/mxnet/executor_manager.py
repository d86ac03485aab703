"""How a batch is shared between contexts, and the executors of FeedForward."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from tensorkeep.mxnet.base import claim

__all__ = ["DataParallelExecutorManager"]


def _split_input_slice(batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """One slice of a batch for each context, in proportion to the loads.

    Raises:
        ValueError: a context would get nothing.
    """
    total = sum(work_load_list)
    sizes = [round(load * batch_size / total) for load in work_load_list]
    if sum(sizes) < batch_size:
        sizes[-1] += batch_size - sum(sizes)
    slices, end = [], 0
    for size in sizes:
        begin, end = min(end, batch_size), min(end + size, batch_size)
        if begin >= end:
            raise ValueError("Too many slices. Some splits are empty.")
        slices.append(slice(begin, end))
    return slices


def _check_arguments(symbol: Any) -> None:
    """Raise ValueError when two variables of a symbol have one name."""
    arguments, auxiliary = symbol.list_arguments(), symbol.list_auxiliary_states()
    for name in arguments:
        if arguments.count(name) > 1:
            raise ValueError(
                f'Find duplicated argument name "{name}", please make the weight name non-duplicated(using name '
                f"arguments), arguments are {arguments}"
            )
    for name in auxiliary:
        if auxiliary.count(name) > 1:
            raise ValueError(
                f'Find duplicated auxiliary param name "{name}", please make the weight name non-duplicated(using name '
                f"arguments), arguments are {arguments}, auxiliary params are {auxiliary}"
            )


class DataParallelExecutorManager:
    """Executors on several contexts for one network, or for one of each bucket (`sym_gen`).

    Args:
        train_data: an iterator, whose shapes they are bound for.
        param_names, arg_names, aux_names: of the network; found out where not given.
        work_load_list: the share of each context.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Sequence[Any],
        train_data: Any,
        arg_names: list[str] | None = None,
        param_names: list[str] | None = None,
        aux_names: list[str] | None = None,
        work_load_list: Sequence[float] | None = None,
        logger: Any = None,
        sym_gen: Any = None,
    ) -> None:
        _check_arguments(symbol)
        loads = [1] * len(ctx) if work_load_list is None else work_load_list
        assert len(loads) == len(ctx), "Invalid settings for work load. "
        inputs = {item[0] for item in [*train_data.provide_data, *train_data.provide_label]}
        self.symbol, self.ctx, self.sym_gen = symbol, ctx, sym_gen
        self.logger = logger or logging
        self.work_load_list = loads
        self.arg_names = symbol.list_arguments() if arg_names is None else arg_names
        self.param_names = [n for n in self.arg_names if n not in inputs] if param_names is None else param_names
        self.aux_names = symbol.list_auxiliary_states() if aux_names is None else aux_names
        self.execgrp = self._group(symbol, train_data, None)
        self.curr_execgrp = self.execgrp
        self._buckets = {getattr(train_data, "default_bucket_key", None): self.execgrp}
        self._monitor: Any = None
        self._batch: Any = None

    def _group(self, symbol: Any, source: Any, shared: Any) -> Any:
        from tensorkeep.mxnet.module.executor_group import DataParallelExecutorGroup

        return DataParallelExecutorGroup(
            symbol,
            self.ctx,
            self.work_load_list,
            source.provide_data,
            source.provide_label,
            self.param_names,
            True,
            False,
            shared,
            self.logger,
        )

    @property
    def param_arrays(self) -> Any:
        """For each parameter the arrays of all executors."""
        return self.execgrp.param_arrays

    @property
    def grad_arrays(self) -> Any:
        """For each parameter the gradients of all executors."""
        return self.execgrp.grad_arrays

    @property
    def aux_arrays(self) -> Any:
        """For each auxiliary state the arrays of all executors."""
        return self.execgrp.aux_arrays

    def install_monitor(self, monitor: Any) -> None:
        """Let a Monitor watch the executors."""
        if self.sym_gen is not None:
            raise NotImplementedError("Monitoring is not implemented for bucketing")
        self.execgrp.install_monitor(monitor)

    def set_params(self, arg_params: Any, aux_params: Any) -> None:
        """Copy parameters to all executors."""
        self.execgrp.set_params(arg_params, aux_params)

    def copy_to(self, arg_params: Any, aux_params: Any) -> None:
        """Write the mean of all executors' parameters into the given arrays."""
        self.execgrp.get_params(arg_params, aux_params)

    def load_data_batch(self, data_batch: Any) -> None:
        """Choose the batch that forward() computes, and the executors of its bucket."""
        self._batch = data_batch
        if self.sym_gen is None:
            return
        key = data_batch.bucket_key
        if key not in self._buckets:
            self._buckets[key] = self._group(self.sym_gen(key), data_batch, self.execgrp)
        self.curr_execgrp = self._buckets[key]

    def forward(self, is_train: bool = False) -> None:
        """Compute the outputs of the batch."""
        self.curr_execgrp.forward(self._batch, is_train)

    def backward(self) -> None:
        """Compute the gradients."""
        self.curr_execgrp.backward()

    def update_metric(self, metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give a metric the labels and outputs of the batch."""
        self.curr_execgrp.update_metric(metric, labels, pre_sliced)


claim(globals())
