"""Executor: a network bound to arrays, which computes its outputs and gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import NAMES, name_of
from tensorkeep.mxnet._executor_arrays import (
    REQUESTS,
    copy_into,
    from_buffer,
    listed,
    resized,
    shared_or_zeros,
    simple_requests,
    zeros_of,
)
from tensorkeep.mxnet._history import follow_whole, shadow, shadows
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._runner import Runner
from tensorkeep.mxnet._sparse_graph import SparseFlow
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.symbol._infer import from_user, infer_dtypes, infer_shapes, known
from tensorkeep.mxnet.symbol._node import Node, post_order, variables

if TYPE_CHECKING:
    from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["Executor", "bind", "simple_bind"]

_LOSSES = frozenset(
    {
        "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput", "MakeLoss", "SVMOutput",
        "SoftmaxOutput", "make_loss",
    }
)  # fmt: skip
"""Operators whose gradient does not depend on that of their output."""

_RANDOM = ("_random_", "_sample_", "sample_", "_npi_uniform", "_npi_normal", "_npi_bernoulli", "_npi_gamma")
"""Operators whose results have gradients and are drawn at random, in training or not; Dropout may be one more."""

_NO_LOSS = (
    "Because the last operator is not Loss function, head_gradient is required when calling backward. If you are "
    "attempting to minimize the output as an objective, please modify your network and pass it through the make_loss "
    "symbol."
)


class Executor:
    """Runs a network on arrays that stay the same: forward() writes the outputs, backward() the gradients.

    Attributes:
        arg_arrays, aux_arrays: the arrays of the arguments and auxiliary states, in the order of the symbol's lists.
        grad_arrays: the gradients of the arguments; None where none is asked for.
        outputs: the outputs of the last forward(); the next one writes into the same arrays.
    """

    arg_arrays: list[Any]
    grad_arrays: Any
    aux_arrays: list[Any]

    def __init__(self, runner: Runner, symbol: Symbol, ctx: Context, grad_req: Any, group2ctx: Any) -> None:
        self._runner = runner
        self._symbol = symbol
        self._ctx = ctx
        self._grad_req = grad_req
        self._group2ctx = group2ctx
        self._argument_names = symbol.list_arguments()
        self._auxiliary_names = symbol.list_auxiliary_states()
        self._requests: list[str] = []
        # backward() after forward(is_train=False) runs the network again; random numbers must stay the same.
        self._draws = any(
            node.op.startswith(_RANDOM) or (node.op == "Dropout" and node.complete["mode"] == "always")
            for node in post_order(symbol._outputs)
        )
        self._cuts = any(
            node.op in ("Cast", "amp_cast") and "int" in node.complete["dtype"] for node in post_order(symbol._outputs)
        )
        self._casts = any(node.op == "cast_storage" for node in post_order(symbol._outputs))
        self._order: list[tuple[bool, int]] = []
        self._leaves: list[tuple[int, torch.Tensor]] = []
        self._states: list[tuple[Any, torch.Tensor]] = []
        self._results: list[torch.Tensor] | None = None
        self._was_train = False
        self._outputs: list[Any] | None = None
        self._monitor: Callable[[bytes, Any], None] | None = None
        self._monitor_all = False

    def _fill(self, args: list[Any], grads: list[Any] | None, aux: list[Any], requests: list[str]) -> Executor:
        self.arg_arrays, self.grad_arrays, self.aux_arrays = args, grads, aux
        have = [grads is not None and grad is not None for grad in grads or [None] * len(args)]
        self._requests = [r if ok else "null" for r, ok in zip(requests, have, strict=True)]
        nodes = post_order(self._symbol._outputs)
        arguments, auxiliary = ({id(n): i for i, n in enumerate(group)} for group in variables(nodes))
        # For each value that the runner takes: is it an argument, and which?
        self._order = [
            (id(n) in arguments, arguments.get(id(n), auxiliary.get(id(n), 0))) for n in nodes if n.is_variable
        ]
        return self

    # -- arrays by name

    @staticmethod
    def _named(names: Sequence[str], arrays: Iterable[Any]) -> dict[str, Any]:
        if len(set(names)) != len(names):
            raise ValueError(f"Duplicate names detected, {names}")
        return dict(zip(names, arrays, strict=False))

    @property
    def arg_dict(self) -> dict[str, Any]:
        """The arguments by name."""
        return self._named(self._argument_names, self.arg_arrays)

    @property
    def grad_dict(self) -> dict[str, Any]:
        """The gradients by the names of the arguments; None where none is asked for."""
        return self._named(self._argument_names, self.grad_arrays or [None] * len(self.arg_arrays))

    @property
    def aux_dict(self) -> dict[str, Any]:
        """The auxiliary states by name."""
        return self._named(self._auxiliary_names, self.aux_arrays)

    @property
    def output_dict(self) -> dict[str, Any]:
        """The outputs by name."""
        return self._named(self._symbol.list_outputs(), self.outputs)

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the last forward(); zeros before the first."""
        if self._outputs is None:
            given = dict(zip((id(n) for n in self._argument_nodes()), (a.shape for a in self.arg_arrays), strict=True))
            shapes = infer_shapes(self._symbol._outputs, given)
            kinds = {id(n): NAMES[a._t.dtype] for n, a in zip(self._argument_nodes(), self.arg_arrays, strict=True)}
            dtypes = infer_dtypes(self._symbol._outputs, kinds)
            self._outputs = [
                zeros_of(shapes[id(n), i] or (), dtypes.get((id(n), i), "float32"), self._ctx)
                for n, i, _ in self._symbol._outputs
            ]
        return self._outputs

    def _argument_nodes(self) -> list[Node]:
        return variables(post_order(self._symbol._outputs))[0]

    # -- running

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[Any]:
        """Compute the outputs.

        Args:
            is_train: whether operators behave as in training, and backward() may follow.
            kwargs: arrays to copy into arguments before.
        Raises:
            TypeError, ValueError: an unknown argument, another shape, no array.
        """
        if kwargs:
            arguments = self.arg_dict
            for name, array in kwargs.items():
                if not isinstance(array, (NDArray, np.ndarray)):
                    raise ValueError("only accept keyword argument of NDArrays and numpy.ndarray")
                if name not in arguments:
                    raise TypeError(f"Unknown argument {name}")
                if arguments[name].shape != array.shape:
                    raise ValueError(
                        f"Shape not match! Argument {name}, need: {arguments[name].shape}, received: {array.shape}"
                    )
                copy_into(array, arguments[name])
        flow = self._sparse_flow()
        results = self._run(bool(is_train), record=bool(is_train) or self._draws, flow=flow)
        made = [wrap(tensor.detach(), self._ctx, NDArray) for tensor in results]
        if flow is not None:
            made = [flow.arrays.get(slot, array) for slot, array in zip(self._runner.slots[1], made, strict=True)]
        if self._outputs is None or any(old.stype != new.stype for old, new in zip(self._outputs, made, strict=True)):
            self._outputs = made
        else:
            for array, found in zip(self._outputs, made, strict=True):
                if found.stype == "default":
                    array._t = found._t
                else:
                    found.copyto(array)
        return self._outputs

    def _sparse_flow(self) -> SparseFlow | None:
        """What follows the values of sparse arrays through the network; None when there are none."""
        given = [(self.arg_arrays if is_argument else self.aux_arrays)[at] for is_argument, at in self._order]
        slots = self._runner.slots[0]
        sparse = {slot: array for slot, array in zip(slots, given, strict=True) if array.stype != "default"}
        if not sparse and not self._casts:
            return None
        return SparseFlow(sparse, self._ctx)

    def _run(self, is_train: bool, record: bool, flow: SparseFlow | None = None) -> list[torch.Tensor]:
        self._leaves = []
        self._results = None
        record = record and any(request != "null" for request in self._requests)
        whole = record and self._cuts  # whether whole numbers are followed, which torch does not
        values = []
        device = self._ctx.torch_device
        for is_argument, at in self._order:
            tensor = (self.arg_arrays if is_argument else self.aux_arrays)[at]._t.detach()
            wanted = record and is_argument and self._requests[at] != "null"
            if wanted and tensor.is_floating_point():
                tensor.requires_grad_()
                self._leaves.append((at, tensor))
            values.append(tensor if tensor.device == device else tensor.to(device))
            if wanted and not tensor.is_floating_point():
                self._leaves.append((at, follow_whole(values[-1])))
                whole = True
        was, state.recording = state.recording, state.recording or whole
        try:
            with torch.set_grad_enabled(record):
                results = self._runner.run(
                    values,
                    is_train,
                    device=device,
                    monitor=None if self._monitor is None else self._show,
                    monitor_all=self._monitor_all,
                    flow=flow,
                )
        finally:
            state.recording = was
        held = zip(self._order, values, strict=True)
        self._states = [(self.aux_arrays[at], value) for (is_argument, at), value in held if not is_argument]
        self._keep_states()
        if record:
            self._results = results
        self._was_train = is_train
        return results

    def _keep_states(self) -> None:
        for array, value in self._states:
            if array.stype != "default":
                array._fill(value)  # operators write into the dense values

    def _show(self, name: str, tensor: torch.Tensor) -> None:
        assert self._monitor is not None
        self._monitor(name.encode(), wrap(tensor.detach(), self._ctx, NDArray))

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Write the gradients of the arguments as their requests say.

        Args:
            out_grads: the gradients of the outputs: an array, a list, or a dict by name. Outputs of loss layers need
                none, and do not use one.
        Raises:
            MXNetError: the gradient of an output that is no loss is missing, or has another shape.
        """
        if out_grads is None:
            given: list[Any] = []
        elif isinstance(out_grads, NDArray):
            given = [out_grads]
        elif isinstance(out_grads, dict):
            given = [out_grads[name] for name in self._symbol.list_outputs()]
        else:
            given = list(out_grads)
        if any(not isinstance(grad, NDArray) for grad in given):
            raise TypeError("inputs must be NDArray")
        if all(request == "null" for request in self._requests):
            return
        if self._results is None:  # forward(is_train=False) keeps nothing for backward
            self._run(self._was_train, record=True)
        heads, head_grads = [], []
        for i, ((node, _, _), result) in enumerate(zip(self._symbol._outputs, self._results or [], strict=True)):
            head = result if result.requires_grad or not shadows else shadow(result)
            if head is not None and head.requires_grad:
                heads.append(head)
                head_grads.append(self._head_gradient(node, head, given[i] if i < len(given) else None))
        leaves = [leaf for _, leaf in self._leaves]
        found: Sequence[torch.Tensor | None] = [None] * len(leaves)
        if heads and leaves:
            found = torch.autograd.grad(heads, leaves, head_grads, retain_graph=True, allow_unused=True)
        for (at, _), gradient in zip(self._leaves, found, strict=True):
            self._put(at, gradient)
        self._keep_states()

    @staticmethod
    def _head_gradient(node: Node, result: torch.Tensor, given: Any) -> torch.Tensor:
        if given is None:
            if node.op not in _LOSSES or node.complete.get("out_grad"):
                raise MXNetError(_NO_LOSS)
            return torch.ones_like(result)
        if given._t.shape != result.shape:
            raise MXNetError(
                f"operands shape mismatch from.shape = {listed(given.shape)} to.shape={listed(result.shape)}"
            )
        return given._t.detach().to(result.device, result.dtype)

    def _put(self, at: int, gradient: torch.Tensor | None) -> None:
        held = self.grad_arrays[at]
        if held.stype != "default":
            if gradient is None and self._requests[at] == "add":
                return
            found = torch.zeros_like(held._t) if gradient is None else gradient
            held._fill(held._t + found if self._requests[at] == "add" else found.detach())
            return
        # In place: others hold the array, or it is a part of a larger one.
        target = held._t.detach()
        if self._requests[at] == "add":
            if gradient is not None:
                target.add_(gradient.to(target.dtype))
        elif gradient is None:
            target.zero_()
        else:
            target.copy_(gradient)

    def set_monitor_callback(self, callback: Callable[[bytes, Any], None], monitor_all: bool = False) -> None:
        """Call `callback(name, array)`, the name in bytes, for every output (with monitor_all every input too) of each operator.

        In backward() it is called for the gradient of each input, `fc_backward_output0`, where one is computed.
        """
        self._monitor, self._monitor_all = callback, bool(monitor_all)

    # -- other arrays, other shapes

    def copy_params_from(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy values into the arguments and auxiliary states, cast to their dtypes.

        Raises:
            ValueError: a name is not among them, unless allow_extra_params=True.
        """
        arguments = self.arg_dict
        for name, array in arg_params.items():
            if name in arguments:
                copy_into(array, arguments[name])
            elif not allow_extra_params:
                raise ValueError(f'Find name "{name}" that is not in the arguments')
        auxiliary = self.aux_dict
        for name, array in (aux_params or {}).items():
            if name in auxiliary:
                copy_into(array, auxiliary[name])
            elif not allow_extra_params:
                raise ValueError(f"Find name {name} that is not in the auxiliary states")

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Any) -> Executor:
        """An Executor for other shapes, which shares the arrays whose shapes stay, and memory where it suffices.

        Args:
            partial_shaping: whether arguments that are not named may change their shapes.
            allow_up_sizing: whether new memory may be taken for larger arrays.
        """
        nodes = self._argument_nodes()
        given = {id(n): from_user(kwargs[n.name]) for n in nodes if isinstance(kwargs.get(n.name), tuple)}
        shapes = infer_shapes(self._symbol._outputs, given)
        auxiliary = variables(post_order(self._symbol._outputs))[1]
        args, grads = [], []
        for i, (node, old) in enumerate(zip(nodes, self.arg_arrays, strict=True)):
            shape = _decided(shapes.get((id(node), 0)), old)
            changed = shape != tuple(old.shape) or not known(shapes.get((id(node), 0)))
            if changed and node.name not in kwargs and not partial_shaping:
                raise MXNetError(
                    f"Shape of unspecifie arg: {node.name} changed. This can cause the new executor to not share "
                    "parameters with the old one. Please check for error in network.If this is intended, set "
                    "partial_shaping=True to suppress this warning."
                )
            args.append(resized(old, shape, f"arg: {node.name}", allow_up_sizing))
            grad = self.grad_arrays[i] if self.grad_arrays else None
            grads.append(None if grad is None else resized(grad, shape, f"arg: {node.name}", allow_up_sizing))
        aux = [
            resized(old, _decided(shapes.get((id(node), 0)), old), f"aux: {node.name}", allow_up_sizing)
            for node, old in zip(auxiliary, self.aux_arrays, strict=True)
        ]
        made = Executor(self._runner, self._symbol, self._ctx, self._grad_req, self._group2ctx)
        made._fill(args, grads if self.grad_arrays is not None else None, aux, list(self._requests))
        made._monitor, made._monitor_all = self._monitor, self._monitor_all
        return made

    def get_optimized_symbol(self) -> Symbol:
        """The symbol that is run: the one that was bound."""
        return self._symbol

    def debug_str(self) -> str:
        """The symbol's nodes as text."""
        return self._symbol.debug_str()


