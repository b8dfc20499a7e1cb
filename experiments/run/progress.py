"""How the launcher shows its runs: a live display on a terminal, plain lines elsewhere."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from experiments.run.pool import Display, Job
from experiments.run.presets import PlannedRun
from ntil.errors import UNEXPECTED
from ntil.escape import terminal

PLAIN_SECONDS = 60.0  # between two plain progress lines


def last_step(folder: Path) -> int:
    """The last step in a run's train.jsonl, 0 where there is none yet. Reads the file's end only."""
    try:
        with (folder / "train.jsonl").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8_192))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except UNEXPECTED:
            continue  # a line that is being written
    return 0


def clock(seconds: float) -> str:
    """3725 → 1:02:05."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class Tally:
    """Done, failed, and the time left, from how much of all the steps this launch has done so far."""

    def __init__(self, runs: Sequence[PlannedRun], skipped: int) -> None:
        self.total, self.done, self.failed = len(runs) + skipped, skipped, 0
        self.skipped = skipped
        self.started = time.monotonic()
        self._share = {run.name: _share(run) for run in runs}
        self._at_start = sum(self._share.values())

    def update(self, job: Job) -> None:
        self._share[job.run.name] = _share(job.run)

    def end(self, job: Job) -> None:
        self._share[job.run.name] = 1.0
        self.done += job.code == 0
        self.failed += job.code != 0

    def end_elsewhere(self, run: PlannedRun) -> None:
        self._share[run.name] = 1.0
        self.done += 1

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @property
    def share(self) -> float:
        """Of everything, skipped runs included, 0–1."""
        return (self.skipped + sum(self._share.values())) / max(1, self.total)

    @property
    def left(self) -> float | None:
        """Seconds, None while nothing has moved."""
        done = sum(self._share.values())
        moved = done - self._at_start
        return self.elapsed * (len(self._share) - done) / moved if moved > 0.005 else None

    def __str__(self) -> str:
        left = "–" if self.left is None else clock(self.left)
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done}/{self.total} runs done{failed}, {clock(self.elapsed)} so far, {left} left"


def _share(run: PlannedRun) -> float:
    return min(1.0, last_step(run.folder) / run.steps) if run.steps else 0.0


class PlainDisplay:
    """A line for each start and end, and one a minute in between; for logs and pipes."""

    def __init__(self, tally: Tally) -> None:
        self.tally, self._next = tally, time.monotonic() + PLAIN_SECONDS

    def waits_for(self, run: PlannedRun) -> None:
        _say(_waiting(run))

    def done_elsewhere(self, run: PlannedRun) -> None:
        self.tally.end_elsewhere(run)
        _say(f"done    {terminal(run.name)}  by another process  [{self.tally}]")

    def started(self, job: Job) -> None:
        step = last_step(job.run.folder)
        _say(f"start   {terminal(job.run.name)}" + (f"  (resumes after step {step})" if step else ""))

    def ended(self, job: Job) -> None:
        self.tally.end(job)
        word = "done   " if job.code == 0 else "FAILED "
        _say(f"{word} {terminal(job.run.name)}  {clock(time.monotonic() - job.started)}  [{self.tally}]")

    def tick(self, running: Sequence[Job]) -> None:
        for job in running:
            self.tally.update(job)
        if running and time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            steps = ", ".join(
                f"{terminal(job.run.name)} {last_step(job.run.folder)}/{job.run.steps or '?'}"
                for job in running
            )
            _say(f"running {steps}  [{self.tally}]")

    def interrupted(self, running: int, again: bool) -> None:
        _say(_interruption(running, again))


class LiveDisplay:
    """One bar for each running job and one for everything."""

    def __init__(self, tally: Tally, progress: Progress) -> None:
        self.tally, self.progress = tally, progress
        self._bars: dict[str, TaskID] = {}
        self._all = progress.add_task("", total=1.0, numbers=str(tally))

    def waits_for(self, run: PlannedRun) -> None:
        self.progress.console.print(Text(_waiting(run)))

    def done_elsewhere(self, run: PlannedRun) -> None:
        self.tally.end_elsewhere(run)
        self.progress.console.print(Text(f"done    {terminal(run.name)}  by another process"))

    def started(self, job: Job) -> None:
        self._bars[job.run.name] = self.progress.add_task(
            terminal(job.run.name), total=job.run.steps, numbers="starting"
        )

    def ended(self, job: Job) -> None:
        self.tally.end(job)
        self.progress.remove_task(self._bars.pop(job.run.name))
        word = ("done   ", "green") if job.code == 0 else ("failed ", "red")
        rest = f" {terminal(job.run.name)}  {clock(time.monotonic() - job.started)}"
        self.progress.console.print(Text.assemble(word, rest))

    def tick(self, running: Sequence[Job]) -> None:
        for job in running:
            self.tally.update(job)
            step = last_step(job.run.folder)
            numbers = f"step {step}/{job.run.steps or '?'}" if step else "starting"
            self.progress.update(self._bars[job.run.name], completed=step, numbers=numbers)
        self.progress.update(self._all, completed=self.tally.share, numbers=str(self.tally))

    def interrupted(self, running: int, again: bool) -> None:
        self.progress.console.print(_interruption(running, again), style="yellow")


@contextmanager
def display(runs: Sequence[PlannedRun], skipped: int) -> Iterator[Display]:
    """The display that fits standard error."""
    tally, console = Tally(runs, skipped), Console(stderr=True)
    if not console.is_terminal:
        yield PlainDisplay(tally)
        return
    # The numbers first: on a narrow terminal it is the names that are cut.
    columns = (
        BarColumn(bar_width=16),
        TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        yield LiveDisplay(tally, progress)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _waiting(run: PlannedRun) -> str:
    return f"waiting {terminal(run.name)} is being trained by another process"


def _interruption(running: int, again: bool) -> str:
    runs = f"{running} run" + ("s" if running != 1 else "")
    return (
        f"killing {runs}"
        if again
        else f"interrupting {runs}; waiting for them to save (once more kills them)"
    )
