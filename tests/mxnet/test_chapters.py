"""The textbook chapters on saving and loading, as they stand: every code block runs unmodified and gives what MXNet gives.

The chapters are other people's texts and do not travel with the checkout: without the folder that holds them the tests skip.
What each block gives was recorded on real MXNet 1.9.1; the outputs that the chapters print come from older NumPy.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

CHAPTERS = Path(__file__).resolve().parents[3] / "shared" / "chapters"
FENCED = re.compile(r"^```(?:\{\.python \.input[^}]*\}|python)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"^\.\. code:: python\n\n((?:    .*\n|\s*\n)+)", re.M)


def chapter(number: str) -> list[str]:
    """The code blocks of a chapter in their order.

    Two forms: fenced blocks of notebooks and Markdown, and indented blocks of reStructuredText.
    """
    found = sorted(CHAPTERS.glob(f"{number}_*.txt")) if CHAPTERS.is_dir() else []
    if not found:
        pytest.skip(f"the chapters are not at hand ({CHAPTERS})")
    text = found[0].read_text("utf-8")
    fenced = FENCED.findall(text)
    return [block for block in (fenced or map(textwrap.dedent, INDENTED.findall(text))) if block.strip()]


RUNNER = """
import ast, contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")
blocks = json.load(open(sys.argv[1]))
names = {"__name__": "__main__"}
results = []
for block in blocks:
    tree = ast.parse(block)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, shown, error = io.StringIO(), "", ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(tree, "block", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "block", "eval"), names)
                shown = "" if value is None else repr(value)
        except Exception as err:
            error = f"{type(err).__name__}: {err}"
    results.append([printed.getvalue(), shown, error])
