"""Words listed, parsed, matched and averaged."""

import numpy as np
import pytest
from PIL import Image

from ntil.data.example import Example
from ntil.data.task import Item, aggregate
from ntil.errors import UserError
from tasks.coordinates import FORMATS
from tasks.text_detection import TextDetectionTask, reading_order


def box(x1: float, y1: float, x2: float, y2: float) -> list[tuple[float, float]]:
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def example(*outlines: list[tuple[float, float]], ignored: tuple[int, ...] = (), name: str = "a") -> Example:
    target = {
        "polygons": [[list(point) for point in points] for points in outlines],
        "ignored": [place in ignored for place in range(len(outlines))],
        "width": 100,
        "height": 100,
    }
    return Example("x", "test", target, meta={"set": name})


LEFT, RIGHT, BELOW = box(5, 10, 35, 20), box(50, 13, 90, 23), box(10, 60, 60, 80)
TILTED = [(20.0, 30.0), (60.0, 50.0), (55.0, 60.0), (15.0, 40.0)]


def test_answers_list_words_as_people_read() -> None:
    task = TextDetectionTask()
    assert task.answer(example(BELOW, RIGHT, LEFT)) == (
        "(50,100),(350,200); (500,130),(900,230); (100,600),(600,800)"
    )
    assert task.answer(example(BELOW, RIGHT, ignored=(1,))) == "(100,600),(600,800)"
    assert task.answer(example()) == "none"
    assert task.answer(example(LEFT, ignored=(0,))) == "none"
    assert reading_order([]) == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", ["box", "polygon"])
def test_the_right_answer_scores_full_marks(name: str, shape: str) -> None:
    task, asked = TextDetectionTask(name, shape=shape), example(LEFT, RIGHT, TILTED)
    scores = task.score(task.parse(task.answer(asked)), asked)
    assert scores == {"hits": 3, "found": 3, "targets": 3, "parsed": 1}
    assert task.error(scores) == 0
    empty = example()
    assert task.score(task.parse("none"), empty) == {"hits": 0, "found": 0, "targets": 0, "parsed": 1}


@pytest.mark.parametrize("shape", ["box", "polygon"])
@pytest.mark.parametrize("left", [0, 24, 37])
def test_an_iou_of_exactly_a_half_is_no_match(shape: str, left: int) -> None:
    """75 × 63 pixels inside 150 × 63; one pixel more is above a half."""
    task = TextDetectionTask("pixels", shape=shape)
    asked = example(box(left, 10, left + 150, 73))
    asked.target.update(width=700, height=177)
    for right, hits in ((75, 0), (76, 1)):
        corners = box(left, 10, left + right, 73)
        text = task.coordinates.write(
            [[(int(x), int(y)) for x, y in (corners if shape == "polygon" else corners[::2])]]
        )
        assert task.score(task.parse(text), asked)["hits"] == hits


def test_boxes_are_held_against_bounding_boxes_and_polygons_against_polygons() -> None:
    answer = "(150,300),(600,600)"  # the tilted word's bounding box
    as_box = TextDetectionTask(shape="box")
    assert as_box.score(as_box.parse(answer), example(TILTED))["hits"] == 1
    as_polygon = TextDetectionTask(shape="polygon")
    corners = "(150,300),(600,300),(600,600),(150,600)"
    assert as_polygon.parse(answer) is None
    assert as_polygon.score(as_polygon.parse(corners), example(TILTED))["hits"] == 0


@pytest.mark.parametrize(
    "text", ["", "nothing", "none; (1,1),(2,2)", "(5,5),(4,9)", "(1,1),(2,2) and", "(1,1),(2,2);;(3,3),(4,4)"]
)
def test_what_cannot_be_parsed_is_counted(text: str) -> None:
    task = TextDetectionTask()
    assert task.parse(text) is None
    scores = task.score(None, example(LEFT, RIGHT))
    assert scores == {"hits": 0, "found": 0, "targets": 2, "parsed": 0}
    assert task.error(scores) == 3


def test_metrics_of_a_split_by_hand() -> None:
    task = TextDetectionTask()

    def item(text: str, asked: Example) -> Item:
        parsed = task.parse(text)
        return Item(asked, parsed, task.score(parsed, asked))

    right = "(50,100),(350,200)"
    items = [
        item(f"{right}; (0,0),(10,10)", example(LEFT, RIGHT)),  # 1 of 2 found, 1 of 2 right
        item(right, example(LEFT, BELOW, ignored=(1,))),  # 1 of 1
        item("?", example(LEFT, name="b")),  # 0 of 1
    ]
    result = aggregate(task, items)
    assert result["acc_50"] == result["recall"] == pytest.approx(2 / 4)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["h_mean"] == pytest.approx(4 / 7)
    assert result["acc_50_sets"] == pytest.approx((2 / 3 + 0) / 2)
    assert result["parsed"] == pytest.approx(2 / 3)


def test_the_constant_answer_is_the_median_box() -> None:
    task = TextDetectionTask()
    assert task.constant([example(LEFT, RIGHT), example(BELOW)]) == "(100,130),(600,230)"
    assert task.constant([example(), example(LEFT, ignored=(0,))]) == "none"


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(UserError, match="box or polygon, not 'circle'"):
        TextDetectionTask(shape="circle")


def test_the_drawing_shows_targets_ignored_regions_and_answers() -> None:
    task, plain = TextDetectionTask(), Image.new("RGB", (100, 100), "white")
    drawn = [
        np.asarray(task.draw(plain, task.parse(text), truth))
        for text, truth in (
            ("none", None),
            ("none", example(LEFT)),
            ("none", example(LEFT, ignored=(0,))),
            ("(500,500),(900,900)", example(LEFT)),
        )
    ]
    assert (drawn[0] == 255).all()
    assert len({image.tobytes() for image in drawn}) == 4