def _decided(shape: Any, old: Any) -> tuple[int, ...]:
    return tuple(shape) if known(shape) else tuple(old.shape)


def _arrays(what: str, given: Any, names: list[str], allow_missing: bool) -> list[Any]:
    """The arrays of a list or dict in the order of names.

    Raises:
        ValueError, TypeError: one is missing, or is no array.
    """
    if isinstance(given, list):
        if len(given) != len(names):
            raise ValueError(f"Length of {what} does not match the number of arguments")
        found = given
    elif isinstance(given, dict):
        for name in names:
            if name not in given and not allow_missing:
                raise ValueError(f"key `{name}` is missing in `{what}`")
        found = [given.get(name) for name in names]
    else:
        raise TypeError("Only accept list of NDArrays or dict of str to NDArray")
    if any(not isinstance(array, NDArray) and not (array is None and allow_missing) for array in found):
        raise TypeError("Only accept list of NDArrays or dict of str to NDArray")
    return found


def bind(
    symbol: Symbol, ctx: Context, args: Any, args_grad: Any, grad_req: Any, aux_states: Any, group2ctx: Any
) -> Executor:
    """What Symbol.bind gives."""
    if not isinstance(ctx, Context):
        raise TypeError("Context type error")
    names = symbol.list_arguments()
    arrays = _arrays("args", args, names, False)
    grads = None if args_grad is None else _arrays("args_grad", args_grad, names, True)
    aux = _arrays("aux_states", [] if aux_states is None else aux_states, symbol.list_auxiliary_states(), False)
    if isinstance(grad_req, str):
        if grad_req not in REQUESTS:
            raise ValueError(f"grad_req must be in {REQUESTS}")
        requests = [grad_req] * len(names)
    elif isinstance(grad_req, dict):
        requests = [grad_req.get(name, "null") for name in names]
    else:
        requests = list(grad_req)
    for request in requests:
        if request not in REQUESTS:
            raise KeyError(request)
    nodes = variables(post_order(symbol._outputs))
    pairs = [*zip(nodes[0], arrays, strict=True), *zip(nodes[1], aux, strict=True)]
    runner = Runner(symbol)
    infer_shapes(symbol._outputs, {id(node): tuple(array.shape) for node, array in pairs})
    infer_dtypes(symbol._outputs, {id(node): NAMES[array._t.dtype] for node, array in pairs})
    return Executor(runner, symbol.__copy__(), ctx, grad_req, group2ctx)._fill(arrays, grads, aux, requests)


