"""Sequences of steps: as one array or a list of them, masked and reversed by length."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet import ndarray, symbol
from tensorkeep.mxnet.gluon.parameter import tensor_types

__all__ = ["as_list", "begin_states", "formatted", "masked", "reversed_steps"]


def as_list(value: Any) -> list[Any]:
    """A list of it, when it is none already."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def begin_states(cell: Any, F: Any, given: Any, inputs: Any, batch_size: int) -> Any:
    """The given states, or zeros on the inputs' context."""
    if given is not None:
        return given
    if F is not ndarray:
        return cell.begin_state(func=F.zeros, batch_size=batch_size)
    ctx = (inputs if isinstance(inputs, ndarray.NDArray) else inputs[0]).ctx
    return cell.begin_state(func=lambda **info: F.zeros(**{"ctx": ctx, **info}), batch_size=batch_size)


def formatted(
    length: int | None, inputs: Any, layout: str, merge: bool | None, in_layout: str | None = None
) -> tuple[Any, int, Any, int]:
    """(the steps, the axis of time, `mx.nd` or `mx.sym`, the batch's size or 0).

    Args:
        merge: True for one array, False for a list of steps, None for what there is.
        in_layout: of `inputs`, where it differs from `layout`.
    """
    assert inputs is not None, "unroll(inputs=None) has been deprecated. Please create input variables outside unroll."
    axis = layout.find("T")
    in_axis = axis if in_layout is None else in_layout.find("T")
    size = 0
    F: Any
    if isinstance(inputs, symbol.Symbol):
        F = symbol
        if merge is False:
            assert len(inputs.list_outputs()) == 1, (
                "unroll doesn't allow grouped symbol as input. Please convert to list with list(inputs) first or let "
                "unroll handle splitting."
            )
            inputs = list(symbol.split(inputs, axis=in_axis, num_outputs=length, squeeze_axis=1))
    elif isinstance(inputs, ndarray.NDArray):
        F = ndarray
        size = inputs.shape[layout.find("N")]
        if merge is False:
            steps = inputs.shape[in_axis]
            assert length is None or length == steps
            inputs = as_list(ndarray.split(inputs, axis=in_axis, num_outputs=steps, squeeze_axis=1))
    else:
        assert length is None or len(inputs) == length
        if isinstance(inputs[0], symbol.Symbol):
            F = symbol
        else:
            F = ndarray
            size = inputs[0].shape[0]
        if merge is True:
            inputs = F.stack(*inputs, axis=axis)
            in_axis = axis
    if isinstance(inputs, tensor_types) and axis != in_axis:
        inputs = F.swapaxes(inputs, dim1=axis, dim2=in_axis)
    return inputs, axis, F, size


def masked(F: Any, data: Any, length: int, valid_length: Any, axis: int, merge: bool | None) -> Any:
    """The steps with zeros behind each sequence's end; one array when `merge`, else a list."""
    assert valid_length is not None
    if not isinstance(data, tensor_types):
        data = F.stack(*data, axis=axis)
    out = F.SequenceMask(data, sequence_length=valid_length, use_sequence_length=True, axis=axis)
    return out if merge else as_list(F.split(out, num_outputs=length, axis=axis, squeeze_axis=True))


def reversed_steps(steps: Any, length: int, valid_length: Any = None) -> Any:
    """The steps from the last to the first; of each sequence only those before its end."""
    if valid_length is None:
        return list(reversed(steps))
    F: Any = symbol if isinstance(steps[0], symbol.Symbol) else ndarray
    out = F.SequenceReverse(F.stack(*steps, axis=0), sequence_length=valid_length, use_sequence_length=True)
    if length > 1 or F is symbol:
        return F.split(out, axis=0, num_outputs=length, squeeze_axis=True)
    return [out[0]]
