"""Blocks side by side, pixels shuffled into larger images, BatchNorm over devices."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import num_gpus
from tensorkeep.mxnet.gluon.block import Block, HybridBlock
from tensorkeep.mxnet.gluon.nn import BatchNorm, HybridSequential, Sequential

__all__ = [
    "Concurrent", "HybridConcurrent", "Identity", "PixelShuffle1D", "PixelShuffle2D", "PixelShuffle3D",
    "SparseEmbedding", "SyncBatchNorm",
]  # fmt: skip


class Concurrent(Sequential):
    """Blocks that get the same input; their outputs are put together along `axis`."""

    def __init__(self, axis: int = -1, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """The outputs of all blocks, together."""
        return ndarray.concat(*[block(x) for block in self._children.values()], dim=self.axis)


class HybridConcurrent(HybridSequential):
    """HybridBlocks that get the same input; their outputs are put together along `axis`."""

    def __init__(self, axis: int = -1, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.axis = axis

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The outputs of all blocks, together."""
        return F.concat(*[block(x) for block in self._children.values()], dim=self.axis)


class Identity(HybridBlock):
    """Gives what it gets: a shortcut inside HybridConcurrent."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x."""
        return x


class SparseEmbedding(Block):
    """An Embedding whose weight and gradient are row_sparse; a Trainer must hold the weight.

    Args:
        input_dim, output_dim: rows and columns.
    """

    def __init__(
        self, input_dim: int, output_dim: int, dtype: Any = "float32", weight_initializer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {"input_dim": input_dim, "output_dim": output_dim, "dtype": dtype, "sparse_grad": True}
        self.weight = self.params.get(
            "weight",
            shape=(input_dim, output_dim),
            init=weight_initializer,
            dtype=dtype,
            grad_stype="row_sparse",
            stype="row_sparse",
        )

    def forward(self, x: Any) -> Any:
        """(…) → (…, output_dim)."""
        return ndarray.Embedding(x, self.weight.row_sparse_data(x), name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        return "{}({input_dim} -> {output_dim}, {dtype})".format(type(self).__name__, **self._kwargs)


class SyncBatchNorm(BatchNorm):
    """BatchNorm whose mean and variance are those of the batches on all devices.

    Args:
        num_devices: how many there are; by default all GPUs of this machine.
    """

    def __init__(
        self,
        in_channels: int = 0,
        num_devices: int | None = None,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, momentum, epsilon, center, scale, use_global_stats, beta_initializer, gamma_initializer,
            running_mean_initializer, running_variance_initializer, in_channels, **kwargs,
        )  # fmt: skip
        self._kwargs = {
            "eps": epsilon, "momentum": momentum, "fix_gamma": not scale, "use_global_stats": use_global_stats,
            "ndev": _device_count() if num_devices is None else num_devices, "key": self.prefix,
        }  # fmt: skip

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """x, normalised."""
        return F.contrib.SyncBatchNorm(x, gamma, beta, running_mean, running_var, name="fwd", **self._kwargs)


def _device_count() -> int:
    warnings.warn(
        "Caution using SyncBatchNorm: if not using all the GPUs, please mannually set num_devices",
        UserWarning,
        stacklevel=3,
    )
    return max(1, num_gpus())


class _PixelShuffle(HybridBlock):
    _dims: ClassVar[int]

    def __init__(self, factor: Any) -> None:
        super().__init__()
        many = isinstance(factor, (list, tuple))
        self._factors = tuple([int(each) for each in factor]) if many else (int(factor),) * self._dims
        assert len(self._factors) == self._dims, f"wrong length {len(self._factors)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._factors})"


class PixelShuffle1D(_PixelShuffle):
    """(n, f · c, w) → (n, c, f · w)."""

    _dims = 1

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x with fewer channels, wider."""
        x = F.reshape(x, (0, -4, -1, self._factors[0], 0))
        x = F.transpose(x, (0, 1, 3, 2))
        return F.reshape(x, (0, 0, -3))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._factors[0]})"


class PixelShuffle2D(_PixelShuffle):
    """(n, f · g · c, h, w) → (n, c, f · h, g · w)."""

    _dims = 2

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x with fewer channels, larger."""
        f, g = self._factors
        x = F.reshape(x, (0, -4, -1, f * g, 0, 0))
        x = F.reshape(x, (0, 0, -4, f, g, 0, 0))
        x = F.transpose(x, (0, 1, 4, 2, 5, 3))
        return F.reshape(x, (0, 0, -3, -3))


class PixelShuffle3D(_PixelShuffle):
    """(n, f · g · h · c, d, y, x) → (n, c, f · d, g · y, h · x)."""

    _dims = 3

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x with fewer channels, larger."""
        f, g, h = self._factors
        # An axis at a time: nothing in MXNet's own graph has more than six.
        x = F.reshape(x, (0, -4, -1, f * g * h, 0, 0, 0))
        x = F.swapaxes(x, 2, 3)
        x = F.reshape(x, (0, 0, 0, -4, f, g * h, 0, 0))
        x = F.reshape(x, (0, 0, -3, 0, 0, 0))
        x = F.swapaxes(x, 3, 4)
        x = F.reshape(x, (0, 0, 0, 0, -4, g, h, 0))
        x = F.reshape(x, (0, 0, 0, -3, 0, 0))
        x = F.swapaxes(x, 4, 5)
        return F.reshape(x, (0, 0, 0, 0, -3))


claim(globals())
