"""Boxes lie on what they are boxes of, whatever frame their annotation speaks of: looked at in the pixels of the built set."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from data_prep.configs import read, with_overrides
from data_prep.pictures import read_picture, upright, upright_size
from data_prep.registry import request
from ntil.data.example import read_examples, read_manifest
from ntil.data.pictures import STORED, open_image
from ntil.errors import UserError

RED = (220, 30, 30)
WIDE, HIGH = 96, 64  # of the upright picture
BOX = (12, 40, 36, 56)  # x1, y1, x2, y2 of the red object in it


def scene(path: Path, orientation: int, size: tuple[int, int] = (WIDE, HIGH)) -> tuple[int, int]:
    """A picture with a red object, stored so that EXIF's orientation turns it upright; returns its stored size."""
    pixels = np.full((size[1], size[0], 3), 235, np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = RED
    image = Image.fromarray(pixels)
    if orientation != 1:
        image = image.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format="PNG", exif=exif)
    return image.size


def in_stored(orientation: int, stored: tuple[int, int]) -> tuple[float, float, float, float]:
    """BOX in the frame of the stored pixels, found by looking: an oracle that knows no formula."""
    canvas = np.zeros((HIGH, WIDE), np.uint8)
    canvas[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    image = Image.fromarray(canvas)
    left, top, right, bottom = (
        image.transpose(STORED[orientation]) if orientation != 1 else image
    ).getbbox() or (0, 0, 0, 0)
    assert stored == upright_size((WIDE, HIGH), orientation)
    return left, top, right, bottom


def seen(root: Path, example: Any) -> tuple[float, float]:
    """Share of red pixels inside the record's box and outside of it, in the picture as a model sees it."""
    pixels = np.asarray(open_image(root / example.image)).astype(int)
    assert (pixels.shape[1], pixels.shape[0]) == (example.target["width"], example.target["height"])
    red = (pixels[..., 0] - pixels[..., 1]) > 100
    inside = np.zeros_like(red)
    x1, y1, x2, y2 = (round(value) for value in example.target["boxes"][0])
    inside[y1:y2, x1:x2] = True
    return float(red[inside].mean()), float(red[~inside].mean())


def coco(
    raw: Path, box: Any, stated: tuple[int, int] | None, file: str = "p.png", **row: Any
) -> tuple[Path, list[Any], dict[str, str]]:
    x1, y1, x2, y2 = box
    image = {"id": 1, "file_name": file, **row}
    if stated:
        image |= {"width": stated[0], "height": stated[1]}
    content = {
        "images": [image],
        "categories": [{"id": 1, "name": "tent"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}],
    }
    (raw / "a.json").write_text(json.dumps(content))
    return build("coco", raw, parts={"test": {"annotations": "a.json", "images": "photos"}}, val=0)


def voc(raw: Path, box: Any, stated: tuple[int, int] | None) -> tuple[Path, list[Any], dict[str, str]]:
    edges = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    size = f"<size><width>{stated[0]}</width><height>{stated[1]}</height></size>" if stated else ""
    (raw / "Annotations").mkdir(exist_ok=True)
    (raw / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (raw / "photos").rename(raw / "JPEGImages")
    (raw / "Annotations/p.xml").write_text(
        f"<annotation>{size}<object><name>tent</name><bndbox>{edges}</bndbox></object></annotation>"
    )
    (raw / "ImageSets/Main/val.txt").write_text("p\n")
    return build("voc", raw, splits_from={"test": "val"})


def build(name: str, raw: Path, **changes: Any) -> tuple[Path, list[Any], dict[str, str]]:
    asked = request(with_overrides(read(name), [("raw", str(raw)), *changes.items()]))
    out = asked.build(raw / "out", 1)
    examples = read_examples(out, "test")
    return out, examples, {skip["what"]: skip["why"] for skip in read_manifest(out)["skipped"]}


def outcome(make: Any, *given: Any) -> tuple[float, float] | str:
    """What is seen in the record's box, or why there is none."""
    try:
        root, (example,), _ = make(*given)
    except UserError as error:
        return str(error)
    return seen(root, example)


@pytest.mark.parametrize("make", [coco, voc])
@pytest.mark.parametrize("frame", ["upright", "stored"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_stated_size_tells_the_frame(make: Any, frame: str, orientation: int, tmp_path: Path) -> None:
    stored = scene(tmp_path / "photos/p.png", orientation)
    box, stated = (BOX, (WIDE, HIGH)) if frame == "upright" else (in_stored(orientation, stored), stored)
    found = outcome(make, tmp_path, box, stated)
    if orientation in (2, 3, 4):  # both frames have this size
        assert isinstance(found, str)
        assert "does not tell which way up" in found
    else:
        assert found == (1.0, 0.0)


@pytest.mark.parametrize("factor", [0.5, 2, 4])
@pytest.mark.parametrize(
    ("orientation", "frame"), [(1, "upright"), (6, "upright"), (6, "stored"), (8, "stored")]
)
def test_a_picture_at_another_size(factor: float, orientation: int, frame: str, tmp_path: Path) -> None:
    stored = scene(tmp_path / "photos/p.png", orientation)
    box, stated = (BOX, (WIDE, HIGH)) if frame == "upright" else (in_stored(orientation, stored), stored)
    stated = (int(stated[0] * factor), int(stated[1] * factor))
    assert outcome(coco, tmp_path, [value * factor for value in box], stated) == (1.0, 0.0)


@pytest.mark.parametrize("stated", [(HIGH, WIDE), (WIDE, HIGH + 6), (2 * WIDE, HIGH), (10, 900)])
def test_a_size_of_another_aspect_is_skipped(stated: tuple[int, int], tmp_path: Path) -> None:
    """Height and width swapped without EXIF too: the way that the picture was turned cannot be known."""
    scene(tmp_path / "photos/p.png", 1)
    found = outcome(coco, tmp_path, BOX, stated)
    assert isinstance(found, str)
    assert "1 × its annotation is of a picture of another size or aspect (such as photos/p.png)" in found


def test_a_turned_square_tells_no_frame(tmp_path: Path) -> None:
    scene(tmp_path / "photos/p.png", 6, (64, 64))
    assert "does not tell which way up" in str(outcome(coco, tmp_path, BOX, (64, 64)))
    assert outcome(coco, tmp_path, BOX, None) == (1.0, 0.0)


@pytest.mark.parametrize("make", [coco, voc])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_boxes_without_a_stated_size_are_of_the_upright_picture(
    make: Any, orientation: int, tmp_path: Path
) -> None:
    scene(tmp_path / "photos/p.png", orientation)
    assert outcome(make, tmp_path, BOX, None) == (1.0, 0.0)


@pytest.mark.parametrize("unknown", [(0, 0), ("", ""), (None, 5), ("wide", "high"), (-1, 3), ([], {})])
def test_a_size_that_says_nothing_is_none(unknown: tuple[Any, Any], tmp_path: Path) -> None:
    scene(tmp_path / "photos/p.png", 6)
    assert outcome(coco, tmp_path, BOX, unknown) == (1.0, 0.0)


def test_a_turned_file_is_copied_as_it_is(tmp_path: Path) -> None:
    stored = scene(tmp_path / "photos/p.png", 6)
    out, (example,), _ = coco(tmp_path, in_stored(6, stored), stored)
    assert (out / example.image).read_bytes() == (tmp_path / "photos/p.png").read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_in_the_stored_frame_are_not_turned_again(orientation: int, tmp_path: Path) -> None:
    """For sets whose labels speak of stored pixels: what is built has them, and no wish to be turned."""
    stored = scene(tmp_path / "p.png", orientation)
    picture = read_picture(tmp_path / "p.png", frame="stored")
    assert not isinstance(picture, str)
    assert (picture.source, picture.size, picture.image().size) == (stored, stored, stored)
    assert picture.image().convert("L").point(lambda v: 255 * (v < 200)).getbbox() == in_stored(
        orientation, stored
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_with_their_picture(orientation: int) -> None:
    """Against Pillow's own turn of a picture with one marked pixel; a pixel's middle is half a pixel from its corner."""
    stored = np.zeros((5, 7), np.uint8)
    stored[1, 4] = 255
    image = Image.fromarray(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    turned = np.asarray(ImageOps.exif_transpose(image))
    ((y, x),) = np.argwhere(turned == 255)
    assert upright(4.5, 1.5, (7, 5), orientation) == (x + 0.5, y + 0.5)
    assert upright_size((7, 5), orientation) == (turned.shape[1], turned.shape[0])


def test_crops_of_turned_and_resized_photos_hold_the_object(tmp_path: Path) -> None:
    stored = scene(tmp_path / "JPEGImages/p.jpg", 6)
    for folder in ("Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    x1, y1, x2, y2 = (value * 2 for value in in_stored(6, stored))
    edges = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    (tmp_path / "Annotations/p.xml").write_text(
        f"<annotation><size><width>{stored[0] * 2}</width><height>{stored[1] * 2}</height></size>"
        f"<object><name>WBC</name><bndbox>{edges}</bndbox></object></annotation>"
    )
    (tmp_path / "ImageSets/Main/train.txt").write_text("p")
    asked = request(
        with_overrides(
            read("bccd"),
            [("raw", str(tmp_path)), ("splits_from", {"train": "train"}), ("copies", 12), ("size", None)],
        )
    )
    out = asked.build(tmp_path / "out", 1)
    examples = read_examples(out, "train")
    assert len(examples) == 12
    assert [seen(out, example) for example in examples] == [(1.0, 0.0)] * 12
