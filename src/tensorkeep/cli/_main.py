"""The command `tkeep` itself: its commands, its exit codes, and what becomes of errors."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
from typing import Any

import click

from tensorkeep.cli._errors import ERROR, INTERRUPTED, OK, USAGE, exit_code, paragraph, tell

__all__ = ["cli", "run"]

# Command → (module, what --help says). The module is imported when the command is used, so that `ls` starts quickly.
COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("ls", "List the tensors of files."),
    "show": ("show", "Show one tensor: values, statistics, histogram."),
    "verify": ("check", "Check every checksum of files."),
    "scan": ("check", "Tell what files would run, without running it."),
    "convert": ("convert", "Write a file in another format."),
    "pick": ("convert", "Extract tensors, or merge files into one."),
    "diff": ("diff", "Compare two files, tensor by tensor."),
    "match": ("match", "Propose how the names of two files correspond."),
    "load-check": ("match", "Tell whether a file would load into a model."),
    "repair": ("convert", "Save the whole tensors of a damaged file."),
    "mxnet": ("mxnet", "Run an MXNet program without MXNet."),
    "runs": ("runs", "Look into the steps of a training run."),
    "prove-resume": ("prove", "Prove that a training script resumes exactly."),
    "formats": ("info", "List the formats that are read and written."),
    "completion": ("info", "Print the completion script of a shell."),
}

_EPILOG = """\b
Exit codes:
  0    done; nothing was found
  1    found: damage (verify), code (scan), a difference (diff),
       names without a partner (match), a refusal (load-check)
  2    not as asked: wrong usage, no such name, nothing to check
  3    a file cannot be read or written; the text says why
  130  interrupted

Nothing in a tensor file is ever executed; mxnet and prove-resume run the program that you name."""


class _Commands(click.Group):
    """The group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tensorkeep.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(_no_such_command(args[0]))
        return super().resolve_command(ctx, args)


def _no_such_command(name: str) -> str:
    if os.path.exists(name):
        return f"{name!r} is no command. To list what is in the file: tkeep ls {name}"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"{name!r} is no command." + (f" Did you mean {near[0]}?" if near else "")


@click.command(
    cls=_Commands,
    name="tkeep",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="tensorkeep", message="%(package)s %(version)s")
def cli() -> None:
    """Look into tensor files of any framework, check, convert and compare them, safely."""


def run(args: list[str]) -> int:
    """Run the command line and return its exit code; every error becomes one paragraph on standard error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal without UTF-8
    try:
        result: Any = cli.main(args, prog_name="tkeep", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except click.exceptions.Exit as err:
        return err.exit_code
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        return INTERRUPTED
    except click.UsageError as err:
        where = err.ctx.command_path if err.ctx is not None else "tkeep"
        tell(f"{err.format_message()}", hint=f"{where} --help shows how it is used.")
        return USAGE
    except click.ClickException as err:
        tell(err.format_message())
        return ERROR
    except Exception as err:
        text = paragraph(err)
        if text is None:
            raise
        tell(text)
        return exit_code(err)
