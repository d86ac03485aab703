"""RecurrentCell, and the simple cells: RNNCell, LSTMCell, GRUCell."""

from __future__ import annotations

from typing import Any, ClassVar

from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet.gluon.block import Block, HybridBlock
from tensorkeep.mxnet.gluon.nn import LeakyReLU
from tensorkeep.mxnet.gluon.rnn._sequences import begin_states, formatted, masked

__all__ = ["GRUCell", "HybridRecurrentCell", "LSTMCell", "RNNCell", "RecurrentCell"]

States = list[Any]


class RecurrentCell(Block):
    """The base of cells: one step of a recurrent network, (inputs, states) → (output, new states)."""

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Start counting steps anew; names of nodes hold the number."""
        self._init_counter = -1
        self._counter = -1
        for cell in self._children.values():
            cell.reset()  # type: ignore[attr-defined]  # the children of cells are cells

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        raise NotImplementedError

    def _refuse_modified(self, example: str) -> None:
        assert not self._modified, (
            f"After applying modifier cells (e.g. {example}) the base cell cannot be called directly. Call the "
            "modifier cell instead."
        )

    def begin_state(self, batch_size: int = 0, func: Any = None, **kwargs: Any) -> States:
        """The first states, made by `func` (`mx.nd.zeros` when None)."""
        self._refuse_modified("ZoneoutCell")
        func = ndarray.zeros if func is None else func
        states = []
        for info in self.state_info(batch_size):
            self._init_counter += 1
            options = {**(info or {}), **kwargs}
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **options))
        return states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
        valid_length: Any = None,
    ) -> tuple[Any, States]:
        """Step `length` times.

        Args:
            inputs: one array with a time axis, or a list of steps.
            layout: "NTC" or "TNC".
            merge_outputs: True for one array, False for a list, None for what comes.
            valid_length: (n,), how long each sequence is: outputs behind it are 0, states those at its end.
        Returns:
            The outputs, the last states.
        """
        self.reset()
        inputs, axis, F, batch_size = formatted(length, inputs, layout, False)
        states = begin_states(self, F, begin_state, inputs, batch_size)
        outputs: Any = []
        all_states = []
        for step in range(length):
            output, states = self(inputs[step], states)
            outputs.append(output)
            all_states.append(states)
        if valid_length is not None:
            states = [
                F.SequenceLast(F.stack(*each, axis=0), sequence_length=valid_length, use_sequence_length=True, axis=0)
                for each in zip(*all_states, strict=True)
            ]
            outputs = masked(F, outputs, length, valid_length, axis, True)
        return formatted(length, outputs, layout, merge_outputs)[0], states

    def _get_activation(self, F: Any, inputs: Any, activation: Any, **kwargs: Any) -> Any:
        if isinstance(activation, str):
            if activation in ("tanh", "relu", "sigmoid", "softsign"):
                return getattr(F, activation)(inputs, **kwargs)
            return F.Activation(inputs, act_type=activation, **kwargs)
        if isinstance(activation, LeakyReLU):
            return F.LeakyReLU(inputs, act_type="leaky", slope=activation._alpha, **kwargs)
        return activation(inputs, **kwargs)

    def forward(self, inputs: Any, states: Any) -> Any:
        """One step."""
        self._counter += 1
        return super().forward(inputs, states)


class HybridRecurrentCell(RecurrentCell, HybridBlock):
    """The base of cells that can be hybridized."""

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """One step; subclasses write it."""
        raise NotImplementedError


class _GatedCell(HybridRecurrentCell):
    """What the simple cells have in common: two products, of the input and of the state, `_gates` times as wide."""

    _gates: ClassVar[int]
    _states: ClassVar[int] = 1

    def _make(self, hidden_size: int, input_size: int, inits: dict[str, Any]) -> None:
        self._hidden_size = hidden_size
        self._input_size = input_size
        width = self._gates * hidden_size
        shapes = {
            "i2h_weight": (width, input_size), "h2h_weight": (width, hidden_size), "i2h_bias": (width,),
            "h2h_bias": (width,),
        }  # fmt: skip
        for name, shape in shapes.items():
            setattr(self, name, self.params.get(name, shape=shape, init=inits[name], allow_deferred_init=True))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        return [{"shape": (batch_size, self._hidden_size), "__layout__": "NC"} for _ in range(self._states)]

    def __repr__(self) -> str:
        shape = self.i2h_weight.shape
        return f"{type(self).__name__}({shape[1] or None} -> {shape[0]}{self._details()})"

    def _details(self) -> str:
        return ""

    def _products(self, F: Any, inputs: Any, state: Any, params: tuple[Any, ...], prefix: str) -> tuple[Any, Any]:
        i2h_weight, h2h_weight, i2h_bias, h2h_bias = params
        width = self._gates * self._hidden_size
        i2h = F.FullyConnected(data=inputs, weight=i2h_weight, bias=i2h_bias, num_hidden=width, name=prefix + "i2h")
        h2h = F.FullyConnected(data=state, weight=h2h_weight, bias=h2h_bias, num_hidden=width, name=prefix + "h2h")
        return i2h, h2h

    i2h_weight: Any


class RNNCell(_GatedCell):
    """activation(W · x + b + R · h + c).

    Args:
        hidden_size: how many units there are.
        activation: what Activation takes, or a block.
        input_size: how many inputs there are; 0 waits for the first batch.
    """

    _gates = 1

    def __init__(
        self,
        hidden_size: int,
        activation: Any = "tanh",
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._activation = activation
        inits = {
            "i2h_weight": i2h_weight_initializer, "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer, "h2h_bias": h2h_bias_initializer,
        }  # fmt: skip
        self._make(hidden_size, input_size, inits)

    def _alias(self) -> str:
        return "rnn"

    def _details(self) -> str:
        return f", {self._activation}"

    def hybrid_forward(self, F: Any, inputs: Any, states: States, *args: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        i2h, h2h = self._products(F, inputs, states[0], _ordered(args, params), prefix)
        total = F.elemwise_add(i2h, h2h, name=prefix + "plus0")
        output = self._get_activation(F, total, self._activation, name=prefix + "out")
        return output, [output]


def _ordered(args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """The four Parameters, however they were passed."""
    rest = ("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias")[len(args) :]
    return (*args, *[params[name] for name in rest])


class LSTMCell(_GatedCell):
    """A cell with a memory: input, forget, memory and output gates, in this order in the weights.

    Args:
        activation, recurrent_activation: of the memory and of the gates.
    """

    _gates = 4
    _states = 2

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        inits = {
            "i2h_weight": i2h_weight_initializer, "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer, "h2h_bias": h2h_bias_initializer,
        }  # fmt: skip
        self._make(hidden_size, input_size, inits)
        self._activation = activation
        self._recurrent_activation = recurrent_activation

    def _alias(self) -> str:
        return "lstm"

    def hybrid_forward(self, F: Any, inputs: Any, states: States, *args: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        i2h, h2h = self._products(F, inputs, states[0], _ordered(args, params), prefix)
        gates = F.elemwise_add(i2h, h2h, name=prefix + "plus0")
        parts = F.SliceChannel(gates, num_outputs=4, name=prefix + "slice")
        gate = self._recurrent_activation
        enter = self._get_activation(F, parts[0], gate, name=prefix + "i")
        forget = self._get_activation(F, parts[1], gate, name=prefix + "f")
        change = self._get_activation(F, parts[2], self._activation, name=prefix + "c")
        leave = self._get_activation(F, parts[3], gate, name=prefix + "o")
        kept = F.elemwise_mul(forget, states[1], name=prefix + "mul0")
        added = F.elemwise_mul(enter, change, name=prefix + "mul1")
        memory = F.elemwise_add(kept, added, name=prefix + "state")
        shown = F.Activation(memory, act_type=self._activation, name=prefix + "activation0")
        output = F.elemwise_mul(leave, shown, name=prefix + "out")
        return output, [output, memory]


class GRUCell(_GatedCell):
    """A cell with gates but no memory: reset and update gates and the new state, in this order in the weights."""

    _gates = 3

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        inits = {
            "i2h_weight": i2h_weight_initializer, "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer, "h2h_bias": h2h_bias_initializer,
        }  # fmt: skip
        self._make(hidden_size, input_size, inits)

    def _alias(self) -> str:
        return "gru"

    def hybrid_forward(self, F: Any, inputs: Any, states: States, *args: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        before = states[0]
        i2h, h2h = self._products(F, inputs, before, _ordered(args, params), prefix)
        i2h_r, i2h_z, i2h = F.SliceChannel(i2h, num_outputs=3, name=prefix + "i2h_slice")
        h2h_r, h2h_z, h2h = F.SliceChannel(h2h, num_outputs=3, name=prefix + "h2h_slice")
        total = F.elemwise_add(i2h_r, h2h_r, name=prefix + "plus0")
        reset = F.Activation(total, act_type="sigmoid", name=prefix + "r_act")
        total = F.elemwise_add(i2h_z, h2h_z, name=prefix + "plus1")
        update = F.Activation(total, act_type="sigmoid", name=prefix + "z_act")
        total = F.elemwise_add(i2h, F.elemwise_mul(reset, h2h, name=prefix + "mul0"), name=prefix + "plus2")
        new = F.Activation(total, act_type="tanh", name=prefix + "h_act")
        rest = F.elemwise_sub(F.ones_like(update, name=prefix + "ones_like0"), update, name=prefix + "minus0")
        taken = F.elemwise_mul(rest, new, name=prefix + "mul1")
        kept = F.elemwise_mul(update, before, name=prefix + "mul20")
        output = F.elemwise_add(taken, kept, name=prefix + "out")
        return output, [output]
