"""mx.init: how parameters get their first values. The same seed gives the digits that MXNet gives."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet import registry
from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._invoke import invoke
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "Bilinear", "Constant", "FusedRNN", "InitDesc", "Initializer", "LSTMBias", "Load", "MSRAPrelu", "Mixed", "Normal",
    "One", "Orthogonal", "Uniform", "Xavier", "Zero", "alias", "create", "register",
]  # fmt: skip


class InitDesc(str):
    """A parameter's name, with what its Variable says about its first values.

    Attributes:
        attrs: the Variable's attributes; `__init__` names an initializer that goes before the global one.
        global_init: the initializer that is used where `__init__` says nothing.
    """

    attrs: Mapping[str, str]
    global_init: Any

    def __new__(cls, name: str, attrs: Mapping[str, str] | None = None, global_init: Any = None) -> InitDesc:
        made = super().__new__(cls, name)
        made.attrs = attrs or {}
        made.global_init = global_init
        return made


_BY_SUFFIX = (
    ("weight", "_init_weight"), ("bias", "_init_bias"), ("gamma", "_init_gamma"), ("beta", "_init_beta"),
    ("min", "_init_zero"), ("max", "_init_one"), ("weight_quantize", "_init_quantized_weight"),
    ("bias_quantize", "_init_quantized_bias"),
)  # fmt: skip
"""What the end of a parameter's name says."""
_BY_OLD_SUFFIX = (
    ("bias", "_init_bias"), ("gamma", "_init_gamma"), ("beta", "_init_beta"), ("weight", "_init_weight"),
    ("moving_mean", "_init_zero"), ("moving_var", "_init_one"), ("moving_inv_var", "_init_zero"),
    ("moving_avg", "_init_zero"), ("min", "_init_zero"), ("max", "_init_one"),
)  # fmt: skip
"""The same when the name is a plain str."""


