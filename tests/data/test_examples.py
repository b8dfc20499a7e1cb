"""Records on disk: what is written is read; what is damaged is named."""

import os
from pathlib import Path
from typing import Any

import pytest
from fixtures import write_data_set
from hypothesis import given
from hypothesis import strategies as st

from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError
from ntil.io import write_jsonl

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.integers() | NAMES | st.lists(st.integers(), max_size=3)


def record(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "split": "test", "image": None, "target": {"hour": 3}, "meta": {}, **changes}


@given(
    example=st.builds(
        Example,
        id=NAMES,
        split=NAMES,
        target=st.dictionaries(NAMES, VALUES, max_size=3),
        image=st.none() | NAMES,
        meta=st.dictionaries(NAMES, VALUES, max_size=3),
        query=st.none() | NAMES,
    )
)
def test_records_round_trip(example: Example) -> None:
    assert Example.from_record(example.to_record()) == example


def test_splits_and_limits(tmp_path: Path) -> None:
    rows = [record(id=f"{split}-{i}", split=split) for i in range(3) for split in ("train", "test")]
    root = write_data_set(tmp_path, rows)
    assert [e.id for e in read_examples(root, "test")] == ["test-0", "test-1", "test-2"]
    assert [e.id for e in read_examples(root, "train", limit=2)] == ["train-0", "train-1"]
    assert len(read_examples(root, "train", limit=99)) == 3
    with pytest.raises(UserError, match="limit of 0"):
        read_examples(root, "train", limit=0)


def test_a_missing_split_is_answered_with_those_there_are(tmp_path: Path) -> None:
    root = write_data_set(tmp_path, [record(), record(split="val")])
    with pytest.raises(UserError, match="'tset'; it has test, val"):
        read_examples(root, "tset")


def test_an_unfinished_data_set_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record()])
    for read in (read_manifest, lambda root: read_examples(root, "test")):
        with pytest.raises(UserError, match=r"manifest\.json is missing"):
            read(tmp_path)


@pytest.mark.parametrize("image", ["/etc/passwd", "../a.png", "images/../../a.png", "link/a.png"])
def test_a_picture_outside_is_refused(image: str, tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set", [record(image=image)])
    os.symlink(tmp_path, root / "link")
    with pytest.raises(UserError, match="leaves its folder"):
        read_examples(root, "test")


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "a", "split": "test"},
        {"split": "test", "target": {}},
        record(target=None),
        record(target="3:25"),
        record(meta=[1]),
        record(image=5),
    ],
)
def test_a_bad_record_is_named_by_its_number(bad: dict[str, Any], tmp_path: Path) -> None:
    root = write_data_set(tmp_path, [record(), bad])
    with pytest.raises(UserError, match="record 2"):
        read_examples(root, "test")


def test_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    root = write_data_set(tmp_path, [record(), record()])
    text = (root / "records.jsonl").read_text()
    (root / "records.jsonl").write_text(text + '{"id": "c", "spl\n')
    with pytest.raises(UserError, match="line 3"):
        read_examples(root, "test")


@pytest.mark.parametrize("root", ["x" * 5000, "a\0b", "\ud800", "a/" * 3000])
def test_a_folder_that_no_system_would_name(root: str) -> None:
    with pytest.raises(UserError):
        read_manifest(root)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"counts": []}', '{"counts": {"test": "6"}}', '{"counts": {"test": null}}', "7"]
)
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(tmp_path)
