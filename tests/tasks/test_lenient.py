"""What `evaluation.reading=lenient` reads beyond the strict parsers, and that it never changes what these read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.data.example import Example
from ntil.data.task import Task
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask
from tasks.coordinates import FORMATS
from tasks.localization import DetectionTask, LocalizationTask
from tasks.mathvista import MathVistaTask
from tasks.text_detection import TextDetectionTask

BOX = [50.0, 50.0, 150.0, 100.0]
SIZE = (200, 250)


def pictured(*boxes: list[float]) -> Example:
    return Example("x", "test", {"boxes": list(boxes), "width": SIZE[0], "height": SIZE[1]})


def overlap(task: LocalizationTask, text: str) -> float:
    asked = pictured(BOX)
    return task.score(task.parse_lenient(text, asked), asked)["iou"] or 0.0


SHARES = ["0.25, 0.2, 0.75, 0.4", ".25, .20, .75, .40", "0.250, 0.200, 0.750, 0.400", "25%, 20%, 75%, 40%"]
SQUARE_SHARES = ["0.3, 0.2, 0.7, 0.4", ".3, .20, .7, .40", "0.3000, 0.2, 0.700, 0.4", "30%, 20%, 70%, 40 %"]
WAYS = [
    "[{}]",
    "({})",
    "{}",
    "**[{}]**",
    "The box is [{}].",
    "```json\n[{}]\n```",
    '{{"bbox_2d": [{}], "label": "cup"}}',
    '[{{"bbox_2d": [{}], "label": "cup"}}]',
    'Sure!\n```json\n[\n  {{"bbox": [{}], "label": "a cup, no. 7"}}\n]\n```\nIs there more?',
    "The cup is at [{0}]. So the answer is [{0}].",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FORMATS)
def test_shares_of_the_frame(name: str, way: str) -> None:
    task = LocalizationTask(name)
    for numbers in SQUARE_SHARES if FORMATS[name].square else SHARES:
        assert overlap(task, way.format(numbers)) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("integers_1000", "250, 200, 750, 400"),
        ("integers_1000", "250.0, 200.0, 750.0, 400.0"),
        ("integers_1000", "750, 400, 250, 200"),  # the other corner first
        ("integers_1000", "250, 400, 750, 200"),
        ("qwen_box", "250,200,750,400"),
        ("pixels", "50, 50, 150, 100"),
        ("pixels", "50.0, 50.0, 150.0, 100.0"),
        ("decimals_2", "50, 50, 150, 100"),  # above its range: pixels
        ("loc_1024", "255.75, 204.6, 767.25, 409.2"),
    ],
)
def test_numbers_in_the_formats_own_frame_and_pixels(name: str, numbers: str, way: str) -> None:
    assert overlap(LocalizationTask(name), way.format(numbers)) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        "(50, 50), (150, 100)",
        "( 50 ,50 ) ( 150,100 )",
        "[[50, 50], [150, 100]]",
        '{"x1": 50, "y1": 50, "x2": 150, "y2": 100}',
        "{'xmin': 50, 'ymin': 50, 'xmax': 150, 'ymax': 100}",
        "x_min=50, x_max=150, y_min=50, y_max=100",
        "left: 50, top: 50, right: 150, bottom: 100",
        '[{"x": 50, "y": 50}, {"x": 150, "y": 100}]',
        "<box>(50,50),(150,100)</box>",
        "a cup <|box_start|>(50,50),(150,100)<|box_end|>.",
    ],
)
def test_other_ways_to_write_corners(text: str) -> None:
    assert overlap(LocalizationTask("pixels"), text) == 1


def test_marks_with_text_around_are_bins_of_the_picture_in_every_format() -> None:
    for name in FORMATS:
        assert overlap(LocalizationTask(name), "cup <loc0205><loc0256><loc0409><loc0767> ; ") > 0.99


def test_the_frame_is_told_from_the_numbers_alone() -> None:
    """1000 is the last step of its format, above it there are pixels; the truth would fit the other one."""
    task = LocalizationTask("integers_1000")
    wide = Example("x", "test", {"boxes": [BOX], "width": 2000, "height": 2000})
    assert task.parse_lenient("[50, 50, 150, 1000]", wide) == [(50, 50), (150, 1000)]
    assert task.parse_lenient("[50, 50, 150, 1001]", wide) == [(25, 25), (75, 500.5)]
    assert task.parse_lenient("[0, 0, 1, 1]", wide) == [(0, 0), (1, 1)]
    assert task.parse_lenient("[0, 0, 1.0, 1]", wide) == [(0, 0), (1000, 1000)]
    assert task.parse_lenient("[-20, 0, 500, 5000]", wide) == [(0, 0), (250, 1000)]  # cut at the frame


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "none",
            "a cup",
            "[50, 50, 150]",
            "[50, 50, 150, 100, 7]",
            "50 50 150 100",
            "[5, 5, 5, 9]",
            "[a, b, c, d]",
        ),
        *(
            "[50, 50, 150, 100] or [0, 0, 20, 20]",
            "[10%, 20, 30, 40]",
            "x1=5, x1=6, y1=7, y2=8",
            "[1e99, 2, 3, 4",
        ),
        *("[3000, 3000, 4000, 4000]", "(1,2),(3,4),(5,6)"),
    ],
)
def test_what_is_no_box_stays_unread(text: str) -> None:
    assert LocalizationTask("pixels").parse_lenient(text, pictured(BOX)) is None


def test_lists_of_boxes() -> None:
    task, asked = DetectionTask("pixels"), pictured(BOX, [0, 0, 20, 20])
    entries = '[{"bbox_2d": [50, 50, 150, 100], "label": "cup"}, {"bbox_2d": [0, 0, 20, 20], "label": "cup"}]'
    for text in (
        entries,
        f"```json\n{entries}\n```",
        "- [50, 50, 150, 100]\n- [0, 0, 20, 20]",
        "(50,50),(150,100); [0,0,20,20]",
    ):
        assert task.score(task.parse_lenient(text, asked), asked)["hits"] == 2
    for text in ("None.", "[]", "```json\n[]\n```", "**none**", "null"):
        assert task.parse_lenient(text, asked) == []
    assert task.parse_lenient("no cups at all", asked) is None


def test_text_as_boxes_and_polygons() -> None:
    target = {
        "polygons": [[[50, 50], [150, 60], [150, 100], [50, 90]]],
        "ignored": [False],
        "width": 200,
        "height": 250,
    }
    asked = Example("x", "test", target)
    for shape in ("box", "polygon"):
        task = TextDetectionTask("pixels", shape=shape)
        for text in (
            "[50, 50, 150, 60, 150, 100, 50, 90]",
            '{"points": [[50, 50], [150, 60], [150, 100], [50, 90]], "text": "a"}',
            "[0.25, 0.2, 0.75, 0.24, 0.75, 0.4, 0.25, 0.36]",
            '[{"bbox_2d": [50, 50, 150, 100], "text_content": "3 (4)"}]',
        ):
            assert task.score(task.parse_lenient(text, asked), asked)["hits"] == 1
        assert task.parse_lenient("none.", asked) == []
        assert task.parse_lenient("[50, 50, 50, 50]", asked) is None


@pytest.mark.parametrize(
    ("text", "time"),
    [
        *(
            ("12:00 AM", (12, 0)),
            ("3:05 pm", (3, 5)),
            ("15:05", (3, 5)),
            ("00:30", (12, 30)),
            ("24:00", (12, 0)),
        ),
        *(
            ("3:25:40", (3, 25)),
            ("It is **3:25**.", (3, 25)),
            ("15:05, or 3:05 pm", (3, 5)),
            ("0:07", (12, 7)),
        ),
        *(('{"hour": 3, "minute": 5}', (3, 5)), ("```json\n{'hours': 15, 'minutes': 5}\n```", (3, 5))),
        *(("quarter past three", (3, 15)), ("A quarter to 4.", (3, 45)), ("ten past twelve", (12, 10))),
        *(
            ("twenty-five to one", (12, 35)),
            ("half past 3", (3, 30)),
            ("It's 5 o'clock.", (5, 0)),
            ("nine o’clock", (9, 0)),
        ),
    ],
)
def test_times(text: str, time: tuple[int, int]) -> None:
    assert ClockTask().parse_lenient(text, Example("x", "test", {})) == time


@pytest.mark.parametrize(
    "text", ["", "3:25 or 4:10", "25:00", "3:75", "half past", "3.25", "325", "past three", "11:30:75:00"]
)
def test_what_is_no_time_stays_unread(text: str) -> None:
    assert ClockTask().parse_lenient(text, Example("x", "test", {})) is None


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        *(
            ("46 apples", 1),
            ("12+34=46", 1),
            ("The answer is **46**.", 1),
            ('{"answer": 46}', 1),
            ("```\n46\n```", 1),
        ),
        *(("46.", 1), ("$46$", 1), ("\\boxed{46}", 1), ("92/2", 1), ("46.0 cm", 1), ("47 apples", 0)),
    ],
)
def test_numbers(text: str, correct: int) -> None:
    task, asked = ArithmeticTask(), Example("x", "test", {"answer": "46"}, query="12+34=")
    assert task.parse(text) is None
    assert task.score(task.parse_lenient(text, asked), asked)["correct"] == correct
    assert task.parse_lenient("forty-six", asked) is None


TASKS: list[Task] = [
    ArithmeticTask(),
    ClockTask(),
    MathVistaTask(),
    *(kind(name) for kind in (LocalizationTask, DetectionTask) for name in FORMATS),
    *(TextDetectionTask(name, shape=shape) for name in FORMATS for shape in ("box", "polygon")),
]
TARGET: dict[str, Any] = {
    **{"boxes": [BOX], "polygons": [], "ignored": [], "width": 200, "height": 250, "hour": 3, "minute": 5},
    **{
        "question_type": "free_form",
        "answer_type": "integer",
        "choices": None,
        "precision": None,
        "answer": "46",
    },
}
ANSWERS = [
    *(
        "46",
        "-1,234.5e3",
        "3:25",
        "none",
        "(B)",
        "(1,2),(3,4)",
        "(1,2),(3,4); (5,6),(7,8)",
        "[0.10, 0.20, 0.30, 0.40]",
    ),
    *(
        "<loc0001><loc0002><loc0003><loc0004>",
        "<|box_start|>(1,2),(3,4)<|box_end|>",
        "(1,2),(9,2),(9,9)",
        "12:61",
        "",
    ),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.name}")
@given(st.sampled_from(ANSWERS), st.sampled_from(["", " ", "\n", ".", "x", "```"]))
def test_what_the_strict_parser_reads_stays(task: Task, text: str, more: str) -> None:
    asked, text = Example("x", "test", TARGET), text + more
    strict = task.parse(text)
    assert task.read(text, asked) == strict
    assert strict is None or task.read(text, asked, "lenient") == strict
