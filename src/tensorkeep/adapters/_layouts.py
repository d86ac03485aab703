"""Tensors that mean the same in two frameworks and lie otherwise: names of a layer's tensors, order of axes, fused vectors.

Both sides are put into common words first: those of torch (weight, bias, running_mean, weight_ih …), each below its layer's
name. A Piece is one tensor of the source in these words; a Want is what one slot of the model is made from. Sources of the
rules: the layers' code of the frameworks; each rule is tested by the outputs of two networks.

    axes         torch, mxnet, equinox        keras                flax
    dense        (out, in)                    (in, out)            (in, out)
    convolution  (out, in/groups, …)          (…, in/groups, out)  (…, in/groups, out)
    depthwise    (channels·multiplier, 1, …)  (…, channels, multiplier)
    transposed   (in, out/groups, …);         (…, out, in)         (…, in, out), mirrored in space;
                 equinox: (out, in/groups, …),                     (…, out, in) with transpose_kernel
                 mirrored in space
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorkeep.adapters.base import Slot
from tensorkeep.core.dtypes import DType

__all__ = ["CHANNELS_LAST", "LAYOUTS", "Piece", "Want", "common", "convert", "kind_of", "shape_after", "split"]

LAYOUTS = ("torch", "mxnet", "keras", "flax", "equinox")

CHANNELS_LAST = frozenset({"keras", "flax"})

_KINDS = {
    "dense": "Linear LazyLinear NonDynamicallyQuantizableLinear Dense FullyConnected",
    "conv": "Conv Conv1d Conv2d Conv3d LazyConv1d LazyConv2d LazyConv3d Conv1D Conv2D Conv3D Convolution",
    "depthwise": "DepthwiseConv1D DepthwiseConv2D",
    "deconv": "ConvTranspose ConvTranspose1d ConvTranspose2d ConvTranspose3d Conv1DTranspose Conv2DTranspose Conv3DTranspose "
    "Deconvolution",
    "deconv-turned": "ConvTranspose(transpose_kernel)",
    "embedding": "Embedding EmbeddingBag Embed",
    "norm": "BatchNorm BatchNorm(fix_gamma) BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm BatchNormReLU BatchNormalization "
    "LayerNorm LayerNormalization GroupNorm GroupNormalization InstanceNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d RMSNorm "
    "RMSNormalization PReLU LeakyReLU",
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}

_COMMON = {
    "torch": {},
    "equinox": {},
    "keras": {
        "kernel": "weight", "embeddings": "weight", "gamma": "weight", "scale": "weight", "alpha": "weight", "beta": "bias",
        "moving_mean": "running_mean", "moving_variance": "running_var",
    },
    "flax": {
        "kernel": "weight", "embedding": "weight", "scale": "weight", "negative_slope": "weight", "mean": "running_mean",
        "var": "running_var",
    },
    "mxnet": {
        "gamma": "weight", "alpha": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var",
    },
}  # fmt: skip

_MXNET = re.compile(
    r"(?P<layer>.*?)[_.]?(?P<leaf>(?:[lr]\d+_)?(?:i2h|h2h|h2r)_(?:weight|bias)|weight|bias|gamma|beta|running_mean|running_var|"
    r"moving_mean|moving_var|alpha|parameters)"
)
_MXNET_RECURRENT = re.compile(r"(?:(?P<side>[lr])(?P<number>\d+)_)?(?P<of>i2h|h2h|h2r)_(?P<what>weight|bias)")
_TORCH_RECURRENT = re.compile(r"(?P<what>weight|bias)_(?P<of>ih|hh|hr)(?:_l(?P<number>\d+)(?P<back>_reverse)?)?")
_SIDE = re.compile(r"(?P<layer>(?:.*\.)?)(?P<way>forward|backward)_\w+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of the source in common words.

    Attributes:
        parts: the names of the source's tensors that it is made from; none of zeros.
        shape, dtype: of what it is.
        make: from the parts' arrays to its own; None when it is its one part as that lies.
        leaf: the last word of its name in the source.
        settled: its axes are torch's already.
        label: how the report calls it.
    """

    parts: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: DType
    make: Callable[..., Any] | None = None
    leaf: str = ""
    settled: bool = False
    label: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """A slot, the common words of the pieces that it is made from, and how.

    `build` gives the piece; a string instead says why it cannot be. `last_gate_free`: the last third of the second piece has
    no place in the slot and must be zero.
    """

    slot: Slot
    needs: tuple[str, ...]
    build: Callable[..., Piece | str]
    last_gate_free: bool = False


