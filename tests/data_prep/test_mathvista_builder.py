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


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"choices": [1, 2]}, "its choices are no list of texts"),
        ({"choices": "ab"}, "its choices are no list of texts"),
        ({"choices": {"A": "1"}}, "its choices are no list of texts"),
        ({"unit": 3}, "its unit is no text"),
        ({"precision": "1"}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": 1.5}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": -1}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": True}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": float("nan")}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": float("inf")}, "its precision is no number of decimal places from 0 to 15"),
        ({"precision": 10**400}, "its precision is no number of decimal places from 0 to 15"),
        ({"answer": None}, "without answer as text"),
        ({"answer": "three"}, "its answer is no number"),
        ({"answer": "inf", "answer_type": "float"}, "its answer is no number"),
        ({"question": ["How?"]}, "without question as text"),
        ({"image": None}, "without image as text"),
        ({"question": "\ud800"}, "it holds what is no Unicode text"),
        ({"question_type": ["free_form"]}, "of an unknown question or answer type"),
        (
            {"question_type": "multi_choice", "answer_type": "text", "answer": "0", "choices": [*"0" * 27]},
            "it has more than 26 choices",
        ),
        ({"question_type": "multi_choice", "answer_type": "text"}, "its answer is not among its choices"),
        ({"image": "images/" + "x" * 300 + ".jpg"}, "the picture is missing"),
        ({"image": "images"}, "the picture is missing"),
    ],
)
def test_a_field_of_another_type_leaves_its_record_out(tmp_path: Path, odd: dict[str, Any], why: str) -> None:
    rows = {"1": row(), "2": row(**odd), "3": row()}
    out = build(publish(tmp_path / "raw", rows), tmp_path / "out")
    assert [e.id for e in read_examples(out, "test")] == ["test-1", "test-3"]
    assert read_manifest(out)["skipped"] == [{"what": "pid 2", "why": why}]


@pytest.mark.parametrize(
    "odd",
    [
        {"pid": 7},
        {"pid": None},
        {"metadata": None},
        {"metadata": ["x"]},
        {"metadata": {"source": float("nan"), "skills": [{"a": 1}]}},
        {"extra": float("-inf")},
        {"precision": 2.0, "answer": "1e0"},
        {"image": "images/1.JPG"},
        {"image": "images/1.png"},
    ],
)
def test_what_is_neither_asked_nor_scored_may_be_odd(tmp_path: Path, odd: dict[str, Any]) -> None:
    out = build(publish(tmp_path / "raw", {"1": row(), "2": row(**odd)}), tmp_path / "out")
    assert [e.id for e in read_examples(out, "test")] == ["test-1", "test-2"]


def test_missing_fields_and_odd_pids(tmp_path: Path) -> None:
    bare = {key: row()[key] for key in ("question", "image", "answer", "question_type", "answer_type")}
    rows = {"a-1.5 b": bare, "ü": row(), "": row(), ".": row(), "x" * 101: row(), "\ud800": row()}
    out = build(publish(tmp_path / "raw", rows), tmp_path / "out")
    assert [e.id for e in read_examples(out, "test")] == ["test-a-1.5 b", "test-ü"]
    assert {skip["why"] for skip in read_manifest(out)["skipped"]} == {"its pid is no plain name"}
    assert len(read_manifest(out)["skipped"]) == 4


def test_no_record_hides_another_of_its_pid(tmp_path: Path) -> None:
    raw = publish(tmp_path / "raw", {})
    one, other = json.dumps(row()), json.dumps(row(answer="4"))
    twice = one.replace('"answer": "3"', '"answer": "3", "answer": "4"')
    (raw / "testmini.json").write_text(f'{{"1": {one}, "2": {one}, "1": {other}, "3": {twice}}}')
    out = build(raw, tmp_path / "out")
    assert [e.id for e in read_examples(out, "test")] == ["test-2"]
    raw = publish(tmp_path / "cases", {"a": row(), "A": row(), "b": row()})
    assert [e.id for e in read_examples(build(raw, tmp_path / "b"), "test")] == ["test-b"]
    assert [(skip["what"], skip["why"]) for skip in read_manifest(out)["skipped"]] == [
        ("pid 1, record 1", "its pid is another record's, too"),
        ("pid 1, record 3", "its pid is another record's, too"),
        ("pid 3", "one of its fields occurs more than once"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    raw = publish(tmp_path / "raw", {})
    text = json.dumps({"1": row(question="Wie groß?")}, ensure_ascii=False)
    (raw / "testmini.json").write_bytes(text.encode(encoding))
    (example,) = read_examples(build(raw, tmp_path / "out"), "test")
    assert example.query == "Wie groß?"


@pytest.mark.parametrize("text", ["[" * 100_000, "", "\0", "null", '"x"', "{]"])
def test_a_file_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "testmini.json").write_text(text)
    with pytest.raises(UserError, match=r"testmini.json (is not JSON|must hold an object)"):
        build(tmp_path, tmp_path / "out")
