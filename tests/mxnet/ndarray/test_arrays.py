"""Arrays, where an expression with one answer cannot say it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tensorkeep.mxnet import autograd, nd
from tensorkeep.mxnet.base import MXNetError


def test_moveaxis_takes_any_sequence() -> None:
    """A range and an iterator name axes as lists do; an axis twice is refused, counted from either end."""
    assert nd.moveaxis(nd.zeros((1, 2, 3)), range(3), iter([2, 0, 1])).shape == (2, 3, 1)

    for source, destination in (([0, 0], [0, 1]), ([0, 1], [1, -2])):
        with pytest.raises(ValueError, match="repeated axis"):
            nd.moveaxis(nd.zeros((1, 2, 3)), source, destination)


def test_whole_numbers_do_not_take_recorded_values() -> None:
    """The history would be lost in silence."""
    whole, recorded = nd.zeros((3,), dtype="int32"), nd.ones((3,))
    recorded.attach_grad()
    with autograd.record(), pytest.raises(MXNetError, match="Inplace operations"):
        whole[:] = recorded

    whole[:] = recorded
    assert whole.asnumpy().tolist() == [1, 1, 1]