def split(layout: str, name: str) -> tuple[str, str]:
    """(the layer's name, the tensor's own word) of a tensor's name."""
    if layout == "mxnet" and (match := _MXNET.fullmatch(name.removeprefix("arg:").removeprefix("aux:"))):
        return match["layer"], match["leaf"]
    layer, _, leaf = name.rpartition(".")
    return layer, leaf


def common(layout: str, name: str) -> str:
    """A tensor's name in common words: `conv0_gamma` of MXNet is `conv0.weight`, `rnn.r1_i2h_bias` is `rnn.l1.bias_ih_reverse`."""
    if layout == "mxnet":
        name = name.removeprefix("arg:").removeprefix("aux:")
    layer, leaf = split(layout, name)
    if layout == "mxnet" and (match := _MXNET_RECURRENT.fullmatch(leaf)):
        of = {"i2h": "ih", "h2h": "hh", "h2r": "hr"}[match["of"]]
        return recurrent_name(layer, f"{match['what']}_{of}", int(match["number"] or 0), match["side"] == "r")
    if layout in ("torch", "equinox") and (match := _TORCH_RECURRENT.fullmatch(leaf)):
        word = f"{match['what']}_{match['of']}"
        return recurrent_name(layer, word, int(match["number"] or 0), match["back"] is not None)
    word = _COMMON[layout].get(leaf, leaf)
    return f"{layer}.{word}" if layer else word


def recurrent_name(layer: str, word: str, number: int = 0, back: bool = False) -> str:
    """The common name of a recurrent layer's tensor; cells are called by the layer around them."""
    head, _, last = layer.rpartition(".")
    if last == "cell" or re.fullmatch(r"\w+_cell(_\d+)?", last):
        layer = head
    if match := _SIDE.fullmatch(layer):
        layer, back = match["layer"].rstrip("."), match["way"] == "backward"
    parts = [layer] if layer else []
    if number:
        parts.append(f"l{number}")
    return ".".join([*parts, word + ("_reverse" if back else "")])


def kind_of(slot: Slot, leaf: str) -> str:
    """What kind of layer a slot belongs to: by its class, else by the word that the source has for it; "" when neither tells."""
    found = _KIND_OF.get(slot.layer, "")
    if found or slot.layer:
        return found
    if leaf in ("embedding", "embeddings"):
        return "embedding"
    return "" if leaf != "kernel" else "dense" if len(slot.shape) == 2 else "conv"


