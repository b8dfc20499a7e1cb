"""How everything here is timed and weighed.

Contestants take turns in one process (A B C A B C …), after one turn to warm up; a ratio is to the baseline in the same
turn, and the median of the ratios is what to quote: on a shared machine milliseconds drift, ratios much less. Memory is the
peak beyond what was there before the work, each contestant in a process of its own.
"""

import csv
import datetime
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ntil.io import atomic_open

Job = Callable[[], float]  # does its work once; the seconds that count
Work = Callable[[], object]


def take_turns(jobs: Mapping[str, Job], repeats: int, tick: Work = lambda: None) -> dict[str, list[float]]:
    """Seconds of each job in each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            elapsed = job()
            if turn:
                seconds[name].append(elapsed)
            tick()
    return seconds


def time_cells(seconds: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """What a row says of the time."""
    ratios = [ours / theirs for ours, theirs in zip(seconds, baseline, strict=True)]
    return {
        "milliseconds": round(1e3 * statistics.median(seconds), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
    }


def memory_cells(peak: float | None, baseline: float | None) -> dict[str, Any]:
    """What a row says of the memory; empty where it was not measured."""
    if peak is None or baseline is None:
        return {"peak_mb": "", "memory_ratio": ""}
    return {"peak_mb": round(peak, 1), "memory_ratio": round(peak / baseline, 3)}


def made_by(repeats: int, device: str = "cpu") -> dict[str, Any]:
    """With what and when."""
    return {
        "repeats": repeats,
        "device": device,
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The whole file anew."""
    with atomic_open(path) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def compare_ways(
    facts: Mapping[str, Any],
    module: str,
    steps: Mapping[str, Work],
    repeats: int,
    tick: Work,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """A row for each way of doing the same step, in time and memory (`module.work(way=…)`); ratios are to the first way."""
    torch.set_num_threads(1)
    seconds = take_turns({way: partial(timed, step) for way, step in steps.items()}, repeats, tick)
    memory = {way: peak_memory(module, device, way=way) for way in steps if can_weigh(device)}
    first = next(iter(steps))
    return [
        {
            **facts,
            "way": way,
            **time_cells(seconds[way], seconds[first]),
            **memory_cells(memory.get(way), memory.get(first)),
            **made_by(repeats, device),
        }
        for way in steps
    ]


def timed(work: Work) -> float:
    """Seconds until the work is done, on a GPU too."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def can_weigh(device: str) -> bool:
    """Whether peaks can be read here: on CUDA, and on Linux."""
    return device == "cuda" or Path("/proc/self/clear_refs").exists()


def peak_memory(module: str, device: str = "cpu", **asked: Any) -> float:
    """MB that `module.work(device=…, **asked)`, prepared and then called once, takes; in a process of its own."""
    words = [module, json.dumps({"device": device, **asked})]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.bench.measure", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {asked} failed:\n{done.stderr}")
    return float(done.stdout)


def _weigh(work: Work, device: str) -> float:
    before: float
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # a new peak of this process's resident set
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    """MB of this process in memory: VmRSS now, VmHWM at most since the last reset."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) / 1024


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    torch.set_num_threads(asked.pop("threads", 1))
    work: Work = importlib.import_module(sys.argv[1]).work(**asked)
    print(_weigh(work, asked["device"]))
