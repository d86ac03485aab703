"""The densities of distributions at samples, with gradients for samples and parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError


def _log_uniform(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    # MXNet does not ask whether x lies between them.
    return -torch.log(high - low) + 0 * x


def _log_normal(x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    return torch.distributions.Normal(mu, sigma, validate_args=False).log_prob(x)


def _log_gamma(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha * torch.log(beta) + (alpha - 1) * torch.log(x) - beta * x - torch.lgamma(alpha)


def _log_exponential(x: Tensor, lam: Tensor) -> Tensor:
    return torch.log(lam) - lam * x


def _log_poisson(x: Tensor, lam: Tensor) -> Tensor:
    return x * torch.log(lam) - torch.lgamma(x + 1) - lam


def _log_negative_binomial(x: Tensor, k: Tensor, p: Tensor) -> Tensor:
    return torch.lgamma(x + k) - torch.lgamma(x + 1) - torch.lgamma(k) + k * torch.log(p) + x * torch.log(1 - p)


def _log_generalized_negative_binomial(x: Tensor, mu: Tensor, alpha: Tensor) -> Tensor:
    return _log_negative_binomial(x, 1 / alpha, 1 / (mu * alpha + 1))


def _log_dirichlet(x: Tensor, alpha: Tensor) -> Tensor:
    front = torch.lgamma(alpha.sum(-1)) - torch.lgamma(alpha).sum(-1)
    return ((alpha - 1) * torch.log(x)).sum(-1) + front


_LAWS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "uniform": (_log_uniform, "the uniform distribution over low … high, wherever the sample lies"),
    "normal": (_log_normal, "the normal distribution with mean mu and standard deviation sigma"),
    "gamma": (_log_gamma, "the gamma distribution with shape alpha and rate beta"),
    "exponential": (_log_exponential, "the exponential distribution with rate lam"),
    "poisson": (_log_poisson, "the Poisson distribution with mean lam"),
    "negative_binomial": (_log_negative_binomial, "the negative binomial distribution: k failures of probability p"),
    "generalized_negative_binomial": (
        _log_generalized_negative_binomial,
        "the negative binomial distribution with mean mu and dispersion alpha",
    ),
    "dirichlet": (_log_dirichlet, "the Dirichlet distribution with the concentrations alpha (…, k)"),
}


def _spread(sample: Tensor, parameters: Sequence[Tensor], last: int) -> list[Tensor]:
    """The parameters with an axis of 1 for every axis that only the sample has; `last` axes belong to both."""
    found = []
    for parameter in parameters:
        own = parameter.dim() - last
        if sample.dim() < parameter.dim() or sample.shape[:own] != parameter.shape[:own]:
            raise MXNetError(
                f"The sample's shape {tuple(sample.shape)} must begin with that of the parameters, "
                f"{tuple(parameter.shape)}"
            )
        ones = (1,) * (sample.dim() - parameter.dim())
        found.append(parameter.reshape(*parameter.shape[:own], *ones, *parameter.shape[own:]))
    return found


def _shapes(last: int) -> Any:
    def rule(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
        sample = shapes[0]
        known = next((s for s in shapes[1:] if s is not None), None)
        out = None if sample is None else sample[: len(sample) - last]
        return [sample, *[known if s is None else s for s in shapes[1:]]], [out]

    return rule


def _family(name: str) -> None:
    log_density, text = _LAWS[name]
    last = 1 if name == "dirichlet" else 0

    def density(sample: Tensor, *parameters: Tensor, is_log: bool = False) -> Tensor:
        found = log_density(sample, *_spread(sample, parameters, last))
        return found if is_log else torch.exp(found)

    density.__doc__ = (
        f"The density of {text} at the samples; with is_log its logarithm.\n\n"
        "The dimensions of the samples begin with those of the parameters: each entry has an array of samples."
    )
    operator(f"_random_pdf_{name}", shape=_shapes(last))(density)


for _name in _LAWS:
    _family(_name)
