"""Train the textbooks' multilayer perceptron on handwritten digits, with a Checkpointer. `demo.py` runs it, and kills it.

    python examples/digits.py DIRECTORY [--epochs N] [--die-at STEP]

The data are scikit-learn's 1,797 scanned digits of 8 × 8 pixels. A run that was killed goes on where it stopped, in the middle of
an epoch, and ends with the weights of a run that was not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torchdata.stateful_dataloader import StatefulDataLoader

import tensorkeep as tk

BATCH = 64


class MLP(nn.Module):
    """Two layers, as in the chapters."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 256)
        self.relu = nn.ReLU()
        self.output = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.relu(self.hidden(x)))


def data() -> tuple[torch.utils.data.TensorDataset, torch.utils.data.TensorDataset]:
    """1,437 digits to learn from and 360 to judge by, pixels from 0 to 1."""
    found = load_digits()
    x = torch.tensor(found.data / 16, dtype=torch.float32)
    y = torch.tensor(found.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return torch.utils.data.TensorDataset(x[:1437], y[:1437]), torch.utils.data.TensorDataset(x[1437:], y[1437:])


def judge(net: nn.Module, dataset: torch.utils.data.TensorDataset) -> dict[str, float]:
    """Loss and accuracy on data that were not learnt from."""
    x, y = dataset.tensors
    with torch.no_grad():
        out = net(x)
    return {
        "val_loss": nn.functional.cross_entropy(out, y).item(),
        "accuracy": (out.argmax(1) == y).float().mean().item(),
    }


def train(directory: str, epochs: int, die_at: int | None) -> MLP:
    """Train, saving every 5 steps and at the end of each epoch; go on where a run before this one stopped."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    learn, test = data()
    net = MLP()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    loader = StatefulDataLoader(learn, BATCH, shuffle=True)
    state = {"model": net, "optimizer": optimizer, "loader": loader, "epoch": 0}
    steps = len(loader)

    keep = (tk.keep_last(2), tk.keep_best(5, "val_loss", mode="min"))
    with tk.Checkpointer(directory, every=tk.every(steps=5), keep=keep) as ckpt:
        start = ckpt.restore(state)
        step = start.step + 1 if start else 0
        if start:
            print(f"resumed after step {start.step}, in epoch {state['epoch']}", flush=True)
        for epoch in range(state["epoch"], epochs):
            state["epoch"] = epoch
            for x, y in loader:
                loss = nn.functional.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if step == die_at:
                    print(f"step {step} of epoch {epoch}: the power goes", flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)
                if (step + 1) % steps:
                    ckpt.step(step, state)
                    step += 1
            state["epoch"] = epoch + 1
            metrics = judge(net, test)
            ckpt.save(step, state, metrics=metrics, background=True)
            print(f"epoch {epoch:2}  loss {metrics['val_loss']:.4f}  accuracy {metrics['accuracy']:.3f}", flush=True)
            step += 1
    return net


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--die-at", type=int)
    options = parser.parse_args()
    net = train(str(options.directory), options.epochs, options.die_at)
    tk.save_parameters(net, options.directory / "final.safetensors")


if __name__ == "__main__":
    sys.exit(main())
