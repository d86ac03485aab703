"""sym.contrib: operators that MXNet called experimental, loops and branches."""

from __future__ import annotations

from math import log
from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.symbol import random
from tensorkeep.mxnet.symbol._creation import full
from tensorkeep.mxnet.symbol._loops import cond, foreach, while_loop
from tensorkeep.mxnet.symbol.register import call, serve
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["adamw_update", "cond", "foreach", "mp_adamw_update", "rand_zipfian", "while_loop"]

__getattr__, __dir__ = serve(globals(), "contrib", "mxnet.symbol.contrib")


def rand_zipfian(true_classes: Symbol, num_sampled: int, range_max: int) -> tuple[Any, Any, Any]:
    """Classes drawn with log-uniform probability, and how often the true and the drawn ones are expected."""
    assert isinstance(true_classes, Symbol), f"unexpected type {true_classes}"
    log_range = log(range_max + 1)
    drawn: Any = random.uniform(0, log_range, shape=(num_sampled,), dtype="float64")
    sampled = (drawn.exp() - 1).astype("int64") % range_max

    def expected(classes: Any) -> Any:
        values = classes.astype("float64")
        return ((values + 2.0) / (values + 1.0)).log() / log_range * num_sampled

    true_count = expected(true_classes)
    return sampled, true_count, expected(sampled)


def _adamw(name: str, rescale_grad: Any, inputs: dict[str, Any], kwargs: dict[str, Any]) -> Any:
    if not isinstance(rescale_grad, Symbol):
        rescale_grad = full(shape=(1,), val=rescale_grad)
    return call(name, **inputs, rescale_grad=rescale_grad, **kwargs)


def adamw_update(
    weight: Any, grad: Any, mean: Any, var: Any, rescale_grad: Any, lr: float, eta: float, **kwargs: Any
) -> Any:
    """One step of Adam with decoupled weight decay; `rescale_grad` is a symbol or a number."""
    inputs = {"weight": weight, "grad": grad, "mean": mean, "var": var}
    return _adamw("_adamw_update", rescale_grad, inputs, {"lr": lr, "eta": eta, **kwargs})


def mp_adamw_update(
    weight: Any, grad: Any, mean: Any, var: Any, weight32: Any, rescale_grad: Any, lr: float, eta: float, **kwargs: Any
) -> Any:
    """The same with a float32 copy of the weight."""
    inputs = {"weight": weight, "grad": grad, "mean": mean, "var": var, "weight32": weight32}
    return _adamw("_mp_adamw_update", rescale_grad, inputs, {"lr": lr, "eta": eta, **kwargs})


claim(globals())
