"""Ways to save a training state, one class each: tensorkeep, its peers, and the limit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from typing import Any

from benchmarks import _w


class Saver:
    """A way to save in the background: `start` returns when the loop may go on, `finish` when the data are on the disk."""

    background = True

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        self.folder = folder
        self.state = state

    def start(self, step: int) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    def touch(self, name: str) -> None:
        """Change a tensor as a training step does."""
        self.state[name] += 1

    def restore(self, step: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back."""


class Tensorkeep(Saver):
    """tensorkeep's Checkpointer: hashed, durable, unchanged tensors for free."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        import tensorkeep as tk

        options: Any = {"keep": tk.keep_last(2), "provenance": False, "generators": False, "signals": False}
        self.checkpointer = tk.Checkpointer(folder, **options)
        self.handle: Any = None

    def start(self, step: int) -> None:
        self.handle = self.checkpointer.save(step, {"model": self.state}, background=True)

    def finish(self) -> None:
        self.handle.wait()

    def restore(self, step: int) -> None:
        self.checkpointer.restore({"model": self.state}, step=step)

    def close(self) -> None:
        self.checkpointer.close()


class TorchSave(Saver):
    """torch.save in the loop, then fsync: what most scripts do, made durable."""

    background = False

    def start(self, step: int) -> None:
        import torch

        torch.save(self.state, self.path(step))
        _w.sync(self.path(step))

    def finish(self) -> None:
        pass

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"{step % 2}.pt")

    def restore(self, step: int) -> None:
        import torch

        found = torch.load(self.path(step), weights_only=True)
        for name, tensor in self.state.items():
            tensor.copy_(found[name])


class Dcp(Saver):
    """torch.distributed.checkpoint.async_save, one process, gloo."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        import torch.distributed as dist

        if not dist.is_initialized():
            store = os.path.join(tempfile.mkdtemp(), "store")
            dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
        self.future: Any = None
        self.last = 0

    def start(self, step: int) -> None:
        import torch.distributed.checkpoint as dcp

        self.last = step
        shutil.rmtree(self.path(step), ignore_errors=True)
        self.future = dcp.async_save(dict(self.state), checkpoint_id=self.path(step))

    def finish(self) -> None:
        getattr(self.future, "upload_completion", self.future).result()
        _w.sync(self.path(self.last))

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"dcp-{step % 2}")

    def restore(self, step: int) -> None:
        import torch.distributed.checkpoint as dcp

        dcp.load(dict(self.state), checkpoint_id=self.path(step))


class Orbax(Saver):
    """Orbax's AsyncCheckpointer on JAX arrays."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        import jax
        import orbax.checkpoint as ocp

        super().__init__(folder, {name: jax.device_put(tensor.numpy()) for name, tensor in state.items()})
        self.saver = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler())
        self.last = 0

    def touch(self, name: str) -> None:
        self.state[name] = (self.state[name] + 1).block_until_ready()

    def start(self, step: int) -> None:
        import orbax.checkpoint as ocp

        self.last = step
        self.saver.save(self.path(step), args=ocp.args.StandardSave(self.state), force=True)

    def finish(self) -> None:
        self.saver.wait_until_finished()
        _w.sync(self.path(self.last))

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"orbax-{step % 2}")

    def restore(self, step: int) -> None:
        import orbax.checkpoint as ocp

        found = self.saver.restore(self.path(step), args=ocp.args.StandardRestore(self.state))
        for array in found.values():
            array.block_until_ready()


class TorchSnapshot(Saver):
    """torchsnapshot's Snapshot.async_take."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        import torchsnapshot

        self.app = {"model": torchsnapshot.StateDict(**state)}
        self.pending: Any = None
        self.last = 0

    def start(self, step: int) -> None:
        import torchsnapshot

        self.last = step
        shutil.rmtree(self.path(step), ignore_errors=True)
        self.pending = torchsnapshot.Snapshot.async_take(self.path(step), self.app)

    def finish(self) -> None:
        self.pending.wait()
        _w.sync(self.path(self.last))

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"snapshot-{step % 2}")

    def restore(self, step: int) -> None:
        import torchsnapshot

        torchsnapshot.Snapshot(self.path(step)).restore(self.app)


class Memcpy(Saver):
    """The limit: a copy into a buffer that is warm. It saves nothing."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        self.buffer = {name: tensor.clone() for name, tensor in state.items()}

    def start(self, step: int) -> None:
        for name, tensor in self.state.items():
            self.buffer[name].copy_(tensor)

    def finish(self) -> None:
        pass

    def restore(self, step: int) -> None:
        for name, tensor in self.state.items():
            tensor.copy_(self.buffer[name])


SAVERS: dict[str, type[Saver]] = {
    "tensorkeep": Tensorkeep,
    "DCP async_save": Dcp,
    "Orbax": Orbax,
    "torchsnapshot": TorchSnapshot,
    "torch.save + fsync": TorchSave,
    "limit: memcpy into a warm buffer": Memcpy,
}


def installed() -> list[str]:
    """The contenders that can run here."""
    needs = {"Orbax": "orbax", "torchsnapshot": "torchsnapshot"}
    return [name for name in SAVERS if name not in needs or importlib.util.find_spec(needs[name])]