def convert(source: str, target: str, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Any:
    """(what is done, the function) that moves a weight's axes; None when they lie alike.

    Args:
        shape, wanted: of the source's array and of the slot; they tell groups and depthwise kernels.
    """
    if kind == "dense" and len(shape) == 2 and (source in CHANNELS_LAST) != (target in CHANNELS_LAST):
        return "transposed", lambda array: array.T
    if kind in ("conv", "depthwise") and len(shape) > 2:
        return _convolution(source, target, kind, shape, wanted)
    if kind.startswith("deconv") and len(shape) > 2:
        return _transposed(source, target, kind, shape, wanted)
    return None


def _convolution(source: str, target: str, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Any:
    import numpy as np

    first, last = source in CHANNELS_LAST, target in CHANNELS_LAST
    if kind == "depthwise":  # keras: (…, channels, multiplier)
        if source in CHANNELS_LAST:  # flax: (…, 1, channels · multiplier)
            return "depthwise kernel reshaped", lambda array: array.reshape(*array.shape[:-2], *wanted[-2:])

        def into(array: Any) -> Any:
            return np.moveaxis(array.reshape(*wanted[-2:], *array.shape[2:]), (0, 1), (-2, -1))

        return "depthwise kernel reshaped", into if shape[0] == wanted[-2] * wanted[-1] else lambda array: array
    outs = wanted[-1] if last else wanted[0]
    ins = wanted[-2] if last else wanted[1]
    if source == "keras" and shape[-2] != 1 and ins == 1 and shape[-2] * shape[-1] == outs:

        def out_of(array: Any) -> Any:
            flat = array.reshape(*array.shape[:-2], 1, -1)
            return flat if last else np.moveaxis(flat, (-1, -2), (0, 1))

        return "depthwise kernel reshaped", out_of
    if first == last:
        return None
    if first:
        return "kernel axes (…, in, out) to (out, in, …)", lambda array: np.moveaxis(array, (-1, -2), (0, 1))
    return "kernel axes (out, in, …) to (…, in, out)", lambda array: np.moveaxis(array, (0, 1), (-1, -2))


def _transposed(source: str, target: str, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Any:
    """By way of torch's order (in, out/groups, …)."""
    import numpy as np

    if source == target or {source, target} == {"torch", "mxnet"}:
        return None
    space = tuple(range(2, len(shape)))

    def regrouped(array: Any, groups: int) -> Any:
        if groups < 1 or array.shape[0] % groups:
            return array  # the shapes do not fit, which the plan says
        rows = array.reshape(groups, array.shape[0] // groups, *array.shape[1:])
        return np.flip(np.swapaxes(rows, 1, 2).reshape(-1, rows.shape[1], *array.shape[2:]), space)

    def to_torch(array: Any) -> Any:
        if source == "keras":
            return np.moveaxis(array, (-1, -2), (0, 1))
        if source == "flax":
            return np.flip(np.moveaxis(array, (-2, -1), (0, 1)), space)
        if source == "equinox":
            outs = {"torch": 1, "mxnet": 1, "keras": -2}.get(target, -2 if kind == "deconv-turned" else -1)
            return regrouped(array, array.shape[0] // max(1, wanted[outs]))
        return array

    def from_torch(array: Any) -> Any:
        if target == "keras" or kind == "deconv-turned":
            return np.moveaxis(array, (0, 1), (-1, -2))
        if target == "flax":
            return np.moveaxis(np.flip(array, space), (0, 1), (-2, -1))
        if target == "equinox":
            return regrouped(array, wanted[0] // max(1, array.shape[1]))
        return array

    mirrored = (source in ("flax", "equinox")) != (target in ("flax", "equinox") and kind != "deconv-turned")
    said = "transposed kernel: axes moved" + (" and mirrored in space" if mirrored else "")
    return said, lambda array: from_torch(to_torch(array))


def shape_after(make: Callable[..., Any], shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that a function of arrays gives, without their values."""
    import numpy as np

    nothing = np.zeros((), np.uint8)
    return tuple(make(*(np.broadcast_to(nothing, shape) for shape in shapes)).shape)


def flattened(dims: Sequence[int], into_last: bool, dense_last: bool) -> Callable[[Any], Any]:
    """The function that reorders the inputs of a dense layer behind a flattened image of (channels, …).

    Args:
        dims: channels first, as torch has the image's shape.
        into_last: whether the model's image has its channels last (the source's first), or the other way round.
        dense_last: whether the weight that is given lies (in, out).
    """
    import numpy as np

    channels, *space = dims

    def act(array: Any) -> Any:
        rows = array.T if dense_last else array
        given = (len(rows), channels, *space) if into_last else (len(rows), *space, channels)
        turned = np.moveaxis(rows.reshape(given), 1, -1) if into_last else np.moveaxis(rows.reshape(given), -1, 1)
        made = turned.reshape(len(rows), -1)
        return made.T if dense_last else made

    return act


def named_in(layout: str, names: Mapping[str, Any]) -> str:
    """The layout that names of a file allow: kernels are no word of torch, MXNet or Equinox."""
    if layout in ("torch", "mxnet", "equinox") and any(name.rpartition(".")[2] == "kernel" for name in names):
        return ""
    return layout
