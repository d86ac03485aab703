"""Recurrent layers: RNN in all its modes, and the joining of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import expects, inconsistent, require, same_dtypes
from tensorkeep.mxnet.ops._nn_random import bernoulli

_GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
_KERNELS: dict[str, Callable[..., Any]] = {
    "rnn_relu": torch.rnn_relu, "rnn_tanh": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru,
}  # fmt: skip
_RANK = "Input data should be rank-3 tensor of dim [sequence length, batch size, input size]"


@cache
def _parameters(
    inputs: int, hidden: int, layers: int, mode: str, directions: int, projected: int | None
) -> tuple[list[tuple[int, ...]], list[int]]:
    """The shapes of all weights, then of all biases, in the order of the flat vector; and their numbers of elements."""
    rows = _GATES[mode] * hidden
    shapes: list[tuple[int, ...]] = []
    for layer in range(layers):
        width = inputs if layer == 0 else (projected or hidden) * directions
        for _ in range(directions):
            shapes += [(rows, width), (rows, projected or hidden)]
            if projected:
                shapes.append((projected, hidden))
    shapes += [(rows,)] * (2 * directions * layers)
    return shapes, [prod(shape) for shape in shapes]


def _rnn_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, directions, hidden = shapes[0], 2 if attrs["bidirectional"] else 1, attrs["state_size"]
    width = attrs["projection_size"] or hidden
    if data is not None and len(data) != 3:
        raise MXNetError(_RANK)
    length, batch, inputs = data or (-1, -1, -1)
    numbers: list[int] = []
    if inputs >= 0:
        _, numbers = _parameters(
            inputs, hidden, attrs["num_layers"], attrs["mode"], directions, attrs["projection_size"]
        )
    flat = (sum(numbers) if inputs >= 0 else -1,)
    layers = attrs["num_layers"] * directions
    states = [(layers, batch, width), (layers, batch, hidden)][: 2 if attrs["mode"] == "lstm" else 1]
    found: list[Shape] = [data, require(shapes[1], flat)]
    found += [require(given, state) for given, state in zip(shapes[2:], states, strict=False)]
    if attrs["use_sequence_length"]:
        found.append((batch,))
    out: list[Shape] = [None if data is None else (length, batch, width * directions)]
    if attrs["state_outputs"]:
        out += found[2 : 2 + len(states)]
    return found, out


def _outputs(attrs: Attrs) -> int:
    return 1 if not attrs["state_outputs"] else 3 if attrs["mode"] == "lstm" else 2


def _rnn_dtypes(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    states = 4 if attrs["mode"] == "lstm" else 3
    known = next((dtype for dtype in dtypes[:states] if dtype), None)
    return [known] * min(states, len(dtypes)) + dtypes[states:], [known] * _outputs(attrs)


@operator(
    "RNN",
    inputs=taking(
        "data", "parameters", "state", "state_cell", "sequence_length",
        state_cell=lambda a: a["mode"] == "lstm", sequence_length=lambda a: a["use_sequence_length"],
    ),
    outputs=_outputs,
    shape=_rnn_shapes,
    dtype=_rnn_dtypes,
)  # fmt: skip
def rnn(
    data: Tensor, parameters: Tensor, state: Tensor, *more: Tensor, state_size: int, num_layers: int, mode: str,
    bidirectional: bool = False, p: float = 0.0, state_outputs: bool = False, projection_size: int | None = None,
    lstm_state_clip_min: float | None = None, lstm_state_clip_max: float | None = None,
    lstm_state_clip_nan: bool = False, use_sequence_length: bool = False, is_train: bool = False,
) -> Any:  # fmt: skip
    """A recurrent network of `num_layers` layers: mode "lstm", "gru", "rnn_tanh" or "rnn_relu".

    data (T, N, C); parameters, one vector: for each layer and direction the weights of input and state (with
    projection_size, for lstm, that of the projection too), then for each the two biases; state (layers · directions,
    N, state_size or projection_size); state_cell (layers · directions, N, state_size) for lstm. The gates of lstm are
    i, f, c, o, those of gru r, z, n. The result is (T, N, directions · width), with state_outputs the last state too,
    and lstm's cell. With use_sequence_length, sequence_length (N,) says how many steps of each sample count: what is
    behind them is 0, and the last states are those at their ends; MXNet heeds it on GPUs only. p is the share of
    elements that are dropped between layers in training; the choice follows mx.random.seed, but is not the one that
    MXNet makes. lstm_state_clip_min and lstm_state_clip_max bound lstm's cell after each step; MXNet heeds them on GPUs
    only.
    """
    lstm, ways = mode == "lstm", 2 if bidirectional else 1
    if len(more) != lstm + use_sequence_length:
        raise expects("RNN", 3 + lstm + use_sequence_length, 3 + len(more))
    clipped = lstm and (lstm_state_clip_min is not None or lstm_state_clip_max is not None)
    if clipped and (use_sequence_length or lstm_state_clip_nan):
        raise MXNetError("A clipped cell is not computed together with use_sequence_length or lstm_state_clip_nan.")
    if projection_size and not lstm:
        raise MXNetError(f"projection_size is for lstm; mode is {mode}.")
    if data.dim() != 3:
        raise MXNetError(_RANK)
    states = [state, more[0]] if lstm else [state]
    same_dtypes(("parameters", "state", "state_cell"), data, parameters, *states)
    shapes, numbers = _parameters(data.shape[2], state_size, num_layers, mode, ways, projection_size)
    if tuple(parameters.shape) != (sum(numbers),):
        raise inconsistent(parameters.shape, (sum(numbers),))
    runs = num_layers * ways
    for given, width in zip(states, (projection_size or state_size, state_size), strict=False):
        if tuple(given.shape) != (runs, data.shape[1], width):
            raise inconsistent(given.shape, (runs, data.shape[1], width))
    flat = [part.view(shape) for part, shape in zip(parameters.split(numbers), shapes, strict=True)]
    each = 3 if projection_size else 2
    biases = flat[each * runs :]
    grouped: list[Tensor] = []  # for each layer and direction: weights of input and state, biases, projection
    for i in range(runs):
        weights = flat[each * i : each * (i + 1)]
        grouped += [*weights[:2], *biases[2 * i : 2 * i + 2], *weights[2:]]
    lengths = more[-1] if use_sequence_length else None
    kernel = _KERNELS[mode]
    if clipped:
        kernel = partial(_clipped_lstm, lstm_state_clip_min, lstm_state_clip_max, each + 2)
    elif projection_size and not data.is_cuda:
        kernel = _without_onednn(kernel)
    out, *last = _run(data, states, grouped, kernel, num_layers, bidirectional, p if is_train else 0.0, lengths)
    return (out, *last) if state_outputs else out


def _clipped_lstm(
    low: float | None, high: float | None, each: int, data: Tensor, states: list[Tensor], weights: list[Tensor],
    biases: bool, layers: int, dropout: float, train: bool, both: bool, batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """torch.lstm, step by step, with the cell clamped after each; `each` weights for a layer and direction."""
    hidden, cells, values = [], [], data
    for layer in range(layers):
        ways = []
        for way in range(1 + both):
            at = layer * (1 + both) + way
            w_ih, w_hh, b_ih, b_hh, *project = weights[at * each : (at + 1) * each]
            h, c = states[0][at], states[1][at]
            gates = torch.nn.functional.linear(values, w_ih, b_ih)
            steps = []
            for step in reversed(gates.unbind(0)) if way else gates.unbind(0):
                i, f, g, o = (step + torch.nn.functional.linear(h, w_hh, b_hh)).chunk(4, 1)
                c = (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)).clamp(low, high)
                h = torch.sigmoid(o) * torch.tanh(c)
                h = h @ project[0].t() if project else h
                steps.append(h)
            ways.append(torch.stack(steps[::-1] if way else steps))
            hidden.append(h)
            cells.append(c)
        values = torch.cat(ways, 2)
    return values, torch.stack(hidden), torch.stack(cells)


def _without_onednn(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """oneDNN has no projections, and torch warns when it goes on without it."""

    def call(*args: Any) -> Any:
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(False)
        try:
            return kernel(*args)
        finally:
            torch._C._set_mkldnn_enabled(before)

    return call


def _run(
    data: Tensor, states: list[Tensor], weights: list[Tensor], kernel: Callable[..., Any], layers: int, both: bool,
    drop: float, lengths: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Output and last states; layer by layer where something is dropped between them."""
    packed = None
    if lengths is not None:
        counts = lengths.to("cpu", torch.int64)
        packed = torch.nn.utils.rnn.pack_padded_sequence(data, counts, enforce_sorted=False)

    def call(values: Tensor, start: list[Tensor], given: list[Tensor], count: int) -> Any:
        first = start if len(start) > 1 else start[0]
        if packed is None:
            return kernel(values, first, given, True, count, 0.0, False, both, False)
        return kernel(values, packed.batch_sizes, first, given, True, count, 0.0, False, both)

    values = data
    if packed is not None:
        order = packed.sorted_indices
        values, states = packed.data, [s.index_select(1, order) for s in states]
    if not drop or layers == 1:
        values, *last = call(values, states, weights, layers)
    else:
        runs, each = 2 if both else 1, len(weights) // layers
        found: list[list[Tensor]] = []
        for i in range(layers):
            if i:
                values = values * bernoulli(values, values.shape, 1 - drop)
            start = [s[i * runs : (i + 1) * runs].contiguous() for s in states]
            values, *ends = call(values, start, weights[i * each : (i + 1) * each], 1)
            found.append(ends)
        last = [torch.cat(parts) for parts in zip(*found, strict=True)]
    if packed is None:
        return values, *last
    back = packed.unsorted_indices
    unpacked = torch.nn.utils.rnn.PackedSequence(values, packed.batch_sizes, packed.sorted_indices, back)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(unpacked, total_length=data.shape[0])
    return padded, *[s.index_select(1, back) for s in last]


def _concat_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    axis = attrs["dim"]
    if any(shape is None for shape in shapes):
        return shapes, [None]
    known = [shape for shape in shapes if shape is not None]
    total = sum(shape[axis] for shape in known) if all(shape[axis] >= 0 for shape in known) else -1
    first = known[0]
    return shapes, [(*first[:axis], total, *first[axis + 1 :])]


@operator("_rnn_param_concat", shape=_concat_shapes)
def rnn_param_concat(*data: Tensor, dim: int = 1) -> Tensor:
    """The arrays one behind the other along axis `dim`: the flat vector of RNN's parameters."""
    return torch.cat(data, dim)
