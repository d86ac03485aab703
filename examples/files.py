"""A tour of tensorkeep on files that real MXNet, PyTorch, NumPy and safetensors wrote. `make tour` runs it, offline.

    python examples/files.py [FOLDER]

Every command line is shown and run, and what it answers is checked: the exit status is 0 when everything was as it should be.
The files are left in FOLDER, tour-out/ unless given, which is emptied first.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

import tensorkeep as tk

CHECKOUT = Path(__file__).resolve().parents[1]
GOLDEN = CHECKOUT / "tests" / "golden" / "mxnet"
OUT = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHECKOUT / "tour-out"
TKEEP = Path(sys.executable).with_name("tkeep")
WIDTH = 100

checks: list[tuple[str, bool]] = []


# ---- how the tour speaks


def painted(text: str, code: str) -> str:
    """The text in a colour where somebody looks at it."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def heading(text: str) -> None:
    """A part of the tour begins."""
    print(f"\n\n{painted(text, '1')}\n{painted('─' * len(text), '2')}")


def say(text: str) -> None:
    """A sentence or two on what comes next."""
    print("\n" + textwrap.fill(textwrap.dedent(text).strip(), WIDTH))


def check(claim: str, holds: bool) -> None:
    """Say whether a claim holds, and remember it for the end."""
    checks.append((claim, holds))
    print(f"  {painted('✓', '32') if holds else painted('✗', '31')} {claim}")


