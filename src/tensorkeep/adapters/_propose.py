"""Which tensor of a file may be which of a model when the names do not tell: proposals, to be read by a person.

Tensors of equal shape are paired so that order and names together agree best (an optimal assignment within each shape);
the pairs are then put as few prefix rules as say the same.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorkeep._optional import require

__all__ = ["Match", "Pair", "propose"]

_BY_ORDER_FROM = 1500
"""In a group of more tensors of one shape, names are not compared pair by pair: only their order counts."""

_TOKEN = re.compile(r"[A-Za-z]+|\d+")

_SAME = {
    "kernel": "weight", "scale": "weight", "gamma": "weight", "embedding": "weight", "embeddings": "weight",
    "beta": "bias", "moving_mean": "mean", "running_mean": "mean", "moving_variance": "var", "moving_var": "var",
    "running_var": "var",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """A tensor of the file and the one of the model that it may be; confidence from 0 to 1."""

    old: str
    new: str
    shape: tuple[int, ...]
    confidence: float


@dataclass(frozen=True)
class Match:
    """A proposal for `rename=`. It is never applied by itself: read it, then give `.rules` to load_parameters.

    Attributes:
        rules: name or prefix in the file → name or prefix in the model; a key that ends with "." is a prefix.
        pairs: what the rules come from, the least certain first.
        missing: the model's names for which the file has nothing of that shape.
        extra: the file's names that are left over.
    """

    rules: Mapping[str, str]
    pairs: Sequence[Pair]
    missing: Sequence[str]
    extra: Sequence[str]

    @property
    def confidence(self) -> float:
        """That of the least certain pair; 0 when there is none."""
        return min((pair.confidence for pair in self.pairs), default=0.0)

    def dumps(self) -> str:
        """The rules as JSON, for a file that `tkeep load-check --rename` and `json.load` read."""
        return json.dumps(dict(self.rules), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        sure: dict[str, float] = defaultdict(lambda: 1.0)
        for pair in self.pairs:
            rule = max((old for old in self.rules if _covers(old, pair.old)), key=len, default=pair.old)
            sure[rule] = min(sure[rule], pair.confidence)
        shown = [(old, new or "(nothing)") for old, new in self.rules.items()]
        left, right = (max((len(pair[side]) for pair in shown), default=0) for side in (0, 1))
        lines = [f"  {old:<{left}} → {new:<{right}}   {sure[old]:.2f}" for old, new in shown]
        head = f"{len(self.pairs)} pairs, {len(self.missing)} of the model without one, {len(self.extra)} of the file left over"
        if not self.rules and self.pairs:
            head += "; the names are the same, no rule is needed"
        return "\n".join([head, *lines])


def _covers(rule: str, name: str) -> bool:
    return name.startswith(rule) if rule.endswith(".") or not rule else name == rule


def propose(model: Mapping[str, tuple[int, ...]], file: Mapping[str, tuple[int, ...]]) -> Match:
    """The Match of two sets of names with shapes, each in its own order. Needs SciPy, for the assignment."""
    pairs = [Pair(name, name, shape, 1.0) for name, shape in file.items() if model.get(name) == shape]
    taken_old, taken_new = {pair.old for pair in pairs}, {pair.new for pair in pairs}
    groups: dict[tuple[int, ...], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name, shape in file.items():
        if name not in taken_old:
            groups[shape][0].append(name)
    for name, shape in model.items():
        if name not in taken_new:
            groups[shape][1].append(name)
    for shape, (olds, news) in groups.items():
        if olds and news:
            pairs += _assigned(olds, news, shape)
    done_old, done_new = {pair.old for pair in pairs}, {pair.new for pair in pairs}
    rules = _rules({pair.old: pair.new for pair in pairs}, list(file))
    return Match(
        rules,
        sorted(pairs, key=lambda pair: (pair.confidence, pair.old)),
        [name for name in model if name not in done_new],
        [name for name in file if name not in done_old],
    )


def _assigned(olds: list[str], news: list[str], shape: tuple[int, ...]) -> list[Pair]:
    import numpy as np

    optimize: Any = require("scipy.optimize", extra="scipy", for_="matching names")
    order = np.abs(np.linspace(0, 1, len(olds))[:, None] - np.linspace(0, 1, len(news))[None, :])
    if len(olds) == 1 or len(news) == 1:
        order[:] = 0
    if max(len(olds), len(news)) < _BY_ORDER_FROM:
        tokens_old, tokens_new = list(map(_tokens, olds)), list(map(_tokens, news))
        alike = np.array([[_likeness(a, b) for b in tokens_new] for a in tokens_old])
    else:
        alike = np.full(order.shape, 0.5)
    score = 0.5 * alike + 0.5 * (1 - order)
    rows, columns = optimize.linear_sum_assignment(-score)
    even = 1.0 if len(olds) == len(news) else 0.7  # something of this shape is left over: which one is a guess
    found = []
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        rival = max(
            [score[i, k] for k in range(len(news)) if k != j] + [score[k, j] for k in range(len(olds)) if k != i],
            default=0.0,
        )
        alone = len(olds) == 1 and len(news) == 1
        clear = 1.0 if alone else min(1.0, 0.6 + 2 * max(0.0, float(score[i, j] - rival)))
        found.append(Pair(olds[i], news[j], shape, round(even * clear * (0.6 + 0.4 * float(alike[i, j])), 3)))
    return found


def _tokens(name: str) -> tuple[frozenset[str], str]:
    head, _, last = name.rpartition(".")
    last = _SAME.get(last, last)
    return frozenset(_TOKEN.findall(head.lower())), last


def _likeness(a: tuple[frozenset[str], str], b: tuple[frozenset[str], str]) -> float:
    """From 0 to 1: half for the same kind of tensor (weight, bias), half for the parts that the layers' names share."""
    both = len(a[0] | b[0])
    return 0.5 * (a[1] == b[1]) + 0.5 * (len(a[0] & b[0]) / both if both else 1.0)


def _rules(pairs: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """The fewest prefix rules, outermost first, that send each name of `pairs` where it goes."""
    if all(old == new for old, new in pairs.items()):
        return {}
    rules: dict[str, str] = {}

    def visit(prefix: str) -> None:
        inside = [name for name in names if name.startswith(prefix)]
        moved = {name: pairs[name] for name in inside if name in pairs}
        if not moved or all(old == new for old, new in moved.items()):
            return
        if prefix:
            tail = {
                new[: len(new) - len(old) + len(prefix)]
                for old, new in moved.items()
                if new.endswith(old[len(prefix) :])
            }
            whole = sum(new.endswith(old[len(prefix) :]) for old, new in moved.items())
            if len(tail) == 1 and whole == len(moved):
                rules[prefix] = tail.pop()
                return
        for child in dict.fromkeys(name[len(prefix) :].partition(".")[0] for name in inside):
            deeper = f"{prefix}{child}."
            if any(name.startswith(deeper) for name in inside):
                visit(deeper)
            exact = f"{prefix}{child}"
            if exact in moved and moved[exact] != exact:
                rules[exact] = moved[exact]

    visit("")
    return rules
