"""Calls of operators that users write in Python (mx.operator): shapes, dtypes, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet import autograd
from tensorkeep.mxnet._dtypes import TORCH, flag_of, name_of, numpy_of
from tensorkeep.mxnet._registry import Shape
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context, cpu, current_context
from tensorkeep.mxnet.operator import CustomOp, CustomOpProp, find_class

if TYPE_CHECKING:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["CustomCall"]


class CustomCall:
    """One use of a custom operator, in a call or a node of a network: the user's objects and what they say.

    Attributes:
        arguments, outputs, states: the names that the user's class lists.
    Raises:
        MXNetError: no class is registered under this op_type.
    """

    def __init__(self, attrs: dict[str, str]) -> None:
        given = dict(attrs)
        self.op_type = given.pop("op_type", "")
        self.prop: CustomOpProp = find_class(self.op_type)(**given)
        self.arguments = list(self.prop.list_arguments())
        self.outputs = list(self.prop.list_outputs())
        self.states = list(self.prop.list_auxiliary_states())
        self._made: tuple[Any, CustomOp] | None = None

    def shapes(self, shapes: Sequence[Shape]) -> tuple[list[Shape], list[Shape]]:
        """The shapes of all inputs (states included) and outputs, as the user's infer_shape says."""
        count = len(self.arguments)
        asked = [[] if shape is None else list(shape) for shape in shapes[:count]]
        parts = self._three("infer_shape", self.prop.infer_shape(asked))
        found = [[None if len(s) == 0 and not state.np_shape else tuple(s) for s in part] for part in parts]
        return found[0] + found[2], found[1]

    def dtypes(self, names: Sequence[str | None]) -> tuple[list[str | None], list[str | None]]:
        """The dtypes of all inputs and outputs, as the user's infer_type says."""
        asked = [None if name is None else numpy_of(TORCH[name]) for name in names[: len(self.arguments)]]
        parts = self._three("infer_type", self.prop.infer_type(asked))
        found = [[None if kind is None else name_of(kind) for kind in part] for part in parts]
        return found[0] + found[2], found[1]

    def _three(self, what: str, found: Any) -> list[list[Any]]:
        """What an infer method gave for arguments, outputs and states, if it gave as many as there are.

        Raises:
            MXNetError: it did not.
        """
        if len(found) not in (2, 3):
            raise MXNetError(f"Custom operator {self.op_type}: {what} must return 2 or 3 lists, not {len(found)}")
        parts = [list(part) for part in found]
        if len(parts) == 2:
            parts.append([])
        wanted = (self.arguments, self.outputs, self.states)
        for kind, part, names in zip(("arguments", "outputs", "states"), parts, wanted, strict=True):
            if len(part) != len(names):
                raise MXNetError(
                    f"Custom operator {self.op_type}: {what} gave {len(part)} entries for its {len(names)} {kind} "
                    f"({', '.join(names)})"
                )
        return parts

    def run(self, tensors: Sequence[torch.Tensor], is_train: bool) -> tuple[torch.Tensor, ...]:
        """The outputs for the arguments and states; states may be changed.

        Raises:
            MXNetError: wrong number of inputs, shapes that the user's class does not take, any error in its methods.
        """
        wanted = len(self.arguments) + len(self.states)
        if len(tensors) != wanted:
            raise MXNetError(f"Operator Custom expects {wanted} inputs, but got {len(tensors)} instead.")
        return tuple(_Custom.apply(self, is_train, *tensors))

    def operator(self, tensors: Sequence[torch.Tensor]) -> tuple[Context, CustomOp]:
        """The user's operator for these inputs; it is kept as long as they look the same."""
        ctx = _context(tensors)
        shapes = [list(t.shape) for t in tensors[: len(self.arguments)]]
        flags = [flag_of(t.dtype) for t in tensors[: len(self.arguments)]]
        key = (ctx, shapes, flags)
        if self._made is None or self._made[0] != key:
            self._made = (key, self.prop.create_operator(ctx, shapes, flags))
        return ctx, self._made[1]

    def call(self, method: str, ctx: Context, op: CustomOp, training: bool, **arrays: Any) -> None:
        """Call the user's forward or backward, outside of any recording.

        Raises:
            MXNetError: it raised an exception.
        """
        try:
            with ctx, autograd.pause(train_mode=training), torch.no_grad():
                getattr(op, method)(**arrays)
        except Exception as err:
            raise MXNetError(f"Error in CustomOp.{method} of {self.op_type}: {type(err).__name__}: {err}") from err


def _context(tensors: Sequence[torch.Tensor]) -> Context:
    if not tensors:
        return current_context()
    device = tensors[0].device
    return cpu() if device.type == "cpu" else Context("gpu", device.index or 0)


def _arrays(tensors: Sequence[torch.Tensor], ctx: Context) -> list[NDArray]:
    """Arrays around tensors; of NumPy's kind when that is on."""
    from tensorkeep.mxnet._invoke import wrap

    if state.np_array:
        from tensorkeep.mxnet.numpy import ndarray

        cls: Any = ndarray
    else:
        from tensorkeep.mxnet.ndarray.ndarray import NDArray

        cls = NDArray
    return [wrap(tensor.detach(), ctx, cls) for tensor in tensors]


class _Custom(torch.autograd.Function):
    """The user's forward and backward as one step of torch's autograd."""

    @staticmethod
    def forward(ctx: Any, call: CustomCall, is_train: bool, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        count = len(call.arguments)
        ins, outs = call.shapes([tuple(t.shape) for t in tensors])
        for name, tensor, shape in zip((*call.arguments, *call.states), tensors, ins, strict=True):
            if shape is not None and tuple(tensor.shape) != shape:
                raise MXNetError(
                    f"Custom operator {call.op_type}: {name} has the shape {tuple(tensor.shape)}, infer_shape says {shape}"
                )
        kinds = call.dtypes([name_of(t.dtype) for t in tensors])[1]
        if None in outs or None in kinds:
            raise MXNetError(f"Custom operator {call.op_type}: infer_shape or infer_type leave an output unknown")
        device = tensors[0].device if tensors else current_context().torch_device
        made = [
            torch.zeros(shape or (), dtype=TORCH[kind or "float32"], device=device)
            for shape, kind in zip(outs, kinds, strict=True)
        ]
        place, op = call.operator(tensors)
        arrays = _arrays(tensors, place)
        results = _arrays(made, place)
        call.call(
            "forward", place, op, is_train,
            is_train=is_train, req=["write"] * len(results), in_data=arrays[:count], out_data=results,
            aux=arrays[count:],
        )  # fmt: skip
        ctx.known = (call, is_train, place, op, arrays, results)
        # Other tensors over the same memory: those in `known` must not lead back here.
        return tuple(result._t.detach() for result in results)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        call, is_train, place, op, arrays, results = ctx.known
        count = len(call.arguments)
        wanted = ctx.needs_input_grad[2:][:count]
        found = _arrays([torch.zeros_like(array._t) for array in arrays[:count]], place)
        call.call(
            "backward", place, op, is_train,
            req=["write" if want else "null" for want in wanted], out_grad=_arrays(grads, place),
            in_data=arrays[:count], out_data=results, in_grad=found, aux=arrays[count:],
        )  # fmt: skip
        given = [grad._t if want else None for grad, want in zip(found, wanted, strict=True)]
        return (None, None, *given, *[None] * (len(arrays) - count))
