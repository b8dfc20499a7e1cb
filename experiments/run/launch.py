"""Run an experiment: skip what is complete, copy what another has made, train the rest side by side."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.results.store import Store
from experiments.run.pool import Interrupt, Outcome, run_all
from experiments.run.presets import PlannedRun, expand
from experiments.run.progress import display, last_step
from experiments.run.reuse import same_runs, take_over
from ntil.checkout import ROOT
from ntil.errors import UserError
from ntil.escape import terminal
from ntil.io import clear_leftovers

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
TRAIN = (sys.executable, str(ROOT / "train.py"))


def launch(arguments: argparse.Namespace, command: Sequence[str], conf: Path) -> int:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"--jobs {arguments.jobs}: at least one run must be allowed at a time.")
    if bad := [word for word in arguments.overrides if "=" not in word.lstrip("~")]:
        raise UserError(f"{bad[0]!r} is no override; write key=value. One experiment is launched at a time.")
    runs = expand(arguments.experiment, arguments.overrides, conf)
    if arguments.missing is not None:
        runs = not_collected(runs, Store(arguments.missing))
    todo = [run for run in runs if not run.is_done]
    made, refused = same_runs(todo, arguments.other_commits)
    for reason in refused:
        print(terminal(reason), file=sys.stderr)
    if arguments.list:
        list_runs(runs, made)
        return 0
    for folder in sorted({folder for run in runs for folder in (run.folder.parent, run.folder)}):
        clear_leftovers(folder)
    if len(todo) < len(runs):
        print(f"{len(runs) - len(todo)} of {len(runs)} runs are complete already.", file=sys.stderr)
    taken = {run.name for run in todo if run.name in made and take_over(run, made[run.name])}
    if taken:
        print(f"{len(taken)} runs are copies of other experiments' with the same settings.", file=sys.stderr)
    todo = [run for run in todo if run.name not in taken]
    if not todo:
        return 0
    jobs = min(arguments.jobs or default_jobs(), len(todo))
    with Interrupt().listening() as interrupt:
        with display(todo, skipped=len(runs) - len(todo)) as shown:
            outcome = run_all(todo, command, jobs, slot_environment(jobs), shown, interrupt)
        return report(outcome, len(todo), interrupt)


def not_collected(runs: Sequence[PlannedRun], store: Store) -> list[PlannedRun]:
    """The runs that have no row in results/runs.csv; said, since their folders may be elsewhere."""
    known = {(row.experiment, row.run) for row in store.runs()}
    missing = [run for run in runs if (run.folder.parent.name, run.name) not in known]
    if len(missing) < len(runs):
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are in {store.runs_path}.", file=sys.stderr)
    return missing


def list_runs(runs: Sequence[PlannedRun], made: Mapping[str, Path]) -> None:
    table = Table("run", "state", "folder", box=None, pad_edge=False)
    for run in runs:
        table.add_row(*(Text(terminal(cell)) for cell in (run.name, state(run, made), str(run.folder))))
    width = None if sys.stdout.isatty() else 10_000  # a pipe gets whole lines
    Console(width=width, highlight=False).print(table)


def state(run: PlannedRun, made: Mapping[str, Path]) -> str:
    if run.is_done:
        return "complete"
    if step := last_step(run.folder):
        return f"step {step}/{run.steps or '?'}"
    if source := made.get(run.name):
        return f"same as {source.parent.name}/{source.name}"
    return "to do"


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    return torch.cuda.device_count() or cores()


def slot_environment(jobs: int) -> Callable[[int], Mapping[str, str]]:
    """Threads, and GPUs where there are several, shared out among the slots; `jobs` of them run at once."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores() // jobs)
    threads = str(min(share, int(allowed)) if allowed.isdigit() and int(allowed) > 0 else share)
    devices = _visible_devices()

    def environment(slot: int) -> dict[str, str]:
        variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if jobs > 1 and len(devices) > 1:  # alone, a run may have them all
            variables["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
        return variables

    return environment


def _visible_devices() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]


def report(outcome: Outcome, wanted: int, interrupt: Interrupt) -> int:
    """Say how it ended; the exit code."""
    there = {run.name for run in outcome.elsewhere}
    failed = [job for job in outcome.ended if job.code != 0 and job.run.name not in there]
    if interrupt:
        done = len(there | {job.run.name for job in outcome.ended if job.code == 0})
        print(f"Interrupted: {done} of {wanted} runs done. The same command goes on.", file=sys.stderr)
        return 130
    if there:
        print(f"{len(there)} of {wanted} runs were trained by another process.", file=sys.stderr)
    for job in failed:
        said = f"{job.run.name} failed ({how_ended(job.code)}). The end of {job.log}:"
        print(f"\n{terminal(said)}", file=sys.stderr)
        print("\n".join(f"    {terminal(_COLOURS.sub('', line))}" for line in job.tail()), file=sys.stderr)
    if failed:
        print(f"\n{len(failed)} of {wanted} runs failed; the same command tries them again.", file=sys.stderr)
    return 1 if failed else 0


def how_ended(code: int | None) -> str:
    """exit code 1, or the signal that killed it."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (": often the system, for want of memory" if name == "SIGKILL" else "")
