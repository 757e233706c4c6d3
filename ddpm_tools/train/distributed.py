"""Training in several processes under `torchrun`: each computes its share of every batch, and gradients are averaged.
Every process draws the random numbers for the whole batch and keeps its share, so the result does not depend on the
number of processes. Weights, moments and EMA are then the same everywhere; only process 0 writes and draws."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """Which process this is (`rank`, from 0), and out of how many."""

    rank: int = 0  # the number of this process, from 0
    world: int = 1  # how many processes there are

    @property
    def first(self) -> bool:
        return self.rank == 0

    def shares(self, batch_size: int, micro_batches: int = 1) -> list[slice]:
        """This process's parts of a batch; ValueError if the batch cannot be divided evenly."""
        parts = self.world * micro_batches
        if batch_size % parts:
            raise ValueError(
                f"a batch of {batch_size} cannot be divided evenly among {self.world} process(es) with "
                f"{micro_batches} micro-batch(es) each; choose a --batch-size that is a multiple of {parts}"
            )
        size, start = batch_size // parts, self.rank * (batch_size // self.world)
        return [slice(start + i * size, start + (i + 1) * size) for i in range(micro_batches)]

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its average over all processes, in one all-reduce."""
        if self.world == 1:
            return
        flat = torch.cat([x.detach().reshape(-1) for x in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for x, y in zip(tensors, flat.split([x.numel() for x in tensors])):
            x.detach().copy_(y.view(x.shape))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must call this at the same step."""
        if self.world == 1:
            return flag
        votes = torch.tensor([int(flag)])  # on the CPU, to avoid waiting for a GPU
        dist.all_reduce(votes)
        return bool(votes)

    def same(self, value: int) -> bool:
        """Whether all processes hold the same value."""
        if self.world == 1:
            return True
        values = torch.tensor([value, -value])
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return bool(values[0] == -values[1])

    def wait(self) -> None:
        """Wait until all processes get here."""
        self.any(False)

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Process 0 runs the block before the others do, so that it alone downloads and reports errors."""
        if not self.first:
            try:
                self.wait()
            except RuntimeError:  # the connection broke: process 0 has failed and reported why
                raise SystemExit(1) from None
        yield
        if self.first:
            self.wait()


ALONE = Ranks()


@contextmanager
def processes(environment: Mapping[str, str], device: str) -> Iterator[tuple[Ranks, str]]:
    """Join the process group if `torchrun` started this process, and leave it at the end: (ranks, own device)."""
    if int(environment.get("WORLD_SIZE", 1)) == 1:
        yield ALONE, device
        return
    if torch.device(device).type == "cuda":
        device = f"cuda:{environment['LOCAL_RANK']}"
        if int(environment["LOCAL_RANK"]) >= torch.cuda.device_count():
            raise ValueError(f"there are only {torch.cuda.device_count()} GPUs; set --nproc-per-node to at most that")
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    else:
        backend = "gloo"
    # Its functions keep the group that exists on import as a default, and an optimiser's first step imports it. The
    # group's threads would then outlive the interpreter, and abort the process.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group(backend)
    try:
        ranks = Ranks(dist.get_rank(), dist.get_world_size())
        ranks.wait()  # all must be connected before one can fail and leave, or the others would fail too
        yield ranks, device
    finally:
        dist.destroy_process_group()