def simple_bind(
    symbol: Symbol,
    ctx: Context,
    grad_req: Any,
    type_dict: Mapping[str, Any] | None,
    stype_dict: Mapping[str, str] | None,
    group2ctx: Any,
    shared_arg_names: list[str] | None,
    shared_exec: Executor | None,
    shared_buffer: dict[str, Any] | None,
    given: Mapping[str, Any],
) -> Executor:
    """What Symbol.simple_bind gives.

    Raises:
        RuntimeError: shapes, dtypes or requests do not fit; the shapes that were given are in the text.
    """
    if shared_arg_names is not None and not isinstance(shared_arg_names, list):
        raise ValueError("shared_arg_names in simple_bind must be a list or None")
    if shared_buffer is not None and not isinstance(shared_buffer, dict):
        raise ValueError("shared_buffer in simple_bind must be dict or None")
    if isinstance(grad_req, (list, dict)) and not grad_req:
        raise RuntimeError(f"grad_req in simple_bind cannot be an empty {type(grad_req).__name__}")
    try:
        runner = Runner(symbol)
        arguments, auxiliary = variables(post_order(symbol._outputs))
        requests = simple_requests(grad_req, [node.name for node in arguments])
        shapes, dtypes = _decide(symbol, arguments, auxiliary, given, type_dict)
    except MXNetError as err:
        listed = "".join(f"{name}: {shape}\n" for name, shape in given.items())
        raise RuntimeError(f"simple_bind error. Arguments:\n{listed}{err}") from err
    _warn_of_dense(arguments, stype_dict or {})
    shared = set(shared_arg_names or ())
    old_args = shared_exec.arg_dict if shared_exec is not None else {}
    old_grads = shared_exec.grad_dict if shared_exec is not None else {}
    old_aux = shared_exec.aux_dict if shared_exec is not None else {}
    args, grads = [], []
    # Arrays lie where their group does; the network is computed on `ctx`.
    places = {id(n): (group2ctx or {}).get(n.attrs.get("__ctx_group__"), ctx) for n in [*arguments, *auxiliary]}
    for node, request in zip(arguments, requests, strict=True):
        shape, dtype, place = shapes[id(node)], dtypes[id(node)], places[id(node)]
        if node.name in shared:
            args.append(shared_or_zeros(old_args.get(node.name), shape, dtype, place))
            grads.append(None if request == "null" else shared_or_zeros(old_grads.get(node.name), shape, dtype, place))
        else:
            args.append(from_buffer(shared_buffer, node.name, shape, dtype, place))
            grads.append(None if request == "null" else zeros_of(shape, dtype, place))
    aux = [shared_or_zeros(old_aux.get(n.name), shapes[id(n)], dtypes[id(n)], places[id(n)]) for n in auxiliary]
    return Executor(runner, symbol.__copy__(), ctx, grad_req, group2ctx)._fill(args, grads, aux, requests)


