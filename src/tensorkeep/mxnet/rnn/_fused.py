"""FusedRNNCell: several recurrent layers as the one operator RNN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet import symbol as sym
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.initializer import FusedRNN
from tensorkeep.mxnet.rnn._cells import (
    BaseRNNCell,
    BidirectionalCell,
    DropoutCell,
    GRUCell,
    LSTMCell,
    RNNCell,
    RNNParams,
    SequentialRNNCell,
    normalize_sequence,
)

__all__ = ["FusedRNNCell"]

_GATES: dict[str, list[str]] = {
    "rnn_relu": [""], "rnn_tanh": [""], "lstm": ["_i", "_f", "_c", "_o"], "gru": ["_r", "_z", "_o"],
}  # fmt: skip


class FusedRNNCell(BaseRNNCell):
    """Recurrent layers with their parameters in one array; it can only be unrolled.

    Args:
        mode: "rnn_relu", "rnn_tanh", "lstm" or "gru".
        dropout: the share that is dropped between layers in training.
        get_next_state: whether unroll() gives the states too.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(prefix=f"{mode}_" if prefix is None else prefix, params=params)
        self._num_hidden = num_hidden
        self._num_layers = num_layers
        self._mode = mode
        self._bidirectional = bidirectional
        self._dropout = dropout
        self._get_next_state = get_next_state
        self._directions = ["l", "r"] if bidirectional else ["l"]
        initializer = FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter = self.params.get("parameters", init=initializer)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of its states."""
        shape = (len(self._directions) * self._num_layers, 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    @property
    def _gate_names(self) -> Sequence[str]:
        return _GATES[self._mode]

    def _slices(self, array: Any, num_input: int) -> dict[str, Any]:
        """The parts of the one array by the names of the unfused cells' parameters."""
        size, gates = self._num_hidden, self._gate_names
        found: dict[str, Any] = {}
        at = 0
        places = [(layer, direction) for layer in range(self._num_layers) for direction in self._directions]
        for layer, direction in places:
            width = num_input if layer == 0 else len(self._directions) * size
            for group, columns in (("i2h", width), ("h2h", size)):
                for gate in gates:
                    part = array[at : at + size * columns].reshape((size, columns))
                    found[f"{self._prefix}{direction}{layer}_{group}{gate}_weight"] = part
                    at += size * columns
        for layer, direction in places:
            for group in ("i2h", "h2h"):
                for gate in gates:
                    found[f"{self._prefix}{direction}{layer}_{group}{gate}_bias"] = array[at : at + size]
                    at += size
        assert at == array.size, "Invalid parameters size for FusedRNNCell"
        return found

    def unpack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arrays with those of each layer, direction and gate apart."""
        args = dict(args)
        array = args.pop(self._parameter.name)
        b, m, h = len(self._directions), len(self._gate_names), self._num_hidden
        num_input = array.size // b // h // m - (self._num_layers - 1) * (h + b * h + 2) - h - 2
        args.update({name: part.copy() for name, part in self._slices(array, num_input).items()})
        return args

    def pack_weights(self, args: dict[str, Any]) -> dict[str, Any]:
        """The opposite of unpack_weights."""
        args = dict(args)
        b, m, h = len(self._directions), len(self._gate_names), self._num_hidden
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        num_input = first.shape[1]
        total = (num_input + h + 2) * h * m * b + (self._num_layers - 1) * m * h * (h + b * h + 2) * b
        array = nd.zeros((total,), ctx=first.context, dtype=first.dtype)
        for name, part in self._slices(array, num_input).items():
            part[:] = args.pop(name)
        args[self._parameter.name] = array
        return args

    def __call__(self, inputs: Any, states: Any) -> Any:
        raise NotImplementedError("FusedRNNCell cannot be stepped. Please use unroll")

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: Any = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> Any:
        """`length` steps: (outputs, states); no states unless get_next_state=True."""
        self.reset()
        inputs, axis = normalize_sequence(length, inputs, layout, True)
        if axis == 1:
            warnings.warn("NTC layout detected. Consider using TNC for FusedRNNCell for faster speed", stacklevel=2)
            inputs = sym.swapaxes(inputs, dim1=0, dim2=1)
        else:
            assert axis == 0, f"Unsupported layout {layout}"
        states = self.begin_state() if begin_state is None else begin_state
        names = ("state", "state_cell") if self._mode == "lstm" else ("state",)
        rnn = sym.RNN(
            data=inputs,
            parameters=self._parameter,
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f"{self._prefix}rnn",
            **dict(zip(names, states, strict=True)),
        )
        outputs, found = rnn, []
        if self._get_next_state:
            outputs, found = rnn[0], [rnn[i + 1] for i in range(len(names))]
            for state in found:
                state._set_attr(__layout__="LNC")
        if axis == 1:
            outputs = sym.swapaxes(outputs, dim1=0, dim2=1)
        outputs, _ = normalize_sequence(length, outputs, layout, merge_outputs)
        return outputs, found

    def unfuse(self) -> SequentialRNNCell:
        """The same layers as cells that can be stepped."""

        def cell(prefix: str) -> Any:
            if self._mode == "lstm":
                return LSTMCell(self._num_hidden, prefix=prefix)
            if self._mode == "gru":
                return GRUCell(self._num_hidden, prefix=prefix)
            return RNNCell(self._num_hidden, activation=self._mode[4:], prefix=prefix)

        stack = SequentialRNNCell()
        for i in range(self._num_layers):
            left = cell(f"{self._prefix}l{i}_")
            if self._bidirectional:
                right = cell(f"{self._prefix}r{i}_")
                stack.add(BidirectionalCell(left, right, output_prefix=f"{self._prefix}bi_l{i}_"))
            else:
                stack.add(left)
            if self._dropout > 0 and i != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{i}_"))
        return stack


claim(globals())
