"""Asks real MXNet 1.9.1 what its blocks give: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_gluon.py networks    tests/mxnet/gluon/networks.py → tests/golden/mxnet/gluon/networks.{npz,json}
python tools/mxnet_gluon.py training    tests/mxnet/gluon/training.py → tests/golden/mxnet/gluon/training.npz
python tools/mxnet_gluon.py zoo         tests/mxnet/gluon/zoo.py → tests/golden/mxnet/gluon/zoo.npz and zoo.json.xz
"""

import json
import lzma
import sys
import traceback
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "mxnet" / "gluon"
sys.path.insert(0, str(ROOT / "tests" / "mxnet" / "gluon"))


def networks():
    """Outputs, gradients, names and printed forms of every network."""
    from networks import NETWORKS, observe

    arrays, texts = {}, {}
    for case in NETWORKS:
        try:
            found, said = observe(mx, case)
        except (RuntimeError, ValueError, AssertionError, TypeError):
            traceback.print_exc()
            print("FAILED", case.name)
            continue
        arrays.update({f"{case.name}/{name}": value for name, value in found.items()})
        texts[case.name] = said
    write("networks", arrays, texts)


def training():
    """The Parameters after ten steps with each optimizer, and the bytes of the Trainer's states."""
    from training import OPTIMIZERS, trained

    arrays = {}
    for name in OPTIMIZERS:
        params, trainer = trained(mx, name)
        arrays.update({f"{name}/{i}": value for i, value in enumerate(params)})
        trainer.save_states("/tmp/trainer.states")
        arrays[f"{name}/states"] = np.frombuffer(Path("/tmp/trainer.states").read_bytes(), np.uint8)
    write("training", arrays, {})


def zoo():
    """Names and shapes of all networks of the model zoo, and what some of them compute."""
    from zoo import COMPUTED, computed, shapes

    try:
        mx.gluon.model_zoo.vision.get_model("")
    except ValueError as err:
        names = [line.strip() for line in str(err).splitlines()[1:]]
    listed = json.dumps({name: shapes(mx, name) for name in names}).encode()
    (GOLDEN / "zoo.json.xz").write_bytes(lzma.compress(listed, preset=9))
    write("zoo", {name: computed(mx, name) for name in COMPUTED}, {})


def write(name, arrays, texts):
    GOLDEN.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GOLDEN / f"{name}.npz", **arrays)
    if texts:
        (GOLDEN / f"{name}.json").write_text(json.dumps(texts, indent=0, sort_keys=True) + "\n", "utf-8")
    print(name, len(arrays), "arrays", (GOLDEN / f"{name}.npz").stat().st_size, "bytes")


for job in sys.argv[1:]:
    globals()[job]()