_SPARSE = {"1": "row_sparse", "2": "csr"}


def _warn_of_dense(arguments: list[Node], stypes: Mapping[str, str]) -> None:
    wanted = {
        node.name: stypes.get(node.name, _SPARSE.get(node.attrs.get("__storage_type__", ""))) for node in arguments
    }
    listed = ", ".join(f"{name} ({stype})" for name, stype in wanted.items() if stype not in (None, "default"))
    if listed:
        warnings.warn(
            "simple_bind makes dense arrays, bind takes sparse ones. Dense instead of sparse, with the same values: "
            f"{listed}",
            stacklevel=4,
        )


def _decide(
    symbol: Symbol,
    arguments: list[Node],
    auxiliary: list[Node],
    given: Mapping[str, Any],
    type_dict: Mapping[str, Any] | None,
) -> tuple[dict[int, tuple[int, ...]], dict[int, str]]:
    nodes = [*arguments, *auxiliary]
    known_shapes = {id(n): from_user(given[n.name]) for n in nodes if isinstance(given.get(n.name), tuple)}
    shapes = infer_shapes(symbol._outputs, known_shapes)
    found = {id(n): shapes.get((id(n), 0)) for n in nodes}
    if not all(known(shape) for shape in found.values()):
        listed = "".join(
            f"{n.name}: {'None' if shape is None else listed(shape)}, "
            for n in arguments
            if not known(shape := found[id(n)])
        )
        raise MXNetError(
            "InferShape pass cannot decide shapes for the following arguments (-1 means unknown dimensions). Please "
            f"consider providing them as inputs:\n{listed}\n"
        )
    wanted = {id(n): name_of(type_dict[n.name]) for n in nodes if type_dict and n.name in type_dict}
    dtypes = infer_dtypes(symbol._outputs, wanted)
    kinds = {id(n): dtypes.get((id(n), 0)) for n in nodes}
    lacking = [n for n in nodes if kinds[id(n)] is None]
    if lacking and type_dict:
        listed = "".join(f"{n.name}: -1, " for n in lacking)
        raise MXNetError(
            "InferType pass cannot decide dtypes for the following arguments (-1 means unknown dtype). Please consider "
            f"providing them as inputs:\n{listed}\n"
        )
    return (
        {key: tuple(shape or ()) for key, shape in found.items()},
        {key: kind or "float32" for key, kind in kinds.items()},
    )


claim(globals())
