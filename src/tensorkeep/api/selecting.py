"""`only=` and `rename=`: which tensors of a file are wanted, and under which names."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import SINGLE_NAME, Inert, leaves, unique_name
from tensorkeep.errors import MismatchError, TensorNotFoundError, UnsupportedDataError

__all__ = ["Only", "Rename", "prune", "renamed", "select", "selector", "tensor_leaves"]

Only: TypeAlias = str | Iterable[str] | Callable[[str], bool]
"""A glob ("encoder.*"; "*" matches dots too), several names or globs, or a function of the name."""

Rename: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]] | Callable[[str], str]
"""A dict (exact names; a key that ends with "." renames a prefix), ordered (regular expression, replacement) rules that
are each applied in turn (`re.sub`), or a function of the name."""

_GLOB = re.compile(r"[*?\[]")


def selector(only: Only, names: Sequence[str], *, where: str) -> Callable[[str], bool]:
    """The function that says whether a name is wanted.

    Raises:
        TensorNotFoundError: a name or glob of `only` fits none of `names`; the text names the nearest.
    """
    if callable(only):
        return only
    patterns = [only] if isinstance(only, str) else list(only)
    wanted: set[str] = set()
    known = set(names)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise UnsupportedDataError(f"only= holds a {type(pattern).__name__}; names and globs are strings.")
        found = {pattern} if pattern in known else set()
        if not found and _GLOB.search(pattern):
            match = re.compile(fnmatch.translate(pattern)).match
            found = {name for name in names if match(name)}
        if not found:
            near = difflib.get_close_matches(pattern, names, n=3)
            hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"It has {_few(names)}."
            raise TensorNotFoundError(f"{where}: only={pattern!r} fits none of the {len(names)} names. {hint}")
        wanted |= found
    return wanted.__contains__


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def prune(tree: Any, keep: Callable[[str], bool]) -> Any:
    """The tree without the leaves whose path `keep` refuses; containers that become empty go too."""
    gone = object()

    def visit(node: Any, path: str) -> Any:
        if isinstance(node, dict):
            pairs = [(key, visit(value, f"{path}.{key}" if path else str(key))) for key, value in node.items()]
            kept = type(node)((key, value) for key, value in pairs if value is not gone)
            return kept if kept or not node else gone
        if isinstance(node, (list, tuple)):
            items = [visit(value, f"{path}.{i}" if path else str(i)) for i, value in enumerate(node)]
            left = type(node)(value for value in items if value is not gone)
            return left if left or not node else gone
        return node if keep(path or SINGLE_NAME) else gone

    pruned = visit(tree, "")
    return {} if pruned is gone else pruned


def tensor_leaves(tree: Any) -> dict[str, Tensor | SparseTensor]:
    """Name to Tensor or SparseTensor, by path; tied ones under each of their paths."""
    found: dict[str, Tensor | SparseTensor] = {}
    for path, leaf in leaves(tree):
        if isinstance(leaf, (Tensor, SparseTensor)):
            found[unique_name(path or SINGLE_NAME, found)] = leaf
    return found


def renamed(named: Mapping[str, Any], rename: Rename, *, where: str) -> dict[str, Any]:
    """The same values under new names.

    Raises:
        MismatchError: two get the same name, or a rule of a dict fits no name.
    """
    rule = _rule(rename, list(named), where)
    out: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, value in named.items():
        new = rule(name)
        if not isinstance(new, str):
            raise UnsupportedDataError(f"{where}: rename gave a {type(new).__name__} for {name!r}; names are strings.")
        if new in out:
            raise MismatchError(
                f"{where}: rename gives both {origin[new]!r} and {name!r} the name {new!r}. "
                "Change the rules, or choose one with only=."
            )
        out[new], origin[new] = value, name
    return out


def _rule(rename: Rename, names: list[str], where: str) -> Callable[[str], str]:
    if callable(rename):
        return rename
    if isinstance(rename, Mapping):
        exact = {old: new for old, new in rename.items() if not old.endswith(".") and old}
        prefixes = sorted(
            ((old, new) for old, new in rename.items() if old not in exact), key=lambda pair: -len(pair[0])
        )
        idle = [old for old in exact if old not in names]
        idle += [old for old, _ in prefixes if not any(name.startswith(old) for name in names)]
        if idle:
            raise MismatchError(
                f"{where}: rename rules fit no name: {', '.join(map(repr, idle))}. The file has {_few(names)}. "
                "A key that ends with '.' renames a prefix, any other an exact name."
            )

        def from_dict(name: str) -> str:
            if name in exact:
                return exact[name]
            for old, new in prefixes:
                if name.startswith(old):
                    return new + name[len(old) :]
            return name

        return from_dict
    rules = []
    for pattern, replacement in rename:
        try:
            rules.append((re.compile(pattern), replacement))
        except re.error as err:
            raise UnsupportedDataError(f"rename: {pattern!r} is no regular expression ({err}).") from err

    def from_rules(name: str) -> str:
        for pattern, replacement in rules:
            name = pattern.sub(replacement, name)
        return name

    return from_rules


def _is_name(file: TensorFile, only: Any) -> bool:
    """Whether `only` is the name of a tensor and no glob, told without counting all tensors."""
    if not isinstance(only, str) or _GLOB.search(only):
        return False
    try:
        file[only]
    except TensorNotFoundError:
        return False
    return True


def select(file: TensorFile, *, only: Only | None = None, rename: Rename | None = None) -> Any:
    """The tree of an open file after `only` and `rename`.

    Tensors inside Inert records (a pickled module) are chosen by their names in the file, and come as a flat dict.
    """
    if only is not None and file.is_flat:
        # The names tell all: what is not wanted is not even looked at, which is most of the time for one of 10,000.
        if not callable(only):
            only = [only] if isinstance(only, str) else list(only)
        names = only if not callable(only) and len(only) == 1 and _is_name(file, only[0]) else list(file)
        chosen = selector(only, names, where=file.path)
        tree: Any = {name: file[name] for name in names if chosen(name)}
        return tree if rename is None else renamed(tree, rename, where=file.path)
    tree = file.structure
    if (only is not None or rename is not None) and any(isinstance(leaf, Inert) for _, leaf in leaves(tree)):
        tree = dict(file)
    if only is not None:
        paths = [path or SINGLE_NAME for path, _ in leaves(tree)]
        tree = prune(tree, selector(only, paths, where=file.path))
    if rename is not None:
        tree = renamed(tensor_leaves(tree), rename, where=file.path)
    return tree
