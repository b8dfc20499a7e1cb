"""MathVista testmini as published; nothing to train on; nothing from outside its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.configs import read
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError


def row(**changes: Any) -> dict[str, Any]:
    metadata = {
        "split": "testmini",
        "language": "english",
        "img_width": 30,
        "img_height": 20,
        "source": "Kids",
        "task": "VQA",
    }
    return {
        "question": "How many?",
        "image": "images/1.jpg",
        "choices": None,
        "unit": None,
        "precision": None,
        "answer": "3",
        "question_type": "free_form",
        "answer_type": "integer",
        "pid": "1",
        "metadata": metadata,
        **changes,
    }


def publish(raw: Path, rows: dict[str, Any]) -> Path:
    (raw / "images").mkdir(parents=True)
    Image.new("RGB", (30, 20), "grey").save(raw / "images" / "1.jpg")
    (raw / "images" / "broken.jpg").write_text("no picture")
    (raw / "testmini.json").write_text("\ufeff" + json.dumps(rows), encoding="utf-8")
    return raw


def build(raw: Path, out: Path, **changes: Any) -> Path:
    return request(read("mathvista") | {"raw": str(raw), **changes}).build(out, workers=1)


def test_records_as_published_and_every_other_accounted_for(tmp_path: Path) -> None:
    choice = row(choices=["red", "blue"], answer="blue", question_type="multi_choice", answer_type="text")
    rows = {
        "1": row(),
        "2": choice,
        "3": row(answer="1.5", answer_type="float", precision=1.0, unit="cm"),
        "4": row(image="images/missing.jpg"),
        "5": row(image="images/broken.jpg"),
        "6": row(image="../../etc/passwd"),
        "7": choice | {"answer": "green"},
        "8": row(answer=3),
        "9": row(answer_type="essay"),
        "10": "text",
        "../11": row(),
    }
    out = build(publish(tmp_path / "raw", rows), tmp_path / "out")
    examples = read_examples(out, "test")
    assert [e.id for e in examples] == ["test-1", "test-2", "test-3"]
    assert examples[1].target["choices"] == ["red", "blue"]
    assert examples[2].target["precision"] == 1.0
    assert examples[0].meta == {
        "question_type": "free_form",
        "answer_type": "integer",
        "source": "Kids",
        "task": "VQA",
        "language": "english",
    }
    manifest = read_manifest(out)
    assert {skip["what"]: skip["why"] for skip in manifest["skipped"]} == {
        "pid 4": "the picture is missing",
        "pid 5": "unreadable picture (UnidentifiedImageError)",
        "pid 6 ('../../etc/passwd')": "its picture lies outside the folder",
        "pid 7": "its answer is not among its choices",
        "pid 8": "without answer as text",
        "pid 9": "of an unknown question or answer type",
        "pid 10": "not an object",
        "pid ../11": "its pid is no plain name",
    }
    assert manifest["config"]["licence"].startswith("CC BY-SA 4.0")


@pytest.mark.parametrize("split", ["train", "val"])
def test_there_is_nothing_to_train_on(tmp_path: Path, split: str) -> None:
    with pytest.raises(UserError, match="licence prohibits training"):
        build(publish(tmp_path / "raw", {"1": row()}), tmp_path / "out", split=split)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"testmini.json is missing. Its owners publish it at https://mathvista"
    ):
        build(tmp_path, tmp_path / "out")
    (tmp_path / "testmini.json").write_text("[1]")
    with pytest.raises(UserError, match="object of records by pid, not a list"):
        build(tmp_path, tmp_path / "out")
    (tmp_path / "testmini.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        build(tmp_path, tmp_path / "out")
