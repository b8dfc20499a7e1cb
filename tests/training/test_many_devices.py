"""One run of several processes: it ends as a run of one process with as many examples a step, and survives what kills it."""

import os
import signal
from pathlib import Path

import pytest
from fixtures import REPOSITORY, in_folder, run
from several import SUMS, children, differences, same_results, start, torchrun, wait_for

from ntil.io import read_json, read_jsonl
from ntil.training.divergence import SKIPPED


def folder(workplace: Path, name: str) -> Path:
    return workplace / "outputs" / "runs" / name


@pytest.fixture(scope="module")
def alone(workplace: Path) -> Path:
    """Eight steps of 16 examples in one process."""
    ran = run("train", *SUMS, *in_folder(workplace), "trainer.batch_size=16", "name=alone")
    assert ran.code == 0, ran.err
    return folder(workplace, "alone")


@pytest.fixture(scope="module")
def together(workplace: Path, alone: Path) -> Path:
    """Eight steps of 8 examples in each of two."""
    ended = torchrun("train", *SUMS, *in_folder(workplace), "trainer.batch_size=8", "name=together")
    assert ended.code == 0, ended.said
    return folder(workplace, "together")


def test_two_processes_are_one_run(alone: Path, together: Path) -> None:
    apart = differences(alone, together)
    assert apart.loss < 1e-5
    assert apart.parts < 1e-5
    assert apart.norm < 1e-4
    assert apart.weights < 1e-5
    same_results(alone, together)
    assert (together / "COMPLETE").exists()
    said = read_json(together / "provenance.json")
    assert (said["processes"], said["global_batch"]) == (2, 16)
    assert len(said["attempts"]) == 1
    sums = (together / "checkpoints" / "checkpoint-8" / "WHOLE").read_text()
    assert "rng_state_0.pth" in sums
    assert "rng_state_1.pth" in sums


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_changes_nothing(workplace: Path, together: Path, victim: int) -> None:
    name = f"killed{victim}"
    asked = [*SUMS, *in_folder(workplace), "trainer.batch_size=8", f"name={name}"]
    process = start("train", *asked)
    wait_for(folder(workplace, name) / "checkpoints" / "checkpoint-4" / "WHOLE", process)
    os.kill(children(process)[victim], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (folder(workplace, name) / "COMPLETE").exists()
    ended = torchrun("train", *asked)
    assert ended.code == 0, ended.said
    assert "resuming at step 4" in ended.said
    assert max(differences(together, folder(workplace, name))) == 0
    same_results(together, folder(workplace, name))


@pytest.mark.slow
def test_other_processes_do_not_go_on(workplace: Path, together: Path) -> None:
    """Two began it, one would take other steps; a complete model is scored by any number."""
    asked = [*SUMS, *in_folder(workplace), "trainer.batch_size=8", "name=together"]
    (together / "COMPLETE").unlink()
    (together / "metrics.json").unlink()
    scored = run("train", *asked)
    assert scored.code == 0, scored.err
    for left in ("COMPLETE", "model/model.safetensors", "model/SHA256SUMS"):
        (together / left).unlink()
    for file in (together / "model").iterdir():
        file.unlink()
    (together / "model").rmdir()
    refused = run("train", *asked)
    assert refused.code == 2
    assert "begun by 2 processes of 8 examples" in refused.err
    ended = torchrun("train", *asked)  # from the last checkpoint, as it was
    assert ended.code == 0, ended.said


@pytest.mark.slow
def test_a_mistake_is_said_once(workplace: Path) -> None:
    asked = [*SUMS, *in_folder(workplace), "trainer.batch_size=8", "name=mistake"]
    for mistake, said in (
        ("trainer.train_examples=12", "trainer.batch_size=8 × 2 processes exceeds the 12 training examples"),
        ("trainer.schedule=none", "trainer.schedule must be"),
        ("task.max_new_tokens=1", "would cut true answers"),
        ("trainer.sharding=fsdp", "needs GPUs"),
    ):
        ended = torchrun("train", *asked, mistake, seconds=60)
        assert ended.code != 0
        assert ended.said.count(said) == 1, ended.said
    assert not (folder(workplace, "mistake") / "COMPLETE").exists()


@pytest.mark.slow
def test_pictures_and_batch_normalisation(workplace: Path) -> None:
    """Its statistics are over all processes: the first step is the same to float32's precision."""
    asked = [
        "task=clock",
        "model=tiny",
        "loss=ntil",
        "loss.balance=none",
        "loss.number.noise_scale=0",
        "data.size=64",
        "data.splits={train: 32, val: 4, test: 7, heldout_faces: 4}",
        "trainer.max_steps=1",
        "trainer.log_steps=1",
        "trainer.eval_steps=0",
        "evaluation.pictures=false",
        *in_folder(workplace),
    ]
    one = run("train", *asked, "trainer.batch_size=16", "name=seeing")
    assert one.code == 0, one.err
    two = torchrun("train", *asked, "trainer.batch_size=8", "name=seeing_together")
    assert two.code == 0, two.said
    apart = differences(folder(workplace, "seeing"), folder(workplace, "seeing_together"))
    assert apart.loss < 1e-5
    assert apart.parts < 1e-5
    assert apart.norm < 1e-2  # of 9: rounding, which a ReLU at its corner lets through


# Cross-entropy that is NaN in process 1 alone, at its third step.
ONE_SPOILS = """
import os, runpy, sys
import ntil.losses
from ntil.losses import CrossEntropy, LossParts

class Spoilt(CrossEntropy):
    calls = 0
    def parts(self, logits, labels):
        Spoilt.calls += 1
        ce = super().parts(logits, labels).total
        if os.environ["RANK"] == "1" and Spoilt.calls == 3:
            ce = ce * float("nan")
        return LossParts(ce, {"ce": ce})

ntil.losses.CrossEntropy = Spoilt
sys.path.insert(0, os.path.dirname(sys.argv[1]))
script = sys.argv.pop(1)
runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("action", ["stop", "skip"])
def test_one_process_diverges_for_all(workplace: Path, tmp_path: Path, action: str) -> None:
    (tmp_path / "spoilt.py").write_text(ONE_SPOILS)
    name = f"diverging-{action}"
    asked = [word for word in SUMS if not word.startswith("loss")]
    asked += [*in_folder(workplace), "trainer.batch_size=8", f"name={name}", "loss=ce"]
    train = str(REPOSITORY / "train.py")
    ended = torchrun(str(tmp_path / "spoilt"), train, *asked, f"trainer.on_divergence={action}")
    rows = [row for row in read_jsonl(folder(workplace, name) / "train.jsonl") if SKIPPED in row]
    assert [(row["step"], len(row[SKIPPED])) for row in rows] == [(3, 16)]  # the records of both
    if action == "stop":
        assert ended.code != 0
        assert ended.said.count("training diverged at step 3") == 1
        assert not (folder(workplace, name) / "COMPLETE").exists()
    else:
        assert ended.code == 0, ended.said
        assert read_json(folder(workplace, name) / "metrics.json")["skipped_steps"] == 1
