"""Cells of recurrent networks as symbols: one step each, or unrolled over a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet import symbol as sym
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.initializer import LSTMBias
from tensorkeep.mxnet.symbol.register import call
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = [
    "BaseRNNCell", "BidirectionalCell", "DropoutCell", "GRUCell", "LSTMCell", "ModifierCell", "RNNCell", "RNNParams",
    "ResidualCell", "SequentialRNNCell", "ZoneoutCell",
]  # fmt: skip

_MODIFIED = (
    "After applying modifier cells (e.g. {0}) the base cell cannot be called directly. Call the modifier cell instead."
)


def normalize_sequence(
    length: int | None, inputs: Any, layout: str, merge: bool | None, in_layout: str | None = None
) -> Any:
    """A sequence as one symbol (merge=True), a list of steps (False) or as it is (None), and the axis of time.

    Args:
        inputs: a symbol of all steps, or a list of one symbol a step.
        layout, in_layout: "NTC" or "TNC": where time stands in the result and in `inputs`.
    """
    assert inputs is not None, "unroll(inputs=None) has been deprecated. Please create input variables outside unroll."
    axis = layout.find("T")
    in_axis = axis if in_layout is None else in_layout.find("T")
    if isinstance(inputs, Symbol):
        if merge is False:
            assert len(inputs) == 1, (
                "unroll doesn't allow grouped symbol as input. Please convert to list with list(inputs) first or let "
                "unroll handle splitting."
            )
            inputs = list(sym.split(inputs, axis=in_axis, num_outputs=length, squeeze_axis=1))
    else:
        assert length is None or len(inputs) == length
        if merge is True:
            inputs = sym.Concat(*[sym.expand_dims(step, axis=axis) for step in inputs], dim=axis)
            in_axis = axis
    if isinstance(inputs, Symbol) and axis != in_axis:
        inputs = sym.swapaxes(inputs, dim0=axis, dim1=in_axis)
    return inputs, axis


class RNNParams:
    """Variables by name, each made once: what cells share who share parameters."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._params: dict[str, Any] = {}

    def get(self, name: str, **kwargs: Any) -> Any:
        """The variable PREFIX + name."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = sym.Variable(name, **kwargs)
        return self._params[name]


class BaseRNNCell:
    """What all cells have.

    Args:
        prefix: of the names of its nodes and parameters.
        params: parameters to share with another cell.
    """

    _cells: list[Any]

    def __init__(self, prefix: str = "", params: RNNParams | None = None) -> None:
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence: the counters of the nodes' names start anew."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, "_cells", ()):
            cell.reset()

    def __call__(self, inputs: Any, states: Any) -> Any:
        """One step: (output, new states)."""
        raise NotImplementedError()

    @property
    def params(self) -> Any:
        """Its parameters; from then on others may share them."""
        self._own_params = False
        return self._params

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of its states; 0 stands for the batch."""
        raise NotImplementedError()

    @property
    def state_shape(self) -> list[tuple[int, ...]]:
        """The shapes of its states."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self) -> Sequence[str]:
        return ()

    def begin_state(self, func: Callable[..., Any] = sym.zeros, **kwargs: Any) -> list[Any]:
        """Symbols of the states before the first step, made by `func`."""
        assert not self._modified, _MODIFIED.format("DropoutCell")
        states = []
        for info in self.state_info:
            self._init_counter += 1
            kwargs.update(info or {})
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **kwargs))
        return states

    def _parts(self, group: str) -> list[tuple[str, str]]:
        """(weight, bias) of each gate."""
        names = [f"{self._prefix}{group}{gate}" for gate in self._gate_names]
        return [(f"{name}_weight", f"{name}_bias") for name in names]

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arrays with those of each gate apart."""
        args = dict(args)
        if self._gate_names:
            size = self._num_hidden  # type: ignore[attr-defined]  # every cell with gates has it
            for group in ("i2h", "h2h"):
                weight = args.pop(f"{self._prefix}{group}_weight")
                bias = args.pop(f"{self._prefix}{group}_bias")
                for i, (weight_name, bias_name) in enumerate(self._parts(group)):
                    args[weight_name] = weight[i * size : (i + 1) * size].copy()
                    args[bias_name] = bias[i * size : (i + 1) * size].copy()
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The opposite of unpack_weights."""
        args = dict(args)
        if self._gate_names:
            for group in ("i2h", "h2h"):
                found = [(args.pop(weight), args.pop(bias)) for weight, bias in self._parts(group)]
                args[f"{self._prefix}{group}_weight"] = nd.concatenate([weight for weight, _ in found])
                args[f"{self._prefix}{group}_bias"] = nd.concatenate([bias for _, bias in found])
        return args

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps: (outputs, states).

        Args:
            inputs: a symbol of all steps, or a list.
            merge_outputs: True for one symbol of all outputs, False for a list, None for what is at hand.
        """
        self.reset()
        steps, _ = normalize_sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for i in range(length):
            output, states = self(steps[i], states)
            outputs.append(output)
        merged, _ = normalize_sequence(length, outputs, layout, merge_outputs)
        return merged, states

    def _get_activation(self, inputs: Any, activation: Any, **kwargs: Any) -> Any:
        if isinstance(activation, str):
            return sym.Activation(inputs, act_type=activation, **kwargs)
        return activation(inputs, **kwargs)

    def _step_name(self) -> str:
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"


