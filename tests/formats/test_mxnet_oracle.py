"""Real MXNet reads what we write, we read and rewrite what it writes: 1.9.1 and 2.0.

What they answered is kept in tests/golden/mxnet/oracle and compared here always. To ask them again (and renew the answers),
set TENSORKEEP_MXNET_191 and TENSORKEEP_MXNET_20 to interpreters that have them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorkeep.core.dtypes import DTYPES, numpy_dtype
from tensorkeep.core.tensor import SparseTensor
from tests.formats.mxnet_samples import (
    GOLDEN,
    V1,
    V2,
    assert_equals,
    dense,
    dense_v0,
    f32,
    list_file,
    open_path,
    written,
)

ORACLE = GOLDEN / "oracle"
TOOL = Path(__file__).resolve().parents[2] / "tools" / "mxnet_oracle.py"
VERSIONS = {"191": "1.9.1", "20": "2.0.0beta1"}

CODES = (
    *("float32", "float64", "float16", "uint8", "int32", "int8", "int64"),
    *("bool", "int16", "uint16", "uint32", "uint64", "bfloat16"),
)


def ours() -> dict[str, tuple[bytes, Any]]:
    """Name → the bytes of a file of ours, and the arrays that MXNet must find in it."""
    made: dict[str, tuple[bytes, Any]] = {}
    for name in CODES:
        values = (np.arange(6) % 2 if name == "bool" else np.arange(6)).reshape(2, 3).astype(numpy_dtype(DTYPES[name]))
        made[f"v2_{name}"] = (written({"w": values}), {"w": values})
        made[f"v3_{name}"] = (written({"w": values}, "mxnet-np"), {"w": values})
    ones = np.ones(2, np.float32)
    shapes = [np.arange(2, dtype=np.float32).reshape((1,) * i + (2,)) for i in range(8)]
    made["shapes"] = (written(shapes), shapes)
    strange = {"zero": np.zeros((0, 3), np.float32), "number": np.array(2.5), "plain": ones}
    made["zero_size"] = (written(strange), strange)
    named = {"": ones, "数据/w": ones, "arg:é\u200b": ones, "a b.c": ones}
    made["names"] = (written(named), named)
    many = {f"layer.{i}.weight": np.full(i % 7 + 1, i, np.int32) for i in range(300)}
    made["many"] = (written(many), many)
    made["empty"] = (written([]), [])
    made["one"] = (written(ones), [ones])
    made["none"] = (written([None, ones]), [None, ones])
    index = np.array([0, 2, 1])
    csr = SparseTensor("csr", (3, 3), np.arange(3, dtype=np.float32), index, np.array([0, 2, 2, 3], np.int32))
    rows = SparseTensor("row_sparse", (5, 2), np.ones((2, 2), np.float16), np.array([1, 3], np.int32))
    no_rows = SparseTensor("row_sparse", (5, 2), np.ones((0, 2), np.float32), np.array([], np.int64))
    made["sparse"] = (written([csr, rows, no_rows, ones]), [csr, rows, no_rows, ones])
    # Files of older versions: no MXNet writes them any more, but these two still read them.
    data = f32(1, 1)
    old = [dense_v0((2,), 0, data), dense((2,), 0, data, magic=V1), dense((2,), 0, data, magic=V2)]
    made["v0_v1_v2"] = (list_file([*old], ["a", "b", "c"]), {"a": ones, "b": ones, "c": ones})
    made["gpu"] = (list_file([dense((2,), 0, data, device=(2, 3))], ["w"]) + b"tail", {"w": ones})
    made["v3_none"] = (written([None, ones], "mxnet-np"), [None, ones])
    return {f"{name}.params": pair for name, pair in made.items()}


def facts_of(tree: Any) -> Any:
    """What the oracle says about arrays, said about ours."""
    if tree is None:
        return None
    if isinstance(tree, list):
        return [facts_of(leaf) for leaf in tree]
    if isinstance(tree, dict):
        return {name: facts_of(leaf) for name, leaf in tree.items()}
    if isinstance(tree, SparseTensor):
        facts = {"shape": list(tree.shape), "dtype": tree.data.dtype.name, "stype": tree.kind}
        indices = {name: part.astype(np.int64) for name, part in tree.parts() if name != "data"}
        return {**facts, "data": facts_of(tree.data), **facts_of(indices)}
    return {"shape": list(tree.shape), "dtype": tree.dtype.name, "sha256": hashlib.sha256(tree.tobytes()).hexdigest()}


# 1.9.1 has the codes of the unsigned and 16-bit integers, but not the arrays. "none" arrays are read by the C++ of both;
# their Python then does not know what to call them.
_NONE = {"none.params", "v3_none.params"}
UNREADABLE = {
    "191": {f"{version}_{name}.params" for version in ("v2", "v3") for name in ("int16", "uint16", "uint32", "uint64")}
    | _NONE,
    "20": _NONE,
}


def ask(which: str, *args: str) -> dict[str, Any]:
    """The answer of real MXNet, which is then kept."""
    python = os.environ.get(f"TENSORKEEP_MXNET_{which}")
    if not python:
        pytest.skip(f"TENSORKEEP_MXNET_{which} names no interpreter with MXNet {VERSIONS[which]}")
    done = subprocess.run([python, str(TOOL), *args], capture_output=True, text=True, check=True, timeout=300)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["version"] == VERSIONS[which]
    return answer


def keep(name: str, facts: Any) -> None:
    ORACLE.mkdir(parents=True, exist_ok=True)
    (ORACLE / name).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")


@pytest.mark.parametrize("which", VERSIONS)
def test_mxnet_is_asked_about_our_files(which: str, tmp_path: Path) -> None:
    """Renews the answers: needs the interpreter."""
    files = ours()
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    answer = ask(which, "describe", str(tmp_path))["files"]
    assert list(answer) == sorted(files)
    keep(
        f"reads_{which}.json",
        {name: {"file_sha256": hashlib.sha256(files[name][0]).hexdigest(), **facts} for name, facts in answer.items()},
    )


@pytest.mark.parametrize("which", VERSIONS)
def test_mxnet_reads_what_we_write(which: str) -> None:
    """Each file of ours has the bytes that MXNet was asked about, and it found in them what was saved."""
    answers = json.loads((ORACLE / f"reads_{which}.json").read_text("utf-8"))
    unreadable = set()
    for name, (data, tree) in ours().items():
        answer = answers[name]
        assert answer["file_sha256"] == hashlib.sha256(data).hexdigest(), name
        if "error" in answer:
            unreadable.add(name)
        else:
            assert answer["arrays"] == facts_of(tree), name
    assert unreadable == UNREADABLE[which]


@pytest.mark.parametrize("which", VERSIONS)
def test_mxnet_is_asked_for_files(which: str, tmp_path: Path) -> None:
    """Renews the files that it writes: needs the interpreter."""
    answer = ask(which, "write", str(tmp_path / "out"))["files"]
    folder = ORACLE / f"written_{which}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((tmp_path / "out").iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    keep(f"written_{which}.json", answer)


@pytest.mark.parametrize("which", VERSIONS)
def test_we_read_and_rewrite_what_mxnet_writes(which: str) -> None:
    """Equal arrays, and the same bytes again."""
    answers = json.loads((ORACLE / f"written_{which}.json").read_text("utf-8"))
    count = 0
    for name, facts in answers.items():
        if "error" in facts:
            continue
        count += 1
        path = ORACLE / f"written_{which}" / name
        with open_path(path) as file:
            assert isinstance(file.structure, dict if facts["kind"] == "dict" else list)
            assert_equals(file.structure, facts["arrays"], name)
            again = written(file.structure, "mxnet-np" if facts["np_semantics"] else "mxnet")
        assert again == path.read_bytes(), name
    assert count > 18
