"""What MXNet 1.9.1's gluon raises, with its own sentences: types and texts that were recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet import gluon, nd
from tensorkeep.mxnet.gluon import nn

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "gluon"
ERRORS = json.loads((GOLDEN / "fixtures.json").read_text("utf-8"))["errors"]
BASE, LEGACY, FULL = (str(GOLDEN / name) for name in ("err_base.params", "err_base_legacy.params", "err_full.params"))
TYPES = {
    "builtins.AssertionError": AssertionError, "builtins.ValueError": ValueError, "builtins.RuntimeError": RuntimeError,
    "builtins.AttributeError": AttributeError, "mxnet.base.MXNetError": mx.MXNetError,
    "mxnet.gluon.parameter.DeferredInitializationError": gluon.DeferredInitializationError,
}  # fmt: skip


def net(prefix: str, *units: int, in_units: int = 0, first: int | None = None, dtype: str = "float32") -> Any:
    made = nn.Sequential(prefix=prefix)
    with made.name_scope():
        for i, size in enumerate(units):
            made.add(nn.Dense(size, in_units=(first if first is not None and i == 0 else in_units), dtype=dtype))
    return made


def base(prefix: str = "e_") -> Any:
    made = nn.Sequential(prefix=prefix)
    with made.name_scope():
        made.add(nn.Dense(4, in_units=3), nn.Dense(2, in_units=4))
    return made


def initialised(made: Any, ctx: Any = None) -> Any:
    made.initialize(ctx=ctx)
    return made


def unscoped() -> Any:
    made = nn.Sequential(prefix="ns_")
    made.add(nn.Dense(2, in_units=2, prefix="other_"))
    made.initialize()
    return made


def traced_imports(names: list[str], params: str, **options: Any) -> Any:
    return gluon.SymbolBlock.imports(str(GOLDEN / "cnn-symbol.json"), names, str(GOLDEN / params), **options)


CASES: dict[str, Callable[[str], Any]] = {
    "load_parameters_missing_structural": lambda tmp: net("e3_", 4, 2, 2).load_parameters(BASE),
    "load_parameters_missing_legacy": lambda tmp: net("e3_", 4, 2, 2).load_parameters(LEGACY),
    "load_parameters_extra_structural": lambda tmp: net("e1_", 4).load_parameters(BASE),
    "load_parameters_extra_legacy": lambda tmp: net("e1_", 4).load_parameters(LEGACY),
    "load_parameters_shape_deferred_ok?_structural": lambda tmp: net("ew_", 5, 2).load_parameters(BASE),
    "load_parameters_shape_deferred_ok?_legacy": lambda tmp: net("ew_", 5, 2).load_parameters(LEGACY),
    "load_parameters_missing_allow": lambda tmp: net("e3_", 4, 2, 2).load_parameters(BASE, allow_missing=True),
    "load_parameters_extra_ignore": lambda tmp: net("e1_", 4).load_parameters(BASE, ignore_extra=True),
    "load_parameters_shape_mismatch": lambda tmp: initialised(net("ewi_", 4, 2, first=7)).load_parameters(BASE),
    "load_parameters_shape_mismatch_legacy": lambda tmp: net("ewi_", 4, 2, first=7).load_parameters(LEGACY),
    "load_parameters_dtype_mismatch": lambda tmp: net("e16_", 4, 2, dtype="float16").load_parameters(BASE),
    "load_parameters_dtype_source_bad": lambda tmp: base().load_parameters(BASE, cast_dtype=True, dtype_source="x"),
    "load_parameters_nofile": lambda tmp: base().load_parameters("/nonexistent/p.params"),
    "load_parameters_list_file": lambda tmp: (nd.save(tmp, [nd.ones(2)]), base().load_parameters(tmp)),
    "load_parameters_ctx_conflict": lambda tmp: initialised(base()).load_parameters(BASE, ctx=mx.cpu(1)),
    "load_parameters_ctx_conflict_deferred": lambda tmp: initialised(net("e19_", 4, 2)).load_parameters(
        BASE, ctx=mx.cpu(1)
    ),
    "save_parameters_uninit": lambda tmp: net("u_", 4).save_parameters(tmp),
    "save_parameters_deferred": lambda tmp: initialised(net("u2_", 4)).save_parameters(tmp),
    "forward_uninit": lambda tmp: net("u3_", 4, first=3)(nd.ones((1, 3))),
    "export_not_hybridized": lambda tmp: nn.HybridSequential().export(tmp),
    "export_hybridized_not_run": lambda tmp: (lambda n: (n.hybridize(), n.export(tmp)))(nn.HybridSequential()),
    "save_params_no_name_scope": lambda tmp: unscoped().save_params(tmp),
    "pd_save_strip_wrong": lambda tmp: initialised(base()).collect_params().save(tmp, strip_prefix="zzz_"),
    "pd_load_missing": lambda tmp: base("e3_").collect_params().load(FULL),
    "pd_load_extra": lambda tmp: net("e1_", 4).collect_params().load(FULL, allow_missing=True),
    "pd_load_restore_prefix_wrong": lambda tmp: base().collect_params().load(FULL, restore_prefix="zzz_"),
    "imports_missing_param": lambda tmp: traced_imports(["data"], "multi-0000.params"),
    "imports_wrong_input_name": lambda tmp: traced_imports(["nope"], "cnn-0007.params"),
    "imports_nofile": lambda tmp: gluon.SymbolBlock.imports("/nonexistent-symbol.json", ["data"]),
    "imports_missing_allow_extra_ignore": lambda tmp: traced_imports(
        ["data"], "multi-0000.params", allow_missing=True, ignore_extra=True
    ),
    "param_data_uninit": lambda tmp: gluon.Parameter("w", shape=(2, 2)).data(),
    "param_set_data_shape": lambda tmp: initialised(base())[0].weight.set_data(nd.ones((9, 9))),
    "load_dict_pd": lambda tmp: base().collect_params().load_dict({"zzz": nd.ones((1,))}),
}


def said(text: str) -> str:
    """MXNet's own sentence, without the C++ file, line and condition, and without folders."""
    text = text.replace("<OUT>/gluon", str(GOLDEN))
    return text[text.index("Open ") :] if "No such file" in text else text


