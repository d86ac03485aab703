"""`tkeep match` and `tkeep load-check`: would one file load into the model whose parameters another file holds?"""

from __future__ import annotations

import json
import os
from typing import Any

import click

from tensorkeep.cli._errors import FOUND, OK, paragraph, tell
from tensorkeep.cli._options import as_json, force, globs, refuse_overwrite
from tensorkeep.cli._text import clean
from tensorkeep.core.loadreport import LoadReport

__all__ = ["load_check", "match"]


@click.command(name="match")
@click.argument("model", metavar="MODEL_FILE", type=click.Path())
@click.argument("path", metavar="FILE", type=click.Path())
@click.option(
    "output", "-o", metavar="RULES.json", type=click.Path(), help="Write the rules to a file, to be reviewed."
)
@force
@as_json
def match(model: str, path: str, output: str | None, force: bool, as_json: bool) -> int:
    """Propose how FILE's names correspond to those of MODEL_FILE, with a confidence for each.

    MODEL_FILE holds the parameters of the model that is meant. Tensors of equal shape are paired so that order and names agree
    best. Nothing is applied: read the rules, then give them to load-check or to load_parameters as rename=.

    \b
    Exit code 1: some tensors have no partner.
    """
    from tensorkeep.api import match as propose
    from tensorkeep.core.plan import WritePlan
    from tensorkeep.storage.writing import write_file

    if output is not None:
        refuse_overwrite(output, force)
    found = propose(model, path)
    if output is not None:
        write_file(output, WritePlan("rules", [found.dumps().encode()]))
    if as_json:
        document = {
            "model": model,
            "file": path,
            "confidence": found.confidence,
            "rules": dict(found.rules),
            "pairs": [
                {"old": pair.old, "new": pair.new, "shape": list(pair.shape), "confidence": pair.confidence}
                for pair in found.pairs
            ],
            "missing": list(found.missing),
            "extra": list(found.extra),
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in str(found).splitlines():
            click.echo(clean(line))
        for word, names in (("without a partner in the file", found.missing), ("left over in the file", found.extra)):
            for name in names:
                click.echo(f"  {word}: {clean(name)}")
        if output is not None:
            click.echo(f"wrote {clean(output)}")
    return FOUND if found.missing or found.extra else OK


@click.command(name="load-check")
@click.argument("model", metavar="MODEL_FILE", type=click.Path())
@click.argument("path", metavar="OTHER", type=click.Path())
@click.option(
    "rules", "--rename", metavar="RULES.json|OLD=NEW", multiple=True,
    help="Rules from OTHER's names to the model's: a file of `tkeep match -o`, or OLD=NEW (a prefix where OLD ends with a dot). "
    "Can be given several times.",
)  # fmt: skip
@globs("Fill only these names of the model.")
@click.option("--allow-missing", is_flag=True, help="Tensors that OTHER lacks keep the model's own values.")
@click.option("--ignore-extra", is_flag=True, help="Tensors that the model lacks are left out.")
@click.option(
    "--mismatched", type=click.Choice(["error", "skip", "crop"]), default="error", metavar="error|skip|crop",
    help="What becomes of tensors whose shapes differ.",
)  # fmt: skip
@click.option("--cast", is_flag=True, help="Cast values to the model's dtypes.")
@click.option("--weights", metavar="ema|raw|ENTRY", help="Which of a file's sets of weights.")
@as_json
def load_check(
    model: str,
    path: str,
    rules: tuple[str, ...],
    only: tuple[str, ...],
    allow_missing: bool,
    ignore_extra: bool,
    mismatched: str,
    cast: bool,
    weights: str | None,
    as_json: bool,
) -> int:
    """Tell whether OTHER would load into the model whose parameters MODEL_FILE holds. Nothing is changed.

    \b
    Exit code 1: it would be refused; all reasons are told.
    """
    from tensorkeep.api.load_checking import load_check as check
    from tensorkeep.errors import MismatchError

    options: dict[str, Any] = {
        "only": list(only) or None,
        "rename": _rename(rules) if rules else "auto",
        "allow_missing": allow_missing,
        "ignore_extra": ignore_extra,
        "mismatched": mismatched,
        "cast_dtype": cast,
        "weights": weights,
    }
    refused = ""
    report: LoadReport | None
    try:
        report = check(model, path, **options)
    except MismatchError as err:
        report, refused = getattr(err, "report", None), _as_options(paragraph(err) or str(err))
        if report is None:
            if as_json:
                click.echo(
                    json.dumps({"model": model, "fits": False, "refused": refused}, indent=2, ensure_ascii=False)
                )
            else:
                tell(refused)
            return FOUND
    if as_json:
        document = {"model": model, "fits": not refused, "refused": refused, **report.as_dict()}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in (refused or _would(str(report))).splitlines():
            click.echo(clean(line))
    return FOUND if refused else OK


def _would(text: str) -> str:
    head, newline, rest = text.partition("\n")
    return f"{head.replace(' tensors of the model loaded, 0 verified', ' tensors of the model would be loaded')}{newline}{rest}"


def _as_options(text: str) -> str:
    """The library's arguments, as options."""
    for old, new in (
        ("allow_missing=True", "--allow-missing"),
        ("ignore_extra=True", "--ignore-extra"),
        ("cast_dtype=True", "--cast"),
        ("mismatched='skip'", "--mismatched skip"),
        ("mismatched='crop'", "--mismatched crop"),
        ("tk.match proposes it", "tkeep match proposes it"),
        ("; nothing was changed", ""),
        ("Set --", "Give --"),
    ):
        text = text.replace(old, new)
    return text


def _rename(values: tuple[str, ...]) -> dict[str, str]:
    """Rules of files and of OLD=NEW, together."""
    found: dict[str, str] = {}
    for value in values:
        if value.endswith(".json") or os.path.isfile(value):
            found |= _rules_of(value)
            continue
        old, equals, new = value.partition("=")
        if not equals:
            raise click.UsageError(f"--rename {value!r} is neither OLD=NEW nor a file of rules (RULES.json).")
        found[old] = new
    return found


def _rules_of(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as file:
        try:
            rules = json.load(file)
        except ValueError as err:
            raise click.UsageError(f"{path}: no JSON ({err}). `tkeep match -o {path}` writes such a file.") from err
    if not isinstance(rules, dict) or not all(isinstance(new, str) for new in rules.values()):
        raise click.UsageError(f"{path}: rules are a JSON object of strings, from old names to new ones.")
    return rules
