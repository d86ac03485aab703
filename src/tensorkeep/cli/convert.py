"""`tkeep convert`, `tkeep pick` and `tkeep repair`: from files to a new file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from tensorkeep.api.checking import sentences, verify_file
from tensorkeep.api.converting import convert as convert_file
from tensorkeep.api.converting import repair as repair_file
from tensorkeep.api.loading import damage_text
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.saving import save
from tensorkeep.cli import _options
from tensorkeep.cli._text import clean, count, dim, json_document, nbytes_text, plural, write
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import (
    CorruptFileError,
    TensorkeepError,
    TensorNotFoundError,
    UnsupportedDataError,
    UnsupportedFormatError,
)

__all__ = ["convert", "pick", "repair"]


@click.command()
@click.argument("src", type=click.Path())
@click.argument("dst", type=click.Path())
@_options.globs("Only the tensors whose name fits GLOB.")
@click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    help="Rename a tensor, or all that begin with OLD when it ends in one of . : / _ Can be given several times.",
)
@click.option(
    "--rules",
    metavar="FILE",
    type=click.Path(),
    help="Rename by regular expressions: a line 'PATTERN -> REPLACEMENT' each.",
)
@click.option("--dtype", metavar="TYPE", help="Cast the floating-point tensors to TYPE, such as bfloat16.")
@click.option("--flat", is_flag=True, help="Write the tensors by name, without nesting and plain values.")
@_options.output_format
@click.option("--shard-size", metavar="SIZE", help="Split into safetensors shards of about SIZE, such as 5GB.")
@click.option("--no-verify", is_flag=True, help="Do not check the checksums of SRC first.")
@_options.unknown
@_options.epoch
@_options.force
@_options.as_json
def convert(
    src: str,
    dst: str,
    only: tuple[str, ...],
    rename: tuple[str, ...],
    rules: str | None,
    dtype: str | None,
    flat: bool,
    format: str | None,
    shard_size: str | None,
    no_verify: bool,
    unknown: str,
    epoch: int | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write the file SRC as DST, whose suffix chooses the format. DST appears whole or not at all.

    \b
      tkeep convert model.pth model.safetensors
      tkeep convert resnet-0003.params resnet.safetensors --rename arg:= --rename aux:=
      tkeep convert llama.pt small.safetensors --dtype bfloat16 --shard-size 5GB
    """
    if rename and rules:
        raise click.UsageError("--rename and --rules exclude each other. Write the renames as rules.")
    renames: Any = _rules(rules) if rules is not None else None
    _options.refuse_overwrite(dst, force)
    _check_target(dst, format, shard_size)
    if rename:
        renames = _renames(rename, src, unknown, epoch)
    from tensorkeep.cli._progress import progress, size_of

    try:
        with progress(f"convert {os.path.basename(src)}", size_of(src) * (1 if no_verify else 2)):
            receipt = convert_file(
                src,
                dst,
                only=list(only) or None,
                rename=renames,
                dtype=dtype,
                flat=flat,
                format=format,
                shard_size=shard_size,
                verify=not no_verify,
                unknown=unknown,
                epoch=epoch,
            )
    except UnsupportedDataError as err:
        if flat or "flat" in str(err) or not _nested(src, epoch):
            raise
        hint = "--flat writes the tensors by name, without nesting and plain values."
        raise UnsupportedDataError(f"{err} {hint}") from err
    _report(src, receipt, as_json)
    return 0


def _nested(src: str, epoch: int | None) -> bool:
    """Whether the file holds more than a flat dict of tensors."""
    with open_file(src, unknown="inert", epoch=epoch) as file:
        tree = file.structure
        return type(tree) is not dict or not all(isinstance(each, (Tensor, SparseTensor)) for each in tree.values())


_PREFIX_ENDS = (".", ":", "/", "_")


