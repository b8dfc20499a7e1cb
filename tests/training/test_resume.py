"""A run that was broken off, by kill -9 or by a torn file, ends as if nothing had happened."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fixtures import REPOSITORY, SMALL, in_folder, losses, run
from safetensors.torch import load_file, save_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from experiments.results.folder import read_run
from ntil.io import read_json, read_jsonl, sha256, write_json
from ntil.training.callbacks import JsonLinesLog
from ntil.training.resume import WHOLE, last_whole_checkpoint

STEPS = [
    *SMALL,
    "trainer.max_steps=6",
    "trainer.save_steps=2",
    "trainer.keep_checkpoints=3",
    "trainer.keep_when_complete=true",
]
WEIGHTS = "model/model.safetensors"


@pytest.fixture(scope="module")
def uninterrupted(workplace: Path) -> Path:
    ran = run("train", *STEPS, *in_folder(workplace), "name=uninterrupted")
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / "uninterrupted"


def resumed(workplace: Path, name: str) -> Path:
    ran = run("train", *STEPS, *in_folder(workplace), f"name={name}")
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / name


def as_broken_off(uninterrupted: Path, name: str, last: int) -> Path:
    """The folder as it was after the checkpoint of step `last`, and before the next one was whole."""
    folder = uninterrupted.with_name(name)
    shutil.copytree(uninterrupted, folder)
    for left in ("COMPLETE", "metrics.json", "predictions.jsonl", "timing.json"):
        (folder / left).unlink()
    shutil.rmtree(folder / "model")
    for checkpoint in (folder / "checkpoints").iterdir():
        if int(checkpoint.name.rsplit("-", 1)[1]) > last:
            shutil.rmtree(checkpoint)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(f"name: {uninterrupted.name}", f"name: {name}"))
    return folder


def same_end(one: Path, other: Path) -> None:
    assert sha256(one / WEIGHTS) == sha256(other / WEIGHTS)
    first, second = (read_json(folder / "metrics.json")["splits"] for folder in (one, other))
    assert first == second
    assert list(read_jsonl(one / "predictions.jsonl")) == list(read_jsonl(other / "predictions.jsonl"))


def same_log(one: Path, other: Path) -> None:
    assert list(read_jsonl(one / "train.jsonl")) == list(read_jsonl(other / "train.jsonl"))


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while last_whole_checkpoint(folder / "checkpoints") is None:
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < end, "no checkpoint appeared"
        time.sleep(0.01)


def kill_in_mid_training(folder: Path, command: list[str]) -> None:
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_checkpoint(folder, process)
    finally:
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL)


def test_killed_in_mid_training_it_resumes_to_the_same_weights(workplace: Path, uninterrupted: Path) -> None:
    folder = uninterrupted.with_name("killed")
    command = [sys.executable, str(REPOSITORY / "train.py"), *STEPS, *in_folder(workplace), "name=killed"]
    for _ in range(3):  # on a busy machine the kill may come after the last step: that would show nothing
        kill_in_mid_training(folder, command)
        if not (folder / "checkpoints" / "checkpoint-6" / WHOLE).exists():
            break
        shutil.rmtree(folder)
    assert not (folder / "COMPLETE").exists()
    assert not (folder / "model").exists()
    assert resumed(workplace, "killed") == folder
    same_end(folder, uninterrupted)
    same_log(folder, uninterrupted)
    assert len(read_json(folder / "provenance.json")["starts"]) == 2


@pytest.mark.parametrize(
    "tear", ["no marker", "truncated", "empty folder", "only the marker's temporary file"]
)
def test_a_torn_checkpoint_is_ignored(tear: str, workplace: Path, uninterrupted: Path) -> None:
    name = f"torn-{tear.split()[-1]}"
    folder = as_broken_off(uninterrupted, name, last=4)
    torn = folder / "checkpoints" / "checkpoint-4"
    (torn / WHOLE).unlink()
    if tear == "truncated":
        weights = (torn / "model.safetensors").read_bytes()
        (torn / "model.safetensors").write_bytes(weights[: len(weights) // 2])
        (torn / "optimizer.pt").write_bytes(b"")
    elif tear == "empty folder":
        shutil.rmtree(torn)
        torn.mkdir()
    elif tear.startswith("only"):
        (torn / f".{WHOLE}.abc").write_text("")
    assert last_whole_checkpoint(folder / "checkpoints") == folder / "checkpoints" / "checkpoint-2"
    same_end(resumed(workplace, name), uninterrupted)
    same_log(folder, uninterrupted)


@pytest.mark.parametrize("last", [0, 2, 4], ids=["no checkpoint", "in an epoch", "at an epoch's end"])
def test_from_any_checkpoint_it_ends_the_same(last: int, workplace: Path, uninterrupted: Path) -> None:
    """Four batches make an epoch here."""
    folder = as_broken_off(uninterrupted, f"from-{last}", last)
    same_end(resumed(workplace, f"from-{last}"), uninterrupted)
    same_log(folder, uninterrupted)


def test_broken_off_in_evaluation_it_only_evaluates(workplace: Path, uninterrupted: Path) -> None:
    folder = uninterrupted.with_name("evaluating")
    before = as_broken_off(uninterrupted, "evaluating", last=6)
    shutil.copytree(uninterrupted / "model", before / "model")
    shutil.copy(uninterrupted / "timing.json", before)
    written = (folder / WEIGHTS).stat().st_mtime_ns
    same_end(resumed(workplace, "evaluating"), uninterrupted)
    assert (folder / WEIGHTS).stat().st_mtime_ns == written


def test_what_a_killed_save_left_behind_does_no_harm(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "half-saved", last=6)
    half = folder / f".model.{os.getpid()}"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    same_end(resumed(workplace, "half-saved"), uninterrupted)


def of_an_earlier_version(checkpoint: Path) -> None:
    (checkpoint / WHOLE).write_text("")
    (checkpoint / "timing.json").unlink()


def test_the_seconds_of_all_attempts_add_up(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "timed", last=4)
    of_an_earlier_version(folder / "checkpoints" / "checkpoint-4")
    write_json(folder / "timing.json", {"train_seconds": 100.0, "steps": 4})
    resumed(workplace, "timed")
    assert 100 < read_json(folder / "timing.json")["train_seconds"] < 160
    assert read_json(folder / "metrics.json")["timing"]["train_seconds"] > 100


def test_each_checkpoint_knows_its_seconds(workplace: Path, uninterrupted: Path) -> None:
    first, last = (
        read_json(uninterrupted / "checkpoints" / f"checkpoint-{step}" / "timing.json") for step in (2, 6)
    )
    assert (first["steps"], last["steps"]) == (2, 6)
    assert 0 < first["train_seconds"] < last["train_seconds"]
    folder = as_broken_off(uninterrupted, "timed-by-share", last=4)
    of_an_earlier_version(folder / "checkpoints" / "checkpoint-4")
    write_json(folder / "timing.json", {"train_seconds": 6000.0, "steps": 6})
    resumed(workplace, "timed-by-share")
    assert 4000 < read_json(folder / "timing.json")["train_seconds"] < 4100


def test_seconds_of_what_is_trained_anew_do_not_count(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "timed-anew", last=0)
    write_json(folder / "timing.json", {"train_seconds": 100.0, "steps": 4})
    resumed(workplace, "timed-anew")
    assert read_json(folder / "timing.json")["train_seconds"] < 60


@pytest.mark.parametrize("tail", ["", '{"step": 5, "lo', '{"step": 5, "loss": 1.0}', "\x00\x00"])
def test_a_torn_last_log_line_is_dropped(tail: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{"step": step, "loss": step / 10} for step in range(1, 5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    JsonLinesLog(path).rewind(3)
    assert path.read_text() == "".join(json.dumps(row) + "\n" for row in rows[:3])


def test_a_logged_nan_survives_a_resume(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "train.jsonl")
    for step, loss in ((1, math.nan), (2, math.inf), (3, 0.5)):
        log.on_log(
            TrainingArguments(str(tmp_path)), TrainerState(global_step=step), TrainerControl(), {"loss": loss}
        )
    log.rewind(2)
    rows = list(read_jsonl(log.path))
    assert [row["step"] for row in rows] == [1, 2]
    assert all(row["loss"] is None for row in rows)


def test_the_newest_whole_checkpoint_is_found_by_number(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
            torch.save({}, tmp_path / f"checkpoint-{step}" / name)
        save_file({"a": torch.zeros(1)}, tmp_path / f"checkpoint-{step}" / "model.safetensors")
        (tmp_path / f"checkpoint-{step}" / WHOLE).write_text("")  # as earlier versions left it
    (tmp_path / "checkpoint-1000").mkdir()
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    assert last_whole_checkpoint(tmp_path / "nowhere") is None


def test_the_last_checkpoint_is_the_model(uninterrupted: Path) -> None:
    first, last = (
        load_file(uninterrupted / folder / "model.safetensors")
        for folder in ("checkpoints/checkpoint-6", "model")
    )
    assert first.keys() == last.keys()
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_every_whole_checkpoint_is_marked_and_old_ones_go(uninterrupted: Path) -> None:
    kept = sorted((uninterrupted / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert all((path / WHOLE).exists() for path in kept)


def test_the_log_has_a_row_for_each_step(uninterrupted: Path) -> None:
    assert sorted(losses(uninterrupted)) == [1, 2, 3, 4, 5, 6]
    assert len(list(read_jsonl(uninterrupted / "train.jsonl"))) == 6
    assert all(torch.isfinite(tensor).all() for tensor in load_file(uninterrupted / WEIGHTS).values())


def test_no_steps_leave_a_run_with_the_weights_as_they_were(workplace: Path, tmp_path: Path) -> None:
    """What a model can do before training: the same seed's weights, scored and collected like any run."""
    untrained = [*SMALL, *in_folder(workplace), "trainer.max_steps=0"]
    folders = [workplace / "outputs" / "untrained" / name for name in ("ce", "ntil")]
    for folder in folders:
        words = [f"loss={folder.name}", f"name={folder.name}", "experiment_name=untrained"]
        ran = run("train", *untrained, *words)
        assert ran.code == 0, ran.err
    one, other = (load_file(folder / WEIGHTS) for folder in folders)
    assert all(torch.equal(one[name], other[name]) for name in one)
    same_end(*folders)
    row = read_run(folders[0]).rows[0]
    assert (row.steps, row.train_seconds) == (0, 0)


def test_grouped_lengths_and_another_optimiser_resume(workplace: Path) -> None:
    """The order of an epoch is the same again, and averages that are factored are read again."""
    asked = [
        *STEPS,
        *in_folder(workplace),
        "trainer.group_by_length=true",
        "trainer.optimizer=adafactor",
        "trainer.max_steps=10",  # into the third epoch
    ]
    ran = run("train", *asked, "name=grouped")
    assert ran.code == 0, ran.err
    whole = workplace / "outputs" / "runs" / "grouped"
    broken = as_broken_off(whole, "grouped_again", last=6)
    ran = run("train", *asked, "name=grouped_again")
    assert ran.code == 0, ran.err
    assert "resuming at step 6" in ran.err
    same_end(whole, broken)
    same_log(whole, broken)
