"""Calls that MXNet 1.9.1 refuses, or takes where one might expect a refusal: for it and for tensorkeep.mxnet alike.

`python tools/mxnet_errors.py`, run by an interpreter that has MXNet 1.9.1, writes tests/golden/mxnet/errors.json. Each case
gets the package, a path for a file, and the folder of MXNet's golden files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

VARIABLE = {"op": "null", "name": "d", "inputs": []}


def symbol(*nodes: dict[str, Any], heads: list[list[int]] | None = None, version: int = 10901) -> str:
    """The JSON of a network."""
    return json.dumps(
        {
            "nodes": list(nodes),
            "arg_nodes": [i for i, node in enumerate(nodes) if node["op"] == "null"],
            "heads": heads or [[len(nodes) - 1, 0, 0]],
            "attrs": {"mxnet_version": ["int", version]},
        }
    )


def node(op: str, at: int = 0, **more: Any) -> dict[str, Any]:
    """An operator of one input."""
    return {"op": op, "name": "q", "inputs": [[at, 0, 0]], **more}


def _load_json(mx: Any, text: str) -> Any:
    return mx.sym.load_json(text)


def _under_np(call: Callable[[Any, str, Path], Any], *, shapes_only: bool = False) -> Callable[[Any, str, Path], Any]:
    def inside(mx: Any, path: str, golden: Path) -> Any:
        mx.npx.set_np(shape=True, array=not shapes_only)
        try:
            return call(mx, path, golden)
        finally:
            mx.npx.reset_np()

    return inside


def _np_array(mx: Any) -> Any:
    with mx.util.np_shape(True), mx.util.np_array(True):
        return mx.np.ones(2)


def _cut(mx: Any, path: str, golden: Path) -> Any:
    mx.nd.save(path, [mx.nd.ones(3)])
    return mx.nd.load_frombuffer(Path(path).read_bytes()[:-9])


def _sparse(mx: Any, path: str, golden: Path) -> Any:
    return mx.nd.save(path, [mx.nd.ones((2, 2)).tostype("csr")])


def _unpickle(mx: Any, path: str, golden: Path) -> Any:
    with mx.util.np_shape(True), mx.util.np_array(True):
        made = mx.np.ones(2)
        kept = made.__getstate__()
    return made.__setstate__(kept)


def _module(**params: Any) -> Callable[[Any, str, Path], Any]:
    def set_params(mx: Any, path: str, golden: Path) -> Any:
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc1")
        module = mx.mod.Module(net, label_names=None)
        module.bind([("data", (1, 3))])
        values = {"fc1_weight": mx.nd.ones((2, 3)), "fc1_bias": mx.nd.ones(2), "zzz": mx.nd.ones(1)}
        return module.set_params(values, {}, **params)

    return set_params


def _twice(mx: Any, path: str, golden: Path) -> Any:
    twice = mx.sym.exp(mx.sym.exp(mx.sym.Variable("a"), name="q"), name="q")
    return type(twice.bind(mx.cpu(), {"a": mx.nd.ones(1)})).__name__


CASES: dict[str, Callable[[Any, str, Path], Any]] = {
    "np_load_of_v2_file": _under_np(lambda mx, path, golden: mx.npx.load(str(golden / "nd" / "dict.params"))),
    "nd_save_np_ndarray": lambda mx, path, golden: mx.nd.save(path, _np_array(mx)),
    "npx_save_nd": _under_np(lambda mx, path, golden: mx.npx.save(path, [mx.nd.ones(2)])),
    "npx_save_tuple": _under_np(lambda mx, path, golden: mx.npx.save(path, (mx.np.ones(2),))),
    "npx_load_pathlib": _under_np(lambda mx, path, golden: mx.npx.load(Path(path))),
    "nd_load_of_v3_file": lambda mx, path, golden: mx.nd.load(str(golden / "np" / "single")),
    "nd_save_sparse_in_np_shape": _under_np(_sparse, shapes_only=True),
    "nd_load_v2_in_np_shape_ctx": _under_np(
        lambda mx, path, golden: mx.nd.load(str(golden / "nd" / "dict.params")), shapes_only=True
    ),
    "npx_save_outside_np": lambda mx, path, golden: mx.npx.save(path, _np_array(mx)),
    "npx_load_outside_np": lambda mx, path, golden: mx.npx.load(str(golden / "np" / "single")),
    "nd_zero_size_legacy": lambda mx, path, golden: mx.nd.zeros((0, 3)),
    "nd_0d_legacy": lambda mx, path, golden: mx.nd.zeros(()),
    "nd_save_tuple": lambda mx, path, golden: mx.nd.save(path, (mx.nd.ones(1),)),
    "nd_save_numpy": lambda mx, path, golden: mx.nd.save(path, [np.ones(1)]),
    "nd_save_intkeys": lambda mx, path, golden: mx.nd.save(path, {1: mx.nd.ones(1)}),
    "nd_save_int": lambda mx, path, golden: mx.nd.save(path, 3),
    "nd_save_nodir": lambda mx, path, golden: mx.nd.save("/nonexistent/dir/x.params", [mx.nd.ones(1)]),
    "nd_load_nofile": lambda mx, path, golden: mx.nd.load("/nonexistent/x.params"),
    "nd_load_pathlib": lambda mx, path, golden: mx.nd.load(Path(path)),
    "nd_load_frombuffer_int": lambda mx, path, golden: mx.nd.load_frombuffer(3),
    "nd_load_frombuffer_truncated": _cut,
    "sym_loads": lambda mx, path, golden: mx.sym.loads(symbol(VARIABLE)).list_arguments(),
    "nd_gpu_on_cpu": lambda mx, path, golden: mx.nd.ones(2, ctx=mx.gpu()),
    "forward_fp16_dense_cpu": lambda mx, path, golden: mx.nd.FullyConnected(
        *[mx.nd.ones(shape, dtype="float16") for shape in ((1, 2), (3, 2), (3,))], num_hidden=3
    ).asnumpy()[0, 0],
    "module_set_params_extra": _module(),
    "module_set_params_extra_allow": _module(allow_extra=True),
    "model_load_params_noprefix": lambda mx, path, golden: mx.model.load_params("/nonexistent/none", 1),
    "unpickle_np_outside_np": _unpickle,
    "sym_load_bad_json": lambda mx, path, golden: _load_json(mx, "not json"),
    "sym_load_empty_obj": lambda mx, path, golden: _load_json(mx, "{}"),
    "sym_load_unknown_op": lambda mx, path, golden: _load_json(mx, symbol(VARIABLE, node("NoSuchOp"))).list_outputs(),
    "sym_load_bad_attr": lambda mx, path, golden: _load_json(
        mx, symbol(VARIABLE, node("Activation", attrs={"act_type": "bogus"}))
    ),
    "sym_load_extra_key": lambda mx, path, golden: _load_json(mx, symbol(VARIABLE, node("exp", zzz=1))),
    "sym_load_forward_ref": lambda mx, path, golden: _load_json(
        mx, symbol(node("exp", 1), VARIABLE, heads=[[0, 0, 0]])
    ).tojson(),
    "sym_load_head_oob": lambda mx, path, golden: _load_json(mx, symbol(VARIABLE, heads=[[7, 0, 0]])),
    "sym_load_nofile": lambda mx, path, golden: mx.sym.load("/nonexistent-symbol.json"),
    "sym_load_pathlib": lambda mx, path, golden: mx.sym.load(Path(path)),
    "sym_future_version": lambda mx, path, golden: _load_json(mx, symbol(VARIABLE, version=20000)).tojson(),
    "sym_dup_names": _twice,
}
