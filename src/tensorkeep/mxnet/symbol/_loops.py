"""foreach, while_loop and cond on symbols: their bodies become networks inside one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorkeep.mxnet.attribute import AttrScope
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.name import NameManager, scope_of
from tensorkeep.mxnet.symbol._node import Entry, Node, copied, post_order
from tensorkeep.mxnet.symbol.register import call
from tensorkeep.mxnet.symbol.symbol import Symbol, var

__all__ = ["cond", "foreach", "while_loop"]

_KEY = "__subgraph_name__"


def _flatten(args: Any, what: str) -> tuple[list[Any], Any]:
    """The symbols of a nested list, and how they were nested: 0 stands for one symbol, n for one of n outputs."""
    if isinstance(args, Symbol):
        return [args], len(args) if len(args) > 1 else 0
    assert isinstance(args, (list, tuple)), (
        f"{what} must be (nested) list of Symbol, but got {args} of type {type(args)}"
    )
    flat, formats = [], []
    for item in args:
        found, form = _flatten(item, what)
        flat += found
        formats.append(form)
    return flat, formats


def _regroup(args: list[Any], form: Any) -> tuple[Any, list[Any]]:
    """The opposite of _flatten, and what is left over."""
    if isinstance(form, int):
        return (args[0], args[1:]) if form == 0 else (args[:form], args[form:])
    found = []
    for item in form:
        one, args = _regroup(args, item)
        found.append(one)
    return found, args


def _inner_name(symbol: Any) -> str:
    """What the variable of a body is called that stands for a symbol outside: "data-0"."""
    return f"{symbol.name}-{symbol._outputs[0][1]}"


def _scope_name(name: str) -> str:
    """A name for a body that no other has; that of the body around it stands before."""
    outer = scope_of(AttrScope)._attr.get(_KEY, "")
    name = f"{outer}${name}" if outer else name
    number = AttrScope._subgraph_names[name]
    AttrScope._subgraph_names[name] = number + 1
    return f"{name}{number}"


class _Body:
    """The network of a body, cut off from the one around it.

    Attributes:
        heads: of a graph of its own.
        inputs: the names of its variables.
        outer: for variables that stand for something outside: what they stand for.
    """

    def __init__(self, outputs: list[Any], name: str) -> None:
        self.outer: dict[str, Any] = {}
        made: dict[tuple[int, int], Entry] = {}
        twins = copied([symbol._outputs[0] for symbol in outputs])
        originals = post_order([symbol._outputs[0] for symbol in outputs])
        original = dict(zip((id(twin) for twin in post_order(twins)), originals, strict=True))
        for node in post_order(twins):
            if node.is_variable:
                self.outer[node.name] = Symbol([(original[id(node)], 0, original[id(node)].version)])
            if node.attrs.get(_KEY) == name and not node.is_variable:
                node.inputs = [self._inside(entry, name, original, made) for entry in node.inputs]
        self.heads = [self._inside(entry, name, original, made) for entry in twins]
        self.inputs = [node.name for node in post_order(self.heads) if node.is_variable]
        assert len(set(self.inputs)) == len(self.inputs), (
            f"The inputs of the subgraph don't have unique names: {self.inputs}"
        )

    def _inside(self, entry: Entry, name: str, original: dict[int, Node], made: dict[tuple[int, int], Entry]) -> Entry:
        """The entry itself if its node belongs to the body; else a variable that stands for it."""
        node, index, _ = entry
        if node.is_variable or node.attrs.get(_KEY) == name:
            return entry
        found = made.get((id(node), index))
        if found is None:
            title = node.output_name(index)
            found = made[id(node), index] = (Node("null", title, {}), 0, 0)
            self.outer[title] = Symbol([(original[id(node)], index, 0)])
        return found


def _built(name: str, function: Callable[[], tuple[list[Any], Any]], needs: Callable[[list[Any]], Any]) -> Any:
    """(the body, what `function` gives besides its outputs); outputs that are inputs are copied inside."""
    with AttrScope(**{_KEY: name}):
        outputs, rest = function()
        known = {node.name for node in post_order([symbol._outputs[0] for symbol in outputs]) if node.is_variable}
        flat = [
            call("identity", symbol)
            if needs([symbol, known, outputs]) or symbol.list_attr().get(_KEY) != name
            else symbol
            for symbol in outputs
        ]
    return _Body(flat, name), rest


def _is_input(facts: list[Any]) -> bool:
    symbol, known, _ = facts
    return symbol.name in known


def _node(op: str, bodies: list[_Body], inputs: list[Any], attrs: dict[str, Any], outputs: int) -> Any:
    """A symbol of a node of control flow."""
    texts = {key: str(value) for key, value in attrs.items()}
    texts["num_args"] = str(len(inputs) + len(bodies))
    texts["num_outputs"] = str(outputs)
    node = Node(op, scope_of(NameManager).get(None, op), {**scope_of(AttrScope).get(None), **texts})
    node.inputs = [symbol._outputs[0] for symbol in inputs]
    node.subgraphs = tuple([body.heads for body in bodies])
    node.stored_outputs = outputs
    return Symbol([(node, i, 0) for i in range(outputs)])


def foreach(body: Callable[[Any, Any], Any], data: Any, init_states: Any, name: str = "foreach") -> Any:
    """(outputs, states) of `body` run over the first axis of data, one step after the other.

    Args:
        body: (a step of the data, states) → (outputs, new states); symbols or nested lists of them.
        data, init_states: symbols or nested lists of them. Each must be used by the body.
    """
    flat_data, data_form = _flatten(data, "foreach input")
    flat_states, state_form = _flatten(init_states, "foreach states")
    name = _scope_name(name)

    def build() -> tuple[list[Any], Any]:
        steps, _ = _regroup([var(_inner_name(symbol)) for symbol in flat_data], data_form)
        states, _ = _regroup([var(_inner_name(symbol)) for symbol in flat_states], state_form)
        outs, new_states = body(steps, states)
        outs, out_form = _flatten(outs, "foreach output")
        new_states, new_form = _flatten(new_states, "foreach loop_vars")
        assert new_form == state_form, "The input and output loop_vars have different format"
        return [*outs, *new_states], (out_form, len(outs))

    outputs_before: list[str] = []

    def needs(facts: list[Any]) -> bool:
        symbol, known, outputs = facts
        at = len(outputs_before)
        outputs_before.append(symbol.name)
        count = len(outputs) - len(flat_states)
        # A state that is an output as well must be another node: MXNet goes by names.
        return symbol.name in known or (at >= count and symbol.name in outputs_before[:count])

    inner, (out_form, n_out) = _built(name, build, needs)
    locs: dict[str, list[int]] = {"in_data_locs": [], "in_state_locs": [], "remain_locs": []}
    for key, symbols, what in (("in_data_locs", flat_data, "data"), ("in_state_locs", flat_states, "state")):
        for symbol in symbols:
            assert _inner_name(symbol) in inner.inputs, f"the {what} arrays have to be used in the loop body"
            locs[key].append(inner.inputs.index(_inner_name(symbol)))
    taken = [*flat_data, *flat_states]
    for at, title in enumerate(inner.inputs):
        if at not in locs["in_data_locs"] and at not in locs["in_state_locs"]:
            locs["remain_locs"].append(at)
            taken.append(inner.outer[title])
    total = n_out + len(flat_states)
    found = list(_node("_foreach", [inner], taken, {**locs, "num_out_data": n_out}, total))
    return _regroup(found[:n_out], out_form)[0], _regroup(found[n_out:], state_form)[0]


def while_loop(
    cond: Callable[..., Any],
    func: Callable[..., Any],
    loop_vars: Any,
    max_iterations: int | None = None,
    name: str = "while_loop",
) -> Any:
    """(outputs, loop variables) of `func` run as long as `cond` holds, at most max_iterations times.

    Args:
        cond: loop variables → a symbol of one number.
        func: loop variables → (outputs, new loop variables).
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    try:
        limit = int(max_iterations)
    except (TypeError, ValueError):
        raise ValueError("Cannot convert max_iteration to python int") from None
    flat, form = _flatten(loop_vars, "while loop_vars")
    if not flat:
        raise ValueError("loop_vars should contain at least one element")

    def variables() -> Any:
        return _regroup([var(_inner_name(symbol)) for symbol in flat], form)[0]

    def build_condition() -> tuple[list[Any], Any]:
        result = cond(*_arguments(variables()))
        if not isinstance(result, Symbol):
            raise ValueError("Return of cond must be a Symbol")
        return [result], None

    def build_body() -> tuple[list[Any], Any]:
        given = _arguments(variables())
        outs, new_vars = func(*given)
        outs, out_form = _flatten([] if outs is None else outs, "while output")
        new_vars, _ = _flatten([] if new_vars is None else new_vars, "while loop_vars")
        if len(new_vars) != len(flat):
            raise ValueError("The number of loop_vars should be consistent during the loop")
        return [*outs, *new_vars], (out_form, len(outs))

    condition, _ = _built(_scope_name(f"{name}_cond"), build_condition, _is_input)
    inner, (out_form, n_out) = _built(_scope_name(f"{name}_func"), build_body, _is_input)
    known = {_inner_name(symbol): symbol for symbol in flat}
    inputs, (cond_locs, func_locs) = _union([condition, inner], known)
    places = [inner.inputs.index(title) if title in inner.inputs else -1 for title in known]
    for at, place in enumerate(places, 1):
        if place == -1:
            raise ValueError(f"The {at}-th loop_var doesn't involve into the computation")
    total = n_out + len(flat)
    attrs = {
        "max_iterations": limit, "cond_input_locs": cond_locs, "func_input_locs": func_locs, "func_var_locs": places,
        "num_out_data": n_out,
    }  # fmt: skip
    found = list(_node("_while_loop", [condition, inner], inputs, attrs, total))
    return _regroup(found[:n_out], out_form)[0], _regroup(found[n_out:], form)[0]


