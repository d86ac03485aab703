"""Where files of trained vectors lie: put there by hand, since this package downloads nothing."""

from __future__ import annotations

import json
import os
import zipfile
from functools import cache
from pathlib import Path

from tensorkeep.mxnet.gluon.utils import _get_repo_url, check_sha1
from tensorkeep.storage.atomic import replace_file

__all__ = ["find", "known"]

_BLOCK_NBYTES = 1 << 20


@cache
def known(family: str) -> dict[str, dict[str, str]]:
    """SHA-1s of a family's files: {"files": {name: SHA-1}, "archives": {name: SHA-1}}."""
    table: dict[str, dict[str, dict[str, str]]] = json.loads(Path(__file__).with_name("pretrained.json").read_text())
    return table[family]


def find(root: str, family: str, name: str, archive: str) -> str:
    """The path of a file of vectors below `root`, unpacked from its archive where only that lies there.

    Raises:
        RuntimeError: neither is there, or the SHA-1 is another; the text says what to put where.
    """
    folder = os.path.join(os.path.expanduser(root), family)
    path = os.path.join(folder, name)
    sha1 = known(family)["files"][name]
    packed = os.path.join(folder, archive)
    if not os.path.exists(path) and os.path.exists(packed):
        with zipfile.ZipFile(packed) as zipped, zipped.open(name) as inside, replace_file(path) as out:
            while block := inside.read(_BLOCK_NBYTES):
                out.write(block)
    if os.path.exists(path) and check_sha1(path, sha1):
        return path
    problem = f"{path} has another SHA-1 than {sha1}" if os.path.exists(path) else f"{path} does not exist"
    raise RuntimeError(
        f"{problem}, and tensorkeep.mxnet downloads nothing. Fetch {_get_repo_url()}gluon/embeddings/{family}/{archive} "
        f"by other means and put it, or the {name} inside, into {folder}."
    )
