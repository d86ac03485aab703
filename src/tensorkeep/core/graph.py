"""Graph and Node: what a symbol.json of MXNet holds, as it stands in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tensorkeep.errors import CorruptFileError

__all__ = ["Entry", "Graph", "Node", "mutated_inputs", "output_names"]

Entry = tuple[int, int, int]
"""An output of a node: the node's position in `Graph.nodes`, which of its outputs, version (0 but for mutated inputs)."""

_ALL_VARIABLES: tuple[int, ...] = (-1,)


def _no_attrs() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a variable (`op` is "null") or the call of an operator.

    Attributes:
        op, name: as the file has them.
        attrs: the operator's parameters and the user's own attributes, all strings. Read-only: `dataclasses.replace`
            makes a changed node.
        inputs: the outputs that it takes, in order.
        control_deps: positions of nodes that must run before it.
        subgraphs: the bodies of control-flow and fused operators.
    """

    op: str
    name: str
    attrs: Mapping[str, str] = field(default_factory=_no_attrs)
    inputs: tuple[Entry, ...] = ()
    control_deps: tuple[int, ...] = ()
    subgraphs: tuple[Graph, ...] = ()

    @property
    def is_variable(self) -> bool:
        """Whether it is an input of the network (data, a parameter, an auxiliary state) and no operator."""
        return self.op == "null"


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: nodes, and which of their outputs are the network's.

    Attributes:
        nodes: in the order of the file; inputs refer to positions here.
        heads: the network's outputs.
        arg_nodes: the positions of the variables, as the file lists them (auxiliary states are among them); by default
            those of all variables.
        node_row_ptr: how many outputs the nodes before each node have together, as MXNet writes since 0.9; None before.
        attrs: of the whole graph, e.g. {"mxnet_version": ["int", 10901]}. Read-only.
        text: the source text when the graph was read from a file and not changed; `dumps` gives it back unchanged.
    """

    nodes: tuple[Node, ...]
    heads: tuple[Entry, ...]
    arg_nodes: tuple[int, ...] = _ALL_VARIABLES
    node_row_ptr: tuple[int, ...] | None = None
    attrs: Mapping[str, Any] = field(default_factory=_no_attrs)
    text: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.arg_nodes is _ALL_VARIABLES:
            found = tuple(i for i, node in enumerate(self.nodes) if node.is_variable)
            object.__setattr__(self, "arg_nodes", found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = object.__hash__

    def _key(self) -> tuple[Any, ...]:
        return (self.nodes, self.heads, self.arg_nodes, self.node_row_ptr, dict(self.attrs))

    @property
    def version(self) -> int | None:
        """The MXNet that wrote it as major * 10000 + minor * 100 + patch (10901 is 1.9.1); None when it does not say."""
        value = self.attrs.get("mxnet_version")
        if isinstance(value, list) and len(value) == 2 and type(value[1]) is int:
            return value[1]
        return None

    def order(self) -> list[int]:
        """The positions of the nodes that the heads need, inputs first: the order in which MXNet runs and lists them.

        Raises:
            CorruptFileError: a node needs its own output.
        """
        nodes = self.nodes
        done: list[int] = []
        state = bytearray(len(nodes))  # 1: its inputs are being visited; 2: done
        for head, _, _ in self.heads:
            stack = [(head, iter(_needs(nodes[head])))] if not state[head] else []
            state[head] = state[head] or 1
            while stack:
                at, needs = stack[-1]
                for need in needs:
                    if state[need] == 1:
                        raise CorruptFileError(
                            f"The graph runs in a circle: node {at} ({nodes[at].name!r:.80}) needs node {need} "
                            f"({nodes[need].name!r:.80}), which needs it. The file is damaged or hostile."
                        )
                    if not state[need]:
                        state[need] = 1
                        stack.append((need, iter(_needs(nodes[need]))))
                        break
                else:
                    state[at] = 2
                    done.append(at)
                    stack.pop()
        return done

    def _variables(self) -> tuple[list[str], list[str]]:
        order = self.order()
        mutated = {
            node.inputs[i][0]
            for node in map(self.nodes.__getitem__, order)
            for i in _MUTATED_INPUTS.get(node.op, ())
            if i < len(node.inputs)
        }
        arguments: list[str] = []
        auxiliary: list[str] = []
        for at in order:
            if self.nodes[at].is_variable:
                (auxiliary if at in mutated else arguments).append(self.nodes[at].name)
        return arguments, auxiliary

    @property
    def arguments(self) -> list[str]:
        """The names of its inputs and parameters, in the order of MXNet's list_arguments()."""
        return self._variables()[0]

    @property
    def auxiliary(self) -> list[str]:
        """The names of its auxiliary states (running means and variances), in the order of list_auxiliary_states().

        Files of MXNet 0.8 and older do not have them as inputs; MXNet adds them when it loads such a file.
        """
        return self._variables()[1]

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs, in the order of MXNet's list_outputs()."""
        counts = self._output_counts()
        names = []
        for at, index, _ in self.heads:
            node = self.nodes[at]
            if node.is_variable:
                names.append(node.name)
                continue
            known = _OUTPUT_NAMES.get(node.op, ())
            if index < len(known):
                suffix = known[index]
            elif counts[at] == 1 and node.op not in ("SliceChannel", "split"):
                suffix = "output"
            else:
                suffix = f"output{index}"
            names.append(f"{node.name}_{suffix}" if node.name else suffix)
        return names

    def _output_counts(self) -> list[int]:
        """How many outputs each node has: by node_row_ptr, else as many as are used."""
        rows = self.node_row_ptr
        if rows is not None and len(rows) == len(self.nodes) + 1:
            return [after - before for before, after in pairwise(rows)]
        counts = [1] * len(self.nodes)
        for entries in (self.heads, *(node.inputs for node in self.nodes)):
            for at, index, _ in entries:
                counts[at] = max(counts[at], index + 1)
        return counts

    def operators(self) -> dict[str, int]:
        """How often each operator is called, subgraphs included, most frequent first; variables are not counted."""
        counts: dict[str, int] = {}
        pending = [self]
        while pending:
            graph = pending.pop()
            for node in graph.nodes:
                pending.extend(node.subgraphs)
                if not node.is_variable:
                    counts[node.op] = counts.get(node.op, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def __repr__(self) -> str:
        return f"<Graph: {len(self.nodes)} nodes, {len(self.heads)} outputs>"


def _needs(node: Node) -> list[int]:
    return [at for at, _, _ in node.inputs] + list(node.control_deps)


_BATCH_NORM = (3, 4)

_MUTATED_INPUTS: dict[str, tuple[int, ...]] = {
    "BatchNorm": _BATCH_NORM,
    "BatchNorm_v1": _BATCH_NORM,
    "CuDNNBatchNorm": _BATCH_NORM,
    "IdentityAttachKLSparseReg": (1,),
    "_contrib_BatchNormWithReLU": _BATCH_NORM,
    "_contrib_SyncBatchNorm": _BATCH_NORM,
    "_contrib_quantized_batch_norm": _BATCH_NORM,
    "_npx_batch_norm": _BATCH_NORM,
}
"""The inputs that an operator changes: its auxiliary states. Asked of MXNet 1.9.1 for each of its 902 operators."""

_QUANTIZED = ("output", "min_output", "max_output")

_OUTPUT_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("BatchNorm", "BatchNorm_v1", "CuDNNBatchNorm", "InstanceNorm"), ("output", "mean", "var")),
    **dict.fromkeys(("_contrib_SyncBatchNorm", "_npx_batch_norm"), ("output", "mean", "var")),
    **dict.fromkeys(("GroupNorm", "LayerNorm", "_npx_layer_norm"), ("output", "mean", "std")),
    **dict.fromkeys(("Dropout", "LeakyReLU", "_npx_dropout", "_npx_leaky_relu"), ("output", "mask")),
    **dict.fromkeys(("ROIPooling", "_npx_roi_pooling"), ("output", "maxidx")),
    **dict.fromkeys(("_contrib_MultiBoxTarget", "_npx_multibox_target"), ("loc_target", "loc_mask", "cls_target")),
    **dict.fromkeys(("_contrib_MultiProposal", "_contrib_Proposal"), ("output", "score")),
    **dict.fromkeys(("_npi_concatenate", "_npi_dstack", "_npi_hstack", "_npi_matmul"), ("out",)),
    **dict.fromkeys(("make_loss", "_sparse_make_loss"), ("loss",)),
    **dict.fromkeys(
        (
            f"_contrib_quantized_{name}"
            for name in ("act", "batch_norm", "concat", "conv", "elemwise_add", "elemwise_mul")
        ),
        _QUANTIZED,
    ),
    **dict.fromkeys(
        (f"_contrib_quantized_{name}" for name in ("embedding", "flatten", "fully_connected", "pooling")), _QUANTIZED
    ),
    "BilinearSampler": ("output", "tmp"),
    "Correlation": ("output", "tmp1", "tmp2"),
    "GridGenerator": ("output", "grid_dst"),
    "L2Normalization": ("output", "norm"),
    "LRN": ("output", "tmp_norm"),
    "RNN": ("output", "state_output", "statecell_output"),
    "SpatialTransformer": ("output", "grid_dst", "grid_src"),
    "_contrib_BatchNormWithReLU": ("output", "mean", "var", "workspace"),
    "_contrib_DeformablePSROIPooling": ("output", "top_count"),
    "_contrib_calibrate_entropy": ("threshold", "divergence"),
    "_contrib_hawkesll": ("output", "out_state"),
    "_contrib_quantize_asym": ("output", "scale", "shift"),
    "_sg_mkldnn_conv": ("output", "output_min", "output_max"),
    "_sg_mkldnn_fully_connected": _QUANTIZED,
    "_npi_std": ("std", "mean"),
    "_npi_var": ("var", "mean"),
}
"""What an operator calls its outputs where it is not "output" or "output0", "output1" … (MXNet 1.9.1's answers)."""


def mutated_inputs(op: str) -> tuple[int, ...]:
    """The positions of the inputs that an operator changes: its auxiliary states."""
    return _MUTATED_INPUTS.get(op, ())


def output_names(op: str) -> tuple[str, ...]:
    """What an operator calls its outputs where it is not "output" or "output0", "output1" …"""
    return _OUTPUT_NAMES.get(op, ())
