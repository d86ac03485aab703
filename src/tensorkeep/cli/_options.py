"""Options that several commands share, so that each has one name, one meaning and one help text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

__all__ = [
    "as_json",
    "epoch",
    "files",
    "force",
    "globs",
    "matches",
    "output_format",
    "pairs",
    "refuse_overwrite",
    "unknown",
]

F = TypeVar("F", bound=Callable[..., Any])


def files(function: F) -> F:
    return click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path())(function)


def as_json(function: F) -> F:
    return click.option("as_json", "--json", is_flag=True, help="One JSON document, for programs.")(function)


def globs(help: str) -> Callable[[F], F]:
    return click.option("only", "--only", metavar="GLOB", multiple=True, help=f"{help} Can be given several times.")


def epoch(function: F) -> F:
    help = "FILE is the prefix of an MXNet checkpoint, and this is its epoch."
    return click.option("--epoch", type=click.IntRange(min=0), metavar="N", help=help)(function)


def unknown(function: F) -> F:
    help = (
        "Pickles that ask for classes tensorkeep does not know: refuse them (default), or keep a record in their place."
    )
    kinds = click.Choice(["refuse", "inert"])
    return click.option("--unknown", type=kinds, default="refuse", metavar="refuse|inert", help=help)(function)


def output_format(function: F) -> F:
    return click.option(
        "format", "--format", metavar="NAME", help="Format to write, where the suffix does not say it."
    )(function)


def force(function: F) -> F:
    return click.option("--force", "-f", is_flag=True, help="Replace an existing file.")(function)


def refuse_overwrite(path: str, force: bool) -> None:
    """Raise a usage error when `path` exists and is not to be replaced."""
    import os

    if os.path.lexists(path) and not force:
        raise click.UsageError(f"{path} exists. Add --force to replace it, or write to another name.")


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """A dict from repeated OLD=NEW options."""
    found: dict[str, str] = {}
    for value in values:
        old, equals, new = value.partition("=")
        if not equals:
            raise click.UsageError(f"{option} {value!r} is not OLD=NEW.")
        if old in found:
            raise click.UsageError(f"{option} gives {old!r} twice.")
        found[old] = new
    return found


def matches(patterns: Sequence[str], names: Sequence[str]) -> set[str]:
    """The names that a name or glob of `patterns` fits; all of them when there is no pattern."""
    if not patterns:
        return set(names)
    import fnmatch
    import re

    known = set(names)
    found: set[str] = set()
    for pattern in patterns:
        if pattern in known:
            found.add(pattern)
        elif "*" in pattern or "?" in pattern or "[" in pattern:
            match = re.compile(fnmatch.translate(pattern)).match
            found.update(name for name in names if match(name))
    return found
