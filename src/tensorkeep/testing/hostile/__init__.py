"""Files that a reader must refuse, made on the spot: each with what is wrong in it.

    for case in cases(sentinel):
        path = case.write(folder)
        ...                                    # must be refused; `sentinel` must not appear

Their sources are CVEs, advisories, other projects' tests and trials of the readers that people use. Nothing here is run
by making it; a reader that executes what a pickle names creates the file `sentinel`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tensorkeep.testing.hostile._case import Case

__all__ = ["Case", "cases"]


def cases(sentinel: str | os.PathLike[str]) -> Iterator[Case]:
    """Every hostile file of every format.

    Args:
        sentinel: the path that payloads would create if they were executed.
    """
    from tensorkeep.testing.hostile import _json, _mxnet, _npy, _pickle, _safetensors, _torch, _zip

    target = os.fspath(Path(sentinel))
    yield from _safetensors.cases()
    yield from _pickle.cases(target)
    yield from _torch.cases(target)
    yield from _zip.cases()
    yield from _npy.cases(target)
    yield from _mxnet.cases()
    yield from _json.cases()
