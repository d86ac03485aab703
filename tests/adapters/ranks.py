"""What each of two processes does in test_together.py: python ranks.py CASE RANK FOLDER, over gloo."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import tensorkeep as tk


def net(seed: int) -> Any:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3))


def sharded(model: Any) -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (2,))
    for layer in (model[0], model[2]):
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def wholes(model: Any) -> dict[str, Any]:
    return {n: (v.full_tensor() if hasattr(v, "full_tensor") else v) for n, v in model.state_dict().items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def fsdp2(folder: Path, rank: int) -> Any:
    """Save together, load together into others, and into a bare model."""
    model = sharded(net(0))
    receipt = tk.save_parameters(model, folder / "m.safetensors")
    other, bare = sharded(net(1)), net(2)
    report = tk.load_parameters(other, folder / "m.safetensors")
    tk.load_parameters(bare, folder / "m.safetensors")
    expected = net(0).state_dict()
    local = other[0].weight.to_local().shape
    return [
        same(wholes(other), expected),
        same(wholes(bare), expected),
        receipt.tensors,
        len(report.verified),
        list(local),
    ]


def meta(folder: Path, rank: int) -> Any:
    """A model that is sharded on the meta device gets its parts from the file and computes."""
    tk.save_parameters(net(0), folder / f"m{rank}.safetensors")
    with torch.device("meta"):
        empty = net(1)
    model = sharded(empty)
    tk.load_parameters(model, folder / f"m{rank}.safetensors")
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    return torch.allclose(model.eval()(x), net(0).eval()(x), rtol=1e-6)


def refused(folder: Path, rank: int) -> Any:
    """What one rank meets is raised on both, and nothing hangs or changes."""
    said = []
    model = sharded(net(0))
    if rank == 0:
        tk.save_parameters(net(1), folder / "only0.safetensors")
    dist.barrier()
    path = folder / ("only0.safetensors" if rank == 0 else "absent.safetensors")
    try:
        tk.load_parameters(model, path)
    except (OSError, tk.TensorkeepError) as err:
        said.append(f"{type(err).__name__}: {err}")
    try:
        tk.save_parameters(model, folder / "nowhere" / "m.safetensors")
    except (OSError, tk.TensorkeepError) as err:
        said.append(f"{type(err).__name__}: {err}")
    return [said, same(wholes(model), net(0).state_dict())]


def ddp(folder: Path, rank: int) -> Any:
    """A DDP model saves bare names and loads what a bare one saved."""
    model = nn.parallel.DistributedDataParallel(net(0))
    if rank == 0:
        tk.save_parameters(model, folder / "m.pt")
    dist.barrier()
    other = nn.parallel.DistributedDataParallel(net(rank + 1))
    tk.load_parameters(other, folder / "m.pt")
    return [same(dict(other.module.state_dict()), dict(net(0).state_dict())), sorted(tk.load(folder / "m.pt"))]


def fsdp1(folder: Path, rank: int) -> Any:
    """The older wrapper is refused with what to do, and that works."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = FullyShardedDataParallel(net(0), device_id=torch.device("cpu"))
    said = ""
    try:
        tk.save_parameters(model, folder / "m.pt")
    except tk.UnsupportedDataError as err:
        said = str(err)
    with FullyShardedDataParallel.summon_full_params(model):
        if rank == 0:
            tk.save_parameters(model, folder / "m.pt")
        names = sorted(tk.load(folder / "m.pt")) if rank == 0 else []
        tk.load_parameters(model, net(1).state_dict())
    with FullyShardedDataParallel.summon_full_params(model):
        loaded = all(torch.equal(a, b) for a, b in zip(model.parameters(), net(1).parameters(), strict=True))
    return [said, names, loaded]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    case, rank, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    print(json.dumps(globals()[case](folder, rank)))
    sys.stdout.flush()
    dist.barrier()
    dist.destroy_process_group()
