"""What doubling the batch, the length or the digits does to CE + NTIL, in one run → results/bench_scaling.csv."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch

from experiments.bench.losses import once
from experiments.bench.measure import made_by, take_turns, time_cells
from experiments.bench.timed import BASELINE, FUSED, Loss, Workload, timed_losses

BASE = Workload(4, 256, 32_000, 0.24, "float32", 1)
VARIANTS = {
    "base": BASE,
    "2 × B": replace(BASE, batch=8),
    "2 × T": replace(BASE, tokens=512),
    "1 % digits": replace(BASE, digit_share=0.01),
    "50 % digits": replace(BASE, digit_share=0.5),
}
COMPARED = (BASELINE, FUSED)


def measure(repeats: int, device: str, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """A row for each loss and variant; ratios are to the same loss on the base."""
    torch.set_num_threads(BASE.threads)
    losses = timed_losses(BASE.vocabulary)
    jobs = {
        f"{loss}, {name}": partial(_job, losses[loss], setting, device)
        for (name, setting), loss in itertools.product(VARIANTS.items(), COMPARED)
    }
    seconds = take_turns(jobs, repeats, tick)
    return [
        {
            "loss": loss,
            "variant": name,
            **asdict(setting),
            **time_cells(seconds[f"{loss}, {name}"], seconds[f"{loss}, base"]),
            **made_by(repeats, device),
        }
        for loss, (name, setting) in itertools.product(COMPARED, VARIANTS.items())
    ]


def turns(repeats: int) -> int:
    return len(VARIANTS) * len(COMPARED) * (repeats + 1)


def _job(loss: Loss, setting: Workload, device: str) -> float:
    return once(loss, *setting.inputs(device))
