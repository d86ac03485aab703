"""`tkeep runs`: the steps of a training run: what is there, why each is kept, what is damaged; and what to do with them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from tensorkeep.checkpoint import retention
from tensorkeep.checkpoint.policies import Keep, parse_keep, ranked
from tensorkeep.checkpoint.steps import Step, list_steps
from tensorkeep.cli import _options
from tensorkeep.cli._errors import FOUND, OK
from tensorkeep.cli._text import (
    Column,
    bad,
    bold,
    clean,
    count,
    dim,
    good,
    json_document,
    nbytes_text,
    number,
    plural,
    table,
    warn,
    write,
)
from tensorkeep.errors import TensorkeepError, TensorNotFoundError, WriterConflictError
from tensorkeep.storage.folders import FolderLock, remove_folder, remove_leftovers

__all__ = ["runs"]

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 60


class _Runs(click.Group):
    """The group whose --json may stand behind the directory, as with the other commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--json", args[0]] if args[1:] == ["--json"] else args)


@click.group(cls=_Runs, invoke_without_command=True)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, exists=True))
@_options.as_json
@click.pass_context
def runs(context: click.Context, directory: str, as_json: bool) -> int | None:
    """Look into the steps of a training run, and keep, export or remove them.

    \b
    tkeep runs DIR                       the steps, why each is kept, a curve of each metric
    tkeep runs DIR best                  the best step by the run's own policy
    tkeep runs DIR export 1200 out.params
    """
    context.obj = directory
    if context.invoked_subcommand is not None:
        return None
    steps = list_steps(directory, kind=None)
    why = retention.reasons([each for each in steps if each.kind == "step"], _policies(steps))
    damage = {each.path: each.damage(quick=True) for each in steps}
    if as_json:
        json_document({"directory": directory, "steps": [_document(each, why, damage[each.path]) for each in steps]})
    elif not steps:
        write([f"{bold(clean(directory))}  {dim('no steps')}"])
    else:
        write(_lines(directory, steps, why, damage))
    return FOUND if any(damage.values()) else OK


def _policies(steps: Sequence[Step], given: Sequence[str] = ()) -> list[Keep]:
    """The policies that are given, else those of the newest step's writer."""
    texts: Sequence[str] = given
    for each in reversed(steps):
        if texts:
            break
        try:
            texts = each.manifest.keep
        except TensorkeepError:
            continue
    return [parse_keep(text) for text in texts]


def _document(step: Step, why: dict[int, list[str]], damage: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"step": step.step, "kind": step.kind, "path": step.path, "damage": damage}
    try:
        manifest = step.manifest
    except TensorkeepError:
        return found
    return found | {
        "time": manifest.time,
        "metrics": dict(manifest.metrics),
        "nbytes": step.nbytes,
        "own_nbytes": step.own_nbytes,
        "kept": why.get(step.step, []) if step.kind == "step" else ["crash"],
        "pinned": step.pinned,
        "parent": manifest.parent,
        "provenance": dict(manifest.provenance),
    }


def _lines(directory: str, steps: Sequence[Step], why: dict[int, list[str]], damage: dict[str, list[str]]) -> list[str]:
    metrics = list(dict.fromkeys(name for each in steps for name in each.metrics))
    columns = [
        Column("step", right=True),
        Column("age"),
        Column("size", right=True),
        Column("own", right=True),
    ]
    columns += [Column(clean(name), right=True) for name in metrics] + [Column("kept because")]
    rows = []
    for each in steps:
        kept = ["crash"] if each.kind == "crash" else why[each.step]
        reason = bad("damaged") if damage[each.path] else ", ".join(kept) or warn("nothing: goes with the next save")
        try:
            values = [number(each.metrics[name]) if name in each.metrics else "" for name in metrics]
            cells = [
                count(each.step),
                _age(each),
                nbytes_text(each.nbytes),
                nbytes_text(each.own_nbytes),
                *values,
                reason,
            ]
        except TensorkeepError:
            cells = [count(each.step), "", "", "", *[""] * len(metrics), reason]
        rows.append(cells)
    whole = sum(each.own_nbytes for each in steps if not damage[each.path])
    lines = [f"{bold(clean(directory))}  {dim(plural(len(steps), 'step'))}", ""]
    lines += table(columns, rows)
    lines += ["", dim(f"  {nbytes_text(whole)} in files of one step only; the rest is shared by links")]
    for name in metrics:
        curve = _curve([(each.step, each.metrics[name]) for each in steps if name in each.metrics])
        lines += ["", *[f"  {line}" for line in [f"{clean(name)}", *curve]]] if curve else []
    for each in steps:
        lines += [f"  {bad('!')} step {each.step}: {clean(line)}" for line in damage[each.path][:3]]
    return lines


