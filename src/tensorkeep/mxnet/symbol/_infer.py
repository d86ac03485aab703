"""Shapes and dtypes of a network from some of them: operators' rules, forwards and backwards, until nothing changes."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from tensorkeep.mxnet._dtypes import NAMES, TORCH, name_of
from tensorkeep.mxnet._registry import Operator, Shape
from tensorkeep.mxnet._schema import Schema
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._backward import from_outputs
from tensorkeep.mxnet.symbol._control_flow import OPERATORS as CONTROL_FLOW
from tensorkeep.mxnet.symbol._control_flow import body_facts
from tensorkeep.mxnet.symbol._node import FAILURES, Entry, Node, post_order, refusal

__all__ = [
    "Dtypes",
    "Key",
    "Shapes",
    "declared_dtype",
    "declared_shape",
    "infer",
    "infer_dtypes",
    "infer_shapes",
    "known",
]

Key = tuple[int, int]
"""(id of a node, which of its outputs)."""
Shapes = dict[Key, Shape]
Dtypes = dict[Key, str]
_Seen = dict[int, list[Any]]
"""id of a loop or branch → what was known of its inputs when its bodies were last asked."""

_MAX_PASSES = 64
"""Each pass carries facts through the whole network in both directions; real ones need two or three."""


def known(shape: Shape) -> bool:
    """Whether every dimension is known."""
    return shape is not None and -1 not in shape


def from_user(shape: Sequence[int | None] | None) -> Shape:
    """A shape as users write it: 0 (with NumPy semantics -1) is a dimension that is not known, () none at all."""
    if shape is None:
        return None
    if state.np_shape:
        return tuple([-1 if d is None or d < 0 else int(d) for d in shape])
    return tuple([-1 if d is None or d <= 0 else int(d) for d in shape]) or None


def to_user(shape: Shape) -> tuple[int, ...] | None:
    """The opposite of from_user."""
    if state.np_shape:
        return shape
    return () if shape is None else tuple([0 if d < 0 else d for d in shape])


def declared_shape(node: Node) -> Shape:
    """What a variable's `__shape__` says; None without one."""
    text = node.attrs.get("__shape__")
    if text is None:
        return None
    try:
        value = literal_eval(text.replace("L", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise MXNetError(f"Variable {node.name}: its __shape__ {text!r:.80} is no tuple of integers.") from None
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not all(item is None or type(item) is int for item in items):
        raise MXNetError(f"Variable {node.name}: its __shape__ {text!r:.80} is no tuple of integers.")
    return from_user(items)


def declared_dtype(node: Node) -> str | None:
    """What a variable's `__dtype__` says; None without one."""
    text = node.attrs.get("__dtype__")
    if text is None or text == "-1":
        return None
    try:
        return name_of(int(text))
    except (ValueError, TypeError):
        raise MXNetError(f"Variable {node.name}: its __dtype__ {text!r:.80} is none of MXNet's type flags.") from None


def infer_shapes(heads: list[Entry], given: Mapping[int, Shape]) -> Shapes:
    """All shapes that follow from those of some variables.

    Args:
        given: id of a variable's node → its shape; it goes before the variable's own `__shape__`.
    Raises:
        MXNetError: shapes that contradict each other; the operator's name is in the text.
    """
    order = post_order(heads)
    shapes: Shapes = {}
    for node in order:
        if node.is_variable:
            shapes[id(node), 0] = given[id(node)] if given.get(id(node)) is not None else declared_shape(node)
    seen: _Seen = {}
    infer(order, lambda node: _shape_step(node, shapes, seen))
    return shapes


def infer_dtypes(heads: list[Entry], given: Mapping[int, str | None]) -> Dtypes:
    """The same for dtypes."""
    order = post_order(heads)
    dtypes: Dtypes = {}
    for node in order:
        if node.is_variable:
            found = given.get(id(node)) or declared_dtype(node)
            if found is not None:
                dtypes[id(node), 0] = found
    seen: _Seen = {}
    infer(order, lambda node: _dtype_step(node, dtypes, seen))
    return dtypes


def infer(order: list[Node], step: Callable[[Node], bool]) -> None:
    """Apply a rule to the operators, forwards and backwards, until no call changes anything."""
    nodes = [node for node in order if not node.is_variable]
    for _ in range(_MAX_PASSES):
        changed = False
        for node in nodes:
            changed = step(node) or changed
        if not changed:
            return
        for node in reversed(nodes):
            step(node)


def _operator(node: Node) -> Operator:
    if node.operator is None:
        raise MXNetError(
            f"Operator {node.op} (node {node.name!r}) is not computed by tensorkeep; its shapes are not known."
        )
    return node.operator


def _shape_step(node: Node, shapes: Shapes, seen: _Seen) -> bool:
    if node.op in CONTROL_FLOW:
        return _control_step(node, shapes, infer_shapes, _shape_rows, seen)
    op = _operator(node)
    complete = node.complete
    keys = [(id(n), i) for n, i, _ in node.inputs]
    ins = [shapes.get(key) for key in keys]
    count = op.outputs(complete)
    outs = [shapes.get((id(node), i)) for i in range(count)]
    if all(map(known, ins)) and all(map(known, outs)) and op.shape is None:
        return False
    try:
        if op.shape == "same":
            found_in, found_out = _same(node, ins, outs)
        elif op.shape is not None:
            a, b = op.shape(list(ins), complete)  # type: ignore[operator]  # "same" was the only string
            found_in, found_out = list(a), list(b)
        elif all(map(known, ins)):
            found_in, found_out = ins, _meta_shapes(op, node, ins, complete)
        else:
            return False
        found_in = from_outputs(op.name, list(found_in), outs, complete)
    except FAILURES as err:
        if str(err).startswith("Error in operator"):
            raise
        raise refusal(node, err) from err
    changed = False
    for key, old, new in zip(keys, ins, found_in, strict=False):
        changed = _assign(shapes, key, old, new, node) or changed
    for i, (old, new) in enumerate(zip(outs, found_out, strict=False)):
        changed = _assign(shapes, (id(node), i), old, new, node) or changed
    return changed


def _control_step(node: Node, facts: dict[Key, Any], infer: Any, rows: Any, seen: _Seen) -> bool:
    """Loops and branches: what their bodies say."""
    keys = [*[(id(n), i) for n, i, _ in node.inputs], *[(id(node), i) for i in range(node.outputs)]]
    given = [facts.get(key) for key in keys[: len(node.inputs)]]
    if seen.get(id(node)) == given:  # asked again at every pass, loops in loops would cost exponential time
        return False
    seen[id(node)] = given
    try:
        ins, outs = body_facts(node, given, infer, rows)
    except FAILURES as err:
        if str(err).startswith("Error in operator"):
            raise
        raise refusal(node, err) from err
    changed = False
    for key, new in zip(keys, [*ins, *outs], strict=False):
        if new is not None and facts.get(key) != new:
            facts[key] = new
            changed = True
    return changed


def _shape_rows(count: int | None, shape: Shape) -> Shape:
    if shape is None:
        return None
    return shape[1:] if count is None else (count, *shape)


def _assign(shapes: Shapes, key: Key, old: Shape, new: Shape, node: Node) -> bool:
    """Note what a rule found; False when it says nothing new."""
    if new is None or new == old:
        return False
    if old is None:
        shapes[key] = tuple(new)
        return True
    if len(old) != len(new) or any(a != b and a >= 0 and b >= 0 for a, b in zip(old, new, strict=True)):
        raise MXNetError(
            f"Error in operator {node.name}: Shape inconsistent, Provided = {_listed(old)}, inferred shape="
            f"({_listed(new)[1:-1]})"
        )
    joined = tuple([max(a, b) for a, b in zip(old, new, strict=True)])
    shapes[key] = joined
    return joined != old


def _listed(shape: Sequence[int]) -> str:
    return "[" + ",".join(str(d) for d in shape) + "]"


def _same(node: Node, ins: list[Shape], outs: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    joined: Shape = None
    for kind, shapes in (("input", ins), ("output", outs)):
        for at, shape in enumerate(shapes):
            if shape is None:
                continue
            if joined is None:
                joined = shape
            elif len(joined) != len(shape) or any(
                a != b and a >= 0 and b >= 0 for a, b in zip(joined, shape, strict=True)
            ):
                raise MXNetError(
                    f"Incompatible attr in node {node.name} at {at}-th {kind}: expected {_listed(joined)}, "
                    f"got {_listed(shape)}"
                )
            else:
                joined = tuple([max(a, b) for a, b in zip(joined, shape, strict=True)])
    return [joined] * len(ins), [joined] * len(outs)


def _meta_shapes(op: Operator, node: Node, ins: Sequence[Shape], complete: dict[str, Any]) -> list[Shape]:
    if not ins and "shape" in complete and not known(from_user(complete["shape"])):
        # A source whose dimensions the network decides: begin states are _zeros of shape (layers, 0, hidden).
        return [from_user(complete["shape"])]
    tensors = [torch.empty(shape, dtype=torch.float32, device="meta") for shape in ins]
    last: Exception | None = None
    for dtype in (torch.float32, torch.int64, torch.int32, torch.float16, torch.bool):
        try:
            return [tuple(t.shape) for t in run_meta(op, node, [t.to(dtype) for t in tensors])]
        except FAILURES as err:
            last = last or err
            if not ins:
                break
    assert last is not None
    raise last if isinstance(last, MXNetError) else refusal(node, last) from last


def run_meta(op: Operator, node: Node, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The outputs of an operator for tensors that only have shapes and dtypes."""
    given = op.parse(node.parameters())
    if op.wants_train:
        given["is_train"] = False
    if op.wants_device:
        given["device"] = torch.device("meta")
    with torch.no_grad():
        found = op.fn(*tensors, **given)
    return [found] if isinstance(found, torch.Tensor) else list(found)


def _dtype_step(node: Node, dtypes: Dtypes, seen: _Seen) -> bool:
    if node.op in CONTROL_FLOW:
        return _control_step(node, dtypes, infer_dtypes, lambda _, dtype: dtype, seen)
    op = _operator(node)
    complete = node.complete
    keys = [(id(n), i) for n, i, _ in node.inputs]
    ins = [dtypes.get(key) for key in keys]
    outs = [dtypes.get((id(node), i)) for i in range(op.outputs(complete))]
    rule = op.dtype
    a: Sequence[str | None]
    b: Sequence[str | None]
    if not isinstance(rule, str):
        try:
            a, b = rule(list(ins), complete)
        except FAILURES as err:
            raise refusal(node, err) from err
    elif rule == "same":
        a, b = _same_dtype(node, ins, outs, complete, op.schema)
    elif rule == "meta":
        if None in ins:
            return False
        a, b = ins, _meta_dtypes(op, node, ins)
    else:
        a, b = ins, [rule] * len(outs)
    changed = False
    pairs = [*zip(keys, a, strict=False), *[((id(node), i), found) for i, found in enumerate(b)]]
    for at, (key, found) in enumerate(pairs):
        if found is None or dtypes.get(key) == found:
            continue
        if key in dtypes:
            kind, number = ("input", at) if at < len(keys) else ("output", at - len(keys))
            raise MXNetError(
                f"Error in operator {node.name}: Incompatible attr in node {node.name} at {number}-th {kind}: "
                f"expected {found}, got {dtypes[key]}"
            )
        dtypes[key] = found
        changed = True
    return changed


def _same_dtype(
    node: Node, ins: list[str | None], outs: list[str | None], complete: dict[str, Any], schema: Schema
) -> tuple[list[str | None], list[str | None]]:
    stated = complete.get("dtype")
    if not ins and isinstance(stated, str) and stated in TORCH:
        return [], [stated] * len(outs)
    joined = next((d for d in (*ins, *outs) if d is not None), None)
    return [joined] * len(ins), [joined] * len(outs)


def _meta_dtypes(op: Operator, node: Node, ins: Sequence[str | None]) -> list[str | None]:
    # Any shape does that the operator takes: most take small ones of rank 1 to 4.
    for rank in (1, 2, 3, 4):
        tensors = [torch.empty((1,) * rank, dtype=TORCH[d or "float32"], device="meta") for d in ins]
        try:
            return [NAMES[t.dtype] for t in run_meta(op, node, tensors)]
        except FAILURES:
            continue
    return [None]
