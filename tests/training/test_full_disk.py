"""A disk that is full at any moment of a run is a message, and the same command goes on to the same weights.

The full disk is a limit on the size of files, set when the moment comes: every further byte is refused by the system.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import REPOSITORY, in_folder, run
from test_resume import STEPS, same_end, same_log, uninterrupted

__all__ = ["uninterrupted"]

MOMENTS = {  # what is called when the disk becomes full
    "start": "ntil.runs.run.Run.record_provenance",
    "log": "ntil.training.callbacks.JsonLinesLog.write",
    "checkpoint": "ntil.training.trainer.NumberTrainer._save_checkpoint",
    "optimizer": "ntil.training.trainer.NumberTrainer._save_optimizer_and_scheduler",
    "marker": "ntil.training.callbacks.seal",
    "model": "ntil.training.fit.save_model",
    "tokenizer": "transformers.PreTrainedTokenizerFast._save_pretrained",
    "predictions": "ntil.evaluation.evaluate.write_jsonl",
    "metrics": "ntil.runs.run.Run.complete",
}
FULL = """
import pkgutil, resource, sys
sys.path.insert(0, {repository!r})
import train, ntil.training.fit, ntil.evaluation.evaluate
where, _, name = {moment!r}.rpartition(".")
owner = pkgutil.resolve_name(where)
original = getattr(owner, name)
def full(*args, **kwargs):
    resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, resource.RLIM_INFINITY))
    return original(*args, **kwargs)
setattr(owner, name, full)
train.main()
"""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_full_disk_is_a_message_and_the_run_goes_on(
    moment: str, workplace: Path, uninterrupted: Path
) -> None:
    name = f"full-{moment}"
    words = [*STEPS, *in_folder(workplace), f"name={name}"]
    code = FULL.format(repository=str(REPOSITORY), moment=MOMENTS[moment], room=0)
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    assert "cannot write" in done.stderr
    folder = workplace / "outputs" / "runs" / name
    assert str(folder) in done.stderr
    assert not (folder / "COMPLETE").exists()
    ran = run("train", *words)
    assert ran.code == 0, ran.err
    same_end(folder, uninterrupted)
    same_log(folder, uninterrupted)
    assert not list(folder.rglob("*.part"))
