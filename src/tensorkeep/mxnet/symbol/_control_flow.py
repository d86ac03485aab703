"""Operators whose bodies are networks themselves: the loops and branches _foreach, _while_loop and _cond, and fused ones.

The attributes of the node say which of its inputs each body takes: `in_data_locs`, `in_state_locs` and `remain_locs` are
positions among the body's variables (the node's inputs come in that order), `cond_input_locs`, `then_input_locs` …
positions among the node's inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._fused import eight_bit, is_eight_bit, kind_of
from tensorkeep.mxnet.symbol._node import FUSED, Entry, Node, post_order

__all__ = ["OPERATORS", "body_facts", "control_flow"]

OPERATORS = frozenset({"_foreach", "_while_loop", "_cond"}) | FUSED

Run = Callable[..., Sequence[torch.Tensor]]
"""A body: tensors in the order of its variables → its outputs."""


def _numbers(node: Node, key: str) -> list[int]:
    text = node.attrs.get(key, "")
    try:
        return [int(item) for item in text.strip("()[] ").replace("L", "").split(",") if item.strip()]
    except ValueError:
        raise MXNetError(f"{node.op} {node.name}: its {key} {text!r:.80} are no integers.") from None


def _number(node: Node, key: str) -> int:
    found = _numbers(node, key)
    if len(found) != 1:
        raise MXNetError(f"{node.op} {node.name}: its {key} is no integer.")
    return found[0]


def _data_outputs(node: Node) -> int:
    """How many outputs of the last body are stacked; the others are states."""
    found = _number(node, "num_out_data")
    if not 0 <= found <= len(node.subgraphs[-1]):
        raise MXNetError(
            f"{node.op} {node.name}: num_out_data is {found}, its body has {len(node.subgraphs[-1])} outputs."
        )
    return found


def _places(node: Node, key: str, body: list[Entry], limit: int) -> list[int]:
    """Positions, one for each variable of a body."""
    found = _numbers(node, key)
    if len(found) != len(_variables(body)) or not all(0 <= at < limit for at in found):
        raise MXNetError(f"{node.op} {node.name}: its {key} do not fit the variables of its body.")
    return found


def _variables(body: list[Entry]) -> list[Node]:
    return [node for node in post_order(body) if node.is_variable]


def _foreach_places(node: Node) -> list[int]:
    """For each variable of the body, the input of the node that it takes."""
    order = [*_numbers(node, "in_data_locs"), *_numbers(node, "in_state_locs"), *_numbers(node, "remain_locs")]
    count = len(_variables(node.subgraphs[0]))
    if sorted(order) != list(range(count)) or count != len(node.inputs):
        raise MXNetError(f"_foreach {node.name}: its in_data_locs, in_state_locs and remain_locs do not fit its body.")
    return [order.index(at) for at in range(count)]


def _check_bodies(node: Node) -> None:
    wanted = {"_while_loop": 2, "_cond": 3}.get(node.op, 1)
    if len(node.subgraphs) != wanted:
        raise MXNetError(f"{node.op} {node.name} has {len(node.subgraphs)} bodies; it needs {wanted}.")


def control_flow(node: Node, runs: Sequence[Run]) -> Callable[..., tuple[torch.Tensor, ...]]:
    """What computes the node, given what computes its bodies: (tensors, is_train) → the outputs."""
    _check_bodies(node)
    if node.op in FUSED:
        return _fused(node, runs)
    return {"_foreach": _foreach, "_while_loop": _while_loop, "_cond": _cond}[node.op](node, runs)


def _check_fused(node: Node) -> None:
    ranges = 0 if not is_eight_bit(node) else 2  # at least
    if len(node.inputs) < len(_variables(node.subgraphs[0])) + ranges or (
        not ranges and len(_variables(node.subgraphs[0])) != len(node.inputs)
    ):
        raise MXNetError(f"{node.op} {node.name}: its {len(node.inputs)} inputs do not fit the variables of its body.")


def _fused(node: Node, runs: Sequence[Run]) -> Callable[..., tuple[torch.Tensor, ...]]:
    _check_fused(node)
    if is_eight_bit(node):
        return eight_bit(node)
    (body,) = runs

    def run(*tensors: torch.Tensor, is_train: bool) -> tuple[torch.Tensor, ...]:
        return tuple(body(tensors, is_train))

    return run


def _foreach(node: Node, runs: Sequence[Run]) -> Callable[..., tuple[torch.Tensor, ...]]:
    (body,) = runs
    places = _foreach_places(node)
    n_data, n_states = len(_numbers(node, "in_data_locs")), len(_numbers(node, "in_state_locs"))
    n_out = _data_outputs(node)

    def run(*tensors: torch.Tensor, is_train: bool) -> tuple[torch.Tensor, ...]:
        data, rest = tensors[:n_data], list(tensors[n_data:])
        found: list[list[torch.Tensor]] = [[] for _ in range(n_out)]
        for step in range(data[0].shape[0]):
            given = [*[tensor[step] for tensor in data], *rest]
            outs = body([given[at] for at in places], is_train)
            for kept, out in zip(found, outs, strict=False):
                kept.append(out)
            rest[:n_states] = outs[n_out:]
        return (*[torch.stack(kept) for kept in found], *rest[:n_states])

    return run


def _while_loop(node: Node, runs: Sequence[Run]) -> Callable[..., tuple[torch.Tensor, ...]]:
    condition, body = runs
    count = len(node.inputs)
    asked = _places(node, "cond_input_locs", node.subgraphs[0], count)
    taken = _places(node, "func_input_locs", node.subgraphs[1], count)
    changed = _numbers(node, "func_var_locs")
    if not all(0 <= at < len(taken) for at in changed):
        raise MXNetError(f"_while_loop {node.name}: its func_var_locs do not fit the variables of its body.")
    loop = [taken[at] for at in changed]
    n_out, limit = _data_outputs(node), _number(node, "max_iterations")

    def run(*tensors: torch.Tensor, is_train: bool) -> tuple[torch.Tensor, ...]:
        values = list(tensors)
        found: list[list[torch.Tensor]] = [[] for _ in range(n_out)]
        steps = 0
        while steps < limit and bool(condition([values[at] for at in asked], is_train)[0].item()):
            outs = body([values[at] for at in taken], is_train)
            for kept, out in zip(found, outs, strict=False):
                kept.append(out)
            for at, out in zip(loop, outs[n_out:], strict=True):
                values[at] = out
            steps += 1
        if n_out and not steps:
            # Not one step: the outputs are zeros, in shapes that only a step tells.
            with torch.no_grad():
                outs = body([values[at] for at in taken], is_train)[:n_out]
            found = [[torch.zeros_like(out)] for out in outs]
        stacked = []
        for kept in found:
            # What a step did not reach is zero: the outputs always have max_iterations rows.
            rest = kept[0].new_zeros((max(limit - len(kept), 0), *kept[0].shape))
            stacked.append(torch.cat([torch.stack(kept), rest]))
        return (*stacked, *[values[at] for at in loop])

    return run


def _cond(node: Node, runs: Sequence[Run]) -> Callable[..., tuple[torch.Tensor, ...]]:
    keys = ("cond_input_locs", "then_input_locs", "else_input_locs")
    places = [_places(node, key, body, len(node.inputs)) for key, body in zip(keys, node.subgraphs, strict=True)]

    def run(*tensors: torch.Tensor, is_train: bool) -> tuple[torch.Tensor, ...]:
        chosen = 1 if bool(runs[0]([tensors[at] for at in places[0]], is_train)[0].item()) else 2
        return tuple(runs[chosen]([tensors[at] for at in places[chosen]], is_train))

    return run


def body_facts(
    node: Node,
    ins: list[Any],
    infer: Callable[[list[Entry], dict[int, Any]], dict[tuple[int, int], Any]],
    rows: Callable[[Any, Any], Any],
) -> tuple[list[Any], list[Any]]:
    """Shapes or dtypes of the node's inputs and outputs, as far as they follow from the bodies.

    Args:
        ins: what is known of the inputs.
        infer: what follows for all entries of a body from facts about its variables.
        rows: (n, fact) → the fact of n such values stacked; with n=None of one row of the fact.
    """
    _check_bodies(node)
    found = list(ins)

    def through(body: list[Entry], places: list[int], sliced: int = 0) -> list[Any]:
        variables = _variables(body)
        given = {}
        for variable, at in zip(variables, places, strict=True):
            if found[at] is not None:
                given[id(variable)] = rows(None, found[at]) if at < sliced else found[at]
        facts = infer(body, given)
        for variable, at in zip(variables, places, strict=True):
            new = facts.get((id(variable), 0))
            if new is not None and new != found[at] and at >= sliced:
                found[at] = new
        return [facts.get((id(n), i)) for n, i, _ in body]

    if node.op == "_foreach":
        n_data, n_out = len(_numbers(node, "in_data_locs")), _data_outputs(node)
        outs = through(node.subgraphs[0], _foreach_places(node), n_data)
        length = found[0]
        return found, [*[_stacked(rows, length, out) for out in outs[:n_out]], *outs[n_out:]]
    count = len(node.inputs)
    if node.op in FUSED:
        _check_fused(node)
        inner = list(range(len(_variables(node.subgraphs[0]))))
        if not is_eight_bit(node):
            return found, through(node.subgraphs[0], inner)
        if any(isinstance(fact, str) for fact in ins):  # dtypes: those of the body are of its float twin
            return found, [kind_of(node), "float32", "float32"]
        found[inner[-1] + 1 :] = [fact or (1,) for fact in found[inner[-1] + 1 :]]
        return found, [*through(node.subgraphs[0], inner), (1,), (1,)]
    if node.op == "_while_loop":
        n_out = _data_outputs(node)
        through(node.subgraphs[0], _places(node, "cond_input_locs", node.subgraphs[0], count))
        outs = through(node.subgraphs[1], _places(node, "func_input_locs", node.subgraphs[1], count))
        limit = (_number(node, "max_iterations"),)
        return found, [*[_stacked(rows, limit, out) for out in outs[:n_out]], *outs[n_out:]]
    through(node.subgraphs[0], _places(node, "cond_input_locs", node.subgraphs[0], count))
    then = through(node.subgraphs[1], _places(node, "then_input_locs", node.subgraphs[1], count))
    other = through(node.subgraphs[2], _places(node, "else_input_locs", node.subgraphs[2], count))
    return found, [a if a is not None else b for a, b in zip(then, other, strict=False)]


def _stacked(rows: Callable[[Any, Any], Any], length: Any, out: Any) -> Any:
    return None if out is None or length is None else rows(length[0] if isinstance(length, tuple) else 0, out)
