"""What torch's history of arrays leaves out: whole numbers, and results through which no gradient passes.

MXNet records every operator. Its gradient passes through casts to whole numbers and back, whole-number variables have
gradients, and a variable that the heads depend on only through comparisons, argmax or BlockGrad gets zeros. torch
records floats only, and nothing behind what has no gradient. So here

- a recorded tensor of whole numbers has a shadow: a float64 tensor with its values and its history;
- a result without a gradient hangs on a node that notes, when backward() comes by, the variables it depends on.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._state import state

if TYPE_CHECKING:
    from tensorkeep.mxnet._registry import Operator

__all__ = [
    "below",
    "carried",
    "clock",
    "collect",
    "follow",
    "follow_whole",
    "forget",
    "mark_leaf",
    "shadow",
    "shadows",
    "stops",
]

_Tensor = torch.Tensor

shadows: dict[int, tuple[Any, torch.Tensor]] = {}
"""id of a tensor of whole numbers → (weak reference to it, its shadow). Empty unless whole numbers are recorded."""

clock = count(1)
"""Numbers the calls of backward() and what they write, so that it is seen what one call has not written."""

_CASTS = frozenset({"Cast", "amp_cast"})
_REDUCTIONS = frozenset({"_np_cumsum", "_np_prod", "_np_sum", "_npi_mean"})
"""They can be asked for whole numbers; the gradient is that of the floats before they are cut."""

_FLAT = frozenset(
    {"_mod", "_mod_scalar", "_npi_mod", "_npi_mod_scalar", "_npi_rmod_scalar", "_rmod_scalar", "broadcast_mod"}
)
"""The gradient of whole numbers that they take is zero, unlike that of floats."""

_ANCHOR = torch.zeros((), requires_grad=True)
"""Makes torch record a node that no gradient passes."""


def shadow(tensor: torch.Tensor) -> torch.Tensor | None:
    """The shadow of a tensor of whole numbers; None when it is not recorded."""
    found = shadows.get(id(tensor))
    if found is None:
        return None
    if found[1].is_leaf:  # a variable, which may have been written to
        found[1].data.copy_(tensor)
    return found[1]


def _tie(tensor: torch.Tensor, twin: torch.Tensor) -> None:
    key = id(tensor)
    shadows[key] = weakref.ref(tensor, lambda _: shadows.pop(key, None)), twin


def forget(tensor: torch.Tensor) -> None:
    """The tensor is not recorded any more."""
    shadows.pop(id(tensor), None)


def follow_whole(tensor: torch.Tensor) -> torch.Tensor:
    """The shadow of a tensor of whole numbers that is followed from here on: where its gradient will be."""
    twin = tensor.to(torch.float64).requires_grad_()
    _tie(tensor, twin)
    return twin


def mark_leaf(tensor: torch.Tensor, mark: list[Any], collector: Callable[[torch.Tensor], None]) -> None:
    """Make a tensor a variable of the graph, whose gradient goes to `collector`."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        twin = tensor.to(torch.float64)
        _tie(tensor, twin)
        tensor = twin
    tensor.requires_grad_()
    tensor._mark = mark
    tensor.register_post_accumulate_grad_hook(collector)


