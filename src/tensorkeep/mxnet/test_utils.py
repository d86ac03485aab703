"""mx.test_utils: what tests of MXNet's users and MXNet's own tests are written with."""

from __future__ import annotations

import gzip
import json
import logging
import os
import platform
import struct
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.random as rnd

import tensorkeep.mxnet as mx
from tensorkeep._optional import require
from tensorkeep.mxnet import _test_arrays, _test_compare, _test_symbolic
from tensorkeep.mxnet._test_arrays import *  # noqa: F403 - its __all__
from tensorkeep.mxnet._test_compare import *  # noqa: F403 - its __all__
from tensorkeep.mxnet._test_compare import assert_almost_equal, compare_ndarray_tuple, default_context
from tensorkeep.mxnet._test_symbolic import *  # noqa: F403 - its __all__
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import Context, current_context, num_gpus
from tensorkeep.mxnet.io.io import DataIter
from tensorkeep.mxnet.ndarray.utils import array
from tensorkeep.mxnet.symbol.symbol import Symbol
from tensorkeep.mxnet.util import use_np

__all__ = [
    "Context", "DummyIter", "OrderedDict", "Symbol",
    "array", "check_gluon_hybridize_consistency", "chi_square_check", "compare_optimizer",
    "current_context", "discard_stderr", "download", "environment", "gen_buckets_probs_with_ppf", "get_bz2_data",
    "get_cifar10", "get_mnist", "get_mnist_iterator", "get_mnist_ubyte", "get_zip_data", "has_tvm_ops",
    "is_aarch64_run", "is_cd_run", "is_op_runnable", "json", "list_gpus", "logging", "mean_check", "mx", "np", "os",
    "rnd", "sys", "time", "use_np", "var_check", "verify_generator",
]  # fmt: skip
__all__ += _test_arrays.__all__
__all__ += _test_compare.__all__
__all__ += _test_symbolic.__all__

Array = np.ndarray[Any, Any]


def list_gpus() -> range:
    """The numbers of the GPUs."""
    return range(num_gpus())


# --- files


def download(
    url: str, fname: str | None = None, dirname: str | None = None, overwrite: bool = False, retries: int = 5
) -> str:
    """The path where a file from that address lies: its own name, or `fname`, in `dirname`.

    Raises:
        MXNetError: it is not there. Nothing is downloaded; the error says where the file belongs.
    """
    path = fname or url.split("/")[-1]
    if dirname is not None:
        path = os.path.join(dirname, path)
    if not os.path.exists(path):
        raise MXNetError(f"{path} is not there, and tensorkeep downloads nothing. Get it from {url} and put it there.")
    return path


def _present(folder: str, names: tuple[str, ...], what: str) -> None:
    missing = [name for name in names if not os.path.exists(os.path.join(folder, name))]
    if missing:
        raise MXNetError(f"{what} needs {', '.join(missing)} in {folder}/, and tensorkeep downloads nothing.")


