"""nd.contrib's functions in Python: loops, branches, checks of values."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

nd, contrib = mx.nd, mx.nd.contrib


def values(array: mx.nd.NDArray) -> list:
    return array.asnumpy().tolist()


def test_foreach_stacks_what_each_step_gives_and_nests_it_again() -> None:
    """Outputs come in the nesting that the body gave, states as the last call left them."""
    outputs, state = contrib.foreach(lambda row, s: ([row, [s]], s + 1), nd.array([[0, 1], [2, 3]]), nd.array([5]))

    assert values(outputs[0]) == [[0, 1], [2, 3]]
    assert values(outputs[1][0]) == [[5], [6]]
    assert values(state) == [7]


def test_foreach_is_differentiated_through() -> None:
    """The gradient of a running product is the product of the other factors."""
    data = nd.array([2, 3, 4])
    data.attach_grad()

    with mx.autograd.record():
        _, last = contrib.foreach(lambda x, s: (s, s * x), data, nd.array([1]))
    last.backward()

    assert values(data.grad) == [12, 8, 6]


def test_while_loop_pads_its_outputs_to_max_iterations() -> None:
    """The first axis has max_iterations rows, those of the steps first."""
    outputs, variables = contrib.while_loop(
        lambda i: i < 3, lambda i: ([i, i * 2], [i + 1]), [nd.array([1])], max_iterations=4
    )

    assert [a.shape for a in outputs] == [(4, 1), (4, 1)]
    assert values(outputs[1][:2]) == [[2], [4]]
    assert values(variables[0]) == [3]


def test_while_loop_without_a_step_has_no_outputs() -> None:
    """Its variables come back as they were."""
    outputs, last = contrib.while_loop(lambda i: i < 0, lambda i: (i, i), nd.array([1]), max_iterations=4)

    assert outputs == []
    assert values(last) == [1]


@pytest.mark.parametrize(
    ("func", "loop_vars", "limit", "text"),
    [
        (lambda i: (i, [i, i]), [1], 2, "The length of loop_vars should be consistent during the loop"),
        (lambda i: (i, i), [], 2, "loop_vars should contain at least one element"),
        (lambda i: (i, i), [1], None, "max_iterations should be specified"),
        (lambda i: (i, i), [1], "x", "Cannot convert max_iteration to python int"),
    ],
)
def test_while_loop_refuses_what_mxnet_refuses(func, loop_vars, limit, text) -> None:
    """The errors are MXNet's."""
    arrays = [nd.array([v]) for v in loop_vars]

    with pytest.raises(ValueError, match=text):
        contrib.while_loop(lambda i: i < 3, func, arrays, max_iterations=limit)


def test_cond_calls_one_branch() -> None:
    """The other function is not called."""
    one = nd.array([1])

    assert values(contrib.cond(one < 5, lambda: one + 1, lambda: 1 / 0)) == [2]
    assert values(contrib.cond(one > 5, lambda: 1 / 0, lambda: one - 1)) == [0]
    with pytest.raises(ValueError, match="not a scalar"):
        contrib.cond(nd.array([1, 2]), lambda: one, lambda: one)


def test_infinite_and_undefined_values_are_told_apart() -> None:
    """1 and 0 in the dtype of the array, as comparisons give."""
    data = nd.array([np.nan, np.inf, -np.inf, 1])

    assert values(contrib.isnan(data)) == [1, 0, 0, 0]
    assert values(contrib.isinf(data)) == [0, 1, 1, 0]
    assert values(contrib.isfinite(data)) == [0, 0, 0, 1]


def test_rand_zipfian_draws_mxnets_classes() -> None:
    """With the seed 3, MXNet 1.9.1 drew these."""
    mx.random.seed(3)

    classes, true, drawn = contrib.rand_zipfian(nd.array([3]), 4, 5)

    assert values(classes) == [1, 0, 0, 0]
    assert np.allclose(true.asnumpy(), [0.49815515], rtol=1e-7)
    assert np.allclose(drawn.asnumpy(), [0.90517754, 1.54741123, 1.54741123, 1.54741123], rtol=1e-7)


def test_foreach_names_what_is_no_array() -> None:
    """MXNet's assertion says which argument it was."""
    with pytest.raises(AssertionError, match="foreach input must be"):
        contrib.foreach(lambda d, s: (d, s), 5, [])
