"""Optimizers that MXNet keeps apart."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.optimizer._base import Optimizer, register, tensor

__all__ = ["GroupAdaGrad"]


@register
class GroupAdaGrad(Optimizer):
    """AdaGrad with one step for each row of a matrix; no weight decay. `eps` is added to the sum of squares."""

    def __init__(self, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """A number for each row: (rows, 1)."""
        assert len(weight.shape) == 2
        return wrap(weight._t.new_zeros((weight.shape[0], 1)).float(), weight._ctx, NDArray)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        assert wd == 0, "Weight decay is not supported for GroupAdaGrad"
        g = self._rescaled(g)
        history = tensor(state).add_((g * g).mean(1, keepdim=True))
        w.sub_(g * lr / (history + self.float_stable_eps).sqrt_())


claim(globals())
