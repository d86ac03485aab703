"""The table that `Block.summary()` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorkeep.mxnet.ndarray import NDArray

if TYPE_CHECKING:
    from tensorkeep.mxnet.gluon._block import Block

__all__ = ["summary_text"]

_ROW = "{:>20}  {:>42} {:>15}"


@dataclass
class _Layer:
    name: str
    shape: str
    params: int = 0
    trainable: int = 0
    shared: int = 0


def summary_text(block: Block, inputs: tuple[Any, ...]) -> str:
    """The layers that a forward pass goes through, the shapes that they give and how many parameters they have.

    Raises:
        AssertionError: a block is hybridized, so its children's outputs can't be seen.
    """
    from tensorkeep.mxnet.gluon.nn.basic_layers import HybridSequential, Sequential

    layers = [_Layer("Input", _shapes(inputs))]
    seen: set[Any] = set()
    hooks: list[Any] = []

    def note(called: Block, _: Any, outputs: Any) -> None:
        layer = _Layer(f"{type(called).__name__}-{len(layers)}", _shapes(outputs))
        for param in called.params.values():
            size = param.data().size
            layer.params += size
            layer.trainable += 0 if param.grad_req == "null" else size
            if param in seen:
                layer.shared += size
            seen.add(param)
        layers.append(layer)

    def watch(child: Block) -> None:
        assert not getattr(child, "_active", False), f'"{child.name}" must not be hybridized to print summary.'
        if not isinstance(child, (Sequential, HybridSequential)):
            hooks.append(child.register_forward_hook(note))

    try:
        block.apply(watch)
        block(*inputs)
    finally:
        for hook in hooks:
            hook.detach()
    return _table(layers)


def _table(layers: list[_Layer]) -> str:
    total, trainable, shared = (sum(getattr(row, of) for row in layers) for of in ("params", "trainable", "shared"))
    lines = ["-" * 80, _ROW.format("Layer (type)", "Output Shape", "Param #"), "=" * 80]
    lines += [_ROW.format(row.name, row.shape, row.params) for row in layers]
    lines += [
        "=" * 80,
        "Parameters in forward computation graph, duplicate included",
        f"   Total params: {total}",
        f"   Trainable params: {trainable}",
        f"   Non-trainable params: {total - trainable}",
        f"Shared params in forward computation graph: {shared}",
        f"Unique parameters in model: {total - shared}",
        "-" * 80,
    ]
    return "\n".join(lines)


def _shapes(args: Any) -> str:
    found = _nested(args)
    return str(found)[1:-1] if isinstance(found, list) else str(found)


def _nested(args: Any) -> Any:
    if isinstance(args, (list, tuple)):
        return [_nested(item) for item in args]
    return args.shape if isinstance(args, NDArray) else args
