"""`tkeep verify` and `tkeep scan`: is a file whole, and what would it run?"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from tensorkeep.api.checking import scan as scan_file
from tensorkeep.api.checking import verify as verify_path
from tensorkeep.cli import _options
from tensorkeep.cli._errors import ERROR, FOUND, OK, USAGE, error_document, exit_code, paragraph, tell, worst
from tensorkeep.cli._text import bad, bold, clean, count, dim, good, json_document, plural, warn, write
from tensorkeep.core.reports import Request, ScanReport, VerifyReport
from tensorkeep.errors import TensorkeepError, UnsupportedFormatError

__all__ = ["scan", "verify"]

_SHOWN = 20
"""Damaged tensors and requests that are listed for a file before "and 12 more"; --json lists all."""

_VERIFY_CODES = {"good": OK, "damaged": FOUND, "unchecked": USAGE}


@click.command()
@_options.files
@_options.epoch
@_options.as_json
def verify(paths: tuple[str, ...], epoch: int | None, as_json: bool) -> int:
    """Check every checksum that files carry.

    \b
    Exit code: 0 all good, 1 damaged, 2 nothing to check against
    (the format carries no checksums), 3 a file cannot be read.
    Of several files the worst counts: 1, then 3, then 2.
    """
    from tensorkeep.cli._progress import progress, size_of

    codes = []
    documents: list[Any] = []
    for path in paths:
        try:
            with progress(f"verify {os.path.basename(path)}", size_of(path)):
                report = verify_path(path, epoch=epoch)
        except (TensorkeepError, OSError) as err:
            codes.append(ERROR)
            documents.append(error_document(path, err))
            tell(paragraph(err) or str(err))
            continue
        codes.append(_VERIFY_CODES[report.status])
        if as_json:
            documents.append(_verify_document(path, report))
        else:
            write(_verify_lines(path, report))
    if as_json:
        json_document({"files": documents})
    return worst(codes)


def _verify_lines(path: str, report: VerifyReport) -> list[str]:
    checks = report.tensors.values()
    states = Counter(check.status for check in checks)
    tensors = plural(len(checks), "tensor")
    name = bold(clean(path))
    if report.status == "good":
        return [f"{name}  {good('good')}  {dim(f'{tensors}, {report.checksum} of each')}"]
    if report.status == "unchecked":
        if states["good"]:
            some = f"{count(states['unchecked'])} of {tensors} carry no checksum; the others are good"
            return [f"{name}  {warn('not all checked')}  {dim(some)}"]
        why = f"{tensors}; {report.format} without checksums"
        return [f"{name}  {warn('nothing to check against')}  {dim(why)}"]
    damaged = [check for check in checks if check.status == "damaged"]
    extent = f"{count(len(damaged))} of {tensors}" if damaged else ""
    lines = [f"{name}  {bad('damaged')}  {dim(extent)}".rstrip()]
    for sentence in report.damage:
        lines += [f"  {clean(line)}" for line in sentence.split("\n")]
    for check in damaged[:_SHOWN]:
        lines.append(f"  {clean(check.name)}  " + dim(f"should be {check.expected}, is {check.got}"))
    if len(damaged) > _SHOWN:
        lines.append(dim(f"  … and {count(len(damaged) - _SHOWN)} more"))
    return lines


def _verify_document(path: str, report: VerifyReport) -> dict[str, Any]:
    return {
        "path": path,
        "format": report.format or None,
        "status": report.status,
        "checksum": report.checksum,
        "damage": list(report.damage),
        "tensors": [
            {"name": each.name, "status": each.status, "expected": each.expected or None, "got": each.got or None}
            for each in report.tensors.values()
        ],
    }


@click.command()
@_options.files
@click.option("--recursive", "-r", is_flag=True, help="Look at every file below the folders that are given.")
@_options.as_json
def scan(paths: tuple[str, ...], recursive: bool, as_json: bool) -> int:
    """Tell what files would run if their own framework loaded them. Nothing is imported or executed.

    \b
    Exit code: 0 provably data only, 1 asks for code, 3 a file cannot be read.
    """
    codes = []
    documents: list[Any] = []
    others = 0
    for path, found in _targets(paths, recursive):
        try:
            report = scan_file(path)
        except UnsupportedFormatError as err:
            if not found:
                codes.append(ERROR)
                documents.append(error_document(path, err))
                tell(paragraph(err) or str(err))
            others += found
            continue
        except (TensorkeepError, OSError) as err:
            codes.append(exit_code(err))
            documents.append(error_document(path, err))
            tell(paragraph(err) or str(err))
            continue
        codes.append(OK if report.data_only else FOUND)
        if as_json:
            documents.append(_scan_document(path, report))
        else:
            write(_scan_lines(path, report))
    if as_json:
        json_document({"files": documents, "not_tensor_files": others})
    elif recursive:
        write(_scan_sum(codes, others))
    return worst(codes)


def _targets(paths: tuple[str, ...], recursive: bool) -> Iterator[tuple[str, bool]]:
    """(path, whether it was found below a folder): links are not followed, special files left out."""
    for path in paths:
        if not recursive or not os.path.isdir(path):
            yield path, False
            continue
        for folder, inside, names in os.walk(path):
            inside.sort()
            for name in sorted(names):
                whole = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(whole).st_mode):
                    yield whole, True


def _scan_lines(path: str, report: ScanReport) -> list[str]:
    kind = [report.format, *([plural(report.pickles, "pickle")] if report.pickles else [])]
    verdict = (
        good("data only") if report.data_only else bad("asks for code" if report.unknown else "not provably data only")
    )
    lines = [f"{bold(clean(path))}  {verdict}  {dim(', '.join(kind))}"]
    unknown = report.unknown
    lines += [f"  {_request(each)}" for each in unknown[:_SHOWN]]
    if len(unknown) > _SHOWN:
        lines.append(dim(f"  … and {count(len(unknown) - _SHOWN)} more (--json lists all)"))
    return lines + [f"  {warn('!')} {clean(note)}" for note in report.notes]


def _request(request: Request) -> str:
    times = f"{count(request.count)} times" if request.count != 1 else "once"
    where = f", in {clean(request.where)}" if request.where else ""
    return f"{clean(request.module)}.{clean(request.name)}  " + dim(times + where)


def _scan_sum(codes: list[int], others: int) -> str:
    parts = [f"{plural(len(codes), 'tensor file')}"]
    asking = codes.count(FOUND)
    parts.append(
        bad(f"{count(asking)} {'asks' if asking == 1 else 'ask'} for code") if asking else good("none asks for code")
    )
    if ERROR in codes:
        parts.append(warn(f"{count(codes.count(ERROR))} unreadable"))
    if others:
        parts.append(f"{plural(others, 'other file')} not looked into")
    return "\n" + " · ".join(parts)


def _scan_document(path: str, report: ScanReport) -> dict[str, Any]:
    return {
        "path": path,
        "format": report.format,
        "data_only": report.data_only,
        "pickles": report.pickles,
        "requests": [
            {"module": each.module, "name": each.name, "count": each.count, "known": each.known, "where": each.where}
            for each in report.requests
        ],
        "notes": list(report.notes),
    }
