"""Lists of clocks on photographs, faults included: every record accounted for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.configs import read
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError

HEADER = "img_id,file_name,bbox_gt,hour,minute,bbox_det\n"


def publish(raw: Path, rows: list[str], header: str = HEADER) -> Path:
    (raw / "images").mkdir(parents=True)
    photo = np.zeros((60, 100, 3), dtype=np.uint8)
    photo[20:40, 30:60] = 255  # the clock
    Image.fromarray(photo).save(raw / "images" / "a.png")
    (raw / "images" / "broken.jpg").write_text("no picture")
    (raw / "list.csv").write_text("\ufeff" + header + "\n".join(rows) + "\n", encoding="utf-8")
    return raw


def build(raw: Path, out: Path, **changes: object) -> Path:
    data = read("clock_photos") | {"raw": str(raw), "lists": ["list.csv"], "size": 32, "margin": 0} | changes
    return request(data).build(out, workers=1)


def test_rows_become_crops_and_every_other_is_accounted_for(tmp_path: Path) -> None:
    rows = [
        '1,a.png,"[30, 20, 30, 20]",3,25,"[0, 0, 5, 5]"',
        '2,a.png,,0,5.0,"[30, 20, 30, 20]"',
        '3,a.png,"[30, 20, 30]",3,25,',
        "4,a.png,30 20 30 20,24,10,",
        "5,a.png,30 20 30 20,x,10,",
        "6,missing.png,30 20 30 20,3,10,",
        "7,broken.jpg,30 20 30 20,3,10,",
        "8,../../x.png,30 20 30 20,3,10,",
        "9,a.png,200 20 30 20,3,10,",
        "10,a.png,30 20 0 20,3,10,",
        "11,a.png,30 20 30 20,15,59,",
    ]
    out = build(publish(tmp_path / "raw", rows), tmp_path / "out")
    examples = read_examples(out, "test")
    assert [(e.target["hour"], e.target["minute"]) for e in examples] == [(3, 25), (12, 5), (3, 59)]
    assert examples[0].meta == {"list": "list", "source": "images/a.png"}
    for example in examples:
        with Image.open(out / str(example.image)) as crop:
            assert crop.size == (32, 32)
            assert np.asarray(crop).min() > 200  # nothing but the clock
    assert {skip["what"]: skip["why"] for skip in read_manifest(out)["skipped"]} == {
        "list.csv, line 4 ([30, 20, 30])": "it has no box of four numbers with an area",
        "list.csv, line 5 (24:10)": "its hour and minute are no time",
        "list.csv, line 6 (x:10)": "its hour and minute are no time",
        "list.csv, line 7 (missing.png)": "the picture is missing",
        "images/broken.jpg (list-00006)": "unreadable picture (UnidentifiedImageError)",
        "list.csv, line 9 ('../../x.png')": "its photo leads outside the folder",
        "images/a.png (list-00008)": "its box lies outside the photo",
        "list.csv, line 11 (30 20 0 20)": "it has no box of four numbers with an area",
    }


def test_films_have_no_bbox_gt_and_boxes_may_be_corners(tmp_path: Path) -> None:
    raw = publish(
        tmp_path / "raw", ['1,a.png,1,2,"[30, 20, 60, 40]"'], "img_id,file_name,hour,minute,bbox_det\n"
    )
    (example,) = read_examples(build(raw, tmp_path / "out", box="xyxy"), "test")
    with Image.open(tmp_path / "out" / str(example.image)) as crop:
        assert np.asarray(crop).min() > 200
    margin = build(raw, tmp_path / "wide", box="xyxy", margin=0.5)
    with Image.open(margin / str(example.image)) as crop:
        assert np.asarray(crop).min() == 0


def test_mistakes_are_explained(tmp_path: Path) -> None:
    raw = publish(tmp_path / "raw", [], "img_id,file_name,hour,minute\n")
    with pytest.raises(UserError, match="has no column bbox_det"):
        build(raw, tmp_path / "out")
    with pytest.raises(UserError, match=r"other.csv is missing. Its owners publish"):
        build(raw, tmp_path / "out", lists=["other.csv"])
    with pytest.raises(UserError, match="xywh or xyxy, not 'yx'"):
        build(raw, tmp_path / "out", box="yx")
