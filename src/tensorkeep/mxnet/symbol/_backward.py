"""What the shape of an output tells about inputs, of operators whose rules look forwards only."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tensorkeep.mxnet._registry import Attrs, Shape

__all__ = ["from_outputs"]

Backward = Callable[[list[Shape], list[Shape], Attrs], list[Shape]]


def _at(sizes: Any, i: int, default: int) -> int:
    return int(sizes[i]) if sizes and i < len(sizes) else default


def _batch(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    """The first dimension is the same: it is how recurrent cells' begin states come to theirs."""
    data, out = ins[0], outs[0]
    if data is None or out is None or data[0] >= 0:
        return ins
    return [(out[0], *data[1:]), *ins[1:]]


def _convolution(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    """Of channels-first data the places too."""
    ins = _batch(ins, outs, attrs)
    data, out = ins[0], outs[0]
    if (
        data is None
        or out is None
        or len(data) != len(out)
        or attrs.get("layout") not in (None, "NCW", "NCHW", "NCDHW")
    ):
        return ins
    found = list(data)
    for i, size in enumerate(attrs["kernel"]):
        if found[i + 2] < 0 <= out[i + 2]:
            covered = _at(attrs["dilate"], i, 1) * (size - 1) + 1
            found[i + 2] = _at(attrs["stride"], i, 1) * (out[i + 2] - 1) + covered - 2 * _at(attrs["pad"], i, 0)
    return [tuple(found), *ins[1:]]


def _split(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    data = ins[0]
    parts = [shape for shape in outs if shape is not None]
    if data is None or not parts or len({len(shape) for shape in parts}) > 1:
        return ins
    out = [max(sizes) for sizes in zip(*parts, strict=True)]  # all parts have one shape
    count, axis = attrs["num_outputs"], attrs["axis"] % len(data)
    whole = list(out)
    if attrs["squeeze_axis"]:
        whole.insert(axis, count)
    elif whole[axis] >= 0:
        whole[axis] *= count
    if len(whole) != len(data):
        return ins
    return [tuple([b if a < 0 else a for a, b in zip(data, whole, strict=True)])]


def _concat(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    out = outs[0]
    if out is None or any(shape is None or len(shape) != len(out) for shape in ins):
        return ins
    axis = attrs["dim"] % len(out)
    found = [[b if a < 0 and i != axis else a for i, (a, b) in enumerate(zip(s or (), out, strict=True))] for s in ins]
    unknown = [shape for shape in found if shape[axis] < 0]
    if len(unknown) == 1 and out[axis] >= 0:
        unknown[0][axis] = out[axis] - sum(shape[axis] for shape in found if shape[axis] >= 0)
    return [tuple(shape) for shape in found]


def _unreshaped(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    """The one dimension of Reshape's input that is not known: there are as many values as in the output."""
    shape, out = ins[0], outs[0]
    if shape is None or shape.count(-1) != 1 or not out or -1 in out:
        return ins
    rest = prod(dim for dim in shape if dim != -1)
    if not rest or prod(out) % rest:
        return ins
    return [tuple([prod(out) // rest if dim == -1 else dim for dim in shape]), *ins[1:]]


def _unconcatenated(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    """The sizes of RNN's parameters that are not known share what is left of the flat vector, which RNN knows."""
    axis, out = attrs["dim"], outs[0]
    if out is None or out[axis] < 0 or any(shape is None for shape in ins):
        return ins
    sizes = [shape[axis] for shape in ins if shape is not None]
    left, open_ = out[axis] - sum(size for size in sizes if size >= 0), sizes.count(-1)
    if not open_ or left < 0 or left % open_:
        return ins
    return [
        (*shape[:axis], left // open_ if shape[axis] < 0 else shape[axis], *shape[axis + 1 :]) if shape else shape
        for shape in ins
    ]


def _untransposed(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    out = outs[0]
    if (ins[0] is not None and -1 not in ins[0]) or out is None:
        return ins
    axes = attrs["axes"] or range(len(out))[::-1]
    if len(axes) != len(out):
        return ins
    found = [-1] * len(out)
    for axis, size in zip(axes, out, strict=True):
        found[axis] = size
    return [_joined(ins[0], tuple(found))]


def _unexpanded(ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    out = outs[0]
    if out is None:
        return ins
    axis = attrs["axis"] % len(out)
    return [_joined(ins[0], (*out[:axis], *out[axis + 1 :]))]


def _joined(known: Shape, other: Shape) -> Shape:
    if known is None or other is None or len(known) != len(other):
        return other if known is None else known
    return tuple([b if a < 0 else a for a, b in zip(known, other, strict=True)])


_RULES: dict[str, Backward] = {
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _batch,
    "FullyConnected": _batch,
    "Reshape": _unreshaped,
    "SliceChannel": _split,
    "_np_reshape": _unreshaped,
    "_rnn_param_concat": _unconcatenated,
    "expand_dims": _unexpanded,
    "transpose": _untransposed,
}


def from_outputs(op: str, ins: list[Shape], outs: list[Shape], attrs: Attrs) -> list[Shape]:
    """The shapes of the inputs with what the outputs tell about them."""
    rule = _RULES.get(op)
    return ins if rule is None or not ins else rule(ins, outs, attrs)
