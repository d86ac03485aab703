"""The state of a run as what a save writes: its tensors, its structure, what each entry is; the generators beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tensorkeep.checkpoint._agree import agree
from tensorkeep.checkpoint._pieces import Pieces, pieces_of
from tensorkeep.checkpoint._ranks import Ranks
from tensorkeep.checkpoint._state import capture, kind_of
from tensorkeep.checkpoint.rng import capture_generators
from tensorkeep.core.tree import Content, encode, flatten

__all__ = ["WHOLE", "collect", "frozen_names"]

_GENERATORS = "rng"
_RANKS = "ranks"
WHOLE = "state"
"""The entry of a state that is no dict."""


def collect(step: int, state: Any, ranks: Ranks | None, *, generators: bool) -> tuple[Pieces, Any, dict[str, str]]:
    """(what this process writes, the encoded structure, entry → kind); all ranks call it together.

    Raises:
        UnsupportedDataError: something in the state cannot be stored, or the ranks' states do not fit together.
    """
    tree: dict[Any, Any] = {}
    entries: dict[str, str] = {}

    def look() -> Content:
        if isinstance(state, Mapping):
            # A DataLoader that has no state was reported; what it would be saved as is nothing.
            known = {key: kind_of(value) for key, value in state.items()}
            entries.update({str(key): kind for key, kind in known.items() if kind != "loader"})
            tree.update(capture({key: value for key, value in state.items() if known[key] != "loader"}))
        else:
            entries[WHOLE] = "whole"
            tree[WHOLE] = capture(state)
        if generators and ranks is None:
            name = _free(_GENERATORS, tree)
            tree[name] = capture_generators()
            entries[name] = "generators"
        return flatten(tree)

    if ranks is None:
        content = look()
        return pieces_of(content), encode(content), entries
    contents: list[Content] = []
    ranks.gather(lambda: contents.append(look()))
    name = _free(_RANKS, tree)
    own = {"generators": capture_generators()} if generators else {}
    agreed = agree(ranks, step, contents[0], entries, own, name)
    if agreed.apart:
        entries[name] = "ranks"
    return agreed.pieces, agreed.tree, entries


def _free(name: str, tree: Mapping[Any, Any]) -> str:
    while name in tree:
        name += "_"
    return name


def frozen_names(state: Any) -> list[str]:
    """Names of parameters of torch models in the state that are not trained."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(state, Mapping):
        return []
    return [
        f"{key}.{name}"
        for key, model in state.items()
        if isinstance(model, torch.nn.Module)
        for name, tensor in model.named_parameters()
        if not tensor.requires_grad
    ]
