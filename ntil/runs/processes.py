"""The processes of one command: torchrun starts one for each device, and a plain start is a world of one.

    torchrun --nproc-per-node 8 train.py …                          eight processes, of which the first writes
    python train.py -m … hydra/launcher=slurm hydra.launcher.tasks_per_node=8     the same in a job of SLURM

`join` comes first; it puts each process on its own device. What only one may do (lock, write, build) goes through `by_first`,
and what each has a part of through `gathered`. All processes must call both in the same order.
"""

import datetime
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from ntil.errors import UserError

# The others wait for the first one's work, such as building a data set; and in a step for each other.
PATIENCE = datetime.timedelta(hours=12)
PATIENCE_IN_A_STEP = datetime.timedelta(minutes=30)
T = TypeVar("T")
_control: dict[str, Any] = {}  # the group over which objects are passed


def count() -> int:
    """How many processes this command has."""
    return _of_launcher("WORLD_SIZE", 1)


def rank() -> int:
    """Which of them this one is, from 0."""
    return _of_launcher("RANK", 0)


def local_rank() -> int:
    """Which of those on this machine this one is, from 0."""
    return _of_launcher("LOCAL_RANK", 0)


def local_count() -> int:
    """How many of them are on this machine."""
    return _of_launcher("LOCAL_WORLD_SIZE", count())


def is_first() -> bool:
    return rank() == 0


def available_threads(jobs: int = 1) -> int:
    """Threads for one process of one of `jobs` runs side by side: OMP_NUM_THREADS where it is set, else the cores divided."""
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return int(os.environ["OMP_NUM_THREADS"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, jobs * local_count()))


def join() -> None:
    """Take this process's device, and meet the other processes where there are any. UserError where they can't be met."""
    _hear_from_submitit()
    if torch.cuda.is_available():
        devices = torch.cuda.device_count()
        if local_rank() >= devices:
            raise UserError(
                f"{local_rank() + 1} processes or more were started on this machine, which shows {devices} GPUs. Start one for "
                f"each: torchrun --nproc-per-node {devices} …"
            )
        torch.cuda.set_device(local_rank())
        if count() == 1 and devices > 1:
            print(
                f"{devices} GPUs are visible and this command uses one; torchrun --nproc-per-node {devices} … uses all of them."
            )
    if count() == 1 or _control:
        return
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK") if name not in os.environ]:
        raise UserError(
            f"the environment says WORLD_SIZE={count()} and not {', '.join(missing)}; start the processes with torchrun, or unset "
            "WORLD_SIZE."
        )
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE_IN_A_STEP)
    _control["group"] = dist.new_group(backend="gloo", timeout=PATIENCE)


def by_first(work: Callable[[], T]) -> T:
    """What the first process's `work` returns (plain values); the others wait for it. A UserError is raised in all of them.

    `work` itself exchanges nothing: it runs in one process.
    """
    if count() == 1:
        return work()
    said: list[Any] = [None, None]
    if is_first():
        try:
            said[0] = work()
        except UserError as error:
            said[1] = str(error)
    dist.broadcast_object_list(said, src=0, group=_control["group"])
    if said[1] is not None:
        raise UserError(said[1])
    return said[0]


def gathered(part: T) -> list[T]:
    """The parts of all processes, by rank, in each of them."""
    if count() == 1:
        return [part]
    parts: list[Any] = [None] * count()
    dist.all_gather_object(parts, part, group=_control["group"])
    return parts


def wait_for_all() -> None:
    """Until every process has come here."""
    gathered(None)


def leave() -> None:
    """After the last exchange: let go of the other processes."""
    if _control:
        _control.clear()
        dist.destroy_process_group()


def _hear_from_submitit() -> None:
    """A job of submitit (SLURM, or its local stand-in) may have several tasks; each learns here which it is."""
    if "SUBMITIT_EXECUTOR" not in os.environ or "RANK" in os.environ:
        return
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    if JobEnvironment().num_tasks > 1:
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False)


def _of_launcher(name: str, alone: int) -> int:
    """A number of the environment that torchrun sets."""
    value = os.environ.get(name, str(alone))
    if not value.isdecimal():
        raise UserError(f"the environment says {name}={value!r}, which is no number of processes; unset it.")
    return int(value)