def _renames(values: Sequence[str], path: str, unknown: str, epoch: int | None) -> Callable[[str], str] | None:
    """The function from old to new names that repeated OLD=NEW options make; None without any.

    Raises:
        click.UsageError: an OLD fits no name of the file.
    """
    if not values:
        return None
    pairs = _options.pairs(values, "--rename")
    with open_file(path, unknown=unknown, epoch=epoch) as file:
        names = list(file)
    known = set(names)
    prefixes = sorted((old for old in pairs if old not in known and old.endswith(_PREFIX_ENDS)), key=len, reverse=True)
    if "" in pairs:
        prefixes.append("")
    new: dict[str, str] = {}
    for name in names:
        old = name if name in pairs else next((each for each in prefixes if name.startswith(each)), None)
        if old is not None:
            new[name] = pairs[old] + name[len(old) :]
    idle = [
        old for old in pairs if old not in known and not (old in prefixes and any(n.startswith(old) for n in names))
    ]
    if idle:
        raise click.UsageError(
            f"--rename fits no name of {path}: {', '.join(map(repr, idle))}. A name is given whole; "
            f"an OLD that ends in one of {' '.join(_PREFIX_ENDS)} renames all that begin with it."
        )
    return lambda name: new.get(name, name)


def _rules(path: str) -> list[tuple[str, str]]:
    """The (pattern, replacement) pairs of a file of lines "PATTERN -> REPLACEMENT"; "#" begins a comment line."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    rules = []
    for i, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, arrow, replacement = line.partition("->")
        if not arrow:
            raise click.UsageError(f"{path}, line {i}: {line.strip()!r} is not PATTERN -> REPLACEMENT.")
        rules.append((pattern.strip(), replacement.strip()))
        try:
            re.compile(rules[-1][0])
        except re.error as err:
            raise click.UsageError(f"{path}, line {i}: {rules[-1][0]!r} is no regular expression ({err}).") from err
    return rules


def _check_target(dst: str, format: str | None, shard_size: str | None) -> None:
    """Raise a usage error before anything is read when no format is written under that name."""
    from tensorkeep import formats

    try:
        found = formats.by_name(format) if format is not None else formats.for_writing(dst)
    except UnsupportedFormatError as err:
        from tensorkeep.cli._errors import paragraph

        raise click.UsageError(paragraph(err) or str(err)) from err
    if found.plan is None and shard_size is None and found.name != "safetensors-sharded":
        written = ", ".join(formats.names(written=True))
        raise click.UsageError(f"The format {found.name} is read but not written. Written are {written}.")


def _report(src: str, receipt: Receipt, as_json: bool) -> None:
    if as_json:
        json_document(_receipt_document(receipt))
        return
    what = f"{plural(receipt.tensors, 'tensor')}, {nbytes_text(receipt.nbytes)}"
    if len(receipt.files) > 1:
        what += f", {plural(len(receipt.files), 'file')}"
    write(f"{clean(src)} → {clean(receipt.path)}  {dim(f'{receipt.format} · {what}')}")


def _receipt_document(receipt: Receipt) -> dict[str, Any]:
    return {
        "path": receipt.path,
        "format": receipt.format,
        "nbytes": receipt.nbytes,
        "tensors": receipt.tensors,
        "files": list(receipt.files),
    }


@click.command()
@_options.files
@click.option("--output", "-o", "output", metavar="OUT", required=True, type=click.Path(), help="The file to write.")
@_options.globs("Only the tensors whose name fits GLOB.")
@click.option(
    "--prefix",
    metavar="TEXT",
    multiple=True,
    help="Put TEXT before the names: once for all files, or once for each FILE in turn.",
)
@_options.output_format
@click.option("--no-verify", is_flag=True, help="Do not check the checksums of the files first.")
@_options.unknown
@_options.force
@_options.as_json
def pick(
    paths: tuple[str, ...],
    output: str,
    only: tuple[str, ...],
    prefix: tuple[str, ...],
    format: str | None,
    no_verify: bool,
    unknown: str,
    force: bool,
    as_json: bool,
) -> int:
    """Extract tensors of a file, or merge the tensors of several files, into OUT.

    \b
      tkeep pick model.safetensors --only 'encoder.*' -o encoder.safetensors
      tkeep pick unet.pt vae.pt -o both.safetensors --prefix unet. --prefix vae.
    """
    if len(prefix) not in (0, 1, len(paths)):
        raise click.UsageError(
            f"--prefix is given {len(prefix)} times for {len(paths)} files. Give it once, or once for each."
        )
    _options.refuse_overwrite(output, force)
    _check_target(output, format, None)
    from contextlib import ExitStack

    from tensorkeep.cli._progress import progress, size_of

    prefixes = list(prefix) * len(paths) if len(prefix) == 1 else list(prefix) or [""] * len(paths)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_file(path, unknown=unknown)) for path in paths]
        tensors, metadata = _picked(opened, prefixes, only)
        total = sum(each.nbytes for each in tensors.values()) + (0 if no_verify else sum(map(size_of, paths)))
        stack.enter_context(progress("pick", total))
        if not no_verify:
            for file in opened:
                report = verify_file(file)
                if report.status == "damaged":
                    raise CorruptFileError(damage_text(file, sentences(report)))
        receipt = save(output, tensors, format=format, metadata=metadata)
    _report(", ".join(paths), receipt, as_json)
    return 0


def _picked(
    opened: Sequence[TensorFile], prefixes: Sequence[str], only: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The chosen tensors of all files by their new names, and the metadata when there is one file."""
    tensors: dict[str, Any] = {}
    origin: dict[str, str] = {}
    clashes: list[str] = []
    for file, before in zip(opened, prefixes, strict=True):
        wanted = _options.matches(only, list(file))
        for name in file:
            if name not in wanted:
                continue
            new = before + name
            if new in tensors:
                clashes.append(f"{new!r} ({origin[new]} and {file.path})")
                continue
            tensors[new], origin[new] = file[name], file.path
    if clashes:
        shown = ", ".join(clashes[:5]) + (f" and {count(len(clashes) - 5)} more" if len(clashes) > 5 else "")
        raise click.UsageError(
            f"{plural(len(clashes), 'name')} would stand twice: {shown}. Part them with a --prefix for each file "
            "(--prefix a. --prefix b.), or choose with --only."
        )
    if not tensors:
        names = [name for file in opened for name in file]
        known = f"They hold {count(len(names))}, such as {names[0]!r}." if names else "They hold none."
        raise TensorNotFoundError(f"{', '.join(file.path for file in opened)}: no tensor is chosen. {known}")
    metadata = opened[0].metadata if len(opened) == 1 else {}
    return tensors, {key: value for key, value in metadata.items() if type(value) is str}