def _arguments(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list) else [given]


def _union(bodies: list[_Body], known: dict[str, Any] | None) -> tuple[list[Any], list[list[int]]]:
    """The inputs of several bodies, and for each body which of them it takes.

    Args:
        known: loop variables by the names that they have inside; they are taken once. Without them, as in MXNet,
            variables are.
    """
    inputs: list[Any] = []
    places: dict[str, int] = {}
    locs = []
    for body in bodies:
        taken = []
        for title in body.inputs:
            loop = known is not None and title in known
            symbol = known[title] if known is not None and loop else body.outer[title]
            once = loop or (known is None and symbol._outputs[0][0].is_variable)
            if not once or title not in places:
                places[title] = len(inputs)
                inputs.append(symbol)
            taken.append(places[title])
        locs.append(taken)
    return inputs, locs


def cond(pred: Any, then_func: Callable[[], Any], else_func: Callable[[], Any], name: str = "cond") -> Any:
    """What then_func gives where pred is not zero, else what else_func gives.

    Args:
        pred: a symbol of one number.
        then_func, else_func: functions without arguments that give symbols or nested lists of as many.
    """

    def branch(function: Callable[[], Any]) -> Callable[[], tuple[list[Any], Any]]:
        return lambda: _flatten(function(), "cond outputs")

    condition, _ = _built(_scope_name(f"{name}_pred"), branch(lambda: pred), _is_input)
    if len(condition.heads) != 1:
        raise ValueError("pred should always be a single output")
    then, form = _built(_scope_name(f"{name}_then"), branch(then_func), _is_input)
    other, _ = _built(_scope_name(f"{name}_else"), branch(else_func), _is_input)
    if len(then.heads) != len(other.heads):
        raise ValueError("Number of outputs differs between then-branch and else-branch")
    inputs, locs = _union([condition, then, other], None)
    attrs = dict(zip(("cond_input_locs", "then_input_locs", "else_input_locs"), locs, strict=True))
    found = list(_node("_cond", [condition, then, other], inputs, attrs, len(then.heads)))
    return _regroup(found, form)[0]


claim(globals())