def tkeep(*arguments: str, code: int = 0, shows: str = "", lines: int = 14) -> None:
    """Run `tkeep` and show its first lines; check its exit code and that it shows the text."""
    quoted = " ".join(f"'{each}'" if "*" in each or " " in each else each for each in arguments)
    print(f"\n  {painted('$ tkeep ' + quoted, '36')}")
    done = subprocess.run(
        [TKEEP, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )
    shown = done.stdout.rstrip().splitlines()
    if len(shown) > lines:
        shown = [*shown[:lines], f"  … {len(shown) - lines} more lines"]
    for line in shown:
        in_table = line.startswith("  ")
        pieces = [line[: WIDTH - 1] + "…" * (len(line) >= WIDTH)] if in_table else textwrap.wrap(line, WIDTH) or [""]
        print("\n".join(f"  {painted('│', '2')} {piece}".rstrip() for piece in pieces))
    if done.returncode != code or shows not in done.stdout:
        print(done.stdout)
        check(f"tkeep {quoted} ends with {code} and shows {shows!r} (it ended with {done.returncode})", False)
    elif code:
        check(f"exit code {code}", True)
    else:
        checks.append((f"tkeep {quoted}", True))


def python(source: str, namespace: dict[str, Any]) -> None:
    """Show lines of Python and run them; a last line that is an expression shows its value, as a notebook does."""
    source = textwrap.dedent(source).strip()
    print()
    for line in source.splitlines():
        print(f"  {painted(line, '36')}")
    *body, last = source.splitlines()
    try:
        value = compile(last, "<demo>", "eval")
    except SyntaxError:
        exec(source, namespace)
        return
    exec("\n".join(body), namespace)
    for line in repr(eval(value, namespace)).splitlines():
        print(f"  {painted('│', '2')} {line}")


# ---- the files


def bring_files() -> None:
    """The files of the tour: small ones of real MXNet from the tests, others written here by the libraries themselves."""
    for source, target in (
        ("gluon/cnn-0007.params", "cnn-0007.params"),
        ("gluon/cnn-symbol.json", "cnn-symbol.json"),
        ("gluon/trainer_adam_lr_scheduler.states", "trainer.states"),
        ("nd/sparse_mixed.params", "sparse.params"),
    ):
        shutil.copy(GOLDEN / source, target)
    torch.manual_seed(7)
    state = network().state_dict()
    torch.save({"model": state, "epoch": 12, "lr": 0.05}, "net.pt")
    torch.save(state, "net-2019.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, "net.safetensors")
    np.savez("points.npz", x=np.linspace(0, 1, 5), y=np.eye(2, dtype=np.float32))


def network() -> torch.nn.Module:
    """A small perceptron."""
    return torch.nn.Sequential(torch.nn.Linear(20, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))


class Payload:
    """What a hostile pickle holds: unpickling it calls `open` and so makes a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, ("OWNED", "w")


# ---- the tour


def listing() -> None:
    heading("1  Files that others wrote")
    say("A checkpoint of MXNet 1.9.1: a network and its parameters. MXNet is not installed here, and need not be.")
    tkeep("ls", "cnn", "--epoch", "7", shows="cnn_conv0_weight", lines=25)
    say("PyTorch's file of today, read without importing torch; numbers beside the tensors are listed too.")
    tkeep("ls", "net.pt", shows="model.0.weight")
    say("The form that PyTorch wrote before version 1.6, NumPy's archive, MXNet's sparse arrays.")
    tkeep("ls", "net-2019.pth", "points.npz", "sparse.params", shows="csr", lines=40)
    say("An optimizer's state, a pickle of MXNet's classes: shown, and nothing of it is imported.")
    tkeep("ls", "trainer.states", shows="trainer.states", lines=12)


def checking() -> None:
    heading("2  Are they whole, and would they run anything?")
    say(
        "Checksums that a format carries are checked. Where there are none, tkeep says so (exit code 2) instead of 'good'."
    )
    tkeep("verify", "net.pt", "points.npz", shows="good")
    tkeep("verify", "cnn-0007.params", code=2, shows="nothing to check against")
    say("A scan says what a file would run if its own framework loaded it.")
    tkeep("scan", "net.pt", "net-2019.pth", "cnn-0007.params", "net.safetensors", shows="data only")


def converting() -> None:
    heading("3  From any format to any other")
    say("Out of MXNet, into the format that every tool reads, and compared tensor by tensor.")
    tkeep("convert", "cnn-0007.params", "cnn.safetensors")
    tkeep("diff", "cnn-0007.params", "cnn.safetensors", shows="10 identical")
    tkeep("verify", "cnn.safetensors", shows="good")
    print()
    theirs = safetensors.numpy.load_file("cnn.safetensors")
    ours = tk.load("cnn-0007.params")
    check(
        "the safetensors library reads the same names and values",
        theirs.keys() == ours.keys() and all(np.array_equal(theirs[name], ours[name]) for name in ours),
    )
    tk.convert("cnn.safetensors", "back.params")
    same = Path("back.params").read_bytes() == Path("cnn-0007.params").read_bytes()
    check("converted back, it is byte for byte the file that MXNet wrote", same)
    tk.convert("net-2019.pth", "net-today.pt")
    again = torch.load("net-today.pt", weights_only=True)
    state = safetensors.torch.load_file("net.safetensors")
    check(
        "torch.load(weights_only=True) reads what tensorkeep made of the old file",
        again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state),
    )
    say("A part of a file, and two trained models side by side.")
    tkeep("pick", "net.pt", "--only", "model.2.*", "-o", "head.safetensors")
    changed = tk.load("net.safetensors")
    changed["2.bias"] += 0.5
    changed["3.weight"] = changed.pop("0.weight")[:128]
    tk.save("tuned.safetensors", changed)
    tkeep("diff", "net.safetensors", "tuned.safetensors", code=1, shows="2.bias")


def textbook() -> None:
    heading("4  A textbook's lines on saving and loading")
    say(
        "One tensor, a list, a dict, the parameters of a model: the same kind comes back, in the framework that is asked for."
    )
    space: dict[str, Any] = {"torch": torch, "nn": torch.nn, "tk": tk, "network": network}
    python(
        """
        x = torch.ones(3)
        tk.save(x, 'x')
        tk.load('x', framework='torch')
        """,
        space,
    )
    python(
        """
        y = torch.zeros(4)
        tk.save([x, y], 'xy')
        x2, y2 = tk.load('xy', framework='torch')
        (x2, y2)
        """,
        space,
    )
    python(
        """
        tk.save({'x': x, 'y': y}, 'mydict')
        mydict = tk.load('mydict', framework='torch')
        mydict
        """,
        space,
    )
    check("the values are those that were saved", torch.equal(space["x2"], torch.ones(3)) and not space["y2"].any())
    check(
        "the list came back as a list, the dict as a dict",
        type(tk.load("xy")) is list and type(space["mydict"]) is dict,
    )
    python(
        """
        net, X = network(), torch.randn(2, 20)
        tk.save(net.state_dict(), 'mlp.params')
        clone = network()
        clone.load_state_dict(tk.load('mlp.params', framework='torch'))
        (clone(X) == net(X)).all()
        """,
        space,
    )
    clone, net, inputs = space["clone"], space["net"], space["X"]
    check("both models give the same outputs", bool(torch.equal(clone(inputs), net(inputs))))
    say("A name that ends in .params chooses MXNet's format; one without a suffix is a safetensors file.")
    python(
        """
        tk.save('xy.params', [x, y])
        A, B = tk.load('xy.params')
        (A, B)
        """,
        space,
    )
    written_by_mxnet = (GOLDEN / "nd" / "list.params").read_bytes()
    check(
        "xy.params is byte for byte what MXNet writes for these two", Path("xy.params").read_bytes() == written_by_mxnet
    )


def damaged() -> None:
    heading("5  A cut file, a flipped bit, a hostile pickle")
    tk.convert("net.pt", "good.safetensors")
    whole = Path("good.safetensors").read_bytes()
    say("A download that stopped: how much is there is told, and what is whole can be saved.")
    Path("cut.safetensors").write_bytes(whole[: len(whole) - 3000])
    tkeep("ls", "cut.safetensors", code=3, shows="is cut")
    tkeep("repair", "cut.safetensors", "--salvage", "saved.safetensors", shows="saved.safetensors")
    say("One bit of 260,000 is flipped. Other readers load it without a word.")
    flipped = bytearray(whole)
    flipped[-2000] ^= 1
    Path("flipped.safetensors").write_bytes(flipped)
    loaded = safetensors.numpy.load_file("flipped.safetensors")
    good = safetensors.numpy.load_file("good.safetensors")
    silent = [name for name in good if not np.array_equal(good[name], loaded[name])]
    check(f"the safetensors library loads wrong values of {', '.join(silent)}, without a word", bool(silent))
    tkeep("verify", "flipped.safetensors", code=1, shows=silent[0] if silent else "damaged")
    tkeep("convert", "flipped.safetensors", "never.pt", code=3, shows="do not fit")
    say(
        "A file from a stranger. Unpickling it, as old loaders do, makes a file named OWNED; that it works is tried first."
    )
    Path("stranger.pth").write_bytes(pickle.dumps({"weight": np.zeros(3), "bias": Payload()}))
    subprocess.run([sys.executable, "-c", "import pickle; pickle.load(open('stranger.pth', 'rb'))"], check=True)
    check("pickle.load ran its code", Path("OWNED").exists())
    Path("OWNED").unlink()
    tkeep("scan", "stranger.pth", code=1, shows="open")
    tkeep("convert", "stranger.pth", "never.safetensors", code=3, shows="open")
    kept = tk.load("stranger.pth", unknown="inert")
    print()
    check(
        "the tensors beside it can be had, with a record in the place of the payload",
        kept["weight"].tolist() == [0, 0, 0],
    )
    check("no file was made: nothing ran", not Path("OWNED").exists())
    left = [path.name for path in Path().iterdir() if path.name.startswith(("never", "."))]
    check("the refused conversions left nothing behind", left == [])


def main() -> int:
    """Run the tour; 0 when every check held."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    os.chdir(OUT)
    print(painted("tensorkeep", "1") + f" {tk.__version__}: a tour on real files, in {OUT.name}/")
    bring_files()
    for part in (listing, checking, converting, textbook, damaged):
        part()
    wrong = [claim for claim, holds in checks if not holds]
    heading("All is as it should be" if not wrong else "Not as it should be")
    print(f"\n  {len(checks) - len(wrong)} of {len(checks)} checks held. The files are in {OUT.name}/.")
    for claim in wrong:
        print(f"  {painted('✗', '31')} {claim}")
    print()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
