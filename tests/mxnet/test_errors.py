"""What MXNet 1.9.1 raises, with its own sentences, outside of gluon (whose errors are in gluon/test_errors.py).

The calls are in cases_errors.py; `python tools/mxnet_errors.py`, run by an interpreter that has MXNet 1.9.1, asks it again.
"""

from __future__ import annotations

import builtins
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.cases_errors import CASES

GOLDEN = Path(__file__).parents[1] / "golden" / "mxnet"
ERRORS = json.loads((GOLDEN / "errors.json").read_text("utf-8"))

WIDER = {
    "forward_fp16_dense_cpu": "1.0|2.0|3.0",
    "sym_loads": r"\['d'\]",
    "sym_load_unknown_op": r"\['q_output'\]",
}
"""What MXNet refuses and tensorkeep does: the result's text."""

OWN_WORDS = {
    "nd_gpu_on_cpu": "GPU",
    "nd_load_frombuffer_truncated": "the file ends|ends at|cut off",
    "sym_load_bad_json": r"not valid JSON at byte 0 \(Expecting value; found 'not json'\)",
    "sym_load_empty_obj": "the field 'nodes' is missing",
    "sym_load_extra_key": "node 1: unknown field 'zzz'; known are attr, attrs, backward_source_id, control_deps",
    "sym_load_head_oob": '"heads" refers to node 7; there are 1',
}
"""Where MXNet's sentence is a condition of its C++ code: what ours says instead."""


def sentence(text: str) -> str:
    """MXNet's own sentence, without the C++ file, line and condition."""
    text = re.sub(r'^Traceback.*\n  File ".*\n', "", text)
    text = re.sub(r"^(\w+: )?Check failed: .*?(is_np_shape\(\)|null|\d\)) ?: ?:?", r"", text)
    return text.removeprefix("MXNetError: ").removeprefix("LocalFileSystem: ").strip()


@pytest.mark.filterwarnings("ignore:Cannot decide")
@pytest.mark.parametrize("name", CASES)
def test_calls_are_refused_as_mxnet_refuses_them(name: str, tmp_path: Path) -> None:
    """The class of the exception and its sentence, or the same result where MXNet refuses nothing."""
    recorded = ERRORS[name]
    path = str(tmp_path / "file")
    if recorded["raised"] is None or name in WIDER:
        found = str(CASES[name](mx, path, GOLDEN))

        assert re.fullmatch(WIDER[name], found) if name in WIDER else found == recorded["text"]
        return

    with pytest.raises(Exception) as caught:  # its class is compared below
        CASES[name](mx, path, GOLDEN)

    module, _, cls = recorded["raised"].rpartition(".")
    assert type(caught.value) is (getattr(builtins, cls) if module == "builtins" else mx.MXNetError)
    if name in OWN_WORDS:
        assert re.search(OWN_WORDS[name], str(caught.value))
    else:
        assert sentence(recorded["text"]) in str(caught.value)


def test_what_is_said_otherwise_is_recorded_too() -> None:
    """No case is passed over: all have MXNet's answer, and the exceptions are cases."""
    assert set(ERRORS) == set(CASES)
    assert set(WIDER) | set(OWN_WORDS) <= set(CASES)
    assert all(ERRORS[name]["raised"] for name in (*WIDER, *OWN_WORDS))
