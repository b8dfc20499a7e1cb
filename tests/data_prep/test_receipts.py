"""Receipts: totals are read, found among the lines, and cut out; what cannot be used is named."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from data_prep.writer import Made, Skipped
from ntil.errors import UserError


def receipt(folder: Path, name: str, said: object, lines: list[str], shade: int = 200) -> None:
    """A grey scan of 60 × 200 pixels; the amount of the last line is a black bar."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.full((200, 60), shade, np.uint8)
    pixels[150:160, 30:50] = 0
    Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(said), encoding="utf-8")


LINES = [
    "5,10,25,10,25,15,5,15,12.80",
    "30,150,50,150,50,160,30,160,AAA 12.80",
    "5,20,25,20,25,40,5,40,112.80",
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    train, test = tmp_path / "raw" / "train", tmp_path / "raw" / "test"
    receipt(train, "a", {"total": "RM 12.80"}, LINES, 201)
    receipt(train, "b", {"total": "$1,012.80"}, ["30,150,50,150,50,160,30,160,1,012.80"], 202)
    receipt(train, "c", {"total": "-1.73"}, LINES, 203)
    receipt(train, "d", {"total": "3.00"}, LINES, 204)
    receipt(train, "e", ["12.80"], LINES, 205)
    receipt(test, "a", {"total": "12.80"}, LINES, 201)
    receipt(test, "f", {"total": "112.80"}, LINES, 206)
    return tmp_path / "raw"


def made(raw: Path, **changes: object) -> tuple[dict[str, Made], Counter[str]]:
    data = with_overrides(read("receipts"), [("raw", str(raw)), ("val", 0), *changes.items()])
    asked = request(data)
    plan = asked.builder.plan(asked.config)
    results = [plan.make(job) for job in plan.jobs]
    skipped = [*plan.skipped, *(one for one in results if isinstance(one, Skipped))]
    return {one.example.id: one for one in results if isinstance(one, Made)}, Counter(
        one.why for one in skipped
    )


def test_totals_are_found(raw: Path) -> None:
    found, skipped = made(raw)
    assert skipped == {
        "its total is missing or no amount above 0": 2,
        "no line of it shows the total": 1,
        "the same scan as an earlier one": 1,
    }
    values = {name: one.example.target["value"] for name, one in found.items()}
    assert values == {"train-a": "12.80", "train-b": "1012.80", "test-f": "112.80"}
    assert {(one.example.target["low"], one.example.target["high"]) for one in found.values()} == {
        ("12.80", "1012.80")
    }


def test_the_crop_is_around_the_total(raw: Path, tmp_path: Path) -> None:
    found, _ = made(raw)
    path = tmp_path / "crop.png"
    path.write_bytes(found["train-a"].image or b"")
    pixels = np.asarray(Image.open(path).convert("L"))
    assert pixels.shape == (64, 64)  # 60 pixels, six times the taller line, around (40, 155)
    assert pixels[30:34, 24:40].max() < 40
    assert pixels[2, 2] == pytest.approx(201, abs=2)
    assert pixels[32, 62] == 255  # beyond the scan's edge
    assert found["train-a"].example.meta["legible"] == "yes"


def test_a_whole_receipt_may_be_too_small(raw: Path, tmp_path: Path) -> None:
    for size, legible in ((200, "yes"), (100, "no"), (400, "yes")):
        one = made(raw, crop=None, size=size)[0]["train-a"]
        path = tmp_path / "page.png"
        path.write_bytes(one.image or b"")
        assert Image.open(path).size == (round(60 * size / 200), size)
        assert one.example.meta["legible"] == legible  # 10 pixels in the scan


def test_none_to_train_on(raw: Path) -> None:
    with pytest.raises(UserError, match="has no receipt to train on"):
        made(raw, val=9)
    with pytest.raises(UserError, match=r"is missing. The owners of receipts publish it at https://rrc"):
        made(raw / "elsewhere")
