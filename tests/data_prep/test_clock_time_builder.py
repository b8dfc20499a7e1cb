from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data_prep
from data_prep.clock_time import parse_time
from ntil.data.example import read_examples, read_manifest
from ntil.errors import UserError


def picture(path: Path, level: int | None = None) -> None:
    """A noisy JPEG, or a blank one of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    pixels = rng.integers(0, 256, (40, 40, 3)) if level is None else np.full((40, 40, 3), level)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)


@pytest.fixture
def raw(tmp_path):
    """TIME in small, with every fault that we know of."""
    root = tmp_path / "raw"
    for name in (
        "train/3-25/a.jpg",
        "train/12-00/a.jpg",
        "train/12-00/b.jpg",
        "valid/1-05/a.jpg",
        "test/11-55/a.jpg",
    ):
        picture(root / name)
    picture(root / "train/3-25/blank.jpg", level=200)
    (root / "train/3-25/broken.jpg").write_bytes(b"not a picture")
    whole = (root / "train/12-00/a.jpg").read_bytes()
    (root / "train/3-25/cut.jpg").write_bytes(whole[: len(whole) // 2])
    picture(root / "train/13-00/a.jpg")
    picture(root / "test/clocks/a.jpg")
    (root / "valid/2-00").mkdir()
    (root / "valid/notes.txt").write_text("hello")
    (root / "train/12-00/Thumbs.db").write_bytes(b"x")
    return root


def config(raw: Path, **more):
    return {"name": "clock_time", "builder": "clock_time", "raw": str(raw), **more}


def test_reads_the_published_layout_and_names_what_it_skips(raw, tmp_path):
    root = data_prep.ensure(config(raw), tmp_path / "out", workers=1)
    manifest = read_manifest(root)
    assert manifest["counts"] == {"train": 3, "val": 1, "test": 1}
    why = {skip["what"]: skip["why"] for skip in manifest["skipped"]}
    assert set(why) == {
        "train/3-25/blank.jpg",
        "train/3-25/broken.jpg",
        "train/3-25/cut.jpg",
        "train/13-00/a.jpg",
        "test/clocks/a.jpg",
        "valid/2-00",
        "valid/notes.txt",
        "train/12-00/Thumbs.db",
    }
    assert why["train/3-25/blank.jpg"].startswith("blank")
    assert "unreadable" in why["train/3-25/broken.jpg"]
    assert "unreadable" in why["train/3-25/cut.jpg"]
    assert why["train/13-00/a.jpg"] == why["test/clocks/a.jpg"]
    assert "not a time written H-MM" in why["test/clocks/a.jpg"]
    assert "empty" in why["valid/2-00"]
    (val,) = read_examples(root, "val")
    assert val.target == {"hour": 1, "minute": 5}
    assert val.meta == {"source": "valid/1-05/a.jpg"}
    assert (root / val.image).read_bytes() == (raw / "valid/1-05/a.jpg").read_bytes()


def test_resizes_on_request(raw, tmp_path):
    root = data_prep.ensure(config(raw, size=16), tmp_path / "out", workers=1)
    for example in read_examples(root, "train"):
        with Image.open(root / example.image) as opened:
            assert (opened.size, opened.format) == ((16, 16), "PNG")


def test_a_stricter_blank_limit_is_obeyed(raw, tmp_path):
    with pytest.raises(UserError, match="no usable record"):
        data_prep.ensure(config(raw, blank_below=126), tmp_path / "out", workers=1)


def test_clocks_csv_is_checked_where_there_is_one(raw, tmp_path):
    rows = ["0,train/3-25/a.jpg,3-25,train", "1,train/12-00/a.jpg,12-05,train", "2,test/9-00/a.jpg,9-00,test"]
    (raw / "clocks.csv").write_text("\n".join(["class index,filepaths,labels,data set", *rows]))
    manifest = read_manifest(data_prep.ensure(config(raw), tmp_path / "out", workers=1))
    why = {skip["what"]: skip["why"] for skip in manifest["skipped"]}
    assert why["train/12-00/a.jpg"] == "clocks.csv and its folder say different times"
    assert why["test/9-00/a.jpg"] == "listed in clocks.csv, not in the folder"
    assert "train/3-25/a.jpg" not in why
    (raw / "clocks.csv").write_text("file,labels\nx,3-25\n")
    with pytest.raises(UserError, match="no column filepaths"):
        data_prep.ensure(config(raw), tmp_path / "again", workers=1)


def test_an_odd_line_of_clocks_csv_spoils_no_other(raw, tmp_path):
    lines = [
        "filepaths,labels",
        "train/3-25/a.jpg,noon",
        "train\\12-00\\a.jpg,12-00",
        'train/12-00/b.jpg,"12-00',
        "test/11-55/a.jpg,11-55",
        "test/11-55/a.jpg,11-50",
        "short",
        "a,b,c,d",
    ]
    (raw / "clocks.csv").write_bytes(b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le"))
    picture(raw / "train/3-25/b.PNG")
    picture(raw / "test/2-00/c.webp")
    manifest = read_manifest(data_prep.ensure(config(raw), tmp_path / "out", workers=1))
    assert manifest["counts"] == {"train": 4, "val": 1, "test": 1}
    why = {skip["what"]: skip["why"] for skip in manifest["skipped"]}
    assert why["clocks.csv, line 2 (noon)"] == "its label is not a time written H-MM"
    assert why["clocks.csv, line 4"] == "its quotes do not close, or a cell is too long"
    assert why["test/11-55/a.jpg"] == "clocks.csv and its folder say different times"
    assert why["clocks.csv, line 7 ()"] == "its label is not a time written H-MM"
    assert why["clocks.csv, line 8"] == "it has more cells than the table has columns"
    assert {"train/3-25/a.jpg", "train/12-00/a.jpg", "train/12-00/b.jpg"}.isdisjoint(why)


def test_a_missing_folder_says_where_the_data_are_published(raw, tmp_path):
    with pytest.raises(UserError, match=r"data.raw=DIR.*kaggle"):
        data_prep.ensure(config(Path("???")), tmp_path / "out")
    with pytest.raises(UserError, match=r"train/, valid/, test/ missing.*kaggle"):
        data_prep.ensure(config(tmp_path / "nowhere"), tmp_path / "out")
    (raw / "valid").rename(raw / "validation")
    with pytest.raises(UserError, match=r": valid/ missing"):
        data_prep.ensure(config(raw), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "time"),
    [("3-25", (3, 25)), ("12-00", (12, 0)), ("1-5", (1, 5)), ("0-30", None), ("13-00", None), ("3-60", None)]
    + [("3", None), ("3-25-1", None), ("a-b", None), ("٣-25", None)],
)
def test_folder_names(name, time):
    assert parse_time(name) == time
