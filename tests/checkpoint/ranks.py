"""What the ranks of the distributed tests do, and a server that forks them: torch is imported once for all worlds.

python tests/checkpoint/ranks.py        reads {"case", "size", "folder", "options"} lines, answers a list of results by rank
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, Callable[..., Any]] = {}


def case(function: Callable[..., Any]) -> Callable[..., Any]:
    CASES[function.__name__] = function
    return function


class Server:
    """Worlds of processes, one after the other."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, name: str, size: int, folder: Path, **options: Any) -> list[Any]:
        """What each rank returned: a value, {"error": text, "kind": name}, or None of one that was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"case": name, "size": size, "folder": str(folder), "options": options})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server of the ranks has ended"
        return json.loads(answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.communicate()


def world(name: str, size: int, folder: str, options: dict[str, Any], limit_s: float = 60.0) -> list[Any]:
    """Fork the ranks, wait for them, gather what they say."""
    with tempfile.TemporaryDirectory() as scratch:
        children = []
        for rank in range(size):
            child = os.fork()
            if child == 0:
                os.setpgid(0, 0)
                _rank(name, rank, size, folder, options, Path(scratch))
            children.append(child)
        end = time.monotonic() + limit_s
        waiting = set(children)
        while waiting and time.monotonic() < end:
            done, _ = os.waitpid(-1, os.WNOHANG)
            waiting.discard(done)
            if not done:
                time.sleep(0.005)
        for child in waiting:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if waiting:
            return [{"error": f"{len(waiting)} ranks hung", "kind": "hang"}] * size
        files = [Path(scratch, f"result-{rank}") for rank in range(size)]
        for each in Path(scratch).glob("modules-*"):  # what they had to import, the next ones find
            for module in each.read_text().split():
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
        return [json.loads(each.read_text()) if each.exists() else None for each in files]


def _rank(name: str, rank: int, size: int, folder: str, options: dict[str, Any], scratch: Path) -> None:
    import torch.distributed as dist

    result: Any
    before = set(sys.modules)
    try:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="torch.*")
        dist.init_process_group("gloo", init_method=f"file://{scratch}/store", rank=rank, world_size=size)
        result = CASES[name](Path(folder), rank, size, **options)
    except BaseException as err:  # noqa: BLE001  # told to the test
        result = {"error": str(err), "kind": type(err).__name__, "notes": getattr(err, "__notes__", [])}
        if os.environ.get("RANKS_SHOW"):
            traceback.print_exc()
    new = [
        each
        for each in sys.modules
        if each not in before and each.partition(".")[0] in ("torch", "tensorkeep", "numpy", "sympy")
    ]
    (scratch / f"modules-{rank}").write_text("\n".join(new))
    temporary = scratch / f"temporary-{rank}"
    temporary.write_text(json.dumps(result))
    temporary.rename(scratch / f"result-{rank}")
    os._exit(0)


# What the ranks do


def mesh(size: int) -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("cpu", (size,))


def wholes() -> dict[str, Any]:
    """The values of a state, whole: uneven sizes, an axis shorter than the ranks, types that NumPy lacks."""
    import torch

    def values(seed: int, *shape: int) -> Any:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    return {
        "rows": values(1, 7, 5), "columns": values(2, 4, 9), "short": values(3, 2, 3), "cube": values(4, 3, 4, 5),
        "half": values(5, 6, 2).to(torch.bfloat16), "replicated": values(6, 11), "plain": values(7, 13),
        "count": torch.tensor(5), "none": torch.zeros(0, 3),
    }  # fmt: skip


def placed(size: int, *, blank: bool = False, turn: int = 0) -> dict[str, Any]:
    """A state of DTensors (and plain tensors) with these values, or zeros."""
    import torch
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    where = {"rows": Shard(0), "columns": Shard(1), "short": Shard(0), "cube": Shard(2), "half": Shard(0)}
    made: dict[str, Any] = {}
    grid = mesh(size)
    for name, value in wholes().items():
        value = torch.zeros_like(value) if blank else value
        if name in ("plain", "count"):
            made[name] = value
            continue
        place = where.get(name, Replicate())
        if turn and isinstance(place, Shard):
            place = Shard((place.dim + turn) % value.dim())
        made[name] = distribute_tensor(value, grid, [place])
    return {"tensors": made, "epoch": 0 if blank else 4}


def checkpointer(folder: Path, **options: Any) -> Any:
    import tensorkeep as tk

    return tk.Checkpointer(folder, **{"provenance": False, "timeout_s": 20.0, **options})


@case
def save_placed(folder: Path, rank: int, size: int) -> Any:
    with checkpointer(folder) as ckpt:
        ckpt.save(3, placed(size), metrics={"loss": 0.5})
    return [step.step for step in ckpt.steps()]


@case
def restore_placed(folder: Path, rank: int, size: int, turn: int = 0) -> Any:
    """Names whose values are wrong; no tensor in parts may be put together on the way."""
    import torch

    from tensorkeep.formats import step as module

    state = placed(size, blank=True, turn=turn)
    parts = module._Parts.numpy if size == 1 else None
    with checkpointer(folder) as ckpt, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators of another number of ranks
        with patch.object(module._Parts, "numpy", parts or _refuse):
            start = ckpt.restore(state)
    wanted = wholes()
    bad = []
    for name, value in state["tensors"].items():
        got = value.full_tensor() if hasattr(value, "full_tensor") else value
        if not torch.equal(got, wanted[name]):
            bad.append(name)
    return [start.step, state["epoch"], bad]


def _refuse(self: Any) -> Any:
    raise AssertionError("a tensor was put together whole")


class Run:
    """A model of FSDP2 with AdamW, dropout and a value that each rank has for itself."""

    def __init__(self, rank: int, size: int, *, dropout: bool = False) -> None:
        import torch
        from torch import nn
        from torch.distributed.fsdp import fully_shard

        torch.manual_seed(0)
        self.rank, self.size = rank, size
        self.net = nn.Sequential(nn.Linear(6, 9), nn.Dropout(0.3 if dropout else 0.0), nn.Tanh(), nn.Linear(9, 2))
        grid = mesh(size)
        for layer in (self.net[0], self.net[3], self.net):
            fully_shard(layer, mesh=grid)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=3e-2)
        self.state = {"model": self.net, "optimizer": self.optimizer, "position": {"seen": 0}}
        torch.manual_seed(10 + rank)

    def step(self, number: int) -> float:
        import torch
        import torch.distributed as dist

        generator = torch.Generator().manual_seed(number)
        x, y = torch.randn(12, 6, generator=generator), torch.randn(12, 2, generator=generator)
        share = slice(self.rank * 12 // self.size, (self.rank + 1) * 12 // self.size)
        loss = ((self.net(x[share]) - y[share]) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.state["position"]["seen"] += self.rank + 1
        told = loss.detach().clone()
        dist.all_reduce(told)
        return float(told) / self.size

    def bits(self) -> str:
        return "".join(p.full_tensor().detach().numpy().tobytes().hex() for p in self.net.parameters())


@case
def train(folder: Path, rank: int, size: int, stop: int = 8, every: int = 2, dropout: bool = False) -> Any:
    import tensorkeep as tk

    run = Run(rank, size, dropout=dropout)
    losses = {}
    with checkpointer(folder, every=tk.every(steps=every)) as ckpt:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = ckpt.restore(run.state)
        for number in range(start.step + 1 if start else 0, stop):
            losses[number] = run.step(number)
            ckpt.step(number, run.state, {"loss": losses[number]})
    lost = list(start.not_restored) if start else []
    return {"losses": losses, "bits": run.bits(), "seen": run.state["position"]["seen"], "lost": lost}


@case
def layouts(folder: Path, rank: int, size: int, names: list[str]) -> Any:
    """The losses of a model that changes its layout at each name, and those of one that does not."""
    found = []
    for kind, after in itertools.pairwise(names):
        net, optimizer = _laid_out(kind, size)
        _fit(net, optimizer, 0)
        with checkpointer(folder / kind, generators=False) as ckpt:
            ckpt.save(0, {"model": net, "optimizer": optimizer})
        losses = [_fit(net, optimizer, 1), _fit(net, optimizer, 2)]
        net, optimizer = _laid_out(after, size)
        with checkpointer(folder / kind, generators=False) as ckpt:
            start = ckpt.restore({"model": net, "optimizer": optimizer})
        found.append([losses, [_fit(net, optimizer, 1), _fit(net, optimizer, 2)], list(start.not_restored)])
    return found


def _laid_out(kind: str, size: int) -> Any:
    import torch
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    torch.manual_seed(0)
    net: Any = nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 4), nn.Identity())
    grid = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("outer", "inner"))
    if kind == "hsdp":
        fully_shard(net, mesh=grid)
    elif kind == "tensor parallel":
        parallelize_module(net, grid["inner"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
        fully_shard(net, mesh=grid["outer"])
    else:
        net = nn.parallel.DistributedDataParallel(net)
    return net, torch.optim.AdamW(net.parameters(), lr=1e-2)


def _fit(net: Any, optimizer: Any, number: int) -> float:
    import torch

    x = torch.randn(12, 8, generator=torch.Generator().manual_seed(number))
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@case
def killed(
    folder: Path, rank: int, size: int, who: int = 1, where: str = "write_files", background: bool = False
) -> Any:
    """One rank is killed in the middle of the second save; what the others meet."""
    from tensorkeep.checkpoint import _together as module

    ckpt = checkpointer(folder)
    ckpt.save(0, placed(size))
    if rank == who:
        real = getattr(module, where)

        def dying(*args: Any, **options: Any) -> Any:
            if where == "write_files":
                real(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        patch.object(module, where, dying).start()
    handle = ckpt.save(1, placed(size), background=background)
    handle.wait()
    return "saved"


@case
def failing(folder: Path, rank: int, size: int, who: int = 1, background: bool = False) -> Any:
    """A disk that is full for one rank; then a save that works."""
    import tensorkeep as tk
    from tensorkeep.checkpoint import _together as module

    found = []

    def full(*args: Any, **options: Any) -> Any:
        raise tk.NotEnoughSpaceError(28, "no room on this node", str(folder))

    with checkpointer(folder, every=tk.every(steps=1)) as ckpt:
        ckpt.save(0, placed(size))
        with patch.object(module, "write_files", full if rank == who else module.write_files):
            try:
                handle = ckpt.step(1, placed(size)) if background else ckpt.save(1, placed(size))
                with contextlib.suppress(tk.TensorkeepError):
                    handle.wait()
                ckpt.step(2, placed(size))
            except tk.TensorkeepError as err:
                found = [type(err).__name__, str(err), getattr(err, "__notes__", [])]
        ckpt.save(3, placed(size))
    return found


@case
def unlike(folder: Path, rank: int, size: int, what: str = "object") -> Any:
    """Ranks whose states or steps do not fit together."""
    import torch
    from torch.distributed.tensor import Shard, distribute_tensor

    state: dict[str, Any] = {"w": distribute_tensor(torch.ones(4, 4), mesh(size), [Shard(0)])}
    if what == "object" and rank == 1:
        state["bad"] = object()
    if what == "entries" and rank == 1:
        state["more"] = 1
    with checkpointer(folder) as ckpt:
        ckpt.save(rank if what == "step" else 0, state)


@case
def late(folder: Path, rank: int, size: int) -> Any:
    """A rank that never comes: the others give up."""
    ckpt = checkpointer(folder, timeout_s=0.7)
    ckpt.save(0, {"x": 1})
    if rank == 1:
        time.sleep(1.5)
        return "slept"
    ckpt.save(1, {"x": 1})
    return "saved"


@case
def sigterm(folder: Path, rank: int, size: int) -> Any:
    """SIGTERM to rank 1 in step 3: where each rank stops."""
    import torch

    state = {"w": torch.ones(3), "rank": rank}
    with checkpointer(folder) as ckpt:
        for number in range(10):
            if rank == 1 and number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            ckpt.step(number, state)
            if ckpt.stopping:
                return number
    return -1


@case
def raising(folder: Path, rank: int, size: int) -> Any:
    """Rank 1's loop ends with an exception; what the others meet, and when."""
    import torch

    began = time.monotonic()
    try:
        with checkpointer(folder) as ckpt:
            for number in range(10):
                if rank == 1 and number == 2:
                    raise ZeroDivisionError("in the loop")
                ckpt.step(number, {"w": torch.ones(3)})
    except (OSError, ZeroDivisionError) as err:
        return [type(err).__name__, str(err), time.monotonic() - began < 10]
    return None