@pytest.mark.filterwarnings("ignore:save_params is deprecated", "ignore:Cannot decide type")
@pytest.mark.parametrize("name", CASES)
def test_errors_are_mxnets(name: str, tmp_path: Path) -> None:
    """Type and text of the exception, or the result where MXNet gave one."""
    recorded = ERRORS[name]
    if recorded["raised"] is None:
        assert str(CASES[name](str(tmp_path / "file"))) == recorded["result"]
        return

    with pytest.raises(TYPES[recorded["raised"]]) as caught:
        CASES[name](str(tmp_path / "file"))

    assert said(str(caught.value)) == said(recorded["message"])


def test_every_recorded_error_has_its_case() -> None:
    """What gluon raised when the record was made, but for casts of dtype, which have their own test."""
    assert set(ERRORS) - set(CASES) == {"load_parameters_dtype_cast_current", "load_parameters_dtype_cast_saved"}


@pytest.mark.parametrize("source", ["current", "saved"])
def test_dtypes_are_cast(source: str) -> None:
    """cast_dtype keeps the network's dtype, or takes the file's."""
    made = net("c_", 4, 2, dtype="float16")

    made.load_parameters(BASE, cast_dtype=True, dtype_source=source)

    found = str([str(param.dtype) for param in made.collect_params().values()])
    assert found == ERRORS[f"load_parameters_dtype_cast_{source}"]["result"]


def test_failed_loading_leaves_what_was_there() -> None:
    """Missing names are found before anything is set."""
    made = initialised(net("k_", 4, 2, 2, first=3))
    before = made[0].weight.data().asnumpy()

    with pytest.raises(AssertionError, match="is missing in file"):
        made.load_parameters(BASE)

    assert (made[0].weight.data().asnumpy() == before).all()
