"""The random generator against checksums of what real MXNet 1.9.1 drew (tools/mxnet_random.py asks it again)."""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorkeep.mxnet import _rng, autograd, random  # noqa: E402
from tensorkeep.mxnet._invoke import invoke  # noqa: E402
from tensorkeep.mxnet._registry import get  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tensorkeep.mxnet.context import cpu  # noqa: E402
from tensorkeep.mxnet.ndarray.ndarray import NDArray, array  # noqa: E402

DRAWS = json.loads((Path(__file__).parents[1] / "golden" / "mxnet" / "random.json").read_text("utf-8"))["draws"]


def draw(kind: str, count: int) -> np.ndarray:
    if kind == "shuffle":
        return invoke(get("_shuffle"), [array(np.arange(count, dtype="float32"))], {}, None, NDArray).asnumpy()
    if kind.startswith("dropout") or kind == "rows":
        dtype = f"float{kind.removeprefix('dropout')}" if kind[-1:] in "46" else "float32"
        ones = array(np.ones((count // 10, 10)), dtype=dtype)
        with autograd.record():
            attrs = {"p": 0.3, "axes": (1,) if kind == "rows" else ()}
            return invoke(get("Dropout"), [ones], attrs, None, NDArray).asnumpy() != 0
    law, dtype = kind.removesuffix("64"), "float64" if kind.endswith("64") else "float32"
    return invoke(get(f"_random_{law}"), [], {"shape": (count,), "dtype": dtype}, None, NDArray).asnumpy()


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_bits_that_mxnet_gives(name: str) -> None:
    """Uniform and normal values are equal to the last bit, also after other draws; float64 normals to one rounding."""
    for kind, number, *want in DRAWS[name]:
        if kind == "seed":
            random.seed(number)
        elif kind == "seed cpu":
            random.seed(number, ctx=cpu())
        else:
            values = draw(kind, number)

            np.testing.assert_allclose(
                values.ravel()[-3:], want[1], rtol=4e-16 if kind == "normal64" else 0, err_msg=kind
            )
            if kind != "normal64":  # the double logarithm is NumPy's
                assert zlib.crc32(values.tobytes()) == want[0], f"{name}: {kind} {number}"


def test_a_seed_is_a_whole_number() -> None:
    """mx.random.seed says so, in MXNet's words."""
    with pytest.raises(ValueError, match="seed_state must be int"):
        random.seed(1.5)  # type: ignore[arg-type]


def test_numpys_seed_does_not_matter() -> None:
    """Nothing is drawn from NumPy's global generator, and nothing changes it."""
    np.random.seed(0)
    before = np.random.get_state()[2]
    random.seed(4)
    first = draw("uniform", 8)
    np.random.seed(1)
    random.seed(4)

    assert np.array_equal(first, draw("uniform", 8))
    assert np.random.get_state()[2] == before


def test_threads_get_different_numbers() -> None:
    """Draws of several threads are pieces of one stream: none is seen twice."""
    random.seed(6)
    found: list[np.ndarray] = []
    workers = [threading.Thread(target=lambda: found.extend(draw("uniform", 3) for _ in range(200))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    random.seed(6)

    together = {tuple(values) for values in found}
    assert together == {tuple(draw("uniform", 3)) for _ in range(800)}


def test_a_word_that_rounds_up_stays_below_one() -> None:
    """2**32 - 1 would be 1.0 in float32; libstdc++ takes the number below it."""
    top = np.array([0xFFFFFFFF, 0xFFFFFFFF], np.uint64)

    assert _rng.to_unit(top).max() == np.float32(1) - np.float32(2.0**-24)
    assert _rng.to_unit(top, np.float64).max() == 1 - 2.0**-53


def test_torch_generator_follows_the_seed() -> None:
    """Kernels that draw with torch give the same again after the same seed."""
    random.seed(9)
    first = torch.rand(4, generator=_rng.torch_generator(torch.device("cpu")))
    random.seed(9)

    assert torch.equal(first, torch.rand(4, generator=_rng.torch_generator(torch.device("cpu"))))


def test_out_says_shape_and_dtype() -> None:
    """A draw into an array has its shape and its dtype: float16 values come from double ones."""
    random.seed(3)
    target = array(np.zeros((2, 2)), dtype="float16")
    invoke(get("_random_uniform"), (), {"low": 0.0}, target, NDArray)

    np.testing.assert_array_equal(target.asnumpy(), np.array([[0.4216, 0.3276], [0.2522, 0.3008]], "float16"))


def test_indices_that_a_dtype_cannot_hold_are_refused() -> None:
    """MXNet 1.9.1 lets them wrap around in silence."""
    shares = array(np.full(300, 1 / 300, "float32"))
    with pytest.raises(MXNetError, match="'dtype' does not have a sufficient precision to represent the indices"):
        invoke(get("_sample_multinomial"), [shares], {"dtype": "uint8"}, None, NDArray)
