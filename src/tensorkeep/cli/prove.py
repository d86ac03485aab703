"""`tkeep prove-resume`: is a training script's resume exact?"""

from __future__ import annotations

import click

from tensorkeep.cli._errors import FOUND, OK
from tensorkeep.cli._text import bad, clean, dim, good, plural, write

__all__ = ["prove_resume"]


@click.command("prove-resume", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--kills", type=click.IntRange(min=1), default=1, show_default=True, help="How often the second run is killed."
)
@click.option("--seed", type=int, help="Of the moments of the kills.")
@click.option("--timeout", "timeout_s", type=float, default=3600, show_default=True, metavar="S", help="For one run.")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]…")
def prove_resume(kills: int, seed: int | None, timeout_s: float, script: str, arguments: tuple[str, ...]) -> int:
    """Run SCRIPT whole, then killed with SIGKILL and resumed, and compare all that both runs saved, to the bit.

    The script uses a Checkpointer as always; while the proof runs, its steps go to a folder of their own.

    \b
    Exit code: 0 the resume is exact, 1 something differs (the first thing is named), 3 the script fails.
    """
    from tensorkeep.checkpoint.prove import prove

    def say(line: str) -> None:
        write([dim(f"  {line} …")])

    proof = prove([script, *arguments], kills=kills, seed=seed, timeout_s=timeout_s, say=say)
    compared = f"{plural(proof.steps, 'step')} and {plural(proof.values, 'value')} compared, killed after step {proof.killed_after}"
    if proof.exact:
        write([f"{good('exact')}  {dim(compared)}"])
        return OK
    write([f"{bad('not exact')}  {dim(compared)}", f"  first difference: {clean(proof.difference)}"])
    return FOUND