json.dump(results, open(sys.argv[2], "w"))
"""


def run(blocks: list[str], folder: Path, *options: str) -> list[tuple[str, str, str]]:
    """(printed, value of the last expression, error) of each block, as a notebook runs them, in a process of its own."""
    import json

    (folder / "runner.py").write_text(RUNNER)
    (folder / "blocks.json").write_text(json.dumps(blocks))
    work = folder / "book" / "chapter"
    for each in (work / "checkpoints", folder / "book" / "data"):  # the books' folders; nobody makes them
        each.mkdir(parents=True)
    command = [sys.executable, "-m", "tensorkeep.mxnet", *options, str(folder / "runner.py")]
    done = subprocess.run(
        [*command, str(folder / "blocks.json"), str(folder / "results.json")],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads((folder / "results.json").read_text())]


def test_gluon_parameters(tmp_path: Path) -> None:
    """The Chinese Gluon book: NDArrays, then a network's parameters; the outputs are MXNet's to the digit."""
    results = run(chapter("000"), tmp_path)

    assert [error for _, _, error in results] == [""] * len(results)
    printed = [out for out, _, _ in results]
    values = [shown for _, shown, _ in results]
    assert values[1] == "\n[1. 1. 1.]\n<NDArray 3 @cpu(0)>"
    assert values[2] == "\n[0. 0. 0. 0.]\n<NDArray 4 @cpu(0)>"
    assert printed[3] == "\n[1. 1. 1.]\n<NDArray 3 @cpu(0)> \n[0. 0. 0. 0.]\n<NDArray 4 @cpu(0)>\n"
    assert printed[5].startswith("{'x': \n[1. 1. 1.]\n<NDArray 3 @cpu(0)>, 'y': ")
    outputs = "\n[[ 0.00202204  0.00100273]\n [-0.00134863  0.00299659]]\n<NDArray 2x2 @cpu(0)>\n"
    assert printed[6] == outputs
    assert printed[7] == (
        "sequential0_ (\n"
        "  Parameter sequential0_dense0_weight (shape=(10, 10), dtype=float32)\n"
        "  Parameter sequential0_dense0_bias (shape=(10,), dtype=float32)\n"
        "  Parameter sequential0_dense1_weight (shape=(2, 10), dtype=float32)\n"
        "  Parameter sequential0_dense1_bias (shape=(2,), dtype=float32)\n)\n"
    )
    assert printed[8] == outputs


def test_numpy_arrays_and_blocks(tmp_path: Path) -> None:
    """Dive into Deep Learning: npx.save and npx.load, an MLP saved and loaded into a clone."""
    results = run(chapter("001"), tmp_path)

    assert [error for _, _, error in results] == [""] * len(results)
    values = [shown for _, shown, _ in results]
    assert values[1] == "[array([0., 1., 2., 3.])]"
    assert values[2] == "(array([0., 1., 2., 3.]), array([0., 0., 0., 0.]))"
    assert values[3] == "{'x': array([0., 1., 2., 3.]), 'y': array([0., 0., 0., 0.])}"
    assert values[7].startswith("array([[ True,  True,")
    assert values[7].count("True") == 20


NET = """
import mxnet as mx
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1"), name="softmax")
train_iter = mx.io.NDArrayIter(mx.nd.random.uniform(shape=(20, 4)), mx.nd.array([i % 3 for i in range(20)]), 10)
"""
"""The chapter takes a network and an iterator for granted: these are the smallest ones."""


def test_symbols_arrays_and_modules(tmp_path: Path) -> None:
    """The notes on MXNet: a graph as JSON, two ways to keep arrays, do_checkpoint and load_checkpoint.

    Two of its blocks are fragments that no interpreter can run: the fourth is an excerpt of `fit` that speaks of `self`, the
    fifth calls `mod.bind(...)` with three dots for its arguments.
    """
    blocks = chapter("002")
    results = run([blocks[0], blocks[1], NET, *blocks[2:]], tmp_path)
    errors = [error for _, _, error in results]

    assert errors[:4] == [""] * 4
    assert errors[4] == "NameError: name 'self' is not defined"
    assert errors[5] == "TypeError: 'ellipsis' object is not iterable"
    graph = results[0][0]
    assert '"op": "elemwise_add"' in graph or '"op": "_plus"' in graph
    assert '"attrs": {"__shape__": "[2]"}' in graph
    assert '"mxnet_version": ["int", 10901]' in graph
    assert results[1][1].startswith("{'a': \n[[1. 1. 1.]\n [1. 1. 1.]]\n<NDArray 2x3 @cpu(0)>")
    names = {path.name for path in (tmp_path / "book" / "chapter").iterdir()}
    assert names >= {"mx_mlp-symbol.json", *(f"mx_mlp-000{epoch}.params" for epoch in range(1, 6))}


def test_the_fragments_of_the_notes_work_when_they_are_completed(tmp_path: Path) -> None:
    """With shapes in the place of the three dots, the function saves epoch 9, and the loading block runs as it stands."""
    blocks = chapter("002")
    completed = blocks[4].replace(
        "mod.bind(...)",
        "mod.bind(data_shapes=train_iter.provide_data, label_shapes=train_iter.provide_label); mod.init_params()",
    )
    results = run([NET, blocks[2], completed, "save_checkpoint(8, mod, checkpoint)", blocks[5]], tmp_path)

    assert [error for _, _, error in results] == [""] * 5
    assert (tmp_path / "book" / "chapter" / "mx_mlp-0009.params").exists()


def test_a_gpu_chapter_without_a_gpu(tmp_path: Path) -> None:
    """The straight dope asks for gpu(0): with `--gpu cpu` it runs as it stands, prints gpu(0) and computes on the CPU."""
    results = run(chapter("004"), tmp_path, "--gpu", "cpu")

    assert [error for _, _, error in results] == [""] * len(results)
    first, again = results[6][1], results[7][1]
    assert re.fullmatch(r"\n\[\[-?\d+\.\d+\]\]\n<NDArray 1x1 @gpu\(0\)>", first)
    assert first == again
    value = float(re.findall(r"-?\d+\.\d+", first)[0])
    assert value == pytest.approx(
        -2362.1052, rel=4e-7
    )  # 4 roundings of float32: 256 products are added in another order


def test_a_gpu_chapter_says_what_mxnet_says_when_not_asked(tmp_path: Path) -> None:
    """Without the option, the error is MXNet's, with what to do."""
    results = run(chapter("004"), tmp_path)
    errors = [error for _, _, error in results]

    assert errors[:6] == [""] * 6
    assert errors[6].startswith("MXNetError: GPU is not enabled")
    assert "--gpu cpu" in errors[6]


def test_the_pytorch_chapter_and_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's own chapter runs, and tensorkeep lists, verifies and loads the four files that it leaves."""
    import tensorkeep as tk

    blocks = chapter("003")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for block in blocks:
            exec(block, names)

    assert {path.name for path in tmp_path.iterdir()} == {"x", "xy", "mydict", "mlp.params"}
    for path in tmp_path.iterdir():
        assert tk.verify(path).status == "good"
        assert tk.scan(path).data_only
    assert tk.load("x").tolist() == [1, 1, 1]
    assert [each.tolist() for each in tk.load("xy")] == [[1, 1, 1], [0, 0, 0, 0]]
    assert list(tk.load("mydict")) == ["x", "y"]
    clone = names["MLP"]()
    tk.load_parameters(clone, "mlp.params")
    assert bool((clone(names["X"]) == names["Y"]).all())
