"""The tools of tests: they find what is wrong, and pass what is right."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet import test_utils as tu  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402


def test_tolerances_follow_from_the_dtype() -> None:
    """The wider of two arrays' tolerances; a number or a dict goes before them."""
    half, single = np.ones(2, "float16"), np.ones(2, "float32")

    assert tu.get_tols(half, single, None, None) == (1e-2, 1e-1)
    assert tu.get_tols(single, 1.0, None, None) == (1e-4, 1e-3)
    assert tu.get_tols(single, single, 0.5, {np.dtype("float32"): 0.25}) == (0.5, 0.25)
    assert (tu.get_rtol(), tu.get_atol()) == (1e-5, 1e-20)


def test_assert_almost_equal() -> None:
    """Arrays of both kinds; what differs is named, with its place; shapes and NaN as asked for."""
    a, b = mx.nd.array([1.0, 2, 3]), np.array([1.0, 2, 3.5], "float32")
    tu.assert_almost_equal(a, a.asnumpy())
    with pytest.raises(AssertionError, match=r"1 of 3 elements differ[^P]*Position \(2,\): a 3.0, b 3.5"):
        tu.assert_almost_equal(a, b)
    with pytest.raises(AssertionError, match="are not equal"):
        tu.assert_almost_equal(a, np.ones((1, 3), "float32"), use_broadcast=False)
    nan = np.array([np.nan])
    tu.assert_almost_equal(nan, nan, equal_nan=True)
    with pytest.raises(AssertionError):
        tu.assert_almost_equal(nan, nan)
    tu.assert_almost_equal_ignore_nan(np.array([np.nan, 1.0]), np.array([5.0, 1.0]))
    tu.assert_almost_equal_with_err(a, b, etol=0.5)
    with pytest.raises(AssertionError):
        tu.assert_almost_equal_with_err(a, b, etol=0.2)


def test_small_tools() -> None:
    """Exceptions, retries, shared memory, reductions, environment variables."""
    calls = []

    @tu.retry(3)
    def flaky() -> None:
        calls.append(1)
        assert len(calls) == 3

    flaky()
    array = mx.nd.array([1.0, 2])
    tu.assert_exception(int, ValueError, "x")
    with pytest.raises(AssertionError, match="did not raise"):
        tu.assert_exception(int, ValueError, "1")
    with tu.environment({"TENSORKEEP_A": "1", "HOME": None}):
        inside = os.environ.get("TENSORKEEP_A"), os.environ.get("HOME")
    x = np.arange(24.0).reshape(2, 3, 4)

    assert tu.same_array(array, array)
    assert not tu.same_array(array, array.copy())
    assert inside == ("1", None)
    assert "TENSORKEEP_A" not in os.environ
    assert np.array_equal(tu.np_reduce(x, (0, 2), True, np.sum), x.sum((0, 2), keepdims=True))
    assert np.array_equal(tu.collapse_sum_like(x, (3, 1)), x.sum((0, 2)).reshape(3, 1))
    assert list(tu.list_gpus()) == list(range(mx.num_gpus()))


def test_random_arrays_and_shapes() -> None:
    """Shapes within bounds; dense and sparse arrays; matrices with real eigenvalues."""
    np.random.seed(0)
    shape = tu.rand_shape_nd(3, 4)
    sparse = tu.rand_ndarray((5, 4), "csr", density=0.5)
    rows, (values, index) = tu.rand_sparse_ndarray((6, 2), "row_sparse", density=0.5)
    power = tu.rand_ndarray((4, 16), "csr", density=0.45, distribution="powerlaw")

    assert len(shape) == 3
    assert all(1 <= n <= 4 for n in shape)
    assert tu.rand_ndarray((2, 3)).shape == (2, 3)
    assert (sparse.stype, sparse.shape) == ("csr", (5, 4))
    assert np.array_equal(rows.asnumpy()[index], values)
    assert (power.asnumpy() != 0).sum(1).tolist() == [2, 4, 8, 14]
    assert tu.create_sparse_array_zd((4, 2), "row_sparse", 1.0).asnumpy().sum() == 0
    assert np.abs(np.linalg.eigvals(tu.new_matrix_with_real_eigvals_nd((2, 3, 3))).imag).max() < 1e-9
    with pytest.raises(ValueError, match="density has to be between 0 and 1"):
        tu.rand_ndarray((2, 2), "csr", density=2.0)


