"""Case: one call of an operator, to be made by real MXNet (its answers are golden data) and by us. Needs NumPy only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rand:
    """Random values: kind "normal", "uniform" (low to high), "int" (low ≤ x < high), "perm" (0 … n-1 shuffled)."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    kind: str = "normal"
    low: float = 0.0
    high: float = 1.0

    def make(self, rng: np.random.RandomState) -> np.ndarray:
        if self.kind == "normal":
            values = rng.normal(size=self.shape)
        elif self.kind == "uniform":
            values = rng.uniform(self.low, self.high, size=self.shape)
        elif self.kind == "int":
            values = rng.randint(int(self.low), int(self.high), size=self.shape)
        else:
            values = rng.permutation(int(np.prod(self.shape))).reshape(self.shape)
        return np.asarray(values, dtype=self.dtype)


@dataclass(frozen=True)
class Given:
    """Values as they stand."""

    values: Any
    dtype: str = "float32"

    def make(self, rng: np.random.RandomState) -> np.ndarray:
        return np.array(self.values, dtype=self.dtype)


@dataclass(frozen=True)
class Case:
    """A call.

    Attributes:
        op: the operator's own name.
        inputs: Rand, Given, or a bare shape for normal float32 values.
        attrs: the parameters, as a user writes them.
        grad: whether gradients of the float inputs are compared (head gradients are random too).
        train: whether it runs as in training.
        np: whether NumPy semantics (0-d, empty shapes) are on.
        error: MXNet refuses it, and so must we.
        rtol, atol: tolerances; by default a few roundings of the result's dtype.
        seed: `mx.random.seed` before the call.
        out: the positions of the inputs that are given as out= too, one for each output: weights that are updated.
        symbolic: whether the symbolic face is compared as well (not for results whose shape depends on values).
        note: what makes it different from the other cases of the operator; part of its name.
    """

    op: str
    inputs: tuple[Any, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    grad: bool = True
    train: bool = False
    np: bool = False
    error: bool = False
    rtol: float | None = None
    atol: float | None = None
    seed: int | None = None
    out: tuple[int, ...] = ()
    symbolic: bool = True
    note: str = ""

    @property
    def key(self) -> str:
        """A name that is the same in every process."""
        shown = ",".join(f"{k}={v}" for k, v in self.attrs.items())
        flags = "".join(f"-{f}" for f in ("train", "np", "error") if getattr(self, f))
        text = f"{self.op}({shown}){flags}{'-' + self.note if self.note else ''}"
        inputs = repr((self.inputs, self.out) if self.out else self.inputs)
        return f"{text}#{zlib.crc32(inputs.encode()):08x}"

    def arrays(self) -> list[np.ndarray]:
        """The inputs, the same in every process."""
        rng = np.random.RandomState(zlib.crc32(self.key.encode()))
        return [(Rand(spec) if isinstance(spec, tuple) else spec).make(rng) for spec in self.inputs]

    def targets(self, arrays: list[Any]) -> Any:
        """What out= is given, of the call's inputs."""
        found = [arrays[i] for i in self.out]
        return found if len(found) > 1 else found[0] if found else None

    def heads(self, shapes: list[tuple[int, ...]], dtypes: list[Any]) -> list[np.ndarray]:
        """The head gradients for backward."""
        rng = np.random.RandomState(zlib.crc32(self.key.encode()) ^ 0x5A5A5A5A)
        return [np.asarray(rng.normal(size=s)).astype(d) for s, d in zip(shapes, dtypes)]  # noqa: B905
