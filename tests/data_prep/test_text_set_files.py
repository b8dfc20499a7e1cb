"""Pictures and their label files in the layouts that circulate: each found, paired once, or listed."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from ntil.data.example import Example, read_examples, read_manifest
from ntil.errors import UserError

WORD = "10,10,50,10,50,30,10,30,one"
RECEIPTS = Path(__file__).parents[3] / "shared" / "data" / "sroie"


def picture(path: Path, kind: str | None = None, level: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 60), (level, level, level)).save(path, format=kind)


def label(path: Path, content: str = WORD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def build(name: str, raw: Path, out: Path, **changes: object) -> tuple[list[Example], dict[str, str]]:
    """(records, reason by what was skipped)."""
    folder = request(with_overrides(read(name), [("raw", str(raw)), ("val", 0), *changes.items()])).build(
        out, 1
    )
    manifest: dict[str, Any] = read_manifest(folder)
    examples = [example for split in manifest["counts"] for example in read_examples(folder, split)]
    return examples, {skip["what"]: skip["why"] for skip in manifest["skipped"]}


SROIE = {  # (pictures, labels, their ending) of training and test
    "beside": (("train", "train"), ("test", "test"), "txt"),
    "csv": (("train", "train"), ("test", "test"), "csv"),
    "capitals": (("train", "train"), ("test", "test"), "TXT"),
    "img and box": (("train/img", "train/box"), ("test/img", "test/box"), "txt"),
    "img and box, csv": (("train/img", "train/box"), ("test/img", "test/box"), "csv"),
    "owners'": (
        ("0325updated.task1train(626p)", "0325updated.task1train(626p)"),
        ("task1&2_test(361p)", "text.task1&2-test（361p)"),
        "txt",
    ),
}


@pytest.mark.parametrize("layout", SROIE)
def test_sroie_is_found_in_every_layout_by_the_default_config(tmp_path: Path, layout: str) -> None:
    *parts, ending = SROIE[layout]
    for images, labels in parts:
        for name in ("X1", "X2(1)"):
            picture(tmp_path / "raw" / str(images) / f"{name}.jpg")
            label(tmp_path / "raw" / str(labels) / f"{name}.{ending}")
            label(tmp_path / "raw" / str(labels) / f"{name}.json", "{}")  # the receipt's fields: not ours
    examples, skipped = build("sroie", tmp_path / "raw", tmp_path / "out")
    assert [(e.split, Path(e.meta["source"]).name) for e in examples] == [
        (split, name) for split in ("train", "test") for name in ("X1.jpg", "X2(1).jpg")
    ]
    assert skipped == {}


def test_sroie_with_a_training_part_alone_needs_what_its_config_says(tmp_path: Path) -> None:
    picture(tmp_path / "raw/img/000.jpg")
    label(tmp_path / "raw/box/000.csv")
    with pytest.raises(UserError, match=r"train/img or .* is missing. The owners of sroie publish it"):
        build("sroie", tmp_path / "raw", tmp_path / "out")
    parts = {"train": {"images": "img", "labels": "box/{id}.csv"}}
    examples, _ = build("sroie", tmp_path / "raw", tmp_path / "out", parts=parts)
    assert len(examples) == 1


def test_two_places_that_hold_pictures_are_not_mixed(tmp_path: Path) -> None:
    for place in ("train", "train/img", "test"):
        picture(tmp_path / "raw" / place / "1.jpg")
        label(tmp_path / "raw" / place / "1.txt")
    with pytest.raises(UserError, match=r"train and .*train/img both hold pictures"):
        build("sroie", tmp_path / "raw", tmp_path / "out")
    examples, _ = build("sroie", tmp_path / "raw", tmp_path / "out", **{"parts.train.images": "train"})
    assert len(examples) == 2


@pytest.mark.parametrize(
    "ending", [".jpg", ".JPG", ".jpeg", ".Jpeg", ".png", ".PNG", ".bmp", ".tif", ".webp", ".gif"]
)
def test_pictures_of_any_ending_and_names_with_blanks(tmp_path: Path, ending: str) -> None:
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF"}.get(ending.lower())
    for part in ("train", "test"):
        picture(tmp_path / "raw" / part / f"a b, ü.1{ending}", kind)
        label(tmp_path / "raw" / part / "a b, ü.1.txt")
    examples, skipped = build("sroie", tmp_path / "raw", tmp_path / "out")
    assert [example.id for example in examples] == ["train-a b, ü.1", "test-a b, ü.1"]
    assert skipped == {}


def test_every_file_is_paired_once_or_listed(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("good.jpg", "alone.jpg", "twice.jpg", "twice.png", "torn.jpg", "same.jpg"):
        picture(raw / "train" / name)
    for name in ("good.txt", "lonely.csv", "twice.txt", "torn.txt", "same.txt", "same.csv"):
        label(raw / "train" / name)
    label(raw / "train" / "torn.csv", WORD.replace("50", "40"))
    (raw / "train" / "folder.jpg").mkdir()
    (raw / "train" / "good.txt.txt").mkdir()
    picture(raw / "test" / "t.jpg")
    label(raw / "test" / "t.txt")
    examples, skipped = build("sroie", raw, tmp_path / "out")
    assert [Path(e.meta["source"]).name for e in examples] == ["good.jpg", "same.jpg", "t.jpg"]
    shared_name = "another picture has the same name, so its label file may be the other's"
    assert skipped == {
        "train/alone.jpg": "its label file is missing",
        "train/lonely.csv": "its picture is missing",
        "train/torn.jpg": "it has several label files that differ",
        "train/twice.jpg": shared_name,
        "train/twice.png": shared_name,
    }


def test_names_that_are_no_text_are_listed(tmp_path: Path) -> None:
    for part in ("train", "test"):
        picture(tmp_path / "raw" / part / "good.jpg")
        label(tmp_path / "raw" / part / "good.txt")
    odd = os.fsencode(tmp_path / "raw" / "train") + b"/caf\xe9"
    try:
        for ending in (b".jpg", b".txt"):
            with open(odd + ending, "wb") as file:
                file.write(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    _, skipped = build("sroie", tmp_path / "raw", tmp_path / "out")
    assert skipped == {"train/caf\\udce9.jpg": "its name is not Unicode text"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [("train.txt", "must hold {id} once"), ("{id}/a.txt", "must hold {id} once"), ("{id}{id}.txt", "once")]
    + [
        (7, "a path or a list of paths"),
        ([], "a path or a list of paths"),
        ([1], "a path or a list of paths"),
    ],
)
def test_places_are_checked(tmp_path: Path, labels: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build("sroie", tmp_path, tmp_path / "out", parts={"train": {"images": "train", "labels": labels}})


@pytest.mark.slow
def test_real_receipts(tmp_path: Path) -> None:
    if not RECEIPTS.is_dir():
        pytest.skip("the reduced SROIE receipts are not at hand (../shared/data/sroie)")
    folder = request(with_overrides(read("sroie"), [("raw", str(RECEIPTS))])).build(tmp_path / "out", 1)
    manifest = read_manifest(folder)
    assert manifest["counts"] == {"train": 438, "val": 62, "test": 126}
    assert manifest["skipped"] == [{"what": "test/178.txt, 'AAAAAAA'", "why": "its outline has no area"}]
    examples = [example for split in manifest["counts"] for example in read_examples(folder, split)]
    assert sum(len(example.target["polygons"]) for example in examples) == 33_625
    assert not any(any(example.target["ignored"]) for example in examples)