def get_mnist() -> dict[str, Any]:
    """MNIST from its four .gz files in the current folder: train_data, train_label, test_data, test_label.

    Images are float32 (n, 1, 28, 28) from 0 to 1, labels int8.
    """

    def read(labels: str, images: str) -> tuple[Array, Array]:
        base = "http://data.mxnet.io/data/mnist/"
        with gzip.open(download(base + labels)) as file:
            file.read(8)
            label = np.frombuffer(file.read(), dtype=np.int8)
        with gzip.open(download(base + images)) as file:
            _, _, rows, columns = struct.unpack(">IIII", file.read(16))
            image = np.frombuffer(file.read(), dtype=np.uint8).reshape(len(label), 1, rows, columns)
        return label, image.astype(np.float32) / 255

    train = read("train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz")
    test = read("t10k-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    return {"train_data": train[1], "train_label": train[0], "test_data": test[1], "test_label": test[0]}


_MNIST = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip


def get_mnist_ubyte() -> None:
    """Raise MXNetError unless MNIST's four files are in data/."""
    _present("data", _MNIST, "MNIST")


def get_cifar10() -> None:
    """Raise MXNetError unless CIFAR-10's record and list files are in data/cifar/."""
    _present("data/cifar", ("train.rec", "test.rec", "train.lst", "test.lst"), "CIFAR-10")


def get_zip_data(data_dir: str, url: str, data_origin_name: str) -> None:
    """Raise MXNetError unless the file is in the folder."""
    _present(data_dir, (data_origin_name,), url)


def get_bz2_data(data_dir: str, data_name: str, url: str, data_origin_name: str) -> None:
    """Raise MXNetError unless the unpacked file is in the folder."""
    _present(data_dir, (data_name,), url)


def get_mnist_iterator(batch_size: int, input_shape: Any, num_parts: int = 1, part_index: int = 0) -> tuple[Any, Any]:
    """MNISTIter of the training and of the test images in data/; flat unless input_shape has three dimensions."""
    get_mnist_ubyte()
    more: dict[str, Any] = {"flat": len(input_shape) != 3, "num_parts": num_parts, "part_index": part_index}
    paths = [f"data/{name}" for name in _MNIST]
    return (
        mx.io.MNISTIter(image=paths[0], label=paths[1], batch_size=batch_size, shuffle=True, **more),
        mx.io.MNISTIter(image=paths[2], label=paths[3], batch_size=batch_size, **more),
    )


class DummyIter(DataIter):
    """The first batch of another iterator, again and again."""

    def __init__(self, real_iter: Any) -> None:
        super().__init__()
        self.real_iter = real_iter
        self.provide_data = real_iter.provide_data
        self.provide_label = real_iter.provide_label
        self.batch_size = real_iter.batch_size
        self.the_batch = next(real_iter)

    def next(self) -> Any:
        """The batch."""
        return self.the_batch


# --- random generators


def gen_buckets_probs_with_ppf(ppf: Callable[[float], float], nbuckets: int) -> tuple[list[Any], list[float]]:
    """Intervals of equal probability, and these, from a quantile function."""
    assert nbuckets > 0
    edges = [ppf(i / float(nbuckets)) for i in range(nbuckets + 1)]
    return list(pairwise(edges)), [1.0 / nbuckets] * nbuckets


def mean_check(generator: Callable[[int], Any], mu: float, sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the mean of the samples is within three standard errors of mu."""
    return bool(abs(np.mean(generator(nsamples)) - mu) < 3 * sigma / np.sqrt(nsamples))


def var_check(generator: Callable[[int], Any], sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the variance of normal samples is within three standard errors of sigma squared."""
    found = np.var(np.array(generator(nsamples)), ddof=1)
    return bool(abs(found - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1)))


def chi_square_check(
    generator: Callable[[int], Any], buckets: list[Any], probs: Any, nsamples: int = 1000000
) -> tuple[float, Array, Array]:
    """The p value of a chi-square test of samples, how many lie in each bucket, and how many should. Needs scipy.

    Args:
        buckets: intervals (low, high) in their order, or single values.
    """
    stats = require("scipy.stats", extra="scipy", for_="A chi-square test")
    assert isinstance(buckets, list)
    assert len(probs) == len(buckets)
    samples = np.asarray(generator(nsamples)).ravel()
    expected = (nsamples * np.array(probs, dtype=np.float32)).astype(np.int32)
    if isinstance(buckets[0], (list, tuple)):
        edges = np.array([edge for bucket in buckets for edge in bucket], dtype=np.float32)
        assert (np.diff(edges) >= 0).all()
        index = np.searchsorted(edges, samples, side="right") // 2
        observed = np.array([(index == i).sum() for i in range(len(buckets))])
    else:
        observed = np.array([(samples == bucket).sum() for bucket in buckets])
    # Newer scipy insists that both have one sum; what is outside of the buckets counts for MXNet as well.
    statistic = ((observed - expected) ** 2 / np.maximum(expected, 1)).sum()
    return float(stats.chi2.sf(statistic, len(buckets) - 1)), observed, expected


def verify_generator(
    generator: Callable[[int], Any],
    buckets: list[Any],
    probs: Any,
    nsamples: int = 1000000,
    nrepeat: int = 5,
    success_rate: float = 0.2,
    alpha: float = 0.05,
) -> list[float]:
    """The p values of nrepeat chi-square tests; AssertionError unless enough of them exceed alpha."""
    tests = [chi_square_check(generator, buckets, probs, nsamples) for _ in range(nrepeat)]
    p_values = [p for p, _, _ in tests]
    if (np.array(p_values) > alpha).sum() < nrepeat * success_rate:
        raise AssertionError(
            f"Generator test fails, Chi-square p={p_values}, obs_freq={[t[1] for t in tests]}, "
            f"expected_freq={[t[2] for t in tests]}.\nbuckets={buckets}, probs={probs}"
        )
    return p_values


# --- optimizers and blocks


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = "default",
    g_stype: str = "default",
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
    ntensors: int = 1,
) -> None:
    """Raise AssertionError unless two optimizers change the same random weights alike.

    Args:
        shape: of one weight, or a list of shapes, which opt2 updates in one call.
        w_stype, g_stype: of opt2's weight and gradient; opt1's are dense.
    """
    many = isinstance(shape, list)
    assert many or ntensors == 1
    ctx = default_context()
    first, second = [], []
    for each in shape if many else [shape]:
        pairs = []
        for stype, density in ((w_stype, 1.0), (g_stype, None)):
            if stype == "default":
                theirs = mx.nd.random.uniform(shape=each, ctx=ctx, dtype=dtype)
                pairs.append((theirs.copyto(ctx), theirs))
            else:
                theirs = _test_arrays.rand_ndarray(each, stype, density=density, dtype=dtype)
                pairs.append((theirs.copyto(ctx).tostype("default"), theirs))
        first.append(tuple(pair[0] for pair in pairs))
        second.append(tuple(pair[1] for pair in pairs))
    states1 = [opt1.create_state_multi_precision(i, w) for i, (w, _) in enumerate(first)]
    states2 = [opt2.create_state_multi_precision(i, w) for i, (w, _) in enumerate(second)]
    for i, (w, g) in enumerate(first):
        opt1.update_multi_precision(i, w, g, states1[i])
    if many:
        opt2.update_multi_precision(
            list(range(ntensors)), tuple(w for w, _ in second), tuple(g for _, g in second), states2
        )
    else:
        opt2.update_multi_precision(0, *second[0], states2[0])
    for i in range(len(first)):
        if compare_states:
            compare_ndarray_tuple(states1[i], states2[i], rtol, atol)
        assert_almost_equal(first[i][0], second[i][0], rtol=rtol, atol=atol)


