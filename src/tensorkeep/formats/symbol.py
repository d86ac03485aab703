"""MXNet's `-symbol.json`: a file with a graph and no tensors. Unchanged graphs are written back byte for byte."""

from __future__ import annotations

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.graph import Graph
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content
from tensorkeep.errors import UnsupportedDataError
from tensorkeep.formats import Format
from tensorkeep.formats._mxnet_symbol import dumps, loads, read

__all__ = ["FORMAT", "dumps", "loads"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    graph = read(source)
    return TensorFile(
        source=source,
        path=source.name,
        format="symbol",
        tensors={},
        tree=graph,
        graph=lambda: graph,
        notes=[_generation(graph)],
    )


def _generation(graph: Graph) -> str:
    version = graph.version
    if version is None:
        return "Written by MXNet 0.8 or older (it does not say which)."
    return f"Written by MXNet {version // 10000}.{version // 100 % 100}.{version % 100}."


def _plan(content: Content) -> WritePlan:
    if not isinstance(content.tree, Graph):
        raise UnsupportedDataError(
            "A symbol file holds a Graph (what tk.open(…-symbol.json).graph gives), not a "
            f"{type(content.tree).__name__}. "
            "Tensors go into .safetensors or .params."
        )
    if content.metadata:
        raise UnsupportedDataError("A symbol file has no room for metadata. Leave it out.")
    return WritePlan("symbol", [dumps(content.tree).encode("utf-8")])


FORMAT = Format(
    name="symbol", suffixes=("-symbol.json",), open=_open, plan=_plan, holds="the graph of a network", metadata=False
)
