"""COCO's json as people have it: one odd row is one skipped record, never the end, an empty set or another picture's box."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.detection.values import identity, number, size, yes
from ntil.data.pictures import open_image
from ntil.errors import UserError
from tests.data_prep.detection_sets import BBOX, build, coco, instances, picture


@pytest.mark.parametrize("size", [None, 32])
@pytest.mark.parametrize(
    "files",
    [
        ("cam1/f.png", "cam2/f.png"),
        ("f.png", "cam/f.png"),
        ("a.jpg", "a.png"),  # one name once both are resized
        ("a.png", "A.png"),  # one file where case does not count
        ("\u00e4.png", "a\u0308.png"),
        ("a.png", "a.b.png", "a.b.c.png"),
        ("x/y/f.png", "x/f.png", "f.png", "y/f.png"),
        ("a/b.png", "a-b.png", "a_b.png"),
        ("a.png", "a-2.png", "a.jpg"),
        ("l" * 240 + "1.png", "l" * 240 + "2.png"),
    ],
)
def test_every_picture_is_under_its_own_box(files: tuple[str, ...], size: int | None, tmp_path: Path) -> None:
    colours = ["red", "blue", "lime", "yellow"]
    for file, colour in zip(files, colours, strict=False):
        picture(tmp_path / "raw/photos" / file, colour)
    rows = [{"id": n, "file_name": file} for n, file in enumerate(files)]
    examples, skipped = coco(tmp_path / "raw", instances(*rows), size=size)
    assert skipped == {}
    assert len({example.image for example in examples}) == len(files)
    for example in examples:
        source = tmp_path / "raw" / example.meta["source"]
        assert open_image(tmp_path / "out" / str(example.image)).getpixel((3, 3)) == open_image(
            source
        ).getpixel((3, 3))


def test_unique_flat_names_stay_as_they_are_and_folders_are_kept(tmp_path: Path) -> None:
    for file in ("a.png", "cam1/f.png"):
        picture(tmp_path / "raw/photos" / file)
    examples, _ = coco(
        tmp_path / "raw", instances({"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "cam1/f.png"})
    )
    assert [example.image for example in examples] == ["images/test/a.png", "images/test/cam1/f.png"]


@pytest.mark.parametrize(
    "name", ["clip_07_f3", "000017", "17", 17, 17.0, "a b", "é", -3, "0", 0, 10**30, 1.5, "x" * 300, "../x"]
)
def test_ids_of_any_type(name: Any, tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    examples, skipped = coco(tmp_path / "raw", instances({"id": name, "file_name": "a.png"}))
    assert (len(examples), skipped) == (1, {})


def test_mixed_ids_keep_to_their_pictures_and_their_order(tmp_path: Path) -> None:
    names: list[Any] = ["b", 10, "007", "a", 9]
    for n in range(5):
        picture(tmp_path / f"raw/photos/{n}.png")
    rows = [{"id": name, "file_name": f"{n}.png"} for n, name in enumerate(names)]
    boxes = [
        {"image_id": str(name) if name == 10 else name, "category_id": 1, "bbox": [n, n, 20, 20]}
        for n, name in enumerate(names)
    ]
    examples, skipped = coco(tmp_path / "raw", instances(*rows, annotations=boxes))
    assert skipped == {}
    assert [e.id for e in examples] == ["test-007-0", "test-9-0", "test-10-0", "test-a-0", "test-b-0"]
    assert all(e.target["boxes"][0][0] == int(e.meta["source"][7]) for e in examples)


def test_rows_that_cannot_be_told_apart_are_left_out(tmp_path: Path) -> None:
    for name in "abcdef":
        picture(tmp_path / f"raw/photos/{name}.png")
    rows = [
        {"id": 1, "file_name": "a.png"},
        {"id": "1", "file_name": "b.png"},  # one id, two pictures
        {"id": 2, "file_name": "c.png"},
        {"id": 2, "file_name": "c.png"},  # one row twice
        {"id": 3, "file_name": "d.png"},
        {"id": 4, "file_name": "d.png"},  # one picture, two ids
        {"id": 5, "file_name": "e.png"},
    ]
    examples, skipped = coco(tmp_path / "raw", instances(*rows, annotations=[
        {"image_id": n, "category_id": 1, "bbox": BBOX} for n in (1, 2, 3, 4, 5)
    ]))  # fmt: skip
    assert [e.meta["source"] for e in examples] == ["photos/c.png", "photos/e.png"]
    assert skipped == {
        "a.json, image 1 (a.png)": "another image has the same id",
        "a.json, image 2 (b.png)": "another image has the same id",
        "a.json, image 4 (c.png)": "listed twice",
        "photos/d.png (image 3)": "its file is listed under several ids",
        "photos/d.png (image 4)": "its file is listed under several ids",
    }


def test_another_ending_is_found_but_never_another_row_s_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.PNG", "c.png", "c.bmp"):
        picture(tmp_path / "raw/photos" / name)
    rows = [{"id": n, "file_name": f} for n, f in enumerate(("a.png", "a.jpg", "b.jpg", "c.tif", "B.gif"))]
    examples, skipped = coco(tmp_path / "raw", instances(*rows))
    assert [e.meta["source"] for e in examples] == ["photos/a.png"]
    assert skipped == {
        "photos/a.jpg (image 1)": "the picture is missing",
        "photos/c.tif": "the picture is missing",  # two may be meant
        "photos/b.jpg (image 2)": "its file is listed under several ids",
        "photos/B.gif (image 4)": "its file is listed under several ids",
    }


@pytest.mark.parametrize(
    "row",
    [
        {"file_name": "my photo.png"},
        {"coco_url": "http://images.cocodataset.org/val2017/my%20photo.png?x=1"},
        {"file_name": None, "flickr_url": "http://farm.staticflickr.com/1/my photo.png"},
        {"file_name": "", "coco_url": "http://[broken", "flickr_url": "my%20photo.png"},
        {"file_name": "sub\\..\\my photo.png"},
        {"file_name": "./my photo.png"},
        {"file_name": "sub/../my photo.png"},
        {"file_name": "my photo.JPG"},
    ],
)
def test_names_of_files(row: dict[str, Any], tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/my photo.png")
    examples, skipped = coco(tmp_path / "raw", instances({"id": 1, **row}))
    assert ([e.image for e in examples], skipped) == (["images/test/my photo.png"], {})


ODD_IMAGES: list[Any] = [
    None, 7, "x", [], {}, {"id": 2}, {"file_name": "b.png"}, {"id": None, "file_name": "b.png"},
    {"id": True, "file_name": "b.png"}, {"id": float("nan"), "file_name": "b.png"}, {"id": [1], "file_name": "b.png"},
    {"id": 2, "file_name": 7}, {"id": 2, "file_name": " "}, {"id": 2, "file_name": "../../etc/passwd"},
    {"id": 2, "file_name": "/etc/passwd"}, {"id": 2, "file_name": "b\0.png"}, {"id": 2, "file_name": "\ud800.png"},
    {"id": 2, "file_name": "l" * 5000}, {"id": 2, "file_name": "a.png/b.png"}, {"id": 2, "file_name": "."},
    {"id": 2, "file_name": ".."}, {"id": 2, "file_name": "missing.png"}, {"id": "", "file_name": "b.png"},
    {"id": 2, "coco_url": "http://x/%2e%2e%2f%2e%2e%2fetc%2fpasswd"}, {"id": 2, "file_name": "broken.png"},
    {"id": float("inf"), "file_name": "b.png"}, {"id": {"a": 1}, "file_name": "b.png"},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_IMAGES, ids=lambda row: repr(row)[:40])
def test_one_odd_image_is_one_skipped_record(odd: Any, tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    picture(tmp_path / "raw/photos/b.png")
    (tmp_path / "raw/photos/broken.png").write_bytes(b"no picture")
    tents = [{"image_id": n, "category_id": 1, "bbox": BBOX} for n in (1, 2)]
    content = instances({"id": 1, "file_name": "a.png"}, annotations=tents)
    content["images"].insert(0, odd)
    examples, skipped = coco(tmp_path / "raw", content)
    assert [e.meta["source"] for e in examples] == ["photos/a.png"]
    assert len([why for why in skipped.values() if why != "an annotation of no known image"]) == 1


ODD_ANNOTATIONS: list[Any] = [
    None, 7, "x", [], {}, {"image_id": 9}, {"category_id": 9}, {"category_id": None}, {"category_id": [1]},
    {"image_id": {"a": 1}}, {"bbox": None}, {"bbox": "box"}, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, 3, 4, 5]},
    {"bbox": [[1], 2, 3, 4]}, {"bbox": [1, 2, float("nan"), 4]}, {"bbox": [1, 2, float("inf"), 4]},
    {"bbox": [1, 2, 10**400, 4]}, {"bbox": [1, 2, -3, 4]}, {"bbox": [1, 2, 0, 4]}, {"bbox": [1, 2, True, 4]},
    {"bbox": ["a", "b", "c", "d"]}, {"bbox": ["1_0", 1, 2, 3]}, {"bbox": {"x": 1}}, {"bbox": [None] * 4},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_ANNOTATIONS, ids=lambda row: repr(row)[:40])
def test_one_odd_annotation_is_one_skipped_record(odd: Any, tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    full = {"id": 5, "image_id": 1, "category_id": 2, "bbox": BBOX}
    row = {**full, **odd} if isinstance(odd, dict) and odd else odd
    tent = {"id": 4, "image_id": 1, "category_id": 1, "bbox": BBOX}
    examples, skipped = coco(
        tmp_path / "raw", instances({"id": 1, "file_name": "a.png"}, annotations=[row, tent])
    )
    assert [e.query for e in examples] == ["tent"]
    assert [what[:20] for what in skipped] == ["a.json, annotation 1"]


def test_numbers_written_as_text_or_with_fractions(tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    row = {"image_id": 1, "category_id": "1", "bbox": ["5", " 5.5", "2e1", 20.25], "iscrowd": "0"}
    (example,), skipped = coco(
        tmp_path / "raw",
        instances({"id": 1, "file_name": "a.png", "width": "60", "height": 40.0}, annotations=[row]),
    )
    assert (example.target["boxes"], skipped) == ([[5, 5.5, 25, 25.75]], {})


@pytest.mark.parametrize("mode", ["single", "largest", "all"])
def test_a_category_of_which_a_box_is_unread_is_not_asked_for(mode: str, tmp_path: Path) -> None:
    """ "The tent" would be a guess, and the list of all tents one short."""
    picture(tmp_path / "raw/photos/a.png")
    rows = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": BBOX},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, None, 3, 4]},
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": BBOX},
    ]
    content = instances({"id": 1, "file_name": "a.png"}, annotations=rows)
    examples, skipped = coco(tmp_path / "raw", content, mode=mode)
    assert [e.query for e in examples] == ["cup"]
    assert skipped == {"a.json, annotation 2 (id 2)": "its box cannot be read"}


CROWD = [30, 10, 25, 25]


@pytest.mark.parametrize("crowd", [1, True, "1", 1.0])
@pytest.mark.parametrize(
    ("mode", "asked"), [("single", ["cup"]), ("largest", ["cup"]), ("all", ["tent", "cup"])]
)
def test_crowds_are_ignored_regions(crowd: Any, mode: str, asked: list[str], tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": BBOX},
        {"image_id": 1, "category_id": 1, "bbox": CROWD, "iscrowd": crowd},
        {"image_id": 1, "category_id": 2, "bbox": BBOX, "iscrowd": 0},
    ]
    content = instances({"id": 1, "file_name": "a.png"}, annotations=rows)
    examples, skipped = coco(tmp_path / "raw", content, mode=mode, size=120)
    assert ([e.query for e in examples], skipped) == (asked, {})
    for example in examples:  # twice as wide, three times as high
        regions = [[60, 30, 110, 105]] if example.query == "tent" else None
        assert example.target.get("ignored") == regions
        assert example.target["boxes"] == [[10, 15, 50, 75]]


def test_a_crowd_alone_is_nothing_to_ask_for(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"raw/photos/{name}.png")
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": CROWD, "iscrowd": 1},
        {"image_id": 2, "category_id": 1, "bbox": BBOX},
    ]
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("abc", start=1)]
    examples, skipped = coco(tmp_path / "raw", instances(*images, annotations=rows), mode="all")
    assert [e.meta["source"] for e in examples] == ["photos/b.png"]
    assert skipped == {"photos/a.png": "nothing but regions to ignore", "photos/c.png": "no object"}


@pytest.mark.parametrize("mode", ["single", "largest", "all"])
@pytest.mark.parametrize("only", [[], ["tent"]])
def test_every_picture_is_kept_or_skipped(mode: str, only: list[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in range(40):
        if n % 10:
            picture(tmp_path / f"raw/photos/{n}.png")
        for _ in range(int(rng.integers(0, 4))):
            rows.append(
                {
                    "image_id": n,
                    "category_id": int(rng.integers(1, 3)),
                    "bbox": BBOX,
                    "iscrowd": int(rng.random() < 0.2),
                }
            )
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(40)]
    examples, skipped = coco(tmp_path / "raw", instances(*images, annotations=rows), mode=mode, only=only)
    kept = {example.meta["source"] for example in examples}
    assert len(kept) > 5
    assert kept | skipped.keys() == {f"photos/{n}.png" for n in range(40)}
    assert not kept & skipped.keys()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    content = instances({"id": 1, "file_name": "a.png"}, categories=[{"id": 1, "name": "théière"}])
    (example,), _ = coco(tmp_path / "raw", json.dumps(content, ensure_ascii=False), encoding)
    assert example.query == "théière"


def test_text_of_files_is_drawn_whatever_it_holds(tmp_path: Path) -> None:
    """Names with line ends and control characters reach the contact sheet; half a surrogate pair is skipped."""
    for n in range(3):
        picture(tmp_path / f"raw/photos/{n}.png")
    content = instances(
        *({"id": n, "file_name": f"{n}.png"} for n in range(3)),
        annotations=[{"image_id": n, "category_id": n, "bbox": BBOX} for n in range(3)],
        categories=[
            {"id": n, "name": name} for n, name in enumerate(("two\nlines", "a\x00\x1b[31mb", "x\ud800"))
        ],
    )
    examples, skipped = coco(tmp_path / "raw", content)
    assert [e.query for e in examples] == ["two lines", "a\x00\x1b[31mb"]
    assert list(skipped.values()) == ["its text or its file's name cannot be written as UTF-8"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "a.json is not JSON"),
        ("{", "a.json is not JSON"),
        (json.dumps(instances({"id": 1, "file_name": "a.png"}))[:-30], "a.json is not JSON"),
        ('{"images": 1\x00}', "a.json is not JSON"),
        ("[" * 100_000, "a.json is nested too deeply"),
        ("[]", "must hold the lists images, annotations, categories"),
        ('{"images": {}, "annotations": [], "categories": []}', "must hold the lists"),
        ('{"images": [], "annotations": [], "categories": []}', "no usable record among 0"),
    ],
)
def test_a_file_that_is_no_coco_json_is_one_error(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why):
        coco(tmp_path / "raw", content)


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "NaN", "9" * 10_000, "-Infinity", "[[[[[[1]]]]]]"])
@pytest.mark.parametrize("place", ['"bbox": [1, 2, 3, {}]', '"image_id": {}', '"area": {}'])
def test_literals_that_are_no_numbers(literal: str, place: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    tent = json.dumps({"image_id": 1, "category_id": 1, "bbox": BBOX})
    odd = '{"image_id": 1, "category_id": 2, "bbox": [5, 5, 9, 9], ' + place.format(literal) + "}"
    content = json.dumps(instances({"id": 1, "file_name": "a.png"}, annotations=[]))
    examples, _ = coco(
        tmp_path / "raw", content.replace('"annotations": []', f'"annotations": [{tent}, {odd}]')
    )
    assert [e.query for e in examples] == (["tent", "cup"] if "area" in place else ["tent"])


def test_a_set_of_nothing_usable_names_the_commonest_reasons(tmp_path: Path) -> None:
    rows = [{"id": n, "file_name": f"{n}.png"} for n in range(30)]
    with pytest.raises(
        UserError,
        match=r"no usable record among 32: 30 × the picture is missing \(such as photos/0.png\); 1 × ",
    ):
        coco(tmp_path / "raw", instances(*rows, {"id": 30}))


def test_a_folder_of_pictures_may_be_a_link_and_a_file_may_not_lead_out(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere/a.png")
    picture(tmp_path / "elsewhere/sub/b.png")
    picture(tmp_path / "secret/c.png")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/photos").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere/c.png").symlink_to(tmp_path / "secret/c.png")
    (tmp_path / "elsewhere/d.jpg").symlink_to(tmp_path / "elsewhere/a.png")  # within: another name of it
    (tmp_path / "elsewhere/e.png").symlink_to(tmp_path / "secret/c.png")  # found as the ending of e.jpg
    (tmp_path / "elsewhere/loop.png").symlink_to(tmp_path / "elsewhere/loop.png")
    files = ("a.png", "sub/b.png", "c.png", "d.jpg", "e.jpg", "loop.png", "../secret/c.png")
    examples, skipped = coco(
        tmp_path / "raw", instances(*({"id": n, "file_name": file} for n, file in enumerate(files)))
    )
    assert [e.meta["source"] for e in examples] == ["photos/a.png", "photos/sub/b.png", "photos/d.jpg"]
    assert skipped == {
        "photos/c.png": "its path leads outside the folder",
        "photos/e.jpg": "its path leads outside the folder",
        "photos/loop.png": "the picture is missing",
        "photos/../secret/c.png": "its path leads outside the folder",
    }


def test_a_pipe_in_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    os.mkfifo(tmp_path / "raw/photos/b.png")
    examples, skipped = coco(
        tmp_path / "raw", instances({"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"})
    )
    assert (len(examples), list(skipped.values())) == (1, ["the picture is missing"])


def test_validation_that_takes_all_of_training_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png")
    parts = {"train": {"annotations": "a.json", "images": "photos"}}
    rows = [{"id": n, "file_name": f"{n}.png"} for n in range(20)]
    with pytest.raises(UserError, match=r"val = 1,000 takes all 20 training pictures .*--set val=2"):
        coco(tmp_path / "raw", instances(*rows), parts=parts, val=1000)


def test_a_missing_folder_of_pictures_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.json").write_text(json.dumps(instances({"id": 1, "file_name": "a.png"})))
    parts = {"test": {"annotations": "a.json", "images": "nowhere"}}
    with pytest.raises(UserError, match=r"nowhere is missing\. Its owners publish it at https"):
        build("coco", tmp_path / "raw", parts=parts)


def test_boxes_too_small_for_the_size_are_no_boxes(tmp_path: Path) -> None:
    picture(tmp_path / "raw/photos/a.png", size=(4000, 3000))
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": [5, 5, 1, 1]},
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 900, 900]},
    ]
    examples, skipped = coco(
        tmp_path / "raw", instances({"id": 1, "file_name": "a.png"}, annotations=rows), size=16
    )
    assert [e.query for e in examples] == ["cup"]
    assert skipped == {"photos/a.png, 'tent'": "a box has no area at this size"}


def test_values() -> None:
    assert [number(v) for v in (3, "3", " -.5 ", "1e3", True, None, "", "1_0", "nan", "1e999", 10**400, [1])] == [
        3.0, 3.0, -0.5, 1000.0, *[None] * 8
    ]  # fmt: skip
    assert [identity(v) for v in (17, 17.0, "17", "017", 1.5, True, None, "", float("nan"), [], 10**400)] == [
        "17", "17", "17", "017", "1.5", *[None] * 6
    ]  # fmt: skip
    assert [yes(v) for v in (1, "1", True, "true", 0, "0", False, None, "", [], {}, "no")] == [True] * 4 + [
        False
    ] * 8
    assert [size(*v) for v in ((4, "3"), (0, 3), (None, 3), (1e9, 3), (2.6, 3))] == [
        (4, 3),
        None,
        None,
        None,
        (3, 3),
    ]
