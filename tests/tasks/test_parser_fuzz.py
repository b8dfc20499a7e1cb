"""No text stops a parser or a score: generated texts, and long hostile ones in bounded time."""

import random
import time
from typing import Any

import pytest

from ntil.data.example import Example
from ntil.data.task import Task
from ntil.numbers.text import find_numbers, parse_number
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask
from tasks.coordinates import FORMATS, CoordinateFormat
from tasks.localization import DetectionTask, LocalizationTask
from tasks.mathvista import MathVistaTask
from tasks.shapes import MOST_CORNERS, ShapesFormat
from tasks.text_detection import TextDetectionTask

CHOICES = ["Yes", "No", "3 \\sqrt{2}", "light (blue)", "7"]
BASE: dict[str, Any] = {
    "width": 640,
    "height": 480,
    "boxes": [[10, 10, 90, 90]],
    "hour": 3,
    "minute": 5,
    "answer": "46",
}
WORDS = {"polygons": [[[10, 10], [90, 12], [90, 40], [10, 38]]], "ignored": [False]}
QUESTION = {"question_type": "free_form", "choices": None, "precision": 1, "unit": None}
ASKED: dict[str, tuple[Task, dict[str, Any]]] = {
    "arithmetic": (ArithmeticTask(), BASE),
    "arithmetic, prefix": (ArithmeticTask(prefix="The answer is "), BASE),
    "clock": (ClockTask(), BASE),
    "mathvista, choice": (
        MathVistaTask(),
        QUESTION
        | {"question_type": "multi_choice", "answer_type": "text", "choices": CHOICES, "answer": "No"},
    ),
    **{
        f"mathvista, {kind}": (MathVistaTask(), QUESTION | {"answer_type": kind, "answer": answer})
        for kind, answer in (("integer", "4"), ("float", "4.2"), ("list", "[1, 2]"), ("text", "a"))
    },
    **{
        f"{kind.name}, {name}": (kind(name), BASE | {"ignored": [[0, 0, 50, 50]]})
        for kind in (LocalizationTask, DetectionTask)
        for name in FORMATS
    },
    **{
        f"text_detection, {shape}, {name}": (TextDetectionTask(name, shape=shape), BASE | WORDS)
        for shape in ("box", "polygon")
        for name in FORMATS
    },
}
PIECES = [
    *(
        "0",
        "1",
        "9",
        "12",
        "46",
        "250",
        "1000",
        "1001",
        "99999",
        "0.5",
        "0.10",
        "1.00",
        ".5",
        "1,234",
        "1e5",
        "1e999999",
    ),
    *(
        "-",
        "−",
        "+",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        ",",
        ", ",
        ";",
        "; ",
        ":",
        ".",
        " ",
        "\n",
        "\t",
        "%",
        "/",
    ),
    *(
        "^",
        "_",
        "\\",
        "$",
        "*",
        "**",
        "`",
        "```json",
        "'",
        '"',
        "“",
        "”",
        "°",
        "√",
        "×",
        "²",
        "٣",
        "\x00",
        "🙂",
        "\ud800",
    ),
    *(
        "x",
        "B",
        "(B)",
        "b)",
        "none",
        "None.",
        "Yes",
        "no",
        "The answer is ",
        "Answer: ",
        "option ",
        "light (blue)",
    ),
    *(
        "3:25",
        "15:05",
        "12:60",
        " pm",
        "quarter past ",
        "three",
        "half",
        " to ",
        "o'clock",
        '"hour": 3',
        '"minute": 5',
    ),
    *(
        "(1,2),(3,4)",
        "(412,388)",
        "[0.41, 0.39, 0.59, 0.61]",
        "<loc0512>",
        "<|box_start|>",
        "<|box_end|>",
        "<loc",
        "</s>",
    ),
    *(
        '{"bbox_2d": [1, 2, 3, 4]}',
        '"x1": 5',
        "y_max=7",
        "left: 3",
        "\\frac{1}{2}",
        "\\sqrt{2}",
        "\\boxed{",
        "10^",
        "1/0",
    ),
]


def answer_all(task: Task, target: dict[str, Any], text: str) -> None:
    asked = Example("x", "test", target)
    strict = task.read(text, asked)
    lenient = task.read(text, asked, "lenient")
    assert strict is None or lenient == strict
    for parsed in (strict, lenient):
        task.error(task.score(parsed, asked))
        str(parsed)


def texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(PIECES, k=draw.randint(0, 14))) for _ in range(count)]


@pytest.mark.parametrize("name", ASKED)
def test_a_few_generated_texts(name: str) -> None:
    for text in texts(200, 0):
        answer_all(*ASKED[name], text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_ten_thousand_generated_texts(name: str) -> None:
    for text in texts(10_000, 1):
        answer_all(*ASKED[name], text)


def hostile(length: int) -> list[str]:
    """Repetitions and openings without an end, of so many characters, and numbers beyond any machine's."""
    return [
        *(piece * (length // len(piece)) for piece in PIECES),
        *(
            f"{opening} " * (length // (len(opening) + 1))
            for opening in ("(1", "[1,", "<loc0001>", '"x":', "answer is “", "is", "A.")
        ),
        *(
            before + filling * length + after
            for before in ("", "(1,2)", "answer is", "B")
            for filling in " \n91.("
            for after in ("", "x")
        ),
        "9" * 5000,
        "-" + "9" * 5000 + "." + "9" * 5000,
        "1e" + "9" * 5000,
        "1E-999999999",
        "3 × 10^999999999",
        "999999^999999",
        "9" * 200 + "/" + "9" * 200,
        "1,234" * 5000,
        "(" + ",".join(["1"] * 20_000) + ")",
        "; ".join(["(1,2),(3,4)"] * 300),
        "(1,2)," * 5000 + "(3,4)",
        "[" * 20_000 + "]" * 20_000,
        "Yes. " * 10_000 + "No or Yes",
        "The answer is " * 7000 + "B",
        '{"hour": 3' + "," * length,
    ]


PLAIN = [name for name in ASKED if "loc" not in name.split(", ")[-1] and "qwen" not in name]


@pytest.mark.parametrize("name", PLAIN)
def test_long_texts_take_bounded_time(name: str) -> None:
    for text in hostile(5000):
        take_bounded_time(name, text)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_very_long_texts_take_bounded_time(name: str) -> None:
    for text in hostile(100_000):
        take_bounded_time(name, text)


def test_an_outline_of_endless_corners_is_no_polygon() -> None:
    form = ShapesFormat(CoordinateFormat.of("integers_1000"), "polygon")
    outline = [(index % 2 * 900, index // 2) for index in range(MOST_CORNERS)]
    assert form.takes([list(corner) for corner in outline])
    assert not form.takes([list(corner) for corner in [*outline, (5, 999)]])
    assert not form.takes([[1, 2], [3, 4]] * 20_000)


def take_bounded_time(name: str, text: str) -> None:
    start = time.process_time()
    answer_all(*ASKED[name], text)
    assert time.process_time() - start < 5, text[:40]


def test_numbers_of_any_length() -> None:
    """`int` alone takes 4,300 digits of a text. So long an answer is none; in a text it is a number like any other."""
    digits = "1234567890" * 1000
    assert parse_number(digits) is None
    assert parse_number(digits[:4000]) == int(digits[:4000])
    (found,) = find_numbers(digits)
    assert found.value % 10**12 == 901234567890
    assert found.value // 10**9990 == 1234567890
    (found,) = find_numbers(f"0.{digits}")
    assert found.value * 10**10_000 // 10**9990 == 1234567890
