"""Cells of cells: stacked, changed, run in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorkeep.mxnet import symbol
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.parameter import ParameterDict, tensor_types
from tensorkeep.mxnet.gluon.rnn._cells import (
    GRUCell,
    HybridRecurrentCell,
    LSTMCell,
    RecurrentCell,
    RNNCell,
    States,
)
from tensorkeep.mxnet.gluon.rnn._sequences import begin_states, formatted, masked, reversed_steps
from tensorkeep.mxnet.gluon.utils import _indent

__all__ = [
    "BidirectionalCell", "DropoutCell", "GRUCell", "HybridRecurrentCell", "HybridSequentialRNNCell", "LSTMCell",
    "ModifierCell", "RNNCell", "RecurrentCell", "ResidualCell", "SequentialRNNCell", "ZoneoutCell",
]  # fmt: skip


class _Cells(RecurrentCell):
    """What cells that hold others have in common: their states are those of their children."""

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        return [info for cell in self._cells() for info in cell.state_info(batch_size)]

    def begin_state(self, batch_size: int = 0, func: Any = None, **kwargs: Any) -> States:
        """The first states of all cells."""
        self._refuse_modified("ZoneoutCell")
        return [
            state for cell in self._cells() for state in cell.begin_state(batch_size=batch_size, func=func, **kwargs)
        ]

    def _cells(self) -> list[Any]:
        return list(self._children.values())


class _Stack(_Cells):
    """What both kinds of SequentialRNNCell have in common."""

    def __repr__(self) -> str:
        lines = "\n".join(f"({name}): {_indent(repr(cell), 2)}" for name, cell in self._children.items())
        return f"{type(self).__name__}(\n{lines}\n)"

    def add(self, cell: RecurrentCell) -> None:
        """Put a cell on top."""
        self.register_child(cell)

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        self._counter += 1
        assert all(not isinstance(cell, BidirectionalCell) for cell in self._cells())
        found: States = []
        at = 0
        for cell in self._cells():
            count = len(cell.state_info())
            inputs, new = cell(inputs, states[at : at + count])
            at += count
            found += new
        return inputs, found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, States]:
        """Step `length` times, cell after cell; see RecurrentCell."""
        self.reset()
        inputs, _, F, batch_size = formatted(length, inputs, layout, None)
        states = begin_states(self, F, begin_state, inputs, batch_size)
        found: States = []
        at = 0
        cells = self._cells()
        for cell in cells:
            count = len(cell.state_info())
            inputs, new = cell.unroll(
                length,
                inputs=inputs,
                begin_state=states[at : at + count],
                layout=layout,
                merge_outputs=merge_outputs if cell is cells[-1] else None,
                valid_length=valid_length,
            )
            at += count
            found += new
        return inputs, found

    def __getitem__(self, i: int) -> Any:
        return self._children[str(i)]

    def __len__(self) -> int:
        return len(self._children)


class SequentialRNNCell(_Stack):
    """Cells one on the other."""

    _bidirectional = False

    def hybrid_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Not used: the cells are called one after the other."""
        raise NotImplementedError


class HybridSequentialRNNCell(_Stack, HybridRecurrentCell):
    """Cells one on the other, which can be hybridized."""

    def hybrid_forward(self, F: Any, inputs: Any, states: States) -> Any:
        """One step."""
        return self(inputs, states)


class DropoutCell(HybridRecurrentCell):
    """Dropout between cells; it has no state.

    Args:
        rate: the share of values that are dropped in training.
        axes: along these, values are dropped together.
    """

    def __init__(self, rate: float, axes: tuple[int, ...] = (), prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix, params)
        assert isinstance(rate, (int, float, np.generic)), "rate must be a number"
        self._rate = rate
        self._axes = axes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rate={self._rate}, axes={self._axes})"

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """None."""
        return []

    def _alias(self) -> str:
        return "dropout"

    def hybrid_forward(self, F: Any, inputs: Any, states: States) -> Any:
        """One step."""
        if self._rate > 0:
            inputs = F.Dropout(data=inputs, p=self._rate, axes=self._axes, name=f"t{self._counter}_fwd")
        return inputs, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, States]:
        """Drop values of all steps; see RecurrentCell."""
        self.reset()
        inputs, _, F, _ = formatted(length, inputs, layout, merge_outputs)
        if isinstance(inputs, tensor_types):
            out: tuple[Any, States] = self.hybrid_forward(F, inputs, begin_state or [])
            return out
        return super().unroll(length, inputs, begin_state, layout, merge_outputs, None)


class ModifierCell(HybridRecurrentCell):
    """The base of cells that change another one, whose Parameters they use.

    Raises:
        AssertionError: the other cell is changed already.
    """

    def __init__(self, base_cell: Any) -> None:
        assert not base_cell._modified, f"Cell {base_cell.name} is already modified. One cell cannot be modified twice"
        base_cell._modified = True
        super().__init__(prefix=base_cell.prefix + self._alias(), params=None)
        self.base_cell = base_cell

    @property
    def params(self) -> ParameterDict:
        """The Parameters of the other cell."""
        params: ParameterDict = self.base_cell.params
        return params

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state of the other cell."""
        infos: list[dict[str, Any]] = self.base_cell.state_info(batch_size)
        return infos

    def begin_state(self, batch_size: int = 0, func: Any = None, **kwargs: Any) -> States:
        """The first states of the other cell, made by `func` (`mx.sym.zeros` when None)."""
        self._refuse_modified("DropoutCell")
        self.base_cell._modified = False
        states: States = self.base_cell.begin_state(
            batch_size=batch_size, func=symbol.zeros if func is None else func, **kwargs
        )
        self.base_cell._modified = True
        return states

    def hybrid_forward(self, F: Any, inputs: Any, states: States) -> Any:
        """One step; subclasses write it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_cell})"


