"""The main job: train, lose the power, resume to the same bits, pick the best epoch, hand it on. `make demo` runs it, offline.

    python examples/demo.py [FOLDER]

It trains the textbooks' MLP on scikit-learn's handwritten digits (examples/digits.py). What it claims is checked: the exit
status is 0 when everything was as it should be. The files are left in FOLDER, demo-out/ unless given, which is emptied first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch

import tensorkeep as tk

CHECKOUT = Path(__file__).resolve().parents[1]
OUT = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHECKOUT / "demo-out"
TKEEP = Path(sys.executable).with_name("tkeep")
EPOCHS = 12
DIES_AT = 130  # in the middle of epoch 5

checks: list[tuple[str, bool]] = []


def painted(text: str, code: str) -> str:
    """The text in a colour where somebody looks at it."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def say(text: str) -> None:
    """What comes next."""
    print("\n" + painted(textwrap.fill(textwrap.dedent(text).strip(), 100), "1"))


def check(claim: str, holds: bool) -> None:
    """Say whether a claim holds, and remember it for the end."""
    checks.append((claim, bool(holds)))
    print(f"  {painted('✓', '32') if holds else painted('✗', '31')} {claim}")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Show a command, run it, show what it answers."""
    shown = [str(c).replace(str(CHECKOUT) + os.sep, "").replace(sys.executable, "python") for c in command]
    print(f"\n$ {' '.join('tkeep' if part.endswith('tkeep') else part for part in shown)}")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        list(map(str, command)), cwd=OUT, env=environment, text=True, capture_output=True, check=False
    )
    print(textwrap.indent((done.stdout + done.stderr).rstrip(), "  "))
    return done


def main() -> int:
    """Every part in turn."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    script = CHECKOUT / "examples" / "digits.py"

    say(
        "A multilayer perceptron learns handwritten digits; a Checkpointer saves every 5 steps and each epoch, in the background."
    )
    whole = run(sys.executable, script, "whole", "--epochs", str(EPOCHS))
    check("the training runs to its end", whole.returncode == 0)

    say("The same training again, but in the middle of an epoch the process is gone: SIGKILL, no time to say goodbye.")
    killed = run(sys.executable, script, "run", "--epochs", str(EPOCHS), "--die-at", str(DIES_AT))
    check("the process was killed", killed.returncode == -9)
    steps = tk.Checkpointer(OUT / "run", signals=False).steps()
    check("every step that it left is whole, to the last byte", steps and not any(step.damage() for step in steps))

    say(
        "Started again, it goes on in the middle of the epoch: weights, moments, the loader's position, random numbers."
    )
    resumed = run(sys.executable, script, "run", "--epochs", str(EPOCHS))
    check("it resumed", "resumed after step" in resumed.stdout)
    same = (OUT / "whole" / "final.safetensors").read_bytes() == (OUT / "run" / "final.safetensors").read_bytes()
    check("its final weights are those of the run without a power cut, bit for bit", same)

    say("What is there, why each step is kept, and how the loss went.")
    check("tkeep lists the run", run(TKEEP, "runs", "run").returncode == 0)

    say("The best epoch, written for MXNet, for PyTorch and for everybody.")
    best = Path(run(TKEEP, "runs", "run", "best").stdout.strip())
    number = str(int(best.name.partition("-")[2]))
    for name in ("best.params", "best.pt", "best.safetensors"):
        check(f"{name} is written", run(TKEEP, "runs", "run", "export", number, name).returncode == 0)

    say("Each of them gives the same digits: loaded by PyTorch itself, by safetensors, and into an MXNet network.")
    judge_exports(script)

    failed = [claim for claim, holds in checks if not holds]
    print(f"\n{len(checks) - len(failed)} of {len(checks)} claims hold. The files are in {os.path.relpath(OUT)}.")
    return 1 if failed else 0


def judge_exports(script: Path) -> None:
    """The three files in the hands of their readers: the same answers for the digits that nobody learnt from."""
    from safetensors.torch import load_file

    import tensorkeep.mxnet as mx

    sys.path.insert(0, str(script.parent))
    from digits import MLP, data

    x, y = data()[1].tensors
    answers = []
    for state in (torch.load(OUT / "best.pt", weights_only=True), load_file(OUT / "best.safetensors")):
        net = MLP()
        net.load_state_dict(state)
        answers.append(net(x).detach().numpy())
    gluon = mx.gluon.nn.HybridSequential()
    gluon.add(mx.gluon.nn.Dense(256, activation="relu"), mx.gluon.nn.Dense(10))
    found = mx.nd.load(str(OUT / "best.params"))
    names = {"hidden.weight": "0.weight", "hidden.bias": "0.bias", "output.weight": "1.weight", "output.bias": "1.bias"}
    mx.nd.save(str(OUT / "gluon.params"), {names[name]: array for name, array in found.items()})
    gluon.load_parameters(str(OUT / "gluon.params"))
    answers.append(gluon(mx.nd.array(x.numpy())).asnumpy())
    right = [float((np.argmax(each, 1) == y.numpy()).mean()) for each in answers]
    check(f"PyTorch, safetensors and MXNet's network recognise {right[0]:.1%} of the digits", len(set(right)) == 1)
    check(
        "their outputs are equal within rounding",
        np.allclose(answers[0], answers[1]) and np.allclose(answers[0], answers[2], atol=1e-5),
    )


if __name__ == "__main__":
    sys.exit(main())