@case
def alone(folder: Path, rank: int, size: int) -> Any:
    """Each rank for itself, and then both once more, with what was given back."""
    with checkpointer(folder / str(rank), together=False) as ckpt:
        if rank == 0:
            ckpt.save(0, {"rank": rank})
    found = []
    for number in range(3):
        with checkpointer(folder / "both") as ckpt:
            ckpt.save(number, {"rank": rank})
            found.append(ckpt.load(number)["rank"])
    return [os.path.exists(folder / str(rank)), found]


@case
def clocks(folder: Path, rank: int, size: int) -> Any:
    """Ranks whose clocks run at different speeds; which steps are saved."""
    import torch

    import tensorkeep as tk
    from tensorkeep.checkpoint import checkpointer as module

    ticks: Iterator[float] = iter(range(0, 10**6, 1 + rank))
    saved = []
    with patch.object(module.time, "monotonic", lambda: next(ticks)):
        ckpt = checkpointer(folder, every=tk.every(seconds=5))
        for number in range(12):
            if ckpt.step(number, {"w": torch.ones(3)}) is not None:
                saved.append(number)
        ckpt.close()
    return saved


@case
def replicas(folder: Path, rank: int, size: int, saves: int = 3) -> Any:
    """The same plain model on all ranks, half of it never changing: how many bytes each rank writes at each save."""
    import torch

    state = {"model": {f"t{i}": torch.full((70_000,), float(i)) for i in range(8)}}
    written = []
    with checkpointer(folder, generators=False, keep=()) as ckpt:
        for number in range(saves):
            for i in range(4):
                state["model"][f"t{i}"] += 1
            written.append(ckpt.save(number, state, background=number > 0).nbytes_written)
            ckpt.wait()
            written[-1] = ckpt._handle.nbytes_written
    return written


