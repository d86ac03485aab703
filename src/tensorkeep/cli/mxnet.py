"""tkeep mxnet: run an MXNet program unchanged, without MXNet."""

from __future__ import annotations

import click

from tensorkeep._optional import require

__all__ = ["mxnet"]


@click.command(
    name="mxnet",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run an MXNet program without MXNet.",
)
@click.option("--gpu", type=click.Choice(["cpu"]), help="Compute on the CPU what the program puts on gpu(0).")
@click.option("-c", "code", metavar="CODE", help="Run Python source instead of a file.")
@click.argument("script", required=False)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def mxnet(gpu: str | None, code: str | None, script: str | None, args: tuple[str, ...]) -> int:
    """Run SCRIPT unchanged and without MXNet: in it, `import mxnet` gives tensorkeep.mxnet.

    Everything behind SCRIPT is the program's own. Its exit code is the command's.
    """
    require("torch", extra="torch", for_="running MXNet programs")
    from tensorkeep.mxnet._run import run_code, run_script

    if code is not None:
        return run_code(code, [*([script] if script is not None else []), *args], gpu)
    if script is None:
        raise click.UsageError("no script is named", click.get_current_context())
    return run_script(script, list(args), gpu)
