"""Every operator against real MXNet 1.9.1's answers: values, dtypes, shapes, gradients, refusals.

The cases are in cases_FAMILY.py; `python tools/mxnet_operators.py FAMILY`, run by an interpreter that has MXNet 1.9.1,
asks it again and writes tests/golden/mxnet/ops/FAMILY.npz.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorkeep.mxnet import autograd, random  # noqa: E402
from tensorkeep.mxnet._invoke import invoke  # noqa: E402
from tensorkeep.mxnet._registry import get  # noqa: E402
from tensorkeep.mxnet._state import state  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tensorkeep.mxnet.context import cpu  # noqa: E402
from tensorkeep.mxnet.ndarray.ndarray import NDArray, array  # noqa: E402
from tensorkeep.mxnet.symbol import Variable, compose, load_json  # noqa: E402
from tests.mxnet.ops.case import Case  # noqa: E402

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "ops"
FAMILIES = sorted(path.stem.removeprefix("cases_") for path in Path(__file__).parent.glob("cases_*.py"))
CASES = [
    pytest.param(family, case, id=f"{family}:{case.key}")
    for family in FAMILIES
    for case in import_module(f"tests.mxnet.ops.cases_{family}").CASES
]
ROUNDINGS = {"float16": 4e-3, "float32": 2e-5, "float64": 1e-9}
"""Relative to the largest value of the result: sums are added up in another order."""


@cache
def golden(family: str) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """The facts of each case, and its arrays by its place and their names."""
    with np.load(GOLDEN / f"{family}.npz") as file:
        stored = {name: file[name] for name in file.files}
    index = json.loads(stored.pop("index").tobytes())["cases"]
    arrays: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name, value in stored.items():
        at, _, what = name.partition("/")
        arrays[at][what] = value
    return index, arrays


def expected(family: str, case: Case) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    index, arrays = golden(family)
    facts = index[case.key]
    return facts, arrays.get(str(facts["at"]), {})


def plain(value: NDArray) -> np.ndarray:
    values = value.asnumpy()
    return values.view(np.uint16) if values.dtype.names else values


def compare(got: np.ndarray, want: np.ndarray, case: Case, what: str) -> None:
    assert got.shape == want.shape, f"{what}: shape {got.shape}, MXNet {want.shape}"
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, MXNet {want.dtype}"
    if got.dtype.kind != "f":
        assert np.array_equal(got, want), f"{what}:\n{got}\nMXNet:\n{want}"
        return
    rtol = case.rtol if case.rtol is not None else ROUNDINGS[got.dtype.name]
    finite = want[np.isfinite(want)]
    atol = case.atol if case.atol is not None else rtol * float(np.abs(finite).max(initial=0))
    np.testing.assert_allclose(
        got.astype("float64"), want.astype("float64"), rtol=rtol, atol=atol, equal_nan=True, err_msg=what
    )


@pytest.fixture
def semantics(case: Case) -> Any:
    before = state.np_shape
    state.np_shape = case.np
    yield
    state.np_shape = before


@pytest.mark.usefixtures("semantics")
@pytest.mark.parametrize(("family", "case"), CASES)
def test_operator_gives_what_mxnet_gives(family: str, case: Case) -> None:
    """Outputs, auxiliary states and gradients of an eager call equal MXNet's."""
    facts, want = expected(family, case)
    if case.seed is not None:
        random.seed(case.seed)
    arrays = [array(a, dtype=a.dtype) for a in case.arrays()]
    op = get(case.op)

    if case.error:
        assert "error" in facts
        with pytest.raises(MXNetError), autograd.record(train_mode=case.train):
            invoke(op, arrays, dict(case.attrs), case.targets(arrays), NDArray)
        return

    floats = [i for i, a in enumerate(arrays) if np.dtype(a.dtype).kind == "f"]
    if case.grad:
        for i in floats:
            arrays[i].attach_grad()
    with autograd.record(train_mode=case.train):
        found = invoke(op, arrays, dict(case.attrs), case.targets(arrays), NDArray)
    outs = found if isinstance(found, list) else [found]
    assert len(outs) == facts["outputs"]
    for i, out in enumerate(outs):
        compare(plain(out), want[f"out{i}"], case, f"output {i}")
    if case.grad and floats:
        kept = [out for out in outs if np.dtype(out.dtype).kind == "f"]
        heads = case.heads([out.shape for out in kept], [out.dtype for out in kept])
        autograd.backward(kept, [array(h, dtype=h.dtype) for h in heads], train_mode=case.train)
        for i in floats:
            compare(plain(arrays[i].grad), want[f"grad{i}"], case, f"gradient of input {i}")
    for i, (a, before) in enumerate(zip(arrays, case.arrays(), strict=True)):
        compare(plain(a), want.get(f"in{i}", before), case, f"input {i} afterwards")


@pytest.mark.usefixtures("semantics")
@pytest.mark.parametrize(("family", "case"), [p for p in CASES if p.values[1].symbolic and not p.values[1].error])
def test_operator_in_a_network_gives_the_same(family: str, case: Case) -> None:
    """A symbol of the call, through its JSON and bound to the inputs, gives what MXNet's eager call gave; the shapes and
    dtypes that are inferred are those of the run."""
    facts, want = expected(family, case)
    arrays = [array(a, dtype=a.dtype) for a in case.arrays()]
    names = [f"in{i}" for i in range(len(arrays))]
    symbol = compose(get(case.op), [Variable(name) for name in names], case.attrs, "node")
    symbol = load_json(symbol.tojson(remove_amp_cast=False))
    given = dict(zip(names, arrays, strict=True))
    aux = {name: given[name] for name in symbol.list_auxiliary_states()}
    args = {name: given[name] for name in symbol.list_arguments()}
    floats = [n for n, a in args.items() if case.grad and np.dtype(a.dtype).kind == "f"]
    grads = {name: array(np.zeros(given[name].shape), dtype=given[name].dtype) for name in floats}

    shapes = symbol.infer_shape(**{name: a.shape for name, a in given.items()})
    dtypes = symbol.infer_type(**{name: a.dtype for name, a in given.items()})
    executor = symbol.bind(cpu(), args, grads, dict.fromkeys(floats, "write"), aux)
    if case.seed is not None:
        random.seed(case.seed)
    outs = executor.forward(is_train=case.train)

    assert len(outs) == facts["outputs"]
    assert shapes[1] == [out.shape for out in outs]
    assert dtypes[1] == [out.dtype for out in outs]
    for i, out in enumerate(outs):
        compare(plain(out), want[f"out{i}"], case, f"output {i}")
    if case.grad:
        kept = [i for i, out in enumerate(outs) if np.dtype(out.dtype).kind == "f"]
        made = case.heads([outs[i].shape for i in kept], [outs[i].dtype for i in kept])
        heads = [array(np.zeros(out.shape), dtype=out.dtype) for out in outs]
        for i, head in zip(kept, made, strict=True):
            heads[i] = array(head, dtype=head.dtype)
        executor.backward(heads)
        for name in floats:
            compare(plain(grads[name]), want[name.replace("in", "grad")], case, f"gradient of {name}")