class ZoneoutCell(ModifierCell):
    """In training, outputs and states sometimes stay what they were.

    Args:
        zoneout_outputs, zoneout_states: how often.
    """

    def __init__(self, base_cell: Any, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        assert not isinstance(base_cell, BidirectionalCell), (
            "BidirectionalCell doesn't support zoneout since it doesn't support step. Please add ZoneoutCell to the "
            "cells underneath instead."
        )
        assert not isinstance(base_cell, SequentialRNNCell) or not base_cell._bidirectional, (
            "Bidirectional SequentialRNNCell doesn't support zoneout. Please add ZoneoutCell to the cells underneath "
            "instead."
        )
        super().__init__(base_cell)
        self.zoneout_outputs = zoneout_outputs
        self.zoneout_states = zoneout_states
        self._prev_output: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p_out={self.zoneout_outputs}, p_state={self.zoneout_states}, {self.base_cell})"

    def _alias(self) -> str:
        return "zoneout"

    def reset(self) -> None:
        """Start counting steps anew, without an output before."""
        super().reset()
        self._prev_output = None

    def hybrid_forward(self, F: Any, inputs: Any, states: States) -> Any:
        """One step."""
        output, new_states = self.base_cell(inputs, states)
        before = F.zeros_like(output) if self._prev_output is None else self._prev_output
        if self.zoneout_outputs != 0.0:
            output = F.where(self._mask(F, self.zoneout_outputs, output), output, before)
        if self.zoneout_states != 0.0:
            new_states = [
                F.where(self._mask(F, self.zoneout_states, new), new, old)
                for new, old in zip(new_states, states, strict=True)
            ]
        self._prev_output = output
        return output, new_states

    def _mask(self, F: Any, rate: float, like: Any) -> Any:
        return F.Dropout(F.ones_like(like), p=rate)


class ResidualCell(ModifierCell):
    """Adds the inputs to the outputs."""

    def hybrid_forward(self, F: Any, inputs: Any, states: States) -> Any:
        """One step."""
        output, states = self.base_cell(inputs, states)
        return F.elemwise_add(output, inputs, name=f"t{self._counter}_fwd"), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, States]:
        """Step `length` times; see RecurrentCell."""
        self.reset()
        self.base_cell._modified = False
        outputs, states = self.base_cell.unroll(
            length,
            inputs=inputs,
            begin_state=begin_state,
            layout=layout,
            merge_outputs=merge_outputs,
            valid_length=valid_length,
        )
        self.base_cell._modified = True
        merge = isinstance(outputs, tensor_types) if merge_outputs is None else merge_outputs
        inputs, axis, F, _ = formatted(length, inputs, layout, merge)
        if valid_length is not None:
            inputs = masked(F, inputs, length, valid_length, axis, merge)
        if merge:
            return F.elemwise_add(outputs, inputs), states
        return [F.elemwise_add(out, item) for out, item in zip(outputs, inputs, strict=True)], states


class BidirectionalCell(_Cells, HybridRecurrentCell):
    """Two cells: one runs forward, one backward; their outputs are put side by side.

    Args:
        output_prefix: what the outputs' names begin with.
    """

    def __init__(self, l_cell: RecurrentCell, r_cell: RecurrentCell, output_prefix: str = "bi_") -> None:
        super().__init__(prefix="", params=None)
        self.register_child(l_cell, "l_cell")
        self.register_child(r_cell, "r_cell")
        self._output_prefix = output_prefix

    def __call__(self, inputs: Any, states: States) -> Any:
        raise NotImplementedError("Bidirectional cannot be stepped. Please use unroll")

    def __repr__(self) -> str:
        forward, backward = self._cells()
        return f"{type(self).__name__}(forward={forward}, backward={backward})"

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, States]:
        """Step `length` times in both directions; see RecurrentCell."""
        self.reset()
        inputs, axis, F, batch_size = formatted(length, inputs, layout, False)
        backwards = list(reversed_steps(inputs, length, valid_length))
        states = begin_states(self, F, begin_state, inputs, batch_size)
        left, right = self._cells()
        count = len(left.state_info(batch_size))
        l_outputs, l_states = left.unroll(
            length,
            inputs=inputs,
            begin_state=states[:count],
            layout=layout,
            merge_outputs=merge_outputs,
            valid_length=valid_length,
        )
        r_outputs, r_states = right.unroll(
            length,
            inputs=backwards,
            begin_state=states[count:],
            layout=layout,
            merge_outputs=False,
            valid_length=valid_length,
        )
        r_outputs = reversed_steps(r_outputs, length, valid_length)
        if merge_outputs is None:
            merge_outputs = isinstance(l_outputs, tensor_types)
            l_outputs = formatted(None, l_outputs, layout, merge_outputs)[0]
            r_outputs = formatted(None, r_outputs, layout, merge_outputs)[0]
        outputs: Any
        if merge_outputs:
            stacked = F.stack(*r_outputs, axis=axis)
            outputs = F.concat(l_outputs, stacked, dim=2, name=f"{self._output_prefix}out")
        else:
            outputs = [
                F.concat(l_step, r_step, dim=1, name=f"{self._output_prefix}t{i}")
                for i, (l_step, r_step) in enumerate(zip(l_outputs, r_outputs, strict=True))
            ]
        if valid_length is not None:
            outputs = masked(F, outputs, length, valid_length, axis, merge_outputs)
        return outputs, l_states + r_states


claim(globals())
for _class in (GRUCell, HybridRecurrentCell, LSTMCell, RNNCell, RecurrentCell):
    _class.__module__ = "mxnet.gluon.rnn.rnn_cell"
