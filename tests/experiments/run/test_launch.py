import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from experiments.launch import main
from experiments.run import launch
from experiments.run.presets import PlannedRun
from experiments.run.progress import Tally, clock, last_step

FAKE = Path(__file__).resolve().parents[1] / "fake_train.py"
ROOT = Path(__file__).resolve().parents[3]


class Desk:
    """A plan for the fake trainer, and the launcher called in this process."""

    def __init__(self, conf: Path, runs: dict[str, PlannedRun]) -> None:
        self.conf, self.runs, self.plan = conf, runs, conf.parent / "plan.json"
        self.manners()

    def manners(self, **manners: str) -> None:
        runs = {
            " ".join(run.overrides): {"folder": str(run.folder), "config": run.config}
            for run in self.runs.values()
        }
        self.plan.write_text(json.dumps({"runs": runs, "manners": manners}))

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(FAKE), str(self.plan)]

    def launch(self, *words: str) -> int:
        return main(["demo", *words], self.command, self.conf)

    def run(self, loss: str, seed: int) -> PlannedRun:
        return self.runs[f"clock-tiny-{loss}-seed{seed}"]

    def spent(self) -> list[dict[str, float]]:
        found = [run.folder / "spent.json" for run in self.runs.values()]
        return [json.loads(path.read_text()) for path in found if path.exists()]


@pytest.fixture
def desk(lasting_conf: Path, lasting_runs: dict[str, PlannedRun], monkeypatch: pytest.MonkeyPatch) -> Desk:
    shutil.rmtree(lasting_conf.parent / "outputs", ignore_errors=True)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch, "cores", lambda: 8)
    return Desk(lasting_conf, lasting_runs)


def launch_in_a_process(desk: Desk, *words: str) -> "subprocess.Popen[bytes]":
    code = "import sys; from pathlib import Path; from experiments.launch import main; "
    code += f"sys.exit(main({['demo', *words]!r}, {desk.command!r}, Path({str(desk.conf)!r})))"
    with (desk.conf.parent / "said.txt").open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=file)


def said(desk: Desk) -> str:
    """What the last launcher in a process has said so far."""
    return (desk.conf.parent / "said.txt").read_text(encoding="utf-8", errors="replace")


def most_at_once(spent: Sequence[dict[str, float]]) -> int:
    return max(sum(other["start"] <= one["start"] < other["end"] for other in spent) for one in spent)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize(("jobs", "threads"), [(1, "8"), (3, "2"), (4, "2")])
def test_that_many_run_at_once_and_share_the_cores(desk: Desk, jobs: int, threads: str) -> None:
    words = ["--jobs", str(jobs)] + (["loss=ce"] if jobs == 1 else [])
    assert desk.launch(*words) == 0
    spent = desk.spent()
    assert len(spent) == (2 if jobs == 1 else 4)
    assert most_at_once(spent) == jobs
    assert {(run["threads"], run["mkl"]) for run in spent} == {(threads, threads)}


def test_by_default_as_many_at_once_as_there_are_runs_or_cores(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.torch.cuda, "device_count", lambda: 0)
    assert desk.launch() == 0
    assert {run["threads"] for run in desk.spent()} == {"2"}  # 8 cores, 4 runs


def test_threads_never_exceed_what_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(launch, "cores", lambda: 8)
    assert launch.slot_environment(2)(0)["OMP_NUM_THREADS"] == "1"


def test_each_slot_gets_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    environment = launch.slot_environment(2)
    assert [environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in (0, 1)] == ["4", "6"]
    assert "CUDA_VISIBLE_DEVICES" not in launch.slot_environment(1)(0)


