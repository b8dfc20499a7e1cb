"""Every twin with every loss: three steps, evaluation, saved, loaded again with identical logits. Slow but for one loss each.

NTIL_TWIN_TABLE=file.md also writes the table of seconds.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import REPOSITORY, SMALL, in_folder, losses, run
from model_configs import SEEING, picture
from transformers import PreTrainedModel

import ntil.training
from ntil.data.dataset import collate
from ntil.evaluation.trained import load_trained
from ntil.io import read_json, read_jsonl
from ntil.models import Adapter
from ntil.models.families import FAMILIES

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path
assert ntil.training
FIT = sys.modules["ntil.training.fit"]
LOSSES = sorted(path.stem for path in (REPOSITORY / "conf" / "loss").glob("*.yaml"))
ONE = dict(
    zip(sorted(FAMILIES), ("ntil", "emd", "ntl_was", "smmd", "dist2"), strict=False)
)  # in the default tier
TEXT = ["task=arithmetic", "data.splits={train: 32, val: 4, test: 6, extrapolation: 4}"]


WITHOUT_DATA = [word for word in SMALL if not word.startswith("data.")]


def settings(family: str) -> list[str]:
    """A small data set of the family's kind."""
    longer = "task.max_new_tokens=12"  # the small tokenizers write more tokens than the published ones
    return [*SMALL, longer] if family in SEEING else [*TEXT, *WITHOUT_DATA]


def some_logits(model: Any, adapter: Adapter, family: str) -> torch.Tensor:
    questions = [("What is it?", "3"), ("12+34=", "46")]
    rows = [adapter.encode(q, picture(family, i), a) for i, (q, a) in enumerate(questions)]
    inputs = {k: v for k, v in collate(rows, adapter.pad_token_id).items() if k != "labels"}
    was_training = model.training
    with torch.no_grad():
        result: torch.Tensor = model.eval()(**inputs).logits
    model.train(was_training)
    return result


def train_and_load(
    family: str, name: str, overrides: list[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Run train.py; compare what the trained model says with what the loaded one says, and both evaluations."""
    trained: dict[str, torch.Tensor] = {}
    original = FIT.save_model

    def remember(model: PreTrainedModel, adapter: Adapter, folder: Path) -> None:
        trained["logits"] = some_logits(model, adapter, family)
        original(model, adapter, folder)

    monkeypatch.setattr(FIT, "save_model", remember)
    ran = run("train", *in_folder(workplace), f"model={family}_tiny", *overrides, f"name={name}")
    assert ran.code == 0, ran.err
    folder = workplace / "outputs" / "runs" / name
    loaded = load_trained(folder)
    assert torch.equal(some_logits(loaded.model, loaded.adapter, family), trained["logits"])
    logged = losses(folder)
    assert sorted(logged) == [1, 2, 3]
    assert all(value is not None and value > 0 for value in logged.values())
    before = list(read_jsonl(folder / "predictions.jsonl"))
    assert run("evaluate", f"run={folder}").code == 0
    assert list(read_jsonl(folder / "predictions.jsonl")) == before
    return folder


@pytest.mark.parametrize(
    ("family", "loss"),
    [
        pytest.param(family, loss, marks=() if ONE.get(family) == loss else pytest.mark.slow)
        for family in sorted(FAMILIES)
        for loss in LOSSES
    ],
)
def test_it_trains_evaluates_and_comes_back(
    family: str, loss: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.perf_counter()
    overrides = [*settings(family), f"loss={loss}"]
    folder = train_and_load(family, f"twin-{family}-{loss}", overrides, workplace, monkeypatch)
    metrics = read_json(folder / "metrics.json")
    assert metrics["task"] == ("clock" if family in SEEING else "arithmetic")
    if table := os.environ.get("NTIL_TWIN_TABLE"):
        training = read_json(folder / "timing.json")["train_seconds"]
        with open(table, "a", encoding="utf-8") as file:
            row = (family, loss, f"{losses(folder)[1]:.3f}", f"{losses(folder)[3]:.3f}", f"{training:.2f}")
            file.write("| " + " | ".join((*row, f"{time.perf_counter() - start:.2f}")) + " |\n")


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_so_do_its_adapters(
    family: str, dtype: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        *settings(family),
        "model/tuning=lora",
        f"model.tuning.dtype={dtype}",
        "model.tuning.gradient_checkpointing=true",
        f"trainer.precision={'fp32' if dtype == 'float32' else 'bf16'}",
    ]
    folder = train_and_load(family, f"twin-{family}-{dtype}", overrides, workplace, monkeypatch)
    assert (folder / "model" / "adapter_model.safetensors").exists()
    assert not (folder / "model" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "coordinates"),
    [("qwen2vl", "qwen_box"), ("llava15", "decimals_2"), ("paligemma", "loc_1024"), ("yivl", "decimals_2")],
)
def test_every_format_of_coordinates_trains(
    family: str, coordinates: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        "task=localization",
        "data.size=64",
        "data.splits={train: 16, val: 4, test: 4}",
        *WITHOUT_DATA,
        "evaluation.constrained=true",
        "task.max_new_tokens=80",
    ]
    folder = train_and_load(family, f"twin-{family}-boxes", overrides, workplace, monkeypatch)
    metrics = read_json(folder / "metrics.json")["splits"]["test"]["metrics"]
    assert read_json(folder / "metrics.json")["task"] == "localization"
    assert metrics["iou"] is not None
    assert f"coordinates: {coordinates}" in (folder / "config.yaml").read_text()
