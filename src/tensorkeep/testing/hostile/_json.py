"""Graphs and shard indexes as JSON, with depths, cycles and paths that lead away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tensorkeep.testing.hostile._case import Case
from tensorkeep.testing.hostile._safetensors import framed

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    """symbol.json and .safetensors.index.json."""
    for name, data, why in _symbols():
        yield Case(f"symbol/{name}", "x-symbol.json", data, why)
    yield from _indexes()


def _graph(nodes: list[Any] | None = None, **changed: Any) -> bytes:
    var = {"op": "null", "name": "data", "inputs": []}
    relu = {"op": "relu", "name": "r", "inputs": [[0, 0, 0]]}
    graph = {"nodes": [var, relu] if nodes is None else nodes, "arg_nodes": [0], "heads": [[1, 0, 0]]} | changed
    return json.dumps(graph).encode()


def _symbols() -> Iterator[tuple[str, bytes, str]]:
    var: dict[str, Any] = {"op": "null", "name": "data", "inputs": []}

    def op(*inputs: list[int], **changed: Any) -> dict[str, Any]:
        return {"op": "relu", "name": "r", "inputs": list(inputs)} | changed

    opening = b'{"nodes":[{"op":"relu","name":"r","inputs":[],"subgraphs":['
    nested = opening * 1_000 + _graph() + b']}],"arg_nodes":[],"heads":[[0,0,0]]}' * 1_000
    lies: dict[str, tuple[bytes, str]] = {
        "deep": (b'{"nodes":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "100,000 arrays inside each other"),
        "deep-unclosed": (b'{"nodes":' + b'[{"a":' * 50_000, "arrays that are never closed"),
        "deep-subgraphs": (nested, "1,000 graphs inside each other"),
        "cycle": (_graph([var, op([2, 0, 0]), op([1, 0, 0])]), "two nodes that need each other"),
        "cycle-itself": (_graph([var, op([1, 0, 0])]), "a node that needs itself"),
        "input-beyond": (_graph([var, op([9, 0, 0])]), "an input that is not there"),
        "input-negative": (_graph([var, op([-1, 0, 0])]), "input -1"),
        "input-huge": (_graph([var, op([2**62, 0, 0])]), "input 2**62"),
        "input-output-negative": (_graph([var, op([0, -1, 0])]), "output -1"),
        "input-short": (_graph([var, op([0])]), "an input of one number"),
        "input-long": (_graph([var, op([0, 0, 0, 0])]), "an input of four numbers"),
        "input-text": (_graph([var, op(["0", 0, 0])]), "an input that is a string"),  # type: ignore[list-item]  # the lie
        "input-float": (_graph([var, op([0.0, 0, 0])]), "an input that is a float"),  # type: ignore[list-item]  # the lie
        "input-true": (_graph([var, op([True, 0, 0])]), "an input that is true"),
        "inputs-object": (_graph([var, op(inputs={})]), "an object as inputs"),
        "inputs-missing": (_graph([{"op": "null", "name": "data"}, op([0, 0, 0])]), "no inputs"),
        "head-beyond": (_graph(heads=[[7, 0, 0]]), "a head that is not there"),
        "head-negative": (_graph(heads=[[-1, 0, 0]]), "head -1"),
        "heads-object": (_graph(heads={"0": 1}), "an object as heads"),
        "heads-missing": (json.dumps({"nodes": [var], "arg_nodes": [0]}).encode(), "no heads"),
        "arg-beyond": (_graph(arg_nodes=[7]), "an argument that is not there"),
        "arg-negative": (_graph(arg_nodes=[-1]), "argument -1"),
        "arg-text": (_graph(arg_nodes=["0"]), "an argument that is a string"),
        "nodes-object": (_graph(nodes={"0": var}), "an object as nodes"),  # type: ignore[arg-type]  # the lie
        "node-list": (_graph([var, ["relu", "r", [[0, 0, 0]]]]), "a list as node"),
        "node-null": (_graph([var, None]), "null as node"),
        "name-number": (_graph([var, op([0, 0, 0], name=5)]), "a number as name"),
        "name-missing": (_graph([var, {"op": "relu", "inputs": [[0, 0, 0]]}]), "no name"),
        "op-number": (_graph([var, op([0, 0, 0], op=5)]), "a number as operator"),
        "op-missing": (_graph([var, {"name": "r", "inputs": [[0, 0, 0]]}]), "no operator"),
        "attrs-list": (_graph([var, op([0, 0, 0], attrs=["a"])]), "a list as attributes"),
        "attrs-number": (_graph([var, op([0, 0, 0], attrs={"a": 1})]), "a number as attribute"),
        "unknown-key": (_graph([var, op([0, 0, 0], exec="x")]), "an unknown key in a node"),
        "unknown-graph-key": (_graph(zzz=1), "an unknown key in the graph"),
        "duplicate-key": (_graph()[:-1] + b', "heads": [[0, 0, 0]]}', "a key twice"),
        "second-value": (_graph() + b"{}", "a second value behind the first"),
        "nan": (_graph().replace(b"[[1, 0, 0]]", b"[[NaN, 0, 0]]"), "NaN as head"),
        "digits": (_graph().replace(b"[[1, 0, 0]]", b"[[" + b"9" * 100_000 + b", 0, 0]]"), "100,000 digits"),
        "not-utf8": (_graph().replace(b"data", b"d\xff"), "no UTF-8"),
        "surrogate": (_graph().replace(b"data", b"\\ud800"), "a lone surrogate"),
        "cut": (_graph()[:-5], "cut"),
    }
    for name, (data, why) in lies.items():
        yield name, data, why


_SHARD = framed('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')


def _indexes() -> Iterator[Case]:
    paths = {
        "up": "../model-1.safetensors",
        "up-inside": "x/../../model-1.safetensors",
        "absolute": "/etc/passwd",
        "backslash": "..\\model-1.safetensors",
        "drive": "C:\\model-1.safetensors",
        "drive-relative": "C:model-1.safetensors",
        "unc": "\\\\host\\share\\x.safetensors",
        "url": "https://127.0.0.1/x.safetensors",
        "file-url": "file:///etc/passwd",
        "nul": "model-1.safetensors\0.txt",
        "empty": "",
        "dot": ".",
        "dots": "..",
        "folder": "./",
        "missing": "model-9.safetensors",
        "index-itself": "x.safetensors.index.json",
        "device": "/dev/zero",
        "tilde": "~/x.safetensors",
        "long": "x" * 5_000,
    }

    def index(weight_map: Any, **more: Any) -> bytes:
        return json.dumps({"metadata": {"total_size": 16}, "weight_map": weight_map} | more).encode()

    def case(name: str, data: bytes, why: str) -> Case:
        return Case(f"index/{name}", "x.safetensors.index.json", data, why, beside=(("model-1.safetensors", _SHARD),))

    for name, path in paths.items():
        yield case(f"path-{name}", index({"a": path}), f"a shard at {path[:40]!r}")
    lies: dict[str, tuple[bytes, str]] = {
        "map-list": (index(["model-1.safetensors"]), "a list as weight map"),
        "map-number": (index({"a": 1}), "a number as shard"),
        "map-null": (index({"a": None}), "null as shard"),
        "map-nested": (index({"a": {"b": "model-1.safetensors"}}), "an object as shard"),
        "map-missing": (b'{"metadata": {}}', "no weight map"),
        "tensor-missing": (
            index({"a": "model-1.safetensors", "b": "model-1.safetensors"}),
            "a tensor that no shard has",
        ),
        "tensor-extra": (index({"b": "model-1.safetensors"}), "a tensor that the index does not name"),
        "name-twice": (
            b'{"metadata":{},"weight_map":{"a":"model-1.safetensors","\\u0061":"model-1.safetensors"}}',
            "a name twice",
        ),
        "deep": (
            b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b',"weight_map":{}}',
            "100,000 arrays inside each other",
        ),
        "array": (b'["weight_map"]', "an array as index"),
        "cut": (index({"a": "model-1.safetensors"})[:-3], "cut"),
        "structure": (
            index({"a": "model-1.safetensors"}, metadata={"tensorkeep.format": "1", "tensorkeep.structure": '["zz"]'}),
            "a stored structure that is none",
        ),
    }
    for name, (data, why) in lies.items():
        yield case(name, data, why)