def _age(step: Step) -> str:
    seconds = time.time() - datetime.fromisoformat(step.manifest.time).timestamp()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _curve(points: list[tuple[int, float]]) -> list[str]:
    """A metric over its steps in one line of bars, with its ends and extremes in numbers."""
    values = [value for _, value in points if value == value and abs(value) != float("inf")]
    if len(values) < 2:
        return []
    if len(values) > _CURVE_WIDTH:
        values = [values[i * len(values) // _CURVE_WIDTH] for i in range(_CURVE_WIDTH)]
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    bars = "".join(_BARS[round((value - low) * scale)] for value in values)
    return [f"{bars}  {dim(f'{number(values[0])} to {number(values[-1])}, least {number(low)}, most {number(high)}')}"]


def _find(directory: str, step: int) -> Step:
    for each in list_steps(directory):
        if each.step == step:
            return each
    there = ", ".join(str(each.step) for each in list_steps(directory)) or "none"
    raise TensorNotFoundError(f"{directory}: there is no step {step}. There are: {there}.")


_STEP = click.argument("step", type=click.IntRange(min=0))


@runs.command()
@click.pass_obj
def last(directory: str) -> int:
    """Print the path of the newest step that is whole."""
    for each in reversed(list_steps(directory)):
        if not each.damage():
            write([each.path])
            return OK
    raise TensorNotFoundError(f"{directory}: no step is whole.")


@runs.command()
@click.option("--metric", metavar="NAME", help="By default that of the run's keep_best.")
@click.option("--mode", type=click.Choice(["min", "max"]), help="Whether less or more is better.")
@click.pass_obj
def best(directory: str, metric: str | None, mode: str | None) -> int:
    """Print the path of the best step by a metric."""
    steps = [each for each in list_steps(directory) if not each.damage(quick=True)]
    if metric is None:
        specs = [policy.spec for policy in _policies(steps)]
        known = next((spec.split(":") for spec in specs if spec.startswith("best:")), None)
        if known is None:
            raise click.UsageError("The run has no keep_best policy: say --metric NAME --mode min|max.")
        metric, mode = ":".join(known[1:-2]), mode or known[-2]
    if mode is None:
        raise click.UsageError(f"Say --mode min or --mode max: is a low {metric} good?")
    found = ranked(steps, metric, mode)
    if not found:
        names = ", ".join(dict.fromkeys(name for each in steps for name in each.metrics)) or "none"
        raise TensorNotFoundError(f"{directory}: no step has the metric {metric!r}. There are: {names}.")
    write([next(each.path for each in steps if each.step == found[0].step)])
    return OK


@runs.command()
@_STEP
@click.pass_obj
def pin(directory: str, step: int) -> int:
    """Keep a step whatever the policies say."""
    from tensorkeep.checkpoint.checkpointer import Checkpointer

    Checkpointer(directory, signals=False).pin(step)
    return OK


@runs.command()
@_STEP
@click.pass_obj
def unpin(directory: str, step: int) -> int:
    """Leave a step to the policies again."""
    from tensorkeep.checkpoint.checkpointer import Checkpointer

    Checkpointer(directory, signals=False).unpin(step)
    return OK


@runs.command()
@click.option("keep", "--keep", metavar="POLICY", multiple=True, help="last:3, best:val_loss:min:2, every:10000, all.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_obj
def prune(directory: str, keep: tuple[str, ...], dry_run: bool) -> int:
    """Remove the steps that no policy keeps; pinned, damaged and the newest whole one stay."""
    steps = list_steps(directory)
    policies = _policies(steps, keep)
    if not policies:
        raise click.UsageError("The run has no policies: say --keep last:3, for example.")
    with _writing(directory, dry_run):
        going = retention.retire(directory, steps, policies, dry_run=dry_run)
    freed = sum(each.own_nbytes for each in going) if dry_run else 0
    said = f"{plural(len(going), 'step')} {'would go' if dry_run else 'removed'}"
    listed = ", ".join(str(each.step) for each in going)
    write([f"{said}{': ' + listed if going else ''}{f', at least {nbytes_text(freed)}' if freed else ''}"])
    return OK


class _writing:
    """The right to write into the directory while a command removes something."""

    def __init__(self, directory: str, free: bool = False) -> None:
        self._lock = None if free else FolderLock(directory)
        self._directory = directory

    def __enter__(self) -> None:
        if self._lock is not None and (holder := self._lock.acquire()) is not None:
            raise WriterConflictError(f"{self._directory}: {holder} writes steps here. Wait until it ends.")

    def __exit__(self, *exc: object) -> None:
        if self._lock is not None:
            self._lock.release()


@runs.command()
@click.argument("steps", type=click.IntRange(min=0), nargs=-1, metavar="[STEP]…")
@click.pass_obj
def verify(directory: str, steps: tuple[int, ...]) -> int:
    """Check every byte of steps; of all of them when none is named. Exit code 1 when one is damaged."""
    code = OK
    for each in [_find(directory, step) for step in steps] or list_steps(directory, kind=None):
        damage = each.damage()
        write([f"step {each.step}  {bad('damaged') if damage else good('good')}", *[f"  {clean(d)}" for d in damage]])
        code = FOUND if damage else code
    return code


@runs.command()
@click.argument("first", type=click.IntRange(min=0))
@click.argument("second", type=click.IntRange(min=0))
@click.pass_context
def diff(context: click.Context, first: int, second: int) -> int:
    """Compare two steps, tensor by tensor. Exit code 1 when they differ."""
    from tensorkeep.cli.diff import diff as compare

    paths = [_find(context.obj, step).path for step in (first, second)]
    code: int = context.invoke(compare, a=paths[0], b=paths[1])
    return code


@runs.command()
@_STEP
@click.argument("out", type=click.Path(dir_okay=False))
@click.option(
    "--entry", default="model", show_default=True, metavar="KEY", help="Which entry of the state; 'all' for all."
)
@_options.force
@click.pass_obj
def export(directory: str, step: int, out: str, entry: str, force: bool) -> int:
    """Write an entry of a step, usually the model, as .safetensors, .pt, .npz or .params."""
    from tensorkeep.api.saving import save

    _options.refuse_overwrite(out, force)
    found = _find(directory, step)
    tree = found.load()
    if entry != "all" and entry not in tree:
        raise TensorNotFoundError(f"{found.path}: the state has no {entry!r}. It has {', '.join(map(str, tree))}.")
    receipt = save(out, tree if entry == "all" else tree[entry])
    said = f"{plural(receipt.tensors, 'tensor')}, {nbytes_text(receipt.nbytes)}"
    write([f"{bold(clean(out))}  {dim(said)}"])
    return OK


@runs.command("clean")
@click.option("--crashes", is_flag=True, help="Remove the crash steps too.")
@click.option("--damaged", is_flag=True, help="Remove what was set aside as damaged too.")
@click.pass_obj
def tidy(directory: str, crashes: bool, damaged: bool) -> int:
    """Remove what killed saves left behind, never what a living one is writing."""
    with _writing(directory):
        removed = remove_leftovers(directory)
        names = [os.path.basename(each.path) for each in list_steps(directory, kind="crash")] if crashes else []
        if damaged:
            names += [name for name in sorted(os.listdir(directory)) if name.startswith("damaged-")]
        for name in names:
            remove_folder(directory, name)
    gone = [*removed, *names]
    write([f"{plural(len(gone), 'folder')} removed{': ' + ', '.join(map(clean, gone)) if gone else ''}"])
    return OK
