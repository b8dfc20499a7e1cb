"""Runs as subprocesses, several at once: a failing one is noted and the rest go on; Ctrl-C reaches them all.

A run's log is locked as long as anything writes to it: the run, even when its launcher has been killed. So what another
launcher (or an orphan of one) trains is waited for, and started here only if it ends without being complete.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple, Protocol

from experiments.run.presets import PlannedRun
from ntil.io import lock

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


class Outcome(NamedTuple):
    """Jobs in the order of ending, and the runs that another process completed meanwhile."""

    ended: list[Job]
    elsewhere: list[PlannedRun]


class Display(Protocol):
    """What the pool tells whoever shows it."""

    def waits_for(self, run: PlannedRun) -> None: ...
    def done_elsewhere(self, run: PlannedRun) -> None: ...
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
) -> Outcome:
    """Run `command + overrides` for every run, `jobs` at once.

    environment: the variables to add for a slot (0 … jobs−1).
    """
    pool = _Pool(list(runs), command, jobs, environment, display)
    try:
        return pool.run(interrupt)
    finally:
        for job in pool.running:  # only after an error of our own: leave nothing behind
            _signal(job.process, signal.SIGINT)


class _Pool:
    def __init__(
        self,
        waiting: list[PlannedRun],
        command: Sequence[str],
        jobs: int,
        environment: Callable[[int], Mapping[str, str]],
        display: Display,
    ) -> None:
        self.waiting, self.command, self.jobs = waiting, command, jobs
        self.environment, self.display = environment, display
        self.running: list[Job] = []
        self.ended: list[Job] = []
        self.elsewhere: list[PlannedRun] = []
        self._waited_for: set[str] = set()
        self._given_back: set[str] = set()

    def run(self, interrupt: Interrupt) -> Outcome:
        passed_on = 0
        while self.running or (self.waiting and not interrupt):
            if not interrupt:
                self._fill()
            if passed_on < len(interrupt.signals):
                passed_on = len(interrupt.signals)
                self.display.interrupted(len(self.running), again=passed_on > 1)
                for job in self.running:
                    _signal(job.process, signal.SIGINT if passed_on == 1 else signal.SIGKILL)
            for job in [job for job in self.running if job.code is not None]:
                self.running.remove(job)
                self._end(job)
            self.display.tick(self.running)
            if self.running or self.waiting:
                time.sleep(POLL_SECONDS)
        return Outcome(self.ended, self.elsewhere)

    def _fill(self) -> None:
        """Start what waits, in order, as long as there is a slot; what another process trains goes on waiting."""
        for run in list(self.waiting):
            if len(self.running) == self.jobs:
                return
            with _claimed(run) as log:
                if log is None:
                    if run.name not in self._waited_for:
                        self._waited_for.add(run.name)
                        self.display.waits_for(run)
                    continue
                self.waiting.remove(run)
                if run.is_done:
                    self.elsewhere.append(run)
                    self.display.done_elsewhere(run)
                else:
                    slot = min(set(range(self.jobs)) - {job.slot for job in self.running})
                    self.running.append(_start(run, self.command, self.environment(slot), slot, log))
                    self.display.started(self.running[-1])

    def _end(self, job: Job) -> None:
        if job.code and job.run.name not in self._given_back and _is_trained(job.run):
            self._given_back.add(job.run.name)  # somebody has typed its training command: wait for that
            self.waiting.append(job.run)
        self.ended = [other for other in self.ended if other.run.name != job.run.name]
        self.ended.append(job)
        self.display.ended(job)


@contextmanager
def _claimed(run: PlannedRun) -> Iterator[IO[bytes] | None]:
    """The run's log, locked for this process and the one that it is given to; None where another process trains the run."""
    log = log_of(run)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:  # appended: an earlier attempt's lines may be what explains this one
        yield file if lock(file.fileno()) and not _is_trained(run) else None


def _is_trained(run: PlannedRun) -> bool:
    """Whether a process holds the lock of the run's folder."""
    try:
        handle = os.open(run.folder.with_name(f".{run.folder.name}.lock"), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not lock(handle)
    finally:
        os.close(handle)


def log_of(run: PlannedRun) -> Path:
    return run.folder.parent / "logs" / f"{run.name}.log"


def _start(
    run: PlannedRun, command: Sequence[str], extra: Mapping[str, str], slot: int, log: IO[bytes]
) -> Job:
    arguments = [*command, *run.overrides]
    log.write(f"$ {' '.join(arguments)}\n".encode())
    log.flush()
    start = log.tell()
    return Job(run, _spawn(arguments, log, {**os.environ, **extra}), log_of(run), start, slot)


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
