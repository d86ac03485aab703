"""A script, module or piece of code run as Python runs it, with `import mxnet` served by this package."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from importlib.abc import InspectLoader
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from tensorkeep.mxnet import _install

__all__ = ["run_code", "run_module", "run_script"]

INTERRUPTED = 130
NOT_THERE = 2


def run_script(path: str, args: list[str], gpu: str | None = None) -> int:
    """Run a file (or a folder or zip with a __main__.py) as `python path args` would; its exit code.

    What it raises is printed with its own lines only. SystemExit is passed on. 2 when there is no such file.
    """
    if not os.path.exists(path):
        sys.stderr.write(f"can't open file {os.path.abspath(path)!r}: No such file or directory\n")
        return NOT_THERE
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.realpath(path))
    return _run(lambda: runpy.run_path(path, run_name="__main__"), path, [path, *args], folder, gpu)


def run_module(name: str, args: list[str], gpu: str | None = None) -> int:
    """Run a module as `python -m name args` would; its exit code."""
    return _run(
        lambda: runpy.run_module(name, run_name="__main__", alter_sys=True), None, ["-m", *args], os.getcwd(), gpu
    )


def run_code(code: str, args: list[str], gpu: str | None = None) -> int:
    """Run Python source as `python -c code args` would; its exit code."""

    def run() -> None:
        module = ModuleType("__main__")
        sys.modules["__main__"] = module
        _Source(code).exec_module(module)

    return _run(run, "<string>", ["-c", *args], "", gpu)


class _Source(InspectLoader):
    """Runs source that lies in no file."""

    def __init__(self, code: str) -> None:
        self._code = code

    def get_source(self, fullname: str) -> str:
        return self._code


def _run(work: Callable[[], Any], file: str | None, argv: list[str], folder: str, gpu: str | None) -> int:
    _install.install(gpu)
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        np.set_printoptions(legacy="1.25")  # scalars print as 1.5 and not as np.float32(1.5): programs of that time
    sys.argv = argv
    # Processes that the program starts are given its sys.path and environment, and import mxnet from there.
    sys.path[:1] = [folder, os.path.join(os.path.dirname(__file__), "_started")]
    os.environ["TENSORKEEP_MXNET_GPU"] = gpu or ""
    try:
        work()
    except SystemExit:
        raise
    except BaseException as err:  # noqa: BLE001  # whatever it is, Python would print it too and end with 1
        trace = _of_script(err.__traceback__, file)
        sys.excepthook(type(err), err.with_traceback(trace), trace)
        return INTERRUPTED if isinstance(err, KeyboardInterrupt) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return 0


def _of_script(trace: TracebackType | None, file: str | None) -> TracebackType | None:
    """The traceback without what runs the script, and without the import of a module that is not there."""
    while trace is not None and not _is_scripts(trace, file):
        trace = trace.tb_next
    at = trace
    while at is not None:
        if at.tb_next is not None and at.tb_next.tb_frame.f_code.co_filename == _install.__file__:
            at.tb_next = None
        at = at.tb_next
    return trace


def _is_scripts(trace: TracebackType, file: str | None) -> bool:
    name = trace.tb_frame.f_code.co_filename
    if file is None:
        return name not in (__file__, runpy.__file__) and not name.startswith("<frozen ")
    return name == file or (os.path.isdir(file) and name.startswith(file))