@click.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option(
    "--salvage", metavar="OUT", required=True, type=click.Path(), help="Write what is whole to the new file OUT."
)
@_options.output_format
@_options.force
@_options.as_json
def repair(path: str, salvage: str, format: str | None, force: bool, as_json: bool) -> int:
    """Save every whole tensor of a cut or damaged file. FILE itself is not touched.

    Tensors whose checksum does not fit are left out.
    """
    _options.refuse_overwrite(salvage, force)
    _check_target(salvage, format, None)
    from tensorkeep.cli._progress import progress, size_of

    with progress(f"repair {os.path.basename(path)}", 3 * size_of(path)):  # checked twice, written once
        damage, known = _damage(path)
        receipt = repair_file(path, salvage, format=format)
    with open_file(salvage) as file:
        saved = list(file)
    lost = [name for name in known if name not in set(saved)]
    total = len(known) or _promised(damage)
    if as_json:
        document = {"damage": damage, "saved": saved, "lost": lost, "promised": total}
        json_document({**_receipt_document(receipt), **document})
        return 0
    lines = [clean(line) for sentence in damage for line in sentence.split("\n")] or [
        f"{clean(path)}: no damage found."
    ]
    many = f"{count(receipt.tensors)} of {plural(total, 'tensor')}" if total else plural(receipt.tensors, "tensor")
    lines += ["", f"{many} saved to {clean(receipt.path)}  {dim(nbytes_text(receipt.nbytes))}"]
    if lost:
        shown = ", ".join(map(clean, lost[:10])) + (f" and {count(len(lost) - 10)} more" if len(lost) > 10 else "")
        lines.append(f"lost: {shown}")
    write(lines)
    return 0


def _damage(path: str) -> tuple[list[str], list[str]]:
    """What is wrong with a file, and the names of its tensors where they can still be listed."""
    try:
        with open_file(path, unknown="inert") as file:
            return sentences(verify_file(file)), list(file)
    except TensorkeepError as err:
        return [re.split(r"[;.] (?=[^.;]*\btkeep repair)", str(err))[0] + "."], []


_PROMISED = re.compile(r"\d+ of (\d+) tensors are whole|inside array \d+ of (\d+)")


def _promised(damage: Sequence[str]) -> int:
    """How many tensors a cut file was to hold, where the error that it is cut says so; else 0."""
    found = next((match for text in damage if (match := _PROMISED.search(text))), None)
    return int(found[1] or found[2]) if found else 0
