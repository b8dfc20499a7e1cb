"""Runs as subprocesses, several at once: a failing one is noted and the rest go on; Ctrl-C reaches them all."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from experiments.presets import PlannedRun

POLL_SECONDS = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Job:
    """A run that was started. `log_start` is where this attempt's lines begin in its log."""

    run: PlannedRun
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    slot: int
    started: float = field(default_factory=time.monotonic)

    @property
    def code(self) -> int | None:
        return self.process.poll()

    def tail(self, lines: int = 12) -> list[str]:
        """The last lines that this attempt wrote."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_start, size - 16_384))
            text = file.read().decode(errors="replace")
        return [line.rsplit("\r", 1)[-1] for line in text.rstrip().splitlines()][-lines:]


class Display(Protocol):
    """What the pool tells whoever shows it."""

    def started(self, job: Job) -> None: ...
    def ended(self, job: Job) -> None: ...
    def tick(self, running: Sequence[Job]) -> None: ...
    def interrupted(self, running: int, again: bool) -> None: ...


class Interrupt:
    """Set by a signal: the first is passed on to the children, a second one kills them."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    @contextmanager
    def listening(self) -> Iterator["Interrupt"]:
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)

    def __bool__(self) -> bool:
        return bool(self.signals)


def run_all(
    runs: Sequence[PlannedRun],
    command: Sequence[str],
    jobs: int,
    environment: Callable[[int], Mapping[str, str]],
    display: Display,
    interrupt: Interrupt,
) -> list[Job]:
    """Run `command + overrides` for every run, `jobs` at once; returns those that ended, in the order of ending.

    environment: the variables to add for a slot (0 … jobs−1).
    """
    running: list[Job] = []
    try:
        return _run_all(runs, command, jobs, environment, display, interrupt, running)
    finally:
        for job in running:  # only after an error of our own: leave nothing behind
            _signal(job.process, signal.SIGINT)


def _run_all(
    runs: Sequence[PlannedRun],
    command: Sequence[str],
    jobs: int,
    environment: Callable[[int], Mapping[str, str]],
    display: Display,
    interrupt: Interrupt,
    running: list[Job],
) -> list[Job]:
    waiting, ended = list(runs), list[Job]()
    passed_on = 0
    while running or (waiting and not interrupt):
        while waiting and len(running) < jobs and not interrupt:
            slot = min(set(range(jobs)) - {job.slot for job in running})
            running.append(_start(waiting.pop(0), command, environment(slot), slot))
            display.started(running[-1])
        if passed_on < len(interrupt.signals):
            passed_on = len(interrupt.signals)
            display.interrupted(len(running), again=passed_on > 1)
            for job in running:
                _signal(job.process, signal.SIGINT if passed_on == 1 else signal.SIGKILL)
        for job in [job for job in running if job.code is not None]:
            running.remove(job)
            ended.append(job)
            display.ended(job)
        display.tick(running)
        if running:
            time.sleep(POLL_SECONDS)
    return ended


def _start(run: PlannedRun, command: Sequence[str], extra: Mapping[str, str], slot: int) -> Job:
    log = run.folder.parent / "logs" / f"{run.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [*command, *run.overrides]
    with log.open("ab") as file:  # appended: an earlier attempt's lines may be what explains this one
        file.write(f"$ {' '.join(arguments)}\n".encode())
        file.flush()
        start = file.tell()
        return Job(run, _spawn(arguments, file, {**os.environ, **extra}), log, start, slot)


def _spawn(arguments: list[str], output: IO[bytes], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own: a terminal's Ctrl-C would else reach the child twice, from the terminal and from us.
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """SIGINT to the run itself, which saves and ends its own workers; SIGKILL to all that it started."""
    try:
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except ProcessLookupError:
        pass  # it ended by itself meanwhile