def check_gluon_hybridize_consistency(
    net_builder: Callable[..., Any],
    data_l: list[Any],
    numpy_func: Any = None,
    test_grad: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Raise AssertionError unless a block gives the same with and without hybridize(), recorded or not.

    Args:
        net_builder: makes the block; called with prefix=.
        data_l: its inputs, arrays of mx.np.
        numpy_func: a function of NumPy arrays that gives the same.
    """
    with mx.util.np_shape(True), mx.util.np_array(True):
        _check_hybridize(net_builder, data_l, numpy_func, test_grad, rtol, atol)


def _check_hybridize(
    net_builder: Any, data_l: list[Any], numpy_func: Any, test_grad: bool, rtol: float, atol: float
) -> None:
    class Saved(mx.init.Initializer):
        def _init_weight(self, name: str, arr: Any) -> None:
            arr[()] = values[name]

    values: dict[str, Any] = {}
    output: Any = None
    gradients: list[Any] | None = None
    for hybridize in (False, True):
        for recorded in (False, True) if test_grad else (False,):
            net = net_builder(prefix="net_")
            net.initialize(*([Saved()] if values else []))
            if hybridize:
                net.hybridize()
            inputs = [each.copy() for each in data_l]
            if recorded:
                for each in inputs:
                    each.attach_grad()
                with mx.autograd.record():
                    found = net(*inputs)
                found.backward(found)
            else:
                found = net(*inputs)
            values = values or {name: each.data().asnumpy() for name, each in net.collect_params().items()}
            output = found.asnumpy() if output is None else output
            assert_almost_equal(found.asnumpy(), output, rtol=rtol, atol=atol)
            if recorded:
                gradients = gradients or [each.grad.asnumpy() for each in inputs]
                for each, want in zip(inputs, gradients, strict=True):
                    assert_almost_equal(each.grad.asnumpy(), want, rtol=rtol, atol=atol)
    if numpy_func is not None:
        assert_almost_equal(output, numpy_func(*[each.asnumpy() for each in data_l]), rtol=rtol, atol=atol)


# --- the surroundings


@contextmanager
def discard_stderr() -> Iterator[None]:
    """A scope in which what is written to the standard error, also by C code, goes nowhere."""
    with tempfile.TemporaryFile() as nowhere:
        try:
            number = sys.stderr.fileno()
        except (AttributeError, OSError):
            yield
            return
        before = os.dup(number)
        try:
            os.dup2(nowhere.fileno(), number)
            yield
        finally:
            os.dup2(before, number)
            os.close(before)


@contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A scope in which environment variables are set: (name, value) or a dict; None removes one."""
    if len(args) == 1 and isinstance(args[0], dict):
        wanted = args[0]
    else:
        assert len(args) == 2, "Expecting one dict arg or two args: env var name and value"
        wanted = {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}

    def put(values: dict[str, Any]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(wanted)
    try:
        yield
    finally:
        put(before)


def is_cd_run() -> bool:
    """Whether this is one of MXNet's own delivery jobs."""
    return os.environ.get("CD_JOB") == "1"


def is_aarch64_run() -> bool:
    """Whether this is an Arm machine."""
    return platform.machine() == "aarch64"


def has_tvm_ops() -> bool:
    """Whether there are operators of TVM: no."""
    return False


def is_op_runnable() -> bool:
    """Whether every operator can run here: yes."""
    return True


claim(globals())
