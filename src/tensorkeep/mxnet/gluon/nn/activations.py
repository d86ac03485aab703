"""Activations as layers."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet import initializer
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.block import HybridBlock

__all__ = ["ELU", "GELU", "SELU", "Activation", "LeakyReLU", "PReLU", "Swish"]


class Activation(HybridBlock):
    """An activation by name: "relu", "sigmoid", "tanh", "softrelu" or "softsign"."""

    def __init__(self, activation: str, **kwargs: Any) -> None:
        self._act_type = activation
        super().__init__(**kwargs)

    def _alias(self) -> str:
        return self._act_type

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        function = F.npx.activation if state.np_array else F.Activation
        return function(x, act_type=self._act_type, name="fwd")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._act_type})"


def _leaky(F: Any) -> Any:
    return F.npx.leaky_relu if state.np_array else F.LeakyReLU


class LeakyReLU(HybridBlock):
    """x where it is positive, else alpha · x."""

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        assert alpha >= 0, "Slope coefficient for LeakyReLU must be no less than 0."
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        return _leaky(F)(x, act_type="leaky", slope=self._alpha, name="fwd")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._alpha})"


class PReLU(HybridBlock):
    """A LeakyReLU whose slope is trained.

    Args:
        alpha_initializer: of the slopes: Constant(0.25) when None.
        in_channels: 1 for one slope, or as many as there are channels (axis 1).
    """

    def __init__(self, alpha_initializer: Any = None, in_channels: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        init = initializer.Constant(0.25) if alpha_initializer is None else alpha_initializer
        with self.name_scope():
            self.alpha = self.params.get("alpha", shape=(in_channels,), init=init)

    def hybrid_forward(self, F: Any, x: Any, alpha: Any) -> Any:
        """x, activated."""
        return _leaky(F)(x, gamma=alpha, act_type="prelu", name="fwd")


class ELU(HybridBlock):
    """x where it is positive, else alpha · (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        return _leaky(F)(x, act_type="elu", slope=self._alpha)


class SELU(HybridBlock):
    """The scaled ELU, which keeps mean 0 and variance 1."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        return _leaky(F)(x, act_type="selu", name="fwd")


class GELU(HybridBlock):
    """x · Φ(x), with the exact normal distribution."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        return _leaky(F)(x, act_type="gelu", name="fwd")


class Swish(HybridBlock):
    """x · sigmoid(beta · x); SiLU when beta is 1."""

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._beta = beta

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, activated."""
        if state.np_array:
            return x * F.npx.sigmoid(self._beta * x)
        return x * F.sigmoid(self._beta * x, name="fwd")


claim(globals())
