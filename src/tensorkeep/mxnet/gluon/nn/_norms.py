"""Normalising layers: over the batch, an instance, a layer, a group of channels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.gluon.block import HybridBlock

__all__ = ["BatchNorm", "BatchNormReLU", "GroupNorm", "InstanceNorm", "LayerNorm"]


class _Norm(HybridBlock):
    """A layer with a factor (gamma) and a shift (beta), whose printed form lists its settings."""

    _kwargs: dict[str, Any]

    def _scale_and_shift(self, size: int, scale: bool, center: bool, gamma: Any, beta: Any) -> None:
        for name, trained, init in (("gamma", scale, gamma), ("beta", center, beta)):
            param = self.params.get(
                name, grad_req="write" if trained else "null", shape=(size,), init=init, allow_deferred_init=True
            )
            setattr(self, name, param)

    def __repr__(self) -> str:
        content = ", ".join(f"{name}={value!r}" for name, value in self._kwargs.items())
        return f"{type(self).__name__}({content}{self._channels()})"

    def _channels(self) -> str:
        return f", in_channels={self.gamma.shape[0]}"

    gamma: Any
    beta: Any


class _BatchNorm(_Norm):
    """See BatchNorm; `fuse_relu` adds max(0, x)."""

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        fuse_relu: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {
            "axis": axis, "eps": epsilon, "momentum": momentum, "fix_gamma": not scale,
            "use_global_stats": use_global_stats,
        }  # fmt: skip
        self.fuse_relu = fuse_relu
        if in_channels != 0:
            self.in_channels = in_channels
        rows = (
            ("gamma", gamma_initializer, scale),
            ("beta", beta_initializer, center),
            ("running_mean", running_mean_initializer, False),
            ("running_var", running_variance_initializer, False),
        )
        for name, init, trained in rows:
            param = self.params.get(
                name,
                grad_req="write" if trained else "null",
                shape=(in_channels,),
                init=init,
                allow_deferred_init=True,
                differentiable=trained,
            )
            setattr(self, name, param)

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its Parameters; they stay float32 when the network becomes float16."""
        super().cast("float32" if np.dtype(dtype).name == "float16" else dtype)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """x, normalised."""
        if state.np_array:
            function = F.npx.batch_norm
        else:
            function = F.contrib.BatchNormWithReLU if self.fuse_relu else F.BatchNorm
        return function(x, gamma, beta, running_mean, running_var, name="fwd", **self._kwargs)

    def _channels(self) -> str:
        return f", in_channels={self.gamma.shape[0] or None}"


class _PublicBatchNorm(_BatchNorm):
    _fused: ClassVar[bool] = False

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis, momentum, epsilon, center, scale, use_global_stats, self._fused, beta_initializer, gamma_initializer,
            running_mean_initializer, running_variance_initializer, in_channels, **kwargs,
        )  # fmt: skip


class BatchNorm(_PublicBatchNorm):
    """Every channel with mean 0 and variance 1 over the batch, then scaled and shifted.

    In training, the running mean and variance follow those of the batch; at inference they are used.

    Args:
        axis: of the channels.
        momentum: how much of the running values stays.
        epsilon: is added to the variance.
        center, scale: whether beta and gamma are trained.
        use_global_stats: whether the running values are used in training as well.
        in_channels: how many there are; 0 waits for the first batch.
    """


class BatchNormReLU(_PublicBatchNorm):
    """BatchNorm followed by max(0, x)."""

    _fused = True


class InstanceNorm(_Norm):
    """Every channel of every example with mean 0 and variance 1, then scaled and shifted."""

    def __init__(
        self,
        axis: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        self._axis = axis
        self._epsilon = epsilon
        self._scale_and_shift(in_channels, scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """x, normalised."""
        if self._axis == 1:
            return F.InstanceNorm(x, gamma, beta, name="fwd", eps=self._epsilon)
        x = x.swapaxes(1, self._axis)
        return F.InstanceNorm(x, gamma, beta, name="fwd", eps=self._epsilon).swapaxes(1, self._axis)


class LayerNorm(_Norm):
    """Mean 0 and variance 1 along one axis, then scaled and shifted."""

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._kwargs = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        self._axis = axis
        self._epsilon = epsilon
        self._center = center
        self._scale = scale
        self._scale_and_shift(in_channels, scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """data, normalised."""
        function = F.npx.layer_norm if state.np_array else F.LayerNorm
        return function(data, gamma=gamma, beta=beta, axis=self._axis, eps=self._epsilon)


class GroupNorm(_Norm):
    """Mean 0 and variance 1 over groups of channels, then scaled and shifted: one gamma and beta a group."""

    def __init__(
        self,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        self._kwargs = {"eps": epsilon, "num_groups": num_groups, "center": center, "scale": scale}
        self._num_groups = num_groups
        self._epsilon = epsilon
        self._center = center
        self._scale = scale
        self._scale_and_shift(num_groups, scale, center, gamma_initializer, beta_initializer)

    def hybrid_forward(self, F: Any, data: Any, gamma: Any, beta: Any) -> Any:
        """data, normalised."""
        return F.GroupNorm(data, gamma=gamma, beta=beta, num_groups=self._num_groups, eps=self._epsilon)

    def _channels(self) -> str:
        return ""
