"""A full disk, a name too long, a file where a folder should be: one message that names the place, exit code 2, no traceback."""

import errno
import os
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import run

from data_prep.__main__ import main as data_prep
from ntil.errors import ADVICE, UserError, guard, refusal

workplace, finished, small_data, in_tmp_path = (
    fixtures.workplace,
    fixtures.finished,
    fixtures.small_data,
    fixtures.in_tmp_path,
)


def refused(code: int, err: str, *words: str) -> None:
    assert code == 2, err
    assert err.count("error:") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err, err


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


def picture(data: Path) -> Path:
    return min((data / "images" / "test").iterdir())


def test_a_full_disk(
    finished: Path,
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_the_disk(monkeypatch)
    ran = run("evaluate", f"run={finished}", "limit=2", f"output={tmp_path / 'again'}")
    refused(ran.code, ran.err, "No space left", "predictions.jsonl", "Make room")
    ran = run(
        "predict", f"run={finished}", f"input={picture(small_data)}", f"output={tmp_path / 'drawn.png'}"
    )
    refused(ran.code, ran.err, "No space left", "drawn.png", "Make room")
    code = data_prep(
        ["clock", "--size", "32", "--train", "2", "--out", str(tmp_path / "set"), "--workers", "1"]
    )
    refused(code, capsys.readouterr().err, "No space left", "Make room")
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {".set.lock"}, "half a file, or the room that a broken build took"


@pytest.mark.parametrize("place", ["x" * 300, "é" * 150, "file/below"])
def test_a_place_that_cannot_be(
    finished: Path, small_data: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    there = tmp_path / place
    ran = run("evaluate", f"run={finished}", "limit=2", f"output={there}")
    refused(ran.code, ran.err, place[:20])
    ran = run("predict", f"run={finished}", f"input={picture(small_data)}", f"output={there / 'drawn.png'}")
    refused(ran.code, ran.err, place[:20])
    refused(data_prep(["clock", "--train", "2", "--out", str(there)]), capsys.readouterr().err, place[:20])
    for name in ("evaluate", "predict"):
        ran = run(name, f"run={there}", "input=a.png" if name == "predict" else "limit=1")
        refused(ran.code, ran.err)
    ran = run("evaluate", f"run={finished}", f"data_folder={there}")
    refused(ran.code, ran.err, place[:20])
    ran = run("predict", f"run={finished}", f"input={there}")
    refused(ran.code, ran.err, place[:20])


@pytest.mark.parametrize("code", ADVICE)
def test_what_the_system_refuses_is_a_message(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def action() -> int:
        raise OSError(code, os.strerror(code), "some/file")

    assert guard(action) == 2
    assert f"some/file: {os.strerror(code)}. {ADVICE[code]}" in capsys.readouterr().err


def test_what_may_be_a_fault_of_ours_keeps_its_traceback() -> None:
    def action() -> int:
        raise FileNotFoundError(errno.ENOENT, "gone", "some/file")

    with pytest.raises(FileNotFoundError):
        guard(action)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left", b"caf\xe9"), "caf\udce9: No space left"),
        (OSError(errno.EIO, "broken", 7), "broken."),
        (OSError("without a number"), "without a number."),
    ],
)
def test_the_message_of_a_refusal(error: Any, said: str) -> None:
    assert refusal(error).startswith(said)
    assert isinstance(UserError(refusal(error)), Exception)
