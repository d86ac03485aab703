"""Files that a reader must refuse, made on the spot: each with what is wrong in it.

    for case in cases(sentinel):
        path = case.write(folder)
        ...                                    # must be refused; `sentinel` must not appear

Their sources are CVEs, advisories, other projects' tests and trials of the readers that people use. Nothing here is run
by making it; a reader that executes what a pickle names creates the file `sentinel`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tensorkeep.testing.hostile._case import Case

__all__ = ["FAMILIES", "Case", "cases"]


FAMILIES = (
    "safetensors",
    "pickle",
    "torch",
    "torch-legacy",
    "torch-tar",
    "dcp",
    "zip",
    "npy",
    "mxnet",
    "symbol",
    "index",
    "step",
)
"""What the ids begin with."""


def cases(sentinel: str | os.PathLike[str], family: str | None = None) -> Iterator[Case]:
    """Every hostile file of every format, or of one family.

    Args:
        sentinel: the path that payloads would create if they were executed.
        family: one of FAMILIES.
    """
    from tensorkeep.testing.hostile import _json, _mxnet, _npy, _pickle, _safetensors, _step, _torch, _zip

    target = os.fspath(Path(sentinel))
    makers: dict[str, Callable[[], Iterator[Case]]] = {
        "safetensors": _safetensors.cases,
        "pickle": lambda: _pickle.cases(target),
        "torch dcp": lambda: _torch.cases(target),
        "zip": _zip.cases,
        "npy": lambda: _npy.cases(target),
        "mxnet": _mxnet.cases,
        "symbol index": _json.cases,
        "step": _step.cases,
    }
    for names, maker in makers.items():
        if family is None or family.partition("-")[0] in names.split():
            yield from (case for case in maker() if family is None or case.id.partition("/")[0] == family)