class Initializer:
    """The base of all initializers: which method fills an array follows from the end of its name.

    A subclass has `_init_weight(name, arr)`; biases and betas become 0, gammas 1.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable[[NDArray], str] | None = None

    def set_verbosity(self, verbose: bool = False, print_func: Callable[[NDArray], str] | None = None) -> Initializer:
        """Log what is initialized, with what `print_func` says of each array: by default its norm / sqrt(size)."""
        self._verbose = verbose
        self._print_func = print_func or (lambda arr: str((arr._t.detach().float().norm() / sqrt(arr.size)).item()))
        return self

    def _verbose_print(self, desc: str, init: str, arr: NDArray) -> None:
        if self._verbose and self._print_func:
            logging.info("Initialized %s as %s: %s", desc, init, self._print_func(arr))

    def dumps(self) -> str:
        """Its JSON, which create() reads: ["normal", {"sigma": 0.1}]."""
        return json.dumps([self.__class__.__name__.lower(), self._kwargs])

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill an array.

        Args:
            desc: the name of the parameter, an InitDesc.
            arr: changed in place.
        Raises:
            ValueError: the name's end says nothing, or the array does not suit.
        """
        if getattr(arr, "stype", "default") != "default":
            dense = arr.tostype("default")
            self(desc, dense)
            arr[:] = dense
            return
        if not isinstance(desc, InitDesc):
            self._legacy_init(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        init = desc.attrs.get("__init__", "")
        if init:
            create(init)._init_weight(desc, arr)
            self._verbose_print(desc, init, arr)
            return
        for suffix, method in _BY_SUFFIX:
            if desc.endswith(suffix):
                getattr(self, method)(desc, arr)
                self._verbose_print(desc, suffix, arr)
                return
        self._init_default(desc, arr)

    def _legacy_init(self, name: str, arr: NDArray) -> None:
        warnings.warn(
            "\033[91mCalling initializer with init(str, NDArray) has been deprecated."
            "please use init(mx.init.InitDesc(...), NDArray) instead.\033[0m",
            DeprecationWarning,
            stacklevel=3,
        )
        if not isinstance(name, str):
            raise TypeError("name must be string")
        if not isinstance(arr, NDArray):
            raise TypeError("arr must be NDArray")
        if name.startswith("upsampling"):
            self._init_bilinear(name, arr)
        elif name.startswith("stn_loc") and name.endswith("weight"):
            self._init_zero(name, arr)
        elif name.startswith("stn_loc") and name.endswith("bias"):
            self._init_loc_bias(name, arr)
        else:
            method = next((m for suffix, m in _BY_OLD_SUFFIX if name.endswith(suffix)), "_init_default")
            getattr(self, method)(name, arr)

    def _init_bilinear(self, _: str, arr: NDArray) -> None:
        _fill(arr, _bilinear(arr.shape))

    def _init_loc_bias(self, _: str, arr: NDArray) -> None:
        assert arr.shape[0] == 6
        _fill(arr, np.array([1.0, 0, 0, 0, 1.0, 0]))

    def _init_zero(self, _: str, arr: NDArray) -> None:
        _fill(arr, 0.0)

    def _init_one(self, _: str, arr: NDArray) -> None:
        _fill(arr, 1.0)

    _init_bias = _init_beta = _init_quantized_bias = _init_zero
    _init_gamma = _init_one

    def _init_weight(self, name: str, arr: NDArray) -> None:
        raise NotImplementedError("Must override it")

    def _init_quantized_weight(self, _: str, arr: NDArray) -> None:
        # MXNet draws one number and gives it to every element.
        _fill(arr, invoke(get("_random_randint"), (), {"low": -127, "high": 127}, None, NDArray).asnumpy())

    def _init_default(self, name: str, _: NDArray) -> None:
        raise ValueError(
            f"Unknown initialization pattern for {name}. "
            'Default initialization is now limited to "weight", "bias", "gamma" (1.0), and "beta" (0.0).'
            "Please use mx.sym.Variable(init=mx.init.*) to set initialization pattern"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    __hash__ = None  # type: ignore[assignment]  # its parameters can change; MXNet's has none either


def _fill(arr: NDArray, value: Any) -> None:
    """Every element from a number or from an array that broadcasts."""
    with torch.no_grad():
        target = arr._t.data
        if isinstance(value, NDArray):
            target.copy_(value._t)
        elif isinstance(value, (int, float)):
            target.fill_(value)
        else:
            target.copy_(torch.from_numpy(np.array(value)))


def _uniform(arr: NDArray, low: float, high: float) -> None:
    _draw(arr, ("_random_uniform", "_npi_uniform"), ("low", "high"), (low, high))


def _normal(arr: NDArray, loc: float, scale: float) -> None:
    _draw(arr, ("_random_normal", "_npi_normal"), ("loc", "scale"), (loc, scale))


def _draw(arr: NDArray, names: tuple[str, str], words: tuple[str, str], values: tuple[float, float]) -> None:
    # np and nd draw from different twisters, as in MXNet.
    attrs: dict[str, Any] = {word: float(value) for word, value in zip(words, values, strict=True)}
    attrs |= {"size" if state.np_array else "shape": arr.shape, "dtype": NAMES[arr._t.dtype]}
    invoke(get(names[state.np_array]), (), attrs, arr, type(arr))


register = registry.get_register_func(Initializer, "initializer")
alias = registry.get_alias_func(Initializer, "initializer")
create = registry.get_create_func(Initializer, "initializer")


class Load:
    """First values from a file or a dict of arrays; what is not in it comes from `default_init`.

    Args:
        param: a file's name, or name → array; "arg:" and "aux:" before names are taken away.
        default_init: an initializer for the other names, or None: they are then refused.
        verbose: log where each array came from.
    """

    def __init__(self, param: str | Mapping[str, NDArray], default_init: Any = None, verbose: bool = False) -> None:
        if isinstance(param, str):
            from tensorkeep.mxnet import ndarray

            param = ndarray.load(param)
        assert isinstance(param, Mapping)
        self.param = {name[4:] if name[:4] in ("arg:", "aux:") else name: arr for name, arr in param.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name: str, arr: NDArray) -> None:
        """Fill an array.

        Raises:
            AssertionError: the shapes differ, or the name is not there and there is no default.
        """
        if name in self.param:
            found = self.param[name]
            assert arr.shape == found.shape, (
                f"Parameter {name} cannot be initialized from loading. "
                f"Shape mismatch, target {arr.shape} vs loaded {found.shape}"
            )
            _fill(arr, found)
        else:
            assert self.default_init is not None, (
                f"Cannot Initialize {name}. Not found in loaded param and no default Initializer is provided."
            )
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "loading" if name in self.param else "default")


class Mixed:
    """Different initializers for different names: the first pattern that a name begins with decides.

    Args:
        patterns: regular expressions.
        initializers: as many.
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Any]) -> None:
        assert len(patterns) == len(initializers)
        self.map = list(zip([re.compile(p) for p in patterns], initializers, strict=True))

    def __call__(self, name: str, arr: NDArray) -> None:
        """Fill an array.

        Raises:
            ValueError: no pattern matches the name.
        """
        for pattern, init in self.map:
            if pattern.match(name):
                init(name, arr)
                return
        raise ValueError(
            f"Parameter name {name} did not match any pattern. Consider"
            'add a ".*" pattern at the and with default Initializer.'
        )


@register
@alias("zeros")
class Zero(Initializer):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _fill(arr, 0.0)


@register
@alias("ones")
class One(Initializer):
    """Ones."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _fill(arr, 1.0)


@register
class Constant(Initializer):
    """One value, a number or an array that broadcasts, for every element."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _fill(arr, self.value)

    def dumps(self) -> str:
        """Its JSON; an array becomes a list."""
        value = self._kwargs["value"]
        if not np.isscalar(value):
            self._kwargs["value"] = (value if isinstance(value, np.ndarray) else value.asnumpy()).tolist()
        return super().dumps()


@register
class Uniform(Initializer):
    """Weights of the uniform distribution over -scale … scale."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _uniform(arr, -self.scale, self.scale)


@register
class Normal(Initializer):
    """Weights of the normal distribution with mean 0 and standard deviation sigma."""

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _normal(arr, 0, self.sigma)


@register
class Orthogonal(Initializer):
    """An orthogonal matrix times scale (Saxe et al., arXiv:1312.6120).

    Args:
        scale: what it is multiplied with.
        rand_type: "uniform" or "normal", what it is made from.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, name: str, arr: NDArray) -> None:
        rows, columns = arr.shape[0], prod(arr.shape[1:])
        if self.rand_type == "uniform":
            law: tuple[str, dict[str, float]] = ("_random_uniform", {"low": -1.0, "high": 1.0})
        elif self.rand_type == "normal":
            law = ("_random_normal", {"loc": 0.0, "scale": 1.0})
        else:
            raise ValueError(f"rand_type must be 'uniform' or 'normal', got {self.rand_type!r}")
        drawn = invoke(get(law[0]), (), {**law[1], "shape": (rows, columns)}, None, NDArray).asnumpy()
        u, _, v = np.linalg.svd(drawn, full_matrices=False)
        _fill(arr, self.scale * (u if u.shape == drawn.shape else v).reshape(arr.shape))


@register
class Xavier(Initializer):
    """Weights whose spread follows from the number of inputs and outputs of a layer (Glorot and Bengio, 2010).

    Args:
        rnd_type: "uniform" or "gaussian".
        factor_type: "avg", "in" or "out": which of the two numbers counts.
        magnitude: the variance of the weights is magnitude / 3 divided by that number for "uniform".
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: str, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ValueError(f"Xavier initializer cannot be applied to vector {name}. It requires at least 2D.")
        area = prod(shape[2:])
        inputs, outputs = shape[1] * area, shape[0] * area
        factors = {"avg": (inputs + outputs) / 2.0, "in": inputs, "out": outputs}
        if self.factor_type not in factors:
            raise ValueError("Incorrect factor type")
        scale = float(np.sqrt(self.magnitude / factors[self.factor_type]))
        if self.rnd_type == "uniform":
            _uniform(arr, -scale, scale)
        elif self.rnd_type == "gaussian":
            _normal(arr, 0, scale)
        else:
            raise ValueError("Unknown random type")


@register
class MSRAPrelu(Xavier):
    """Normal weights for layers before a PReLU of that slope (He et al., arXiv:1502.01852)."""

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """The weight with which a Deconvolution interpolates between neighbours; (…, …, h, w)."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, arr: NDArray) -> None:
        _fill(arr, _bilinear(arr.shape))


def _bilinear(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    height, width = shape[2:]
    half = np.ceil(width / 2.0)
    centre = (2 * half - 1 - half % 2) / (2.0 * half)
    rows = 1 - np.abs(np.arange(height) / half - centre)
    columns = 1 - np.abs(np.arange(width) / half - centre)
    return np.broadcast_to(columns * rows[:, None], shape).astype("float32")


@register
class LSTMBias(Initializer):
    """The bias of an LSTM cell: forget_bias for the forget gate, else 0."""

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: str, arr: NDArray) -> None:
        hidden = arr.shape[0] // 4
        values = np.zeros(arr.shape, "float32")
        values[hidden : 2 * hidden] = self.forget_bias
        _fill(arr, values)


@register
class FusedRNN(Initializer):
    """The flat parameters of a fused RNN layer, each matrix by `init`.

    Args:
        init: an initializer or its JSON; None for the global one.
        num_hidden, num_layers, mode, bidirectional: as the RNN's.
        forget_bias: for the forget gates of an LSTM.
    """

    def __init__(
        self,
        init: Any,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        if isinstance(init, str):
            name, options = json.loads(init)
            init = registry.get_registry(Initializer)[name.lower()](**options)
        super().__init__(
            init=init.dumps() if init is not None else None,
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )
        self._init = init
        self._num_hidden = num_hidden
        self._num_layers = num_layers
        self._mode = mode
        self._bidirectional = bidirectional
        self._forget_bias = forget_bias

    def _init_weight(self, name: str, arr: NDArray) -> None:
        from tensorkeep.mxnet.rnn import FusedRNNCell

        cell = FusedRNNCell(
            self._num_hidden,
            self._num_layers,
            self._mode,
            self._bidirectional,
            forget_bias=self._forget_bias,
            prefix="",
        )
        whole: Any = getattr(name, "global_init", None)
        args = cell.unpack_weights({"parameters": arr})
        for each in args:
            if self._mode == "lstm" and each.endswith("_f_bias"):
                _fill(args[each], self._forget_bias)
            else:
                init: Any = whole if self._init is None else self._init
                init(InitDesc(each, global_init=whole), args[each])
        _fill(arr, cell.pack_weights(args)["parameters"])


claim(globals())