@case
def restore_damaged(folder: Path, rank: int, size: int) -> Any:
    with checkpointer(folder) as ckpt, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = ckpt.restore(placed(size, blank=True))
    return [start.step, list(start.skipped)]


@case
def misfit(folder: Path, rank: int, size: int) -> Any:
    """A state that fits on rank 0 only."""
    import torch

    state = {"w": torch.zeros(3)}
    with checkpointer(folder) as ckpt:
        ckpt.save(0, {"w": torch.ones(3)})
        if rank == 1:
            state = {"w": torch.zeros(4)}
        try:
            ckpt.restore(state)
        except ValueError as err:
            return [str(err), float(state["w"].sum())]
    return None


@case
def dcp_save(folder: Path, rank: int, size: int, value: Any = None, background: bool = False) -> Any:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict

    import tensorkeep as tk

    run = Run(rank, size)
    run.step(0)
    model, optimizer = get_state_dict(run.net, run.optimizer)
    state = {"model": model, "optim": optimizer, "epoch": 3, "notes": ["α", ("b", 2.5), None], "more": value}
    state["tensors"] = placed(size)["tensors"]
    if value == "object":
        state["more"] = object()
    writer = tk.TensorkeepWriter(folder, metrics={"loss": 1.5})
    if background:
        dcp.async_save(state, storage_writer=writer).result()
    else:
        dcp.save(state, storage_writer=writer)
    return [run.step(1), run.step(2)]


