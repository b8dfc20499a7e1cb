"""Two collects at once, and a damaged file in results/: nothing is lost, and what is lost already is said."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock
from run_factory import exact, write_run

from experiments.collect import main as collect
from experiments.results import csv_files
from experiments.results.cells import is_plain_name, kinds_of
from experiments.results.csv_files import Form, salvage, write
from experiments.results.rows import SCORES, RunRow
from experiments.results.store import Store
from experiments.tables import main as tables
from ntil.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def collected(outputs: Path, results: Path) -> Store:
    for seed in (0, 1):
        write_run(outputs, exact(1, 0), seed=seed)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    return Store(results)


def start(outputs: Path, results: Path, *words: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "experiments.collect",
        "--outputs",
        str(outputs),
        "--results",
        str(results),
        *words,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_collects_at_once_take_turns(outputs: Path, results: Path) -> None:
    names = [f"demo{index}" for index in range(3)]
    for name in names:
        write_run(outputs, exact(1, 0), experiment=name)
    with FileLock(results.parent / ".results.lock"):  # so that all of them come to it at once
        running = [start(outputs, results, "--experiment", name) for name in names]
        for one in running:
            assert one.stderr is not None
            assert "another process writes to" in one.stderr.readline()
        assert not results.exists()
    assert [one.wait(60) for one in running] == [0, 0, 0]
    for one in running:
        one.communicate()
    assert Store(results).experiments() == names
    assert all(len(Store(results).scores(name)) for name in names)


def torn(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "torn": ("runs.csv", torn, "cells instead of"),
    "other columns": (
        "runs.csv",
        lambda path: path.write_text("experiment,run\ndemo,x\n"),
        "lacks the columns",
    ),
    "empty": ("runs.csv", lambda path: path.write_text(""), "is empty"),
    "a seed in words": (
        "runs.csv",
        lambda path: path.write_text(path.read_text().replace(",ce,1,test", ",ce,one,test")),
        "line 3: seed is 'one'; expected a whole number",
    ),
    "10,000 digits": (
        "runs.csv",
        lambda path: path.write_text(path.read_text().replace(",ce,1,test", f",ce,{'9' * 10_000},test")),
        "line 3: seed is",
    ),
    "a run that leaves its folder": (
        "runs.csv",
        lambda path: path.write_text(path.read_text().replace("demo,", "../demo,", 1)),
        "experiment is '../demo'",
    ),
    "not UTF-8": (
        "runs.csv",
        lambda path: path.write_bytes(path.read_bytes().replace(b"made", b"m\xffde", 1)),
        "UTF-8",
    ),
    "NUL": (
        "curves/demo.csv.gz",
        lambda path: path.write_bytes(
            gzip.compress(gzip.decompress(path.read_bytes()).replace(b",600,", b",6\x000,", 1))
        ),
        "step is",
    ),
    "a line twice": (
        "runs.csv",
        lambda path: path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n"),
        "says in line 4 again what line 2 says, of demo, clock-tiny-ce-seed0, test, exact",
    ),
    "a metric twice": (
        "metrics.csv",
        lambda path: path.write_text(path.read_text() + "clock,exact,other,minutes,lower,1,\n"),
        "says in line 3 again what line 2 says, of clock, exact",
    ),
    "an unknown direction": (
        "metrics.csv",
        lambda path: path.write_text(path.read_text().replace("higher", "up")),
        "line 2: better is 'up'; expected higher or lower",
    ),
    "no gzip": ("scores/demo.csv.gz", lambda path: path.write_bytes(b"run,split"), "no whole gzip"),
    "torn gzip": ("scores/demo.csv.gz", torn, "no whole gzip"),
    "a score in words": (
        "scores/demo.csv.gz",
        lambda path: path.write_bytes(
            gzip.compress(gzip.decompress(path.read_bytes()).replace(b",1\n", b",a\n"))
        ),
        "exact is 'a'; expected a number, or nothing",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_and_repaired(
    collected: Store, outputs: Path, conf: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, spoil, reason = DAMAGE[kind]
    path, words = collected.root / name, ["--outputs", str(outputs), "--results", str(collected.root)]
    whole = path.read_bytes()
    spoil(path)
    spoilt = path.read_bytes()
    capsys.readouterr()
    assert collect(words) == 2  # it is not overwritten unasked
    said = capsys.readouterr().err
    assert f"error: {path} " in said
    assert reason in said
    assert "--repair" in said
    assert "elete" not in said
    assert path.read_bytes() == spoilt
    if "curves" not in name:
        assert tables(["--results", str(collected.root)], conf) == 2
        assert reason in capsys.readouterr().err
    assert collect([*words, "--repair"]) == 0
    assert "is repaired" in capsys.readouterr().err
    assert path.read_bytes() == whole  # outputs/ had all of it
    assert path.with_name(f"{path.name}.damaged").read_bytes() == spoilt
    assert collect([*words, "--repair"]) == 0
    assert "is repaired" not in capsys.readouterr().err


def test_what_is_nowhere_else_is_kept_as_far_as_it_can_be_read(
    collected: Store, outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = collected.runs_path
    path.write_text(path.read_text().replace(",ce,1,test", ",ce,one,test"))
    spoilt = path.read_bytes()
    path.with_name("runs.csv.damaged").write_text("an older one")
    words = ["--outputs", str(tmp_path / "nowhere"), "--results", str(collected.root), "--repair"]
    assert collect(words) == 0
    assert [row.seed for row in collected.runs()] == [0]
    said = capsys.readouterr().err
    assert "line 3: seed is 'one'" in said
    assert "1 lines hold" in said
    assert path.with_name("runs.csv.damaged").read_text() == "an older one"
    assert path.with_name("runs.csv.damaged-1").read_bytes() == spoilt


class TwoTexts(NamedTuple):
    a: str
    b: str


def test_cells_with_line_ends_are_read_back(tmp_path: Path) -> None:
    form = Form(TwoTexts, ("a",))
    rows = [TwoTexts("x\ry", "1"), TwoTexts('p\n"q",\r\n', ""), TwoTexts("\x00\x1b\u2028", "é")]
    write(tmp_path / "a.csv", form, rows)
    assert csv_files.read(tmp_path / "a.csv", form) == rows
    write(tmp_path / "b.csv", form, [TwoTexts("x", "y z")])
    assert (tmp_path / "b.csv").read_bytes() == b"a,b\nx,y z\n"  # ordinary cells as ever


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a\nb", "\x1b[31m", "x" * 221, "時" * 80, "a\ud800"])
def test_names_that_no_file_may_have(name: str) -> None:
    assert not is_plain_name(name)
    with pytest.raises(ValueError, match=f"^{re.escape(name)}$"):
        kinds_of(RunRow)["experiment"].read(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(
    collected: Store, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collected.root.chmod(0o500)
    try:
        assert collect(["--outputs", str(outputs), "--results", str(collected.root)]) == 2
    finally:
        collected.root.chmod(0o700)
    assert "Change its permissions" in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_is_said(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1))
    (tmp_path / "file").write_text("")
    assert collect(["--outputs", str(outputs), "--results", str(tmp_path / "file" / "results")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert collect(["--outputs", str(tmp_path / "file"), "--results", str(tmp_path / "results")]) == 2


def test_the_message_is_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").mkdir()
    with pytest.raises(UserError, match=r"runs\.csv cannot be read"):
        Store(tmp_path).runs()


def test_a_column_whose_name_is_no_text_is_left_out(tmp_path: Path) -> None:
    """One byte of a head line spoils one column, of which nobody could say what it was; the others are kept."""
    path = tmp_path / "scores.csv"
    path.write_bytes(b"run,split,item,ex\x81ct,gap\na,test,1,0,5\na,test,2,1,\n")
    said = " ".join(salvage(path, SCORES))
    assert "ct" in said
    assert "2 lines hold" in said
    assert path.read_text() == "run,split,item,gap\na,test,1,5\na,test,2,\n"
    assert salvage(path, SCORES) == []
