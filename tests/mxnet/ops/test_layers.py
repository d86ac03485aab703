"""Layers where MXNet draws at random, keeps state, or only its GPU answers: against slow formulas and properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorkeep.mxnet import autograd, random  # noqa: E402
from tensorkeep.mxnet._registry import get  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tensorkeep.mxnet.ndarray.ndarray import NDArray, array  # noqa: E402
from tests.mxnet.ops.case import Rand  # noqa: E402

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # everything here is computed in float64


def values(*shape: int, seed: int = 0, kind: str = "normal") -> Any:
    return torch.from_numpy(Rand(shape, "float64", kind).make(np.random.RandomState(seed)))


def run(name: str, *arrays: Any, **attrs: Any) -> Any:
    op = get(name)
    given = op.parse(attrs)
    if op.wants_train:
        given["is_train"] = False
    return op.fn(*arrays, **given)


def nd(name: str, *arrays: NDArray, **attrs: Any) -> Any:
    from tensorkeep.mxnet._invoke import invoke

    return invoke(get(name), list(arrays), attrs, None, NDArray)


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), **CLOSE)


def test_dropout_drops_a_share_and_scales_the_rest() -> None:
    """In training every element is 0 or 1 / (1 - p), a share of p of them 0; backward() uses the same mask."""
    x = array(np.ones((200, 100), "float32"))
    x.attach_grad()

    with autograd.record():
        y = nd("Dropout", x, p=0.3)
    autograd.backward(y)
    found = y.asnumpy()

    assert set(np.unique(found)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert abs((found == 0).mean() - 0.3) < 0.02  # 6 standard deviations of 20,000 draws
    np.testing.assert_array_equal(x.grad.asnumpy(), found)


def test_dropout_with_axes_decides_once_for_an_axis() -> None:
    """Along `axes` all elements share one decision."""
    x = array(np.ones((50, 7), "float32"))

    with autograd.record():
        y = nd("Dropout", x, p=0.5, axes=(1,)).asnumpy()

    assert (y == y[:, :1]).all()
    assert 0 < (y[:, 0] == 0).sum() < 50


def test_dropout_follows_the_seed_and_the_mode() -> None:
    """The same seed gives the same mask; outside training nothing is dropped, unless mode says always.

    Where nothing is kept MXNet gives NaN, 0 / 0.
    """
    x = array(np.ones((20, 20), "float32"))

    def drawn(**attrs: Any) -> Any:
        random.seed(7)
        return nd("Dropout", x, **attrs).asnumpy()

    np.testing.assert_array_equal(drawn(mode="always"), drawn(mode="always"))
    assert (drawn(mode="always") == 0).any()
    np.testing.assert_array_equal(drawn(), x.asnumpy())
    with autograd.train_mode():
        assert np.isnan(drawn(p=1.0)).all()


def test_dropout_outside_training_gives_an_array_of_its_own() -> None:
    """Writing into the result leaves the input."""
    x = array(np.ones((2, 2), "float32"))

    nd("Dropout", x).to_torch().zero_()

    assert (x.asnumpy() == 1).all()


def test_rrelu_draws_slopes_between_its_bounds() -> None:
    """In training each negative element has a slope of its own, which is the second output; else the mean."""
    x = array(np.full((30, 30), -1.0, "float32"))

    with autograd.record():
        y, slopes = nd("LeakyReLU", x, act_type="rrelu", lower_bound=0.2, upper_bound=0.4)
    calm = nd("LeakyReLU", x, act_type="rrelu", lower_bound=0.2, upper_bound=0.4)[0].asnumpy()

    np.testing.assert_array_equal(y.asnumpy(), -slopes.asnumpy())
    assert 0.2 <= slopes.asnumpy().min() < 0.22
    assert 0.38 < slopes.asnumpy().max() <= 0.4
    np.testing.assert_allclose(calm, -0.3, rtol=1e-6)


def test_moving_statistics_change_in_backward() -> None:
    """forward leaves them; backward moves them by the biased variance; without recording they stay."""
    x = array(values(4, 3, 5).numpy(), dtype="float64")
    state = [array(values(3, seed=i, kind="uniform").numpy(), dtype="float64") for i in range(4)]
    mean, var = (s.asnumpy() for s in state[2:])
    x.attach_grad()

    with autograd.train_mode():
        nd("BatchNorm", x, *state, momentum=0.75)
    with autograd.record():
        y = nd("BatchNorm", x, *state, momentum=0.75)
    close(state[2].asnumpy(), mean)
    autograd.backward(y)

    over = (0, 2)
    close(state[2].asnumpy(), 0.75 * mean + 0.25 * x.asnumpy().mean(over))
    close(state[3].asnumpy(), 0.75 * var + 0.25 * x.asnumpy().var(over))


def test_fixed_gamma_is_one_and_has_no_gradient() -> None:
    """fix_gamma writes 1 into gamma, in inference too, and backward writes 0 into its gradient."""
    x = array(values(4, 3).numpy())
    gamma, beta, mean, var = (array(values(3, seed=i, kind="uniform").numpy()) for i in range(4))
    nd("BatchNorm", x, gamma, beta, mean, var)
    assert (gamma.asnumpy() == 1).all()

    for training in (True, False):
        gamma.attach_grad()
        gamma.grad.to_torch().fill_(5)
        with autograd.record(train_mode=training):
            y = nd("BatchNorm", x, gamma, beta, mean, var)
        autograd.backward(y)
        assert (gamma.grad.asnumpy() == 0).all()


def test_statistics_as_outputs_give_no_gradient() -> None:
    """backward() from the mean and variance of normalisations is allowed and gives zeros."""
    x = array(values(4, 3, 5).numpy())
    ones = array(np.ones(5))
    for stat in (1, 2):
        x.attach_grad()
        with autograd.record():
            found = nd("LayerNorm", x, ones, ones, output_mean_var=True)
        autograd.backward(found[stat])
        assert (x.grad.asnumpy() == 0).all()


def test_batch_norm_of_several_devices_is_refused() -> None:
    """SyncBatchNorm cannot join batches here, and says so in training."""
    x, one = array(np.ones((2, 3))), array(np.ones(3))

    with autograd.record(), pytest.raises(MXNetError, match="several devices are not joined"):
        nd("_contrib_SyncBatchNorm", x, one, one, one, one, ndev=2, key="a")


def test_convolution_with_channels_last_is_that_with_channels_first() -> None:
    """NHWC: data, weight and result have their channels at the end; MXNet's CPU refuses it."""
    x, w, b = values(2, 5, 6, 4), values(6, 3, 2, 2, seed=1), values(6, seed=2)
    attrs = {"kernel": (3, 2), "num_filter": 6, "num_group": 2, "stride": (2, 1), "pad": (1, 0)}

    found = run("Convolution", x, w, b, layout="NHWC", **attrs)

    first = run("Convolution", x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), b, **attrs)
    close(found, first.permute(0, 2, 3, 1))
    x3, w3 = values(1, 3, 4, 5, 2), values(4, 2, 2, 2, 2, seed=1)
    found = run("Convolution", x3, w3, kernel=(2, 2, 2), num_filter=4, no_bias=True, layout="NDHWC")
    first = run("Convolution", x3.movedim(-1, 1), w3.movedim(-1, 1), kernel=(2, 2, 2), num_filter=4, no_bias=True)
    close(found, first.movedim(1, -1))