class _Reached(torch.autograd.Function):
    """A tensor without a gradient that depends on variables: backward() notes them in the list of the thread."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, leaves: dict[int, torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        ctx.leaves = leaves
        ctx.notes = state.reached
        return tensor.detach()

    @staticmethod
    def backward(ctx: Any, head: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        ctx.notes.append(ctx.leaves)
        return (head if ctx.needs_input_grad[0] else None), None, None


class _Graft(torch.autograd.Function):
    """The values of one tensor with the history of another."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, history: torch.Tensor) -> torch.Tensor:
        ctx.dtype = history.dtype
        return tensor.detach()

    @staticmethod
    def backward(ctx: Any, head: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, head.to(ctx.dtype)


def below(tensors: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
    """The variables that the tensors depend on, by id. What a node depends on is kept there for the next walk."""
    found: dict[int, torch.Tensor] = {}
    for tensor in tensors:
        if tensor.grad_fn is not None:
            found |= _below_node(tensor.grad_fn)
        elif tensor.requires_grad:
            found[id(tensor)] = tensor
    return found


def _below_node(root: Any) -> dict[int, torch.Tensor]:
    known: dict[int, torch.Tensor] | None = root.metadata.get("leaves")
    if known is not None:
        return known
    found: dict[int, torch.Tensor] = {}
    seen: set[Any] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        known = getattr(node, "leaves", None) or node.metadata.get("leaves")
        leaf = getattr(node, "variable", None)
        if known is not None:
            found |= known
        if leaf is not None:
            if leaf is not _ANCHOR:
                found[id(leaf)] = leaf
        elif known is None or hasattr(node, "leaves"):
            nodes += [below for below, _ in node.next_functions if below is not None]
    root.metadata["leaves"] = found
    return found


def _linked(tensor: torch.Tensor, leaves: dict[int, torch.Tensor]) -> torch.Tensor:
    found: torch.Tensor = _Reached.apply(tensor, leaves, _ANCHOR)
    return found


def stops(op: Operator, outputs: Sequence[torch.Tensor]) -> bool:
    """Whether outputs that callers get have no gradient; the last ones are those without (the indices of topk)."""
    return bool(outputs) and not outputs[0 if op.hides else -1].requires_grad


def follow(op: Operator, tensors: Sequence[torch.Tensor], given: dict[str, Any], found: Any) -> Any:
    """What an operator gave while recording, with the history that torch left out.

    Args:
        tensors, given: what it was called with.
        found: a tensor, or a tuple of all outputs.
    """
    if getattr(op.fn, "unrecorded", False):
        return found
    twins = [shadow(tensor) for tensor in tensors] if shadows else []
    sources = [t for t in (*tensors, *[twin for twin in twins if twin is not None]) if t.requires_grad]
    if not sources:
        return found
    items = [found] if type(found) is _Tensor else list(found)
    again = _again(op, tensors, twins, given, len(items))
    for i, (item, history) in enumerate(zip(items, again, strict=True)):
        whole = not (item.is_floating_point() or item.is_complex())
        if history is None or not history.requires_grad:
            if item.requires_grad and not any(twin is not None for twin in twins):
                continue
            history = _linked(item.to(torch.float64) if whole else item, below(sources))
            if not whole:
                items[i] = history
        elif not whole:
            items[i] = _Graft.apply(item, history)
        if whole:
            _tie(item, history)
    return items[0] if type(found) is _Tensor else tuple(items)


def _again(
    op: Operator, tensors: Sequence[torch.Tensor], twins: Sequence[torch.Tensor | None], given: Any, outputs: int
) -> list[torch.Tensor | None]:
    """The outputs, computed from the shadows of whole numbers; None where they have no history."""
    nothing: list[torch.Tensor | None] = [None] * outputs
    if op.name in _CASTS:
        return [(twins[0] if twins and twins[0] is not None else tensors[0]).to(torch.float64)]
    if op.name in _REDUCTIONS and given.get("dtype") and tensors[0].requires_grad:
        inputs: list[torch.Tensor] = list(tensors)
    elif any(twin is not None for twin in twins) and not (op.wants_train or op.wants_device or op.mutates):
        inputs = [tensor if twin is None else twin for tensor, twin in zip(tensors, twins, strict=True)]
        if op.name in _FLAT and not any(tensor.requires_grad for tensor in tensors):
            return nothing
    else:
        return nothing
    wanted = {key: value for key, value in given.items() if key != "dtype"}
    for each in (inputs, [tensor.to(torch.float64) for tensor in inputs]):  # some want one dtype, some whole indices
        try:
            found = op.fn(*each, **wanted)
        except (RuntimeError, ValueError, IndexError, TypeError):
            continue
        return [found] if type(found) is _Tensor else list(found)
    return nothing  # bitwise operators know whole numbers only: no gradient


def carried(source: torch.Tensor, found: torch.Tensor, again: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A view or a cast of a tensor, recorded like it.

    Args:
        again: the same step, for the shadow.
    """
    history = source if source.requires_grad else shadow(source)
    if history is None or found.requires_grad:
        return found
    stepped = again(history)
    if found.is_floating_point():
        grafted: torch.Tensor = _Graft.apply(found, stepped)
        return grafted
    _tie(found, stepped.to(torch.float64))
    return found


def collect(began: int) -> None:
    """Write zeros for variables that the heads depend on, but no gradient reached.

    Args:
        began: the clock before backward().
    """
    for leaves in state.reached:
        for leaf in leaves.values():
            mark = getattr(leaf, "_mark", None)
            if mark is not None and mark[3] < began:
                gradient, request, _, _ = mark
                if request == "write":
                    gradient._t = torch.zeros_like(gradient._t)
                mark[2:] = True, next(clock)
    state.reached.clear()