def test_complete_runs_are_skipped(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.launch("loss=ce") == 0
    before = (desk.run("ce", 0).folder / "spent.json").read_text()
    capsys.readouterr()
    assert desk.launch() == 0
    assert "2 of 4 runs are complete already" in (said := capsys.readouterr().err)
    assert "start   clock-tiny-ce-seed0" not in said
    assert (desk.run("ce", 0).folder / "spent.json").read_text() == before
    assert desk.launch("loss=ntil") == 0
    assert "2 of 2 runs are complete already" in capsys.readouterr().err


def test_a_failing_run_is_reported_and_the_rest_go_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.manners(ce="fail")
    assert desk.launch("--jobs", "2", "seed=0") == 1
    said = capsys.readouterr().err
    log = desk.run("ce", 0).folder.parent / "logs" / "clock-tiny-ce-seed0.log"
    assert "    error: the loss exploded" in said
    assert f"failed (exit code 1). The end of {log}" in said
    assert "1 of 2 runs failed" in said
    assert desk.run("ntil", 0).is_done
    desk.manners()
    capsys.readouterr()
    assert desk.launch("seed=0") == 0
    assert log.read_text().count("$ ") == 2  # both attempts are in the log


def test_a_first_interrupt_lets_the_runs_save(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.manners(ce="wait", ntil="wait")
    before = signal.getsignal(signal.SIGINT)
    runs = [desk.run("ce", 0), desk.run("ntil", 0)]
    in_a_thread(lambda: [wait_for(lambda: all((r.folder / "pid").exists() for r in runs)), interrupt()])
    assert desk.launch("--jobs", "2", "seed=0") == 130
    assert all((run.folder / "saved").exists() for run in runs)
    assert "0 of 2 runs done. The same command goes on." in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_starts_no_further_run(desk: Desk) -> None:
    desk.manners(ce="wait", ntil="wait")
    first = desk.run("ce", 0).folder / "pid"
    in_a_thread(lambda: [wait_for(first.exists), interrupt()])
    assert desk.launch("--jobs", "1") == 130
    assert not desk.run("ntil", 1).folder.exists()


def test_a_second_interrupt_kills_runs_that_do_not_listen(desk: Desk) -> None:
    desk.manners(ce="deaf")
    pid = desk.run("ce", 0).folder / "pid"

    def twice() -> None:
        wait_for(lambda: pid.exists() and pid.read_text() != "")
        interrupt()
        time.sleep(0.6)
        interrupt()

    in_a_thread(twice)
    assert desk.launch("loss=ce", "seed=0") == 130
    assert not alive(int(pid.read_text()))


def test_after_a_kill_the_same_command_goes_on(desk: Desk) -> None:
    desk.manners(ce="wait")
    launcher = launch_in_a_process(desk, "seed=0", "--jobs", "2")
    pid = desk.run("ce", 0).folder / "pid"
    wait_for(lambda: pid.exists() and pid.read_text() != "" and desk.run("ntil", 0).is_done)
    launcher.kill()
    launcher.wait()
    orphan = int(pid.read_text())
    assert alive(orphan)
    again = launch_in_a_process(desk, "seed=0")
    wait_for(lambda: "waiting clock-tiny-ce-seed0 is being trained by another process" in said(desk))
    desk.manners()
    os.kill(orphan, signal.SIGKILL)
    assert again.wait() == 0  # has waited for the orphan, and does its work again since it did not end well
    assert "1 of 2 runs are complete already" in said(desk)
    assert desk.run("ce", 0).is_done
    assert not alive(orphan)


def test_what_an_orphan_completes_is_not_trained_again(desk: Desk) -> None:
    desk.manners(ce="until-waited-for")
    launcher = launch_in_a_process(desk, "loss=ce", "seed=0")
    run = desk.run("ce", 0)
    wait_for(lambda: (run.folder / "pid").exists())
    launcher.kill()
    launcher.wait()
    desk.manners(ce="fail")  # what another attempt would do
    again = launch_in_a_process(desk, "loss=ce", "seed=0")
    wait_for(lambda: "is being trained by another process" in said(desk))
    (run.folder / "waited-for").touch()
    assert again.wait() == 0
    assert "1 of 1 runs were trained by another process" in said(desk)
    assert run.is_done


def test_two_launchers_share_the_work(desk: Desk) -> None:
    others = [launch_in_a_process(desk, "--jobs", "2") for _ in range(2)]
    assert [other.wait() for other in others] == [0, 0]
    assert all(run.is_done for run in desk.runs.values())
    logs = [run.folder.parent / "logs" / f"{run.name}.log" for run in desk.runs.values()]
    assert [log.read_text().count("$ ") for log in logs] == [1] * 4  # nothing was tried twice


def test_a_run_whose_command_was_typed_is_waited_for(desk: Desk) -> None:
    desk.manners(ce="until-waited-for")
    run = desk.run("ce", 0)
    typed = subprocess.Popen([*desk.command, *run.overrides])
    wait_for(lambda: (run.folder / "pid").exists())
    launcher = launch_in_a_process(desk, "loss=ce", "seed=0")
    wait_for(lambda: "is being trained by another process" in said(desk))
    (run.folder / "waited-for").touch()
    assert launcher.wait() == 0
    assert typed.wait() == 0
    assert "1 of 1 runs were trained by another process" in said(desk)


def test_a_killed_run_is_named_and_the_rest_go_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.manners(ce="wait")
    pid = desk.run("ce", 0).folder / "pid"
    in_a_thread(
        lambda: [wait_for(lambda: pid.exists() and pid.read_text() != ""), os.kill(int(pid.read_text()), 9)]
    )
    assert desk.launch("--jobs", "2", "seed=0") == 1
    said = capsys.readouterr().err
    assert "clock-tiny-ce-seed0 failed (killed by SIGKILL: often the system, for want of memory)" in said
    assert desk.run("ntil", 0).is_done


def test_what_dead_processes_left_is_cleared(desk: Desk) -> None:
    folder = desk.run("ce", 0).folder
    (folder.parent / f".{folder.name}.0123abcd.part").mkdir(parents=True)
    folder.mkdir()
    (folder / ".metrics.json.0123abcd.part").write_text("{")
    assert desk.launch("loss=ce", "seed=0") == 0
    assert not list(folder.parent.rglob("*.part"))


def test_what_a_run_writes_reaches_the_terminal_as_text(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.manners(ce="colour")
    assert desk.launch("loss=ce", "seed=0") == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "    red ␛]0;title␇ [bold]text" in said


def test_list_starts_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.launch("loss=ce", "seed=0") == 0
    capsys.readouterr()
    (folder := desk.run("ntil", 0).folder).mkdir(parents=True)
    (folder / "train.jsonl").write_text('{"step": 7}\n')
    assert desk.launch("--list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "complete" in lines["clock-tiny-ce-seed0"]
    assert "step 7/20" in lines["clock-tiny-ntil-seed0"]
    assert "to do" in lines["clock-tiny-ntil-seed1"]
    assert not desk.run("ntil", 1).folder.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--jobs", "0"], "--jobs 0"), (["other_demo"], "'other_demo' is no override"), (["los=ce"], "'los'")],
)
def test_mistakes_are_one_message(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert desk.launch(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert "Traceback" not in said


def test_last_step_reads_over_a_torn_line(tmp_path: Path) -> None:
    assert last_step(tmp_path) == 0
    rows = [f'{{"step": {step}, "loss": 1.0}}\n' for step in range(1, 2000)]
    (tmp_path / "train.jsonl").write_text("".join(rows) + '{"step": 20')
    assert last_step(tmp_path) == 1999


def test_the_time_left_counts_only_what_this_launch_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [PlannedRun(name, tmp_path / name, (), 100, {}) for name in "ab"]
    (tmp_path / "a").mkdir()
    log = tmp_path / "a" / "train.jsonl"
    log.write_text('{"step": 50}\n')  # from an earlier launch
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tally = Tally(runs, skipped=1)
    assert tally.left is None
    now = 1010.0
    log.write_text('{"step": 75}\n')
    tally.update(type("Job", (), {"run": runs[0]})())
    assert tally.left == pytest.approx(50.0)  # a quarter of a run in 10 s, 1.25 runs to go
    assert str(tally).startswith("1/3 runs done")


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def in_a_thread(action: Callable[[], object]) -> None:
    threading.Thread(target=action, daemon=True).start()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # an orphan that nobody has waited for yet is dead all the same
