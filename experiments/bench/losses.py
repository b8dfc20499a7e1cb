"""Every loss on batches of several sizes, dtypes and threads → results/bench.csv."""

import csv
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from experiments.bench.measure import (
    can_weigh,
    made_by,
    memory_cells,
    peak_memory,
    take_turns,
    time_cells,
    write_rows,
)
from experiments.bench.timed import BASELINE, LOOPS, Loss, Workload, timed_losses

SHAPES = ((8, 256, 32_000), (4, 512, 32_000), (4, 256, 151_936))
SHARES = (0.01, 0.24, 0.5)
SETTINGS = (
    *(Workload(*shape, share, "float32", 1) for shape in SHAPES for share in SHARES),
    *(Workload(*SHAPES[0], 0.24, dtype, 1) for dtype in ("bfloat16", "float16")),
    Workload(*SHAPES[0], 0.24, "float32", 2),
)
WITH_LOOPS = Workload(
    *SHAPES[0], 0.24, "float32", 1
)  # the loops take half a minute a turn: here alone, and once


def measure(
    settings: Sequence[Workload], repeats: int, device: str, out: Path, weigh: bool, loops: bool
) -> list[dict[str, Any]]:
    """Rows of the settings, written after each; rows of other settings that are in the file stay there."""
    kept = [row for row in read_rows(out) if not any(is_of(row, setting) for setting in settings)]
    found: list[dict[str, Any]] = []
    # Memory does not depend on the share of digits: once a shape and dtype is enough.
    weighed: dict[Workload, dict[str, float]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for setting in settings:
            losses = timed_losses(setting.vocabulary)
            bar = progress.add_task(setting.title, total=len(losses) * (repeats + 1))
            seconds = time_all(setting, losses, repeats, device, partial(progress.advance, bar))
            shape = replace(setting, digit_share=0.24, threads=1)
            if shape not in weighed:
                names = list(losses) if weigh and can_weigh(device) else []
                weighed[shape] = {
                    name: peak_memory(__name__, device, name=name, **asdict(shape)) for name in names
                }
            found += rows(setting, seconds, weighed[shape], device)
            if loops and setting == WITH_LOOPS:
                found += _loops(setting, device)
            write_rows(out, kept + found)
    return found


def _loops(setting: Workload, device: str) -> list[dict[str, Any]]:
    """The row of the tests' oracle, in turns with the baseline; none outside a checkout."""
    losses = timed_losses(setting.vocabulary, loops=True)
    if LOOPS not in losses:
        return []
    two = {name: losses[name] for name in (BASELINE, LOOPS)}
    seconds = time_all(setting, two, 1, device, lambda: None)
    return [row for row in rows(setting, seconds, {}, device) if row["loss"] == LOOPS]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of bench.csv, [] where it does not exist."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_of(row: Mapping[str, Any], setting: Workload) -> bool:
    return all(str(row[key]) == str(value) for key, value in asdict(setting).items())


def time_all(
    setting: Workload, losses: dict[str, Loss], repeats: int, device: str, tick: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of each contestant in each turn."""
    torch.set_num_threads(setting.threads)
    base, labels = setting.inputs(device)

    def job(name: str, loss: Loss) -> float:
        return once(loss, base.clone() if "overwritten" in name else base.detach(), labels)

    jobs = {name: partial(job, name, loss) for name, loss in losses.items()}
    return take_turns(jobs, repeats, tick)


def once(loss: Loss, logits: Tensor, labels: Tensor) -> float:
    """Seconds of one forward and backward."""
    logits.requires_grad_()
    _wait(logits)
    start = time.perf_counter()
    loss(logits, labels).backward()
    _wait(logits)
    return time.perf_counter() - start


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize()


def work(name: str, device: str, **setting: Any) -> Callable[[], object]:
    """One forward and backward, for `measure.peak_memory`."""
    chosen = Workload(threads=1, **setting)
    loss = timed_losses(chosen.vocabulary)[name]
    # The allocator and the kernels warm up on another, small batch.
    once(loss, *replace(chosen, batch=1, tokens=8, digit_share=0.5).inputs(device))
    logits, labels = chosen.inputs(device)
    return partial(once, loss, logits, labels)


def rows(
    setting: Workload, seconds: dict[str, list[float]], memory: dict[str, float], device: str
) -> Iterator[dict[str, Any]]:
    """The lines of bench.csv for one setting."""
    for name, values in seconds.items():
        yield {
            **asdict(setting),
            "loss": name,
            **time_cells(values, seconds[BASELINE]),
            **memory_cells(memory.get(name), memory.get(BASELINE)),
            **made_by(len(values), device),
            "ntloss": version("ntloss") if "ntloss" in seconds else "",
        }


def show(found: Sequence[dict[str, Any]]) -> None:
    """A table for each setting."""
    for title, group in itertools.groupby(found, lambda row: Workload(*list(row.values())[:6]).title):
        table = Table("loss", "ms", "× CE (lowest – highest)", "peak MB", "× CE", title=title)
        for row in group:
            spread = f"{row['ratio']} ({row['ratio_low']} – {row['ratio_high']})"
            table.add_row(
                *map(str, (row["loss"], row["milliseconds"], spread, row["peak_mb"], row["memory_ratio"]))
            )
        Console().print(table)
