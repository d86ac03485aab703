"""Block.as_torch(): a torch.nn.Module around a Block, sharing its Parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray import NDArray

if TYPE_CHECKING:
    from tensorkeep.mxnet.gluon._block import Block

__all__ = ["as_module"]


class BlockModule(torch.nn.Module):
    """A Block as a torch.nn.Module: tensors in, tensors out, torch's autograd between.

    Its Parameters lie in the Block's own memory, on the Block's first context; those with grad_req "null" are buffers.
    `state_dict()` names them as `save_parameters` does.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self._block = block
        self._places: list[tuple[Any, torch.nn.Module, str]] = []
        seen: set[int] = set()
        for path, param in block._collect_params_with_prefix().items():
            array = param.list_data()[0]
            if id(array) in seen:
                continue
            seen.add(id(array))
            *folders, name = path.split(".")
            module: torch.nn.Module = self
            for folder in folders:
                if folder not in module._modules:
                    module.add_module(folder, torch.nn.Module())
                module = module._modules[folder]
            values = array._t.detach()
            if param.grad_req == "null" or not values.is_floating_point():
                module.register_buffer(name, values)
            else:
                module.register_parameter(name, torch.nn.Parameter(values))
            self._places.append((array, module, name))

    def forward(self, *inputs: Any) -> Any:
        """What the Block computes: tensors (or nested lists of them), in training mode while the Module is."""
        ctx = self._places[0][0]._ctx if self._places else None
        arrays = [_wrapped(item, ctx) for item in inputs]
        with self._in_place(), _modes(torch.is_grad_enabled(), self.training):
            return _unwrapped(self._block(*arrays))

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """The Module's tensors in the place of the Block's, so that torch's gradients reach them."""
        before = [(array, array._t) for array, _, _ in self._places]
        try:
            for array, module, name in self._places:
                array._t = getattr(module, name)
            yield
        finally:
            for array, tensor in before:
                array._t = tensor


@contextmanager
def _modes(recording: bool, training: bool) -> Iterator[None]:
    before = state.recording, state.training
    state.recording, state.training = recording, training
    try:
        yield
    finally:
        state.recording, state.training = before


def _array_class() -> Any:
    if state.np_array:
        from tensorkeep.mxnet.numpy import ndarray

        return ndarray
    return NDArray


def _wrapped(item: Any, ctx: Context | None) -> Any:
    if isinstance(item, torch.Tensor):
        if ctx is None or ctx.torch_device != item.device:
            ctx = Context("gpu", item.device.index or 0) if item.device.type == "cuda" else Context("cpu", 0)
        return wrap(item, ctx, _array_class())
    return [_wrapped(part, ctx) for part in item] if isinstance(item, (list, tuple)) else item


def _unwrapped(out: Any) -> Any:
    if isinstance(out, NDArray):
        return out._t
    return type(out)(_unwrapped(part) for part in out) if isinstance(out, (list, tuple)) else out


def as_module(block: Block) -> torch.nn.Module:
    """The Module of a Block.

    Raises:
        RuntimeError: a Parameter has no values yet.
    """
    return BlockModule(block)