def lstm_step(cell: Any, i2h: Any, h2h: Any, memory: Any, name: str, activation: Any, **axis: int) -> Any:
    """(output, states) of an LSTM from the sums of its gates."""
    parts = sym.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}slice", **axis)
    in_gate = sym.Activation(parts[0], act_type="sigmoid", name=f"{name}i")
    forget_gate = sym.Activation(parts[1], act_type="sigmoid", name=f"{name}f")
    in_transform = cell._get_activation(parts[2], activation, name=f"{name}c")
    out_gate = sym.Activation(parts[3], act_type="sigmoid", name=f"{name}o")
    next_c = call("_plus", forget_gate * memory, in_gate * in_transform, name=f"{name}state")
    next_h = call("_mul", out_gate, cell._get_activation(next_c, activation), name=f"{name}out")
    return next_h, [next_h, next_c]


def gru_step(cell: Any, i2h: Any, h2h: Any, before: Any, name: str, activation: Any) -> Any:
    """(output, states) of a GRU from the sums of its gates."""
    i2h_r, i2h_z, i2h_o = sym.SliceChannel(i2h, num_outputs=3, name=f"{name}_i2h_slice")
    h2h_r, h2h_z, h2h_o = sym.SliceChannel(h2h, num_outputs=3, name=f"{name}_h2h_slice")
    reset_gate = sym.Activation(i2h_r + h2h_r, act_type="sigmoid", name=f"{name}_r_act")
    update_gate = sym.Activation(i2h_z + h2h_z, act_type="sigmoid", name=f"{name}_z_act")
    proposed = cell._get_activation(i2h_o + reset_gate * h2h_o, activation, name=f"{name}_h_act")
    next_h = call("_plus", (1.0 - update_gate) * proposed, update_gate * before, name=f"{name}out")
    return next_h, [next_h]


class _DenseCell(BaseRNNCell):
    """A cell whose gates are FullyConnected layers."""

    _states = 1

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None, bias: dict[str, Any]) -> None:
        super().__init__(prefix=prefix, params=params)
        self._num_hidden = num_hidden
        self._iW = self.params.get("i2h_weight")
        self._iB = self.params.get("i2h_bias", **bias)
        self._hW = self.params.get("h2h_weight")
        self._hB = self.params.get("h2h_bias")

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of its states."""
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"} for _ in range(self._states)]

    def _sums(self, inputs: Any, state: Any, name: str) -> tuple[Any, Any]:
        size = self._num_hidden * len(self._gate_names)
        pairs = ((inputs, self._iW, self._iB, "i2h"), (state, self._hW, self._hB, "h2h"))
        first, second = (
            sym.FullyConnected(data=data, weight=weight, bias=bias, num_hidden=size, name=name + kind)
            for data, weight, bias, kind in pairs
        )
        return first, second


class RNNCell(_DenseCell):
    """output = activation(W·input + U·state + b).

    Args:
        num_hidden: the size of the state.
        activation: the name of an activation, or a function of symbols.
    """

    def __init__(
        self, num_hidden: int, activation: Any = "tanh", prefix: str = "rnn_", params: RNNParams | None = None
    ) -> None:
        super().__init__(num_hidden, prefix, params, {})
        self._activation = activation

    @property
    def _gate_names(self) -> Sequence[str]:
        return ("",)

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], name)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class LSTMCell(_DenseCell):
    """Long short-term memory. States: the output and the memory.

    Args:
        num_hidden: the size of the states.
        forget_bias: what the bias of the forget gate begins with.
    """

    _states = 2

    def __init__(
        self, num_hidden: int, prefix: str = "lstm_", params: RNNParams | None = None, forget_bias: float = 1.0
    ) -> None:
        super().__init__(num_hidden, prefix, params, {"init": LSTMBias(forget_bias=forget_bias)})

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_i", "_f", "_c", "_o"]

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], name)
        return lstm_step(self, i2h, h2h, states[1], name, "tanh")


class GRUCell(_DenseCell):
    """Gated recurrent unit, as cuDNN computes it.

    Args:
        num_hidden: the size of the state.
    """

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None) -> None:
        super().__init__(num_hidden, prefix, params, {})

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_r", "_z", "_o"]

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], f"{name}_")
        return gru_step(self, i2h, h2h, states[0], name, "tanh")


class _Cells(BaseRNNCell):
    """A cell made of cells."""

    @property
    def state_info(self) -> list[Any]:
        """Shapes and layouts of all cells' states."""
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, **kwargs: Any) -> list[Any]:  # type: ignore[override]  # MXNet's: `func` by name only
        """Symbols of all cells' states before the first step."""
        assert not self._modified, _MODIFIED.format("ZoneoutCell")
        return [state for cell in self._cells for state in cell.begin_state(**kwargs)]

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arrays with those of each gate apart."""
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The opposite of unpack_weights."""
        for cell in self._cells:
            args = cell.pack_weights(args)
        return args