def test_symbols_are_checked() -> None:
    """Right outputs and gradients pass, wrong ones are named; numeric gradients agree."""
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    z = x * y
    a, b = np.array([[1.0, 2]], "float32"), np.array([[3.0, 4]], "float32")
    ones = np.ones((1, 2), "float32")

    assert np.array_equal(tu.simple_forward(z, x=a, y=b), a * b)
    tu.check_symbolic_forward(z, [a, b], [a * b])
    tu.check_symbolic_backward(z, {"x": a, "y": b}, [ones], {"x": b, "y": a})
    tu.check_symbolic_backward(z, [a, b], [ones], [b, a], grad_req="add")
    tu.check_numeric_gradient(z, [a, b])
    with pytest.raises(AssertionError, match="EXPECTED_"):
        tu.check_symbolic_forward(z, [a, b], [a + b])
    with pytest.raises(AssertionError, match="EXPECTED_x"):
        tu.check_symbolic_backward(z, [a, b], [ones], [a, a])
    with pytest.raises(ValueError, match="keys of the given location do not match"):
        tu.check_symbolic_forward(z, {"x": a}, [a])


def test_settings_are_compared() -> None:
    """check_consistency() passes dtypes against each other within the narrower one's tolerance."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    settings = [{"ctx": mx.cpu(), "data": (2, 4), "type_dict": {"data": dtype}} for dtype in (np.float64, np.float32)]
    truth = tu.check_consistency(net, settings)

    assert truth["fc_output"].shape == (2, 3)
    assert tu.same_symbol_structure(net, net)
    assert tu.check_speed(net, ctx=mx.cpu(), N=1, data=(2, 4)) > 0


def test_generators_are_tested() -> None:
    """Uniform numbers pass the chi-square test; others do not."""
    pytest.importorskip("scipy")
    mx.random.seed(1)
    buckets, probs = tu.gen_buckets_probs_with_ppf(lambda p: p, 5)

    def uniform(n: int) -> Any:
        return mx.nd.random.uniform(shape=(n,)).asnumpy()

    tu.verify_generator(uniform, buckets, probs, nsamples=2000, nrepeat=3)
    with pytest.raises(AssertionError, match="Generator test fails"):
        tu.verify_generator(lambda n: uniform(n) ** 2, buckets, probs, nsamples=2000, nrepeat=3)
    assert tu.mean_check(uniform, 0.5, 0.3, nsamples=1000)
    assert not tu.var_check(uniform, 1.0, nsamples=1000)


def test_optimizers_are_compared() -> None:
    """Alike: SGD and ccSGD, one by one and together; unlike: another learning rate."""
    first, second = mx.optimizer.SGD(momentum=0.9), mx.optimizer.ccSGD(momentum=0.9)
    tu.compare_optimizer(first, second, (3, 2), "float32")
    tu.compare_optimizer(first, second, [(3, 2), (4,)], "float32", ntensors=2)
    with pytest.raises(AssertionError):
        tu.compare_optimizer(first, mx.optimizer.SGD(learning_rate=0.5), (3, 2), "float32", compare_states=False)


def test_blocks_are_compared() -> None:
    """Hybridized and not, recorded and not."""

    class Net(mx.gluon.HybridBlock):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            with self.name_scope():
                self.dense = mx.gluon.nn.Dense(2, in_units=3)

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return self.dense(x)

    with mx.util.np_shape(True), mx.util.np_array(True):
        data = mx.np.ones((4, 3))
    tu.check_gluon_hybridize_consistency(Net, [data])
    with pytest.raises(AssertionError):
        tu.check_gluon_hybridize_consistency(Net, [data], numpy_func=lambda x: x[:, :2] + 7)


def test_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there is found; for another the error says where it belongs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")

    assert tu.download("http://example.org/a.txt") == "a.txt"
    with pytest.raises(MXNetError, match=r"Get it from http://example\.org/b\.txt and put it there"):
        tu.download("http://example.org/b.txt")
    for get in (tu.get_mnist, tu.get_mnist_ubyte, tu.get_cifar10):
        with pytest.raises(MXNetError, match="downloads nothing"):
            get()


def test_stderr_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """Also what other code writes to its file descriptor."""
    number = sys.stderr.fileno()
    with tu.discard_stderr():
        os.write(number, b"hidden")
    os.write(number, b"seen")
    sys.stderr.flush()

    assert capfd.readouterr().err == "seen"
