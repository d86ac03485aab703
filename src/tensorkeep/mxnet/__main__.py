"""python -m tensorkeep.mxnet [--gpu cpu] script.py [args…]: run an MXNet program unchanged, without MXNet."""

from __future__ import annotations

import sys

from tensorkeep.mxnet._run import run_code, run_module, run_script

_HELP = """usage: python -m tensorkeep.mxnet [--gpu cpu] (script.py | -m module | -c code) [args ...]

Run a program that imports mxnet, unchanged and without MXNet: `import mxnet` gives tensorkeep.mxnet.

  --gpu cpu   compute on the CPU what it puts on gpu(0); gpu(0) stays in what is printed and saved
  -m module   run a module
  -c code     run Python source
"""


def main(args: list[str]) -> int:
    """Run what the arguments name; its exit code, 2 when they name nothing."""
    gpu = None
    while args and args[0].startswith("-"):
        option, args = args[0], args[1:]
        option, joined, value = option.partition("=")
        if option in ("-h", "--help"):
            sys.stdout.write(_HELP)
            return 0
        if option not in ("--gpu", "-c", "-m"):
            return _wrong(f"there is no option {option}")
        if not joined:
            if not args:
                return _wrong(f"{option} needs a value")
            value, args = args[0], args[1:]
        if option == "-c":
            return run_code(value, args, gpu)
        if option == "-m":
            return run_module(value, args, gpu)
        if value != "cpu":
            return _wrong(f"--gpu takes cpu, not {value}")
        gpu = value
    if not args:
        return _wrong("no script is named")
    return run_script(args[0], args[1:], gpu)


def _wrong(what: str) -> int:
    sys.stderr.write(f"{_HELP}\nerror: {what}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