class SequentialRNNCell(_Cells):
    """Cells one behind the other, filled by add()."""

    def __init__(self, params: RNNParams | None = None) -> None:
        super().__init__(prefix="", params=params)
        self._override_cell_params = params is not None
        self._cells = []

    def add(self, cell: Any) -> None:
        """Put a cell behind the others."""
        self._cells.append(cell)
        if self._override_cell_params:
            assert cell._own_params, "Either specify params for SequentialRNNCell or child cells, not both."
            cell.params._params.update(self.params._params)
        self.params._params.update(cell.params._params)

    def _shares(self, states: Any) -> Any:
        """Each cell with its states."""
        at = 0
        for cell in self._cells:
            count = len(cell.state_info)
            yield cell, states[at : at + count]
            at += count

    def __call__(self, inputs: Any, states: Any) -> Any:
        self._counter += 1
        found: list[Any] = []
        for cell, share in self._shares(states):
            assert not isinstance(cell, BidirectionalCell)
            inputs, new = cell(inputs, share)
            found += new
        return inputs, found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps through all cells: (outputs, states)."""
        self.reset()
        states = self.begin_state() if begin_state is None else begin_state
        found: list[Any] = []
        for cell, share in self._shares(states):
            merge = merge_outputs if cell is self._cells[-1] else None
            inputs, new = cell.unroll(length, inputs=inputs, begin_state=share, layout=layout, merge_outputs=merge)
            found.extend(new)
        return inputs, found


class DropoutCell(BaseRNNCell):
    """Drops a share of its inputs in training; it has no states."""

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None) -> None:
        super().__init__(prefix, params)
        assert isinstance(dropout, (int, float)), "dropout probability must be a number"
        self.dropout = dropout

    @property
    def state_info(self) -> list[Any]:
        """Nothing."""
        return []

    def __call__(self, inputs: Any, states: Any) -> Any:
        return (sym.Dropout(data=inputs, p=self.dropout) if self.dropout > 0 else inputs), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps: (outputs, []); one Dropout where the inputs are one symbol."""
        self.reset()
        inputs, _ = normalize_sequence(length, inputs, layout, merge_outputs)
        if isinstance(inputs, Symbol):
            return self(inputs, [])
        return super().unroll(length, inputs, begin_state, layout, merge_outputs)


