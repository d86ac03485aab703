"""A traced block, ready to run on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._runner import Runner
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.gluon._structure import array_class
from tensorkeep.mxnet.symbol._node import post_order

__all__ = ["CachedOp"]

_NAMED = frozenset({
    "BilinearResize2D", "Dropout", "L2Normalization", "LRN", "LeakyReLU", "MakeLoss", "Pad", "Pooling", "SliceChannel",
    "SwapAxis", "_contrib_BilinearResize2D", "depth_to_space", "diag", "log_softmax", "repeat", "reverse", "softmax",
    "space_to_depth", "squeeze", "tile",
})  # fmt: skip
"""Operators of one input that monitors of MXNet 1.9.1 call "data"; that of the others is "input0" there."""


def _input_names(node: Any) -> list[str]:
    names: list[str] = node.input_names()
    return ["input0"] if names == ["data"] and node.op not in _NAMED else names


class CachedOp:
    """A Symbol that is called with arrays, in the order of its `list_inputs()`; backward() goes through it."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._runner = Runner(graph)
        self._names = graph.list_inputs()
        self._class = array_class(graph)

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs."""
        return self._run(self._runner, arrays)

    def _run(self, runner: Runner, arrays: Sequence[Any]) -> list[Any]:
        ctx = arrays[0]._ctx
        values = {name: array._t for name, array in zip(self._names, arrays, strict=True)}
        enabled = torch.is_grad_enabled()
        if enabled is not state.recording:
            torch._C._set_grad_enabled(state.recording)
        try:
            found = runner(values, state.training, device=ctx.torch_device)
        finally:
            if enabled is not state.recording:
                torch._C._set_grad_enabled(enabled)
        return [wrap(tensor, ctx, self._class) for tensor in found]

    def monitored(self, arrays: Sequence[Any], callback: Callable[..., None], inputs: bool) -> list[Any]:
        """The outputs, after `callback(name, operator, tensor)` was called for those of every operator.

        Args:
            inputs: whether it is called for the operators' inputs as well.
        """
        order = post_order(list(self._graph._outputs))
        heads = [(node, i, 0) for node in order for i in range(1 if node.is_variable else node.visible)]
        known = {
            (id(node), i): array for (node, i, _), array in zip(heads, self._run(Runner.of(heads), arrays), strict=True)
        }
        for node in order:
            if node.is_variable:
                continue
            kind = node.op.encode()
            for (source, i, _), name in zip(node.inputs if inputs else (), _input_names(node), strict=False):
                callback(f"{node.name}_{name}".encode(), kind, known[id(source), i]._t)
            for i in range(node.visible):
                callback(node.output_name(i).encode(), kind, known[id(node), i]._t)
        return [known[id(node), i] for node, i, _ in self._graph._outputs]
