"""Eight data-parallel processes that add their ranks over gloo, with nothing but a loopback."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PROCESSES = 8


def work(rank):
    os.environ.update(MASTER_ADDR=os.uname().nodename, MASTER_PORT="29500")
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    value = torch.tensor([float(rank)])
    dist.all_reduce(value)
    print(f"rank {rank}: sum {value.item():.0f}", flush=True)
    dist.barrier()


if __name__ == "__main__":
    mp.spawn(work, nprocs=PROCESSES)