class ModifierCell(BaseRNNCell):
    """A cell around another one, whose parameters and states it has."""

    def __init__(self, base_cell: Any) -> None:
        super().__init__()
        base_cell._modified = True
        self.base_cell = base_cell

    @property
    def params(self) -> Any:
        """The parameters of the cell inside."""
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[Any]:
        """Shapes and layouts of the states of the cell inside."""
        return self.base_cell.state_info

    def begin_state(  # type: ignore[override]  # MXNet calls the function init_sym here
        self, init_sym: Callable[..., Any] = sym.zeros, **kwargs: Any
    ) -> list[Any]:
        """Symbols of the states before the first step."""
        assert not self._modified, _MODIFIED.format("DropoutCell")
        self.base_cell._modified = False
        found: list[Any] = self.base_cell.begin_state(func=init_sym, **kwargs)
        self.base_cell._modified = True
        return found

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arrays with those of each gate apart."""
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The opposite of unpack_weights."""
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keeps a share of outputs and states as they were before, at random, in training.

    Args:
        zoneout_outputs, zoneout_states: the shares.
    """

    def __init__(self, base_cell: Any, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        assert type(base_cell).__name__ != "FusedRNNCell", "FusedRNNCell doesn't support zoneout. Please unfuse first."
        assert not isinstance(base_cell, BidirectionalCell), (
            "BidirectionalCell doesn't support zoneout since it doesn't support step. Please add ZoneoutCell to the "
            "cells underneath instead."
        )
        super().__init__(base_cell)
        self.zoneout_outputs = zoneout_outputs
        self.zoneout_states = zoneout_states
        self.prev_output: Any = None

    def reset(self) -> None:
        """Begin a new sequence."""
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Any, states: Any) -> Any:
        output, new_states = self.base_cell(inputs, states)

        def kept(share: float, new: Any, old: Any) -> Any:
            return sym.where(sym.Dropout(sym.ones_like(new), p=share), new, old)

        before = sym.zeros((0, 0)) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs != 0.0:
            output = kept(self.zoneout_outputs, output, before)
        if self.zoneout_states != 0.0:
            new_states = [kept(self.zoneout_states, new, old) for new, old in zip(new_states, states, strict=True)]
        self.prev_output = output
        return output, new_states


class ResidualCell(ModifierCell):
    """Adds its inputs to the outputs of the cell inside."""

    def __call__(self, inputs: Any, states: Any) -> Any:
        output, states = self.base_cell(inputs, states)
        return _residual(output, inputs), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps: (outputs, states)."""
        self.reset()
        self.base_cell._modified = False
        outputs, states = self.base_cell.unroll(
            length, inputs=inputs, begin_state=begin_state, layout=layout, merge_outputs=merge_outputs
        )
        self.base_cell._modified = True
        merge = isinstance(outputs, Symbol) if merge_outputs is None else merge_outputs
        inputs, _ = normalize_sequence(length, inputs, layout, merge)
        if merge:
            return _residual(outputs, inputs), states
        return [_residual(output, step) for output, step in zip(outputs, inputs, strict=True)], states


def _residual(output: Any, inputs: Any) -> Any:
    return sym.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")


class BidirectionalCell(_Cells):
    """Two cells: one reads the sequence forwards, one backwards; their outputs are joined.

    Args:
        output_prefix: of the names of the joined outputs.
    """

    def __init__(self, l_cell: Any, r_cell: Any, params: RNNParams | None = None, output_prefix: str = "bi_") -> None:
        super().__init__("", params=params)
        self._output_prefix = output_prefix
        if params is not None:
            for cell in (l_cell, r_cell):
                assert cell._own_params, "Either specify params for BidirectionalCell or child cells, not both."
                cell.params._params.update(self.params._params)
        self.params._params.update(l_cell.params._params)
        self.params._params.update(r_cell.params._params)
        self._cells = [l_cell, r_cell]

    def __call__(self, inputs: Any, states: Any) -> Any:
        raise NotImplementedError("Bidirectional cannot be stepped. Please use unroll")

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps in both directions: (outputs, states)."""
        self.reset()
        inputs, axis = normalize_sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        left, right = self._cells
        count = len(left.state_info)
        options: dict[str, Any] = {"layout": layout, "merge_outputs": merge_outputs}
        l_out, l_states = left.unroll(length, inputs=inputs, begin_state=states[:count], **options)
        r_out, r_states = right.unroll(length, inputs=inputs[::-1], begin_state=states[count:], **options)
        if merge_outputs is None:
            merge_outputs = isinstance(l_out, Symbol) and isinstance(r_out, Symbol)
            if not merge_outputs:
                l_out, r_out = (
                    list(sym.SliceChannel(out, axis=axis, num_outputs=length, squeeze_axis=1))
                    if isinstance(out, Symbol)
                    else out
                    for out in (l_out, r_out)
                )
        if merge_outputs:
            joined = sym.Concat(l_out, sym.reverse(r_out, axis=axis), dim=2, name=f"{self._output_prefix}out")
            return joined, [l_states, r_states]
        outputs = [
            sym.Concat(a, b, dim=1, name=f"{self._output_prefix}t{i}")
            for i, (a, b) in enumerate(zip(l_out, r_out[::-1], strict=True))
        ]
        return outputs, [l_states, r_states]


claim(globals())
