"""Lists of clocks on photographs, faults included: every record accounted for."""

import unicodedata
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


GT, OTHER, DETECTED = "[30, 20, 30, 20]", "[0, 0, 20, 10]", "[31, 21, 28, 19]"  # the clock is at 30, 20


@pytest.mark.parametrize(
    ("truth", "detected"),
    [
        (f"[{GT}]", DETECTED),
        (f"[{GT}]", ""),
        (f"[{GT}]", OTHER),  # one clock in the photo: the detector was wrong
        (GT, DETECTED),
        (f"[{OTHER}, {GT}]", DETECTED),
        (f"[{GT}, {OTHER}]", DETECTED),
        (f"[{OTHER}, {GT}, [29, 19, 60, 40]]", DETECTED),
        (f"[[1, 1, 0, 5], {GT}]", ""),  # the first has no area
        (f"[{OTHER}, [70, 50, 5, 5]]", GT),  # none overlaps: the labelled clock is bbox_det's
        ("", GT),
        ("[]", GT),
        ("nan", GT),
        ("[[1, 2, 3], 4]", GT),
        ("[[30.0, 20.0, 30.0, NaN]]", GT),
        ("30 20 30 20", ""),
        ("(30, 20, 30, 20)", ""),
    ],
)
def test_the_labelled_clock(tmp_path: Path, truth: str, detected: str) -> None:
    out = build(publish(tmp_path / "raw", [f'1,a.png,"{truth}",3,25,"{detected}"']), tmp_path / "out")
    (example,) = read_examples(out, "test")
    with Image.open(out / str(example.image)) as crop:
        assert np.asarray(crop).min() > 200  # nothing but the clock


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            f'1,a.png,"[{GT}, {OTHER}]",3,25,',
            "it has several bbox_gt and no bbox_det to tell the labelled one",
        ),
        ('1,a.png,"[[1, 2], [3, 4]]",3,25,', "it has no box of four numbers with an area"),
        ('1,a.png,"[[1, 2, 1e400, 4]]",3,25,', "it has no box of four numbers with an area"),
        ('1,a.png,"[[true, 2, 3, 4]]",3,25,', "it has no box of four numbers with an area"),
        ("1,a.png,[30, 20, 30, 20],3,25,", "it has more cells than the table has columns"),  # not at 20:30
        ('1,a.png,"[[30, 20, 30, 20]],3,25,', "its quotes do not close, or a cell is too long"),
        ("1,a.png", "its hour and minute are no time"),
        (f'1,,"{GT}",3,25,', "it names no photo"),
        (f'1,a.png,"{GT}",3,60,', "its hour and minute are no time"),
        (f'1,a.png,"{GT}",-3,20,', "its hour and minute are no time"),
        (f'1,a.png,"{GT}",٣,20,', "its hour and minute are no time"),
        ('1,a.png,"[90, 20, 30, 20]",3,20,', "its box lies outside the photo"),  # two thirds of it
        (f'1,{"x" * 300}.png,"{GT}",3,20,', "the picture is missing"),
        (f'1,"a\0.png","{GT}",3,20,', "its photo leads outside the folder"),
        (f'1,../../list.csv,"{GT}",3,20,', "its photo leads outside the folder"),
    ],
)
def test_odd_rows_are_listed_and_spoil_no_other(tmp_path: Path, row: str, why: str) -> None:
    good = f'1,a.png,"[{GT}]",3,25,"{DETECTED}"'
    out = build(publish(tmp_path / "raw", [good, row, good]), tmp_path / "out")
    assert len(read_examples(out, "test")) == 2
    (skip,) = read_manifest(out)["skipped"]
    assert skip["why"] == why
    assert "line 3" in skip["what"] or "list-00001" in skip["what"]


def test_ids_are_not_needed_and_tables_may_be_of_another_kind(tmp_path: Path) -> None:
    """Excel's semicolons, UTF-16, Windows line ends, columns in another order."""
    raw = publish(tmp_path / "raw", [])
    text = f'minute;bbox_det;hour; file_name \r\n25;"{GT}";3;a.png\r\n'
    (raw / "list.csv").write_bytes(text.encode("utf-16"))
    (example,) = read_examples(build(raw, tmp_path / "out"), "test")
    assert example.target == {"hour": 3, "minute": 25}


@pytest.mark.parametrize("name", ["Amélie 4.00 a.m", "8½ 2.00 a.m. 1", '24 "Day 1" 7.11'])
@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".jpeg"])
def test_photos_are_found_under_other_endings_and_forms_of_unicode(
    tmp_path: Path, name: str, ending: str
) -> None:
    listed = name.replace('"', '""')
    raw = publish(tmp_path / "raw", [f'1,"{listed}.png","{GT}",3,25,'])
    stored = unicodedata.normalize("NFD", name)
    Image.open(raw / "images" / "a.png").save(raw / "images" / f"{stored}{ending}")
    (example,) = read_examples(build(raw, tmp_path / "out", box="xywh"), "test")
    assert example.target == {"hour": 3, "minute": 25}


def test_a_name_that_fits_two_photos_means_neither(tmp_path: Path) -> None:
    raw = publish(tmp_path / "raw", [f'1,b.jpg,"{GT}",3,25,', f'2,a.png,"{GT}",3,25,'])
    for ending in ("png", "webp"):
        Image.open(raw / "images" / "a.png").save(raw / "images" / f"b.{ending}")
    out = build(raw, tmp_path / "out")
    assert read_manifest(out)["skipped"] == [
        {"what": "list.csv, line 2 (b.jpg)", "why": "the picture is missing"}
    ]


def test_lists_of_one_name_in_two_folders_share_no_record(tmp_path: Path) -> None:
    raw = publish(tmp_path / "raw", [f'1,a.png,"{GT}",3,25,'])
    (raw / "more").mkdir()
    (raw / "more" / "list.csv").write_text(HEADER + f'1,a.png,"{GT}",4,10,\n')
    examples = read_examples(build(raw, tmp_path / "out", lists=["list.csv", "more/list.csv"]), "test")
    assert [(e.id, e.target["hour"], e.meta["list"]) for e in examples] == [
        ("test-1-list-00000", 3, "1-list"),
        ("test-2-list-00000", 4, "2-list"),
    ]
    with pytest.raises(UserError, match="name each list once"):
        build(raw, tmp_path / "again", lists=["list.csv", "list.csv"])
