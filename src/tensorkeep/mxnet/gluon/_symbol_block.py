"""SymbolBlock: a block around a Symbol, such as an exported network or the features of another one."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray, symbol
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.gluon._hybrid import HybridBlock
from tensorkeep.mxnet.gluon._parameter_dict import ParameterDict
from tensorkeep.mxnet.gluon._structure import check_symbols, flatten, regroup

__all__ = ["SymbolBlock"]

_ROW_SPARSE = "1"
_default_ctx = Context._default_ctx


class SymbolBlock(HybridBlock):
    """A block that computes a Symbol.

    Args:
        outputs: a Symbol, or a list of them.
        inputs: the variables of `outputs` that are its inputs; all others become Parameters.
        params: the ParameterDict to take Parameters from, to share them.
    Raises:
        AssertionError: an input is no variable, or a variable is row_sparse.
    """

    @staticmethod
    def imports(
        symbol_file: str,
        input_names: str | list[str],
        param_file: str | None = None,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
    ) -> SymbolBlock:
        """The block of a network that HybridBlock.export or Module.save_checkpoint wrote.

        Args:
            symbol_file, param_file: `prefix-symbol.json` and `prefix-0000.params`; without the second, the block is
                not initialised.
            input_names: the variables that are its inputs.
            ctx: where the Parameters are put.
            allow_missing, ignore_extra: see Block.load_parameters.
        """
        graph = symbol.load(os.fspath(symbol_file))
        if state.np_array:
            graph = graph.as_np_ndarray()
        names = [input_names] if isinstance(input_names, str) else input_names
        # Without a file, dtypes follow from float32 inputs; with one, from what was saved.
        dtype = np.float32 if param_file is None else None
        inputs = [symbol.var(name, dtype=dtype) for name in names]
        if state.np_array:
            inputs = [variable.as_np_ndarray() for variable in inputs]
        block = SymbolBlock(graph, inputs)
        if param_file is not None:
            block.collect_params().load(
                param_file, ctx, allow_missing, ignore_extra, cast_dtype=True, dtype_source="saved"
            )
        return block

    def __init__(self, outputs: Any, inputs: Any, params: Any = None) -> None:
        super().__init__(prefix=None, params=None)
        self._prefix = ""
        self._params = ParameterDict("", params)
        if isinstance(inputs, symbol.Symbol) and len(inputs.list_outputs()) == 1:
            inputs = [inputs]
        if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
            outputs = outputs[0]
        variables, self._in_format = flatten(inputs, "input")
        heads, self._out_format = flatten(outputs, "output")
        for variable in variables:
            assert len(variable.get_internals().list_outputs()) == 1, (
                f"Input symbols must be variable, but {variable} is an output of operators"
            )
        for head in heads:
            for node in head.get_internals():
                assert node.attr("__storage_type__") != _ROW_SPARSE, (
                    f"SymbolBlock doesn't support Parameter '{node.name}' because its storage type is 'row_sparse'."
                )
        check_symbols(heads)
        graph = symbol.Group(heads, type(heads[0])) if len(heads) > 1 else heads[0]
        self._make_params(graph, variables)
        self._cached_graph = variables, graph
        common = _common(list(self._params.keys()))
        self._reg_params = {name[common:]: param for name, param in self._params.items()}

    def _make_params(self, graph: Any, variables: list[Any]) -> None:
        inputs = {variable.name for variable in variables}
        arguments, auxiliaries = graph.list_arguments(), graph.list_auxiliary_states()
        argument_types, auxiliary_types = _types(variables, graph, len(arguments), len(auxiliaries))
        for name, dtype in zip(arguments, argument_types, strict=True):
            if name not in inputs:
                self.params.get(name, allow_deferred_init=True, dtype=dtype)
        for name, dtype in zip(auxiliaries, auxiliary_types, strict=True):
            if name not in inputs:
                self.params.get(name, grad_req="null", allow_deferred_init=True, dtype=dtype)

    def __repr__(self) -> str:
        inputs, graph = self._cached_graph
        return f"{type(self).__name__}(\n{graph} : {len(inputs)} -> {len(graph.list_outputs())}\n)"

    def forward(self, x: Any, *args: Any) -> Any:
        """Compute the Symbol on arrays, or put symbols in the place of its inputs."""
        if isinstance(x, ndarray.NDArray):
            before = getattr(_default_ctx, "value", None)
            _default_ctx.value = x._ctx
            try:
                return self._call_cached_op(x, *args)
            finally:
                _default_ctx.value = before
        assert isinstance(x, symbol.Symbol), (
            f"HybridBlock requires the first argument to forward be either Symbol or NDArray, but got {type(x)}"
        )
        flat, form = flatten([x, *args], "input")
        assert form == self._in_format, "Invalid input format"
        inputs, graph = self._cached_graph
        made = copy.copy(graph)
        made._compose(**{variable.name: value for variable, value in zip(inputs, flat, strict=True)})
        return regroup(list(made), self._out_format)

    def _clear_cached_op(self) -> None:
        graph = getattr(self, "_cached_graph", ())
        super()._clear_cached_op()
        self._cached_graph = graph

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its Parameters; those of BatchNorm stay float32 when the others become float16."""
        self._clear_cached_op()
        super().cast(dtype)
        if np.dtype(dtype).name != "float16":
            return
        names = self._cached_graph[1].get_internals().list_inputs()
        for name in names:
            for kind in ("running", "moving"):
                stem = name.removesuffix(f"{kind}_var")
                siblings = [f"{stem}{kind}_mean", f"{stem}gamma", f"{stem}beta"]
                if stem != name and all(sibling in names for sibling in siblings):
                    for param in (name, *siblings):
                        self.params.get(param).cast("float32")

    def hybrid_forward(self, F: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Not used: the Symbol is what is computed."""
        raise NotImplementedError

    def reset_ctx(self, ctx: Any) -> None:
        """Move its Parameters to another Context, or to a list of them."""
        self.collect_params().reset_ctx(ctx)


def _common(names: list[str]) -> int:
    """How many characters all names begin with."""
    return next(
        (i for i, each in enumerate(zip(*names, strict=False)) if len(set(each)) > 1), min(map(len, names), default=0)
    )


def _types(variables: list[Any], graph: Any, arguments: int, auxiliaries: int) -> tuple[list[Any], list[Any]]:
    """The dtypes of the arguments and auxiliary states; float32 where they do not follow from the inputs."""
    found: tuple[Any, Any, Any] = (None, None, None)
    known = {}
    for variable in variables:
        types = variable.infer_type()[0]
        if not types:
            break
        known[variable.name] = types[0]
    else:
        try:
            found = graph.infer_type(**known)
        except MXNetError:
            found = (None, None, None)  # the graph itself will say what does not fit, when it is run
    own, _, states = found
    if own is None or len(own) != arguments:
        own = [np.float32] * arguments
    if states is None or len(states) != auxiliaries:
        states = [np.float32] * auxiliaries
    return own, states
