"""A training from shards sees what one from files sees, in the same order; killed and resumed, too."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import fixtures
import pytest
from fixtures import REPOSITORY, SMALL, in_folder, run
from test_resume import WEIGHTS, same_end, same_log

from ntil.io import read_json, sha256
from ntil.training.resume import last_whole_checkpoint

in_tmp_path = fixtures.in_tmp_path
FORMATS = ("parquet", "webdataset")
# train.py, with a line for each batch: the ids of its records.
TRACED = f"""
import json, os, runpy, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from ntil.training.divergence import DivergenceWatch
saw = DivergenceWatch.saw
def traced(self, rows, loss):
    with open(os.environ["TRACE"], "a") as file:
        file.write(json.dumps([self.records[int(row)].id for row in rows]) + "\\n")
    saw(self, rows, loss)
DivergenceWatch.saw = traced
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path({str(REPOSITORY / "train.py")!r}, run_name="__main__")
"""
STEPS = [*SMALL, "trainer.max_steps=14", "trainer.save_steps=2", "trainer.cache_examples=false"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_weights_of_a_training_from_shards_are_those_from_files(form: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name, words in (("files", []), (form, [f"+data.shards={{format: {form}, records: 5}}"])):
        ran = run("train", *SMALL, *in_folder(tmp_path), f"name={name}", *words)
        assert ran.code == 0, ran.err
    runs = tmp_path / "outputs" / "runs"
    same_end(runs / form, runs / "files")
    same_log(runs / form, runs / "files")
    one, other = (read_json(runs / name / "provenance.json")["data"] for name in (form, "files"))
    assert one["records_sha256"] == other["records_sha256"]
    assert len(one["shard_files"]) > 8
    assert not (Path(one["folder"]) / "records.jsonl").exists()


def start(folder: Path, name: str, trace: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TRACED, *STEPS, *words, *in_folder(folder), f"name={name}"],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRACE": str(trace)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def batches(trace: Path) -> list[list[str]]:
    return [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_it_sees_the_same_order(form: str, workers: int, tmp_path: Path) -> None:
    """32 records, 8 at once: 14 steps are three and a half epochs, and the kill comes within the second."""
    pytest.importorskip("pyarrow")
    undisturbed = start(tmp_path, "undisturbed", tmp_path / "0")
    assert undisturbed.communicate(timeout=280)[0]
    assert undisturbed.returncode == 0
    wanted = batches(tmp_path / "0")
    assert len(wanted) == 14
    assert wanted[:4] != wanted[4:8], "epochs differ"

    words = [f"+data.shards={{format: {form}, records: 5}}", f"trainer.loader_workers={workers}"]
    killed = start(tmp_path, "killed", tmp_path / "1", *words)
    folder = tmp_path / "outputs" / "runs" / "killed"
    while len(batches(tmp_path / "1")) < 6 or last_whole_checkpoint(folder / "checkpoints") is None:
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    assert not (folder / "COMPLETE").exists()
    again = start(tmp_path, "killed", tmp_path / "2", *words)
    said = again.communicate(timeout=280)[0]
    assert again.returncode == 0, said

    reached = read_json(folder / "provenance.json")["attempts"][-1]["from_step"]
    assert reached > 0
    before, after = batches(tmp_path / "1"), batches(tmp_path / "2")
    assert before == wanted[: len(before)]
    assert after == wanted[reached:]
    assert len(before) >= reached
    assert sha256(folder / WEIGHTS) == sha256(folder.with_name("undisturbed") / WEIGHTS)
    same_end(folder, folder.with_name("undisturbed"))
    same_log(folder, folder.with_name("undisturbed"))
