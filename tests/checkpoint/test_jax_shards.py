"""Arrays of JAX on four devices: each box is written once, and comes back on another sharding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorkeep as tk
from tests.checkpoint.ranks import ROOT

pytest.importorskip("jax")

PROGRAM = """
import json, sys
from unittest.mock import patch
import jax, numpy as np
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
import tensorkeep as tk
from tensorkeep.formats import step as module

mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
def put(array, *spec):
    return jax.device_put(array, NamedSharding(mesh, P(*spec)))

w, b, h = np.arange(64.0, dtype=np.float32).reshape(8, 8), np.arange(4.0, dtype=np.float32), np.ones((2, 4), jnp.bfloat16)
state = {"w": put(w, "a", "b"), "rows": put(w, "b", None), "b": put(b), "h": put(h, None, ("a", "b")), "one": jnp.arange(3)}
folder = sys.argv[1]
with tk.Checkpointer(folder, generators=False, keep=tk.keep_all()) as ckpt:
    for number in range(3):
        ckpt.save(number, state, background=number > 0)
        ckpt.wait()

blank = {"w": put(0 * w, None, ("b", "a")), "rows": put(0 * w), "b": put(0 * b, "a"), "h": jax.device_put(0 * h)}
blank["one"] = 0 * state["one"]
places = {name: array.sharding for name, array in blank.items()}
boxes = []
real = module._Parts.box
def box(self, start, shape):
    boxes.append([list(start), list(shape)])
    return real(self, start, shape)
with patch.object(module._Parts, "box", box):
    tk.Checkpointer(folder).restore(blank)
same = {name: bool(np.array_equal(np.asarray(blank[name]), np.asarray(state[name]))) for name in state}
kept = {name: blank[name].sharding.is_equivalent_to(places[name], blank[name].ndim) for name in state}
struct = {**state, "w": jax.ShapeDtypeStruct((8, 8), np.float32, sharding=NamedSharding(mesh, P("b")))}
tk.Checkpointer(folder).restore(struct)
print(json.dumps({"same": same, "kept": kept, "boxes": boxes, "struct": bool((np.asarray(struct["w"]) == w).all())}))
"""


def test_arrays_on_four_devices_are_saved_and_restored_by_their_boxes(tmp_path: Path) -> None:
    """Replicated ones whole; the step reads without JAX; what did not change is linked; ShapeDtypeStructs are filled."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT / "src"),
    }

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["same"].values()) == set(found["kept"].values()) == {True}
    assert found["struct"]
    steps = tk.Checkpointer(tmp_path, signals=False).steps()
    records = steps[-1].manifest.tensors
    assert {name: [part.start for part in each.parts] for name, each in records.items()} == {
        "w": [(0, 0), (0, 4), (4, 0), (4, 4)],
        "rows": [(0, 0), (4, 0)],
        "b": [(0,)],
        "h": [(0, 0), (0, 1), (0, 2), (0, 3)],
        "one": [(0,)],
    }
    # `w` is wanted by columns on each of the four devices.
    assert sorted(start for start, shape in found["boxes"] if shape == [8, 2]) == [[0, 0], [0, 2], [0, 4], [0, 6]]
    assert not any(step.damage() for step in steps)
    assert np.array_equal(tk.load(steps[0].path)["w"], np.arange(64.0, dtype=np.float32).reshape(8, 8))
    file = next(iter(steps[-1].manifest.files))
    assert os.stat(Path(steps[-1].path, file)).st_nlink > 1
