"""Every family's twin, divided between two processes: a step is that of one process, and a stopped run goes on exactly."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from fixtures import REPOSITORY, in_folder, run
from several import SUMS, differences, same_results, torchrun

from ntil.io import read_json
from ntil.models.families import FAMILIES

SEEING = ("llava15", "paligemma", "qwen2vl", "yivl")
ENGINES = ("fsdp", "zero2", "zero3")


def asked(family: str, method: str) -> list[str]:
    if family in SEEING:
        data = ["task=clock", "data.size=64", "data.splits={train: 64, val: 4, test: 7, heldout_faces: 4}"]
        data += ["task.max_new_tokens=10"] if family == "yivl" else []
    else:
        data = ["task=arithmetic", "data.splits={train: 200, val: 4, test: 7}"]
    return [
        *data,
        f"model={family}_tiny",
        "trainer=default",
        "loss=ntil",
        "loss.balance=none",
        "loss.number.noise_scale=0",
        f"model.tuning.method={method}",
        "model.tuning.dropout=0",
        "trainer.max_steps=1",
        "trainer.log_steps=1",
        "trainer.eval_steps=1",
        "evaluation.optional_splits=[]",
        "evaluation.pictures=false",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_divided_step_is_the_same(workplace: Path, family: str, method: str) -> None:
    name = f"{family}-{method}"
    whole = run(
        "train", *asked(family, method), *in_folder(workplace), "trainer.batch_size=16", f"name={name}"
    )
    assert whole.code == 0, whole.err
    folder = workplace / "outputs" / "runs" / name
    for engine in ENGINES:
        if engine != "fsdp" and find_spec("deepspeed") is None:
            continue
        divided = torchrun(
            "train",
            *asked(family, method),
            *in_folder(workplace),
            "trainer.batch_size=8",
            f"trainer.sharding={engine}",
            f"name={name}-{engine}",
            posing=True,
        )
        assert divided.code == 0, divided.said
        apart = differences(folder, folder.with_name(f"{name}-{engine}"))
        assert apart.loss < 1e-5
        assert apart.norm < 1e-3
        assert apart.weights < 1e-4
        same_results(folder, folder.with_name(f"{name}-{engine}"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_divided_training_goes_on_exactly(workplace: Path, engine: str) -> None:
    """From the checkpoint of step 4, with every shard of adapters, averages and random states."""
    if engine != "fsdp":
        pytest.importorskip("deepspeed")
    name = f"divided-{engine}"
    command = [
        *SUMS,
        *in_folder(workplace),
        "model=qwen2_5_tiny",
        "trainer=default",
        "trainer.max_steps=8",
        "trainer.batch_size=8",
        "trainer.learning_rate=1e-2",
        f"trainer.sharding={engine}",
        f"name={name}",
    ]
    first = torchrun("train", *command, posing=True)
    assert first.code == 0, first.said
    folder = workplace / "outputs" / "runs" / name
    whole = shutil.copytree(folder, folder.with_name(f"{name}-whole"))
    for left in ("COMPLETE", "metrics.json", "predictions.jsonl", "timing.json"):
        (folder / left).unlink()
    shutil.rmtree(folder / "model")
    shutil.rmtree(folder / "checkpoints" / "checkpoint-8")
    again = torchrun("train", *command, posing=True)
    assert again.code == 0, again.said
    assert "resuming at step 4" in again.said
    assert max(differences(whole, folder)) == 0
    same_results(whole, folder)


# Says after a training how many bytes of weights and of averages this process keeps.
KEEPS = """
import os, runpy, sys
import torch
from torch.distributed.tensor import DTensor
from ntil.training.trainer import NumberTrainer

def size(tensor):
    tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return tensor.numel() * tensor.element_size()

def train(self, *args, **kwargs):
    ended = trained(self, *args, **kwargs)
    weights = sum(size(getattr(weight, "ds_tensor", weight)) for weight in self.model_wrapped.parameters())
    optimizer = self.optimizer
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    averages = sum(size(value) for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value))
    sys.stderr.write(f"process {os.environ['RANK']} keeps {weights} and {averages}\\n")
    return ended

trained, NumberTrainer.train = NumberTrainer.train, train
script = sys.argv.pop(1)
sys.path.insert(0, os.path.dirname(script))
runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "weights"), [("fsdp", 0.5), ("zero2", 1.0), ("zero3", 0.5)])
def test_each_process_keeps_its_part(workplace: Path, tmp_path: Path, engine: str, weights: float) -> None:
    if engine != "fsdp":
        pytest.importorskip("deepspeed")
    (tmp_path / "keeps.py").write_text(KEEPS)
    ended = torchrun(
        str(tmp_path / "keeps"),
        str(REPOSITORY / "train.py"),
        *asked("qwen2_5", "full"),
        *in_folder(workplace),
        "trainer.batch_size=8",
        f"trainer.sharding={engine}",
        f"name=keeps-{engine}",
        posing=True,
    )
    assert ended.code == 0, ended.said
    whole = (
        4 * read_json(workplace / "outputs" / "runs" / f"keeps-{engine}" / "provenance.json")["parameters"]
    )
    kept = re.findall(r"process \d keeps (\d+) and (\d+)", ended.said)
    assert len(kept) == 2
    for own_weights, averages in kept:
        assert int(own_weights) == pytest.approx(weights * whole, rel=0.01)
        assert int(averages) == pytest.approx(whole, rel=0.01)  # both averages, half of each
