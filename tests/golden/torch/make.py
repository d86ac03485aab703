"""Writes dcp-2-ranks: a checkpoint of torch.distributed.checkpoint by two gloo processes. Run: python make.py"""

import os
import sys
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor


def main(rank: int, world: int, folder: str) -> None:
    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29533")
    dist.init_process_group("gloo", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    base = torch.arange(35.0).view(7, 5)
    model = {
        "rows": distribute_tensor(base, mesh, [Shard(0)]),
        "columns": distribute_tensor(base.bfloat16(), mesh, [Shard(1)]),
        "replicated": distribute_tensor(base + 1, mesh, [Replicate()]),
        "plain": base * 2,
        "one_row": distribute_tensor(torch.ones(1, 3), mesh, [Shard(0)]),
    }
    state = {"model": model, "step": 7, "groups": [{"lr": 0.5, "betas": (0.9, 0.99)}], "nothing": None}
    dcp.save(state, checkpoint_id=folder)
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(main, (2, sys.argv[1] if len(sys.argv) > 1 else "dcp-2-ranks"), 2)