@case
def dcp_load(folder: Path, rank: int, size: int) -> Any:
    import torch
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    import tensorkeep as tk

    run = Run(rank, size)
    model, optimizer = get_state_dict(run.net, run.optimizer)
    state = {"model": model, "optim": optimizer, "epoch": 0, "notes": 0, "more": 0}
    state["tensors"] = placed(size, blank=True, turn=1)["tensors"]
    dcp.load(state, checkpoint_id=str(folder), storage_reader=tk.TensorkeepReader())
    set_state_dict(run.net, run.optimizer, model_state_dict=state["model"], optim_state_dict=state["optim"])
    whole = {k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in state["tensors"].items()}
    bad = [name for name, value in wholes().items() if not torch.equal(whole[name], value)]
    return {"losses": [run.step(1), run.step(2)], "epoch": state["epoch"], "notes": repr(state["notes"]), "bad": bad}


@case
def dcp_read(folder: Path, rank: int, size: int) -> Any:
    import torch.distributed.checkpoint as dcp

    import tensorkeep as tk

    dcp.load({"tensors": placed(size, blank=True)["tensors"]}, storage_reader=tk.TensorkeepReader(folder))


def serve() -> None:
    import torch.distributed.checkpoint
    import torch.distributed.fsdp
    import torch.distributed.tensor  # noqa: F401  # once for all ranks

    import tensorkeep.checkpoint.checkpointer
    import tensorkeep.checkpoint.distributed  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(world(job["case"], job["size"], job["folder"], job["options"])), flush=True)


if __name__ == "__main__":
    serve()