def test_convolutions_of_half_floats_are_computed() -> None:
    """MXNet's CPU refuses float16; here it gives what float64 does, rounded."""
    x, w = values(2, 4, 5, 5), values(4, 4, 3, 3, seed=1)
    attrs = {"kernel": (3, 3), "num_filter": 4, "no_bias": True}

    for op in ("Convolution", "Deconvolution"):
        found = run(op, x.half(), w.half(), **attrs)
        want = run(op, x.half().double(), w.half().double(), **attrs)
        assert found.dtype is torch.float16
        np.testing.assert_allclose(found.double(), want, atol=0.02)  # sums up to 20: two roundings


def test_deconvolution_with_channels_last_is_that_with_channels_first() -> None:
    """NHWC of the transposed convolution."""
    x, w = values(2, 3, 4, 4), values(4, 3, 3, 2, seed=1)
    attrs = {"kernel": (3, 3), "num_filter": 4, "num_group": 2, "stride": (2, 2)}

    found = run("Deconvolution", x, w, layout="NHWC", **attrs)

    first = run("Deconvolution", x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), **attrs)
    close(found, first.permute(0, 2, 3, 1))


@pytest.mark.parametrize("target", [(12, 10), (13, 11), (11, 9)])
def test_deconvolution_reaches_its_target_shape(target: tuple[int, int]) -> None:
    """target_shape cuts the unpadded result: half of what is too much at the start, rounded up, adj kept at the end."""
    x, w = values(1, 2, 6, 5), values(2, 3, 3, 3, seed=1)

    found = run("Deconvolution", x, w, kernel=(3, 3), num_filter=3, stride=(2, 2), target_shape=target)

    full = run("Deconvolution", x, w, kernel=(3, 3), num_filter=3, stride=(2, 2))
    over = [(full.shape[2 + i] - target[i] + 1) // 2 for i in range(2)]
    want = full[:, :, over[0] : over[0] + target[0], over[1] : over[1] + target[1]]
    assert tuple(found.shape[2:]) == target
    close(found[:, :, : want.shape[2], : want.shape[3]], want)


def test_same_pooling_has_a_window_for_every_stride() -> None:
    """The convention "same" of one dimension: ceil(size / stride) windows, cut off at the end."""
    x = torch.tensor([[[5.0, 1.0, 2.0, 7.0, 3.0]]])

    found = run("Pooling", x, kernel=(3,), stride=(2,), pooling_convention="same")

    assert found.tolist() == [[[5.0, 7.0, 3.0]]]
    with pytest.raises(MXNetError, match="Same pooling convention disables"):
        run("Pooling", x, kernel=(3,), stride=(2,), pad=(1,), pooling_convention="same")


def modulated(x: Any, offset: Any, mask: Any, w: Any, shares: int) -> Any:
    """Deformable convolution v2 by the letter: stride 1, pad 1, kernel 3 x 3, zeros outside."""
    batch, channels, height, width = x.shape
    out = np.zeros((batch, w.shape[0], height, width))

    def at(n: int, c: int, y: float, x_: float) -> float:
        total, y0, x0 = 0.0, int(np.floor(y)), int(np.floor(x_))
        for i, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
            for j, wx in ((x0, 1 - (x_ - x0)), (x0 + 1, x_ - x0)):
                if 0 <= i < height and 0 <= j < width:
                    total += wy * wx * x[n, c, i, j]
        return total

    for n, o, i, j, c, k in np.ndindex(batch, w.shape[0], height, width, channels, 9):
        share = c * shares // channels
        dy, dx = offset[n, 18 * share + 2 * k : 18 * share + 2 * k + 2, i, j]
        taken = at(n, c, i - 1 + k // 3 + dy, j - 1 + k % 3 + dx)
        out[n, o, i, j] += w[o, c, k // 3, k % 3] * mask[n, 9 * share + k, i, j] * taken
    return out


def test_modulated_deformable_convolution_follows_its_formula() -> None:
    """Taps at the moved places, weighted by the mask; zeros outside."""
    x, w = values(1, 2, 3, 4), values(2, 2, 3, 3, seed=1)
    offset, mask = values(1, 36, 3, 4, seed=2), values(1, 18, 3, 4, seed=3, kind="uniform")
    attrs = {"kernel": (3, 3), "num_filter": 2, "pad": (1, 1), "num_deformable_group": 2, "no_bias": True}

    found = run("_contrib_ModulatedDeformableConvolution", x, offset, mask, w, **attrs)

    close(found, modulated(x.numpy(), offset.numpy(), mask.numpy(), w.numpy(), 2))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def projected_lstm(x: Any, flat: Any, h: Any, c: Any, size: int, project: int, bound: float = np.inf) -> Any:
    """One layer, one direction, step by step; the cell stays between ±bound."""
    shapes = [(4 * size, x.shape[2]), (4 * size, project), (project, size), (4 * size,), (4 * size,)]
    ends = np.cumsum([0, *[int(np.prod(s)) for s in shapes]])
    wi, wh, wr, bi, bh = (flat[a:b].reshape(s) for a, b, s in zip(ends, ends[1:], shapes, strict=False))
    steps = []
    for step in x:
        i, f, g, o = np.split(step @ wi.T + bi + h @ wh.T + bh, 4, axis=1)
        c = np.clip(sigmoid(f) * c + sigmoid(i) * np.tanh(g), -bound, bound)
        h = (sigmoid(o) * np.tanh(c)) @ wr.T
        steps.append(h)
    return np.stack(steps), h, c


def test_lstm_with_projection_follows_its_formula() -> None:
    """The state is projected after each step; the last state and cell are outputs."""
    x, h, c = values(4, 2, 5), values(1, 2, 2, seed=1), values(1, 2, 3, seed=2)
    flat = values(12 * 5 + 12 * 2 + 2 * 3 + 24, seed=3)
    attrs = {"state_size": 3, "num_layers": 1, "mode": "lstm", "projection_size": 2, "state_outputs": True}

    found = run("RNN", x, flat, h, c, **attrs)

    want = projected_lstm(x.numpy(), flat.numpy(), h[0].numpy(), c[0].numpy(), 3, 2)
    for got, wanted in zip(found, (want[0], want[1][None], want[2][None]), strict=True):
        close(got, wanted)


def test_lstm_keeps_its_cell_between_bounds() -> None:
    """lstm_state_clip_min and lstm_state_clip_max; bounds that are never reached change nothing, in any layer."""
    x, h, c = values(4, 2, 5), values(1, 2, 2, seed=1), values(1, 2, 3, seed=2)
    flat = values(12 * 5 + 12 * 2 + 2 * 3 + 24, seed=3)
    attrs = {"state_size": 3, "num_layers": 1, "mode": "lstm", "projection_size": 2, "state_outputs": True}

    found = run("RNN", x, flat, h, c, lstm_state_clip_min=-0.2, lstm_state_clip_max=0.2, **attrs)

    want = projected_lstm(x.numpy(), flat.numpy(), h[0].numpy(), c[0].numpy(), 3, 2, 0.2)
    for got, wanted in zip(found, (want[0], want[1][None], want[2][None]), strict=True):
        close(got, wanted)
    deep = {"state_size": 3, "num_layers": 2, "mode": "lstm", "bidirectional": True, "state_outputs": True}
    arrays = x, values(2 * 12 * (5 + 5) + 2 * 12 * (6 + 5), seed=4), values(4, 2, 3, seed=5), values(4, 2, 3, seed=6)
    wide = run("RNN", *arrays, lstm_state_clip_max=99.0, **deep)
    for got, wanted in zip(wide, run("RNN", *arrays, **deep), strict=True):
        close(got, wanted)


@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh"])
def test_rnn_with_lengths_runs_each_sequence_as_if_alone(mode: str) -> None:
    """What is behind a sequence's end is 0, its last state is that at its end; backwards it starts there."""
    gates, cell = {"lstm": 4, "gru": 3, "rnn_tanh": 1}[mode], mode == "lstm"
    x, lengths = values(4, 3, 5), torch.tensor([2.0, 4.0, 1.0])
    flat = values(2 * gates * 3 * (5 + 3 + 2), seed=1)
    states = [values(2, 3, 3, seed=2 + i) for i in range(1 + cell)]
    attrs = {"state_size": 3, "num_layers": 1, "mode": mode, "bidirectional": True, "state_outputs": True}

    out, *last = run("RNN", x, flat, *states, lengths, use_sequence_length=True, **attrs)

    for n, length in enumerate([2, 4, 1]):
        alone = [s[:, n : n + 1].contiguous() for s in states]
        want, *ends = run("RNN", x[:length, n : n + 1].contiguous(), flat, *alone, **attrs)
        close(out[:length, n], want[:, 0])
        assert (out[length:, n] == 0).all()
        for got, end in zip(last, ends, strict=True):
            close(got[:, n], end[:, 0])


def test_rnn_drops_between_layers_in_training_only() -> None:
    """p acts between layers, follows the seed, and leaves a single layer and inference alone."""
    x, h = array(np.ones((3, 2, 4), "float32")), array(np.zeros((2, 2, 40), "float32"))
    flat = array(np.full(40 * 46 + 40 * 82, 0.05, "float32"))
    attrs = {"state_size": 40, "num_layers": 2, "mode": "rnn_tanh", "p": 0.5}

    def drawn() -> Any:
        random.seed(3)
        with autograd.train_mode():
            return nd("RNN", x, flat, h, **attrs).asnumpy()

    calm = nd("RNN", x, flat, h, **attrs).asnumpy()
    np.testing.assert_array_equal(drawn(), drawn())
    assert np.abs(drawn() - calm).max() > 1e-3
    np.testing.assert_allclose(nd("RNN", x, flat, h, **{**attrs, "p": 0.0}).asnumpy(), calm)


@pytest.mark.parametrize(
    ("attrs", "text"),
    [
        ({"mode": "lstm", "lstm_state_clip_min": -1.0, "lstm_state_clip_nan": True}, "is not computed together"),
        ({"mode": "gru", "projection_size": 2}, "projection_size is for lstm"),
    ],
)
def test_rnn_refuses_what_it_does_not_compute(attrs: dict[str, Any], text: str) -> None:
    """Clipped cells without NaN, and projections of other modes than lstm."""
    states = [values(1, 2, 3)] * (2 if attrs["mode"] == "lstm" else 1)

    with pytest.raises(MXNetError, match=text):
        run("RNN", values(3, 2, 4), values(10), *states, state_size=3, num_layers=1, **attrs)


def test_sparse_activation_penalty_follows_its_formula() -> None:
    """IdentityAttachKLSparseReg: backward moves the average, and adds the slope of the divergence."""
    data = values(4, 3, kind="uniform").requires_grad_()
    average = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    attrs = {"sparseness_target": 0.25, "penalty": 0.5, "momentum": 0.75}

    out = run("IdentityAttachKLSparseReg", data, average, **attrs)
    out.backward(torch.ones_like(out))

    moved = 0.75 * np.array([0.2, 0.5, 0.3]) + 0.25 * data.detach().numpy().mean(0)
    close(average, moved)
    close(data.grad, np.tile(1 + 0.5 * (-0.25 / moved + 0.75 / (1 - moved)), (4, 1)))


def test_instance_norm_of_float64_follows_its_formula() -> None:
    """MXNet's own has float32 only."""
    x, gamma, beta = values(2, 3, 4), values(3, seed=1), values(3, seed=2)

    found = run("InstanceNorm", x, gamma, beta, eps=1e-3)

    centred = x - x.mean(2, keepdim=True)
    scale = (x.var(2, unbiased=False, keepdim=True) + 1e-3).sqrt()
    close(found, centred / scale * gamma[:, None] + beta[:, None])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: run("_contrib_ROIAlign", values(1, 1, 3, 3), torch.tensor([[4.0, 0, 0, 1, 1]]), pooled_size=(1, 1),
                     spatial_scale=1.0), "a region is in image 4; there are 1"),
        (lambda: run("_contrib_interleaved_matmul_selfatt_qk", values(2, 1, 7), heads=2), "must be divisible"),
        (lambda: run("BatchNorm", values(2, 3).int(), *[values(3)] * 4), "only support floating point types, not int32"),
        (lambda: run("FullyConnected", values(2, 3), values(4, 3), num_hidden=4), "expects 3 inputs, but got 2"),
        (lambda: run("Convolution", values(1, 1, 4, 4), values(1, 1, 2, 2), kernel=(3, 3), num_filter=1, no_bias=True),
         r"Provided = \[1,1,2,2\], inferred shape=\(1,1,3,3\)"),
        (lambda: run("_contrib_PSROIPooling", values(1, 5, 3, 3), values(1, 5), spatial_scale=1.0, output_dim=1,
                     pooled_size=2), "data has 5 channels"),
        (lambda: run("im2col", values(1, 1, 4), kernel=(2,)), "Windows have two dimensions"),
    ],
)  # fmt: skip
def test_refusals_say_what_does_not_fit(call: Callable[[], Any], text: str) -> None:
    """Errors that MXNet does not have, or whose text its users know."""
    with pytest.raises(MXNetError, match=text):
        call()
