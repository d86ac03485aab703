"""Keras trains, is stopped and goes on, on torch and on JAX: each in a process of its own, as Keras needs it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk

pytestmark = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed")
FRAMEWORKS = ["torch", "jax"]

SCRIPT = """
import json, os, signal, sys, warnings
os.environ["KERAS_BACKEND"] = sys.argv[1]
warnings.simplefilter("ignore")
import keras, numpy as np
import tensorkeep as tk
from tensorkeep.checkpoint.integrations.keras import CheckpointerCallback

directory, stop, options = sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
keras.utils.set_random_seed(3)
model = keras.Sequential([
    keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.BatchNormalization(),
    keras.layers.Dropout(0.3, seed=11), keras.layers.Dense(1),
])
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.02, 5, 0.9)), "mse")
x = np.random.RandomState(0).randn(32, 4).astype("float32")
epochs = []

class Watch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        epochs.append(epoch)
    def on_train_batch_begin(self, batch, logs=None):
        if stop and [epochs[-1], batch] == json.loads(stop):
            ckpt.wait()
            os.kill(os.getpid(), signal.SIGTERM if options.get("term") else signal.SIGKILL)

said = []
warnings.showwarning = lambda message, *rest: said.append(str(message))
warnings.simplefilter("always", UserWarning)
ckpt = tk.Checkpointer(directory, every=tk.every(**options.get("every", {"epochs": 1})), keep=tk.keep_all())
model.fit(x, x.sum(1), epochs=4, batch_size=8, verbose=0, validation_split=0.25, callbacks=[CheckpointerCallback(ckpt), Watch()])
print(json.dumps({
    "epochs": epochs, "weights": [np.asarray(w.numpy()).tobytes().hex() for w in model.weights],
    "steps": [step.step for step in ckpt.steps()], "warned": [text for text in said if "begins it anew" in text],
    "metrics": {k: v for k, v in (ckpt.steps()[-1].metrics if ckpt.steps() else {}).items()},
}))
"""


def fit(folder: Path, framework: str, stop: list[int] | None = None, **options: Any) -> dict[str, Any]:
    """What a run printed; nothing of one that was killed."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, framework, folder / "steps", json.dumps(stop) if stop else "", json.dumps(options)],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == (-9 if stop and not options.get("term") else 0), done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_killed_fit_goes_on_at_its_epoch_with_the_same_bits(tmp_path: Path, framework: str) -> None:
    """Weights, moments, schedule, dropout's seeds and the order of the data; the metrics are the epoch's logs."""
    (tmp_path / "whole").mkdir()
    whole = fit(tmp_path / "whole", framework)
    fit(tmp_path, framework, [2, 1])

    again = fit(tmp_path, framework)

    assert again["epochs"] == [2, 3]
    assert again["weights"] == whole["weights"]
    assert again["steps"] == whole["steps"] == [2, 5, 8, 11]
    assert {"loss", "val_loss"} <= again["metrics"].keys()
    state = tk.Checkpointer(tmp_path / "steps").steps()[-1].load()  # the names of the adapter, the same in each process
    assert list(state["model"]) == [
        "dense.kernel", "dense.bias", "batch_normalization.gamma", "batch_normalization.beta",
        "batch_normalization.moving_mean", "batch_normalization.moving_variance", "dense_1.kernel", "dense_1.bias",
    ]  # fmt: skip
    assert "dense_1.kernel.momentum" in state["optimizer"]
    assert int(state["optimizer"]["iteration"]) == 12
    assert (state["epoch"], state["batches"], state["whole"]) == (4, 12, True)


@pytest.mark.slow
def test_sigterm_saves_in_mid_epoch_and_the_epoch_begins_anew(tmp_path: Path) -> None:
    """Keras cannot begin in mid-epoch; the warning says so."""
    framework = FRAMEWORKS[0]
    first = fit(tmp_path, framework, [1, 1], term=True, every={"steps": 100})

    again = fit(tmp_path, framework, every={"steps": 100})

    assert first["steps"] == [4]
    assert first["epochs"] == [0, 1]
    assert again["epochs"] == [1, 2, 3]
    assert len(again["warned"]) == 1
