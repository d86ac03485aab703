"""`tkeep formats` and `tkeep completion`."""

from __future__ import annotations

from typing import Any

import click

from tensorkeep.cli import _options
from tensorkeep.cli._text import Column, dim, json_document, table, terminal_width, write

__all__ = ["completion", "formats"]

_WIDE = 150


@click.command()
@_options.as_json
def formats(as_json: bool) -> int:
    """List the formats that are read and written."""
    from tensorkeep import formats as known

    rows: list[dict[str, Any]] = []
    for name in known.names():
        found = known.by_name(name)
        reads = found.open is not None or found.open_folder is not None
        written = name in known.names(written=True)
        row = {"name": name, "read": reads, "write": written, "suffixes": list(found.suffixes)}
        rows.append(row | {"salvage": found.salvage is not None, "holds": found.holds})
    if as_json:
        json_document({"formats": rows})
        return 0
    columns = [
        Column("format"),
        Column("read"),
        Column("write"),
        Column("salvage"),
        Column("suffixes"),
        Column("holds", style=dim),
    ]
    wide = not 0 < terminal_width() < _WIDE  # what a format holds is a sentence; --json has it in any case
    mark = {True: "yes", False: "–"}
    lines = table(
        columns,
        [
            (
                row["name"],
                mark[row["read"]],
                mark[row["write"]],
                mark[row["salvage"]],
                " ".join(row["suffixes"]) or "–",
                row["holds"] if wide else "",
            )
            for row in rows
        ],
    )
    write([*lines, "", dim("  The content tells the format when reading, the suffix when writing.")])
    return 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell.

    \b
      bash   tkeep completion bash > ~/.local/share/bash-completion/completions/tkeep
      zsh    tkeep completion zsh > "${fpath[1]}/_tkeep"
      fish   tkeep completion fish > ~/.config/fish/completions/tkeep.fish
    """
    from click.shell_completion import get_completion_class

    from tensorkeep.cli._main import cli

    found = get_completion_class(shell)
    assert found is not None
    complete = found(cli, {}, "tkeep", "_TKEEP_COMPLETE")
    write((complete.source_template % complete.source_vars()).strip())
    return 0
