"""What a task writes it reads: generated records of every task and coordinate format, and how their true answers score.

    python tests/round_trips.py              the table: cases tried, unread answers, smallest scores
    python tests/round_trips.py --cases 500

A format's resolution bounds what a true answer can score, so boxes and polygons that are large enough for it (`resolved`) must
score 1 at an IoU of 0.5, and all others must at least be read.
"""

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from ntil.data.example import Example
from ntil.data.task import Task
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask
from tasks.coordinates import FORMATS, CoordinateFormat
from tasks.forecast import ENCODINGS, ForecastTask
from tasks.localization import DetectionTask, LocalizationTask
from tasks.mathvista import MathVistaTask
from tasks.receipt import ReceiptTask
from tasks.regression import RegressionTask
from tasks.text_detection import TextDetectionTask

RECEIPTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "sroie"
SIDES = (
    1,
    2,
    3,
    7,
    64,
    224,
    640,
    999,
    1000,
    1001,
    4096,
    9999,
    10_000,
    33_333,
    99_999,
    100_000,
    123_456,
    5_000_000,
)
MINIMUM = 4  # steps of a side from which on a box keeps an IoU above 0.5, whatever the rounding


class Case(NamedTuple):
    """A record, and whether its true answer must score 1."""

    target: dict[str, Any]
    resolved: bool = True
    query: str | None = None


class Outcome(NamedTuple):
    """Of the cases of one task: how many there were, were unread, were resolved; the smallest score of these and of all."""

    cases: int
    unread: int
    resolved: int
    smallest: float
    smallest_of_all: float


def sizes(draw: random.Random) -> tuple[int, int]:
    """Tiny, huge and of extreme aspect, too."""
    return draw.choice(SIDES), draw.choice(SIDES)


def a_box(draw: random.Random, size: tuple[int, int]) -> list[float]:
    """Thin, tiny, at an edge, out of the frame, all of it, without an extent, or just some box; with two decimals."""
    wide, high = size
    kind = draw.randrange(9)
    x, y = draw.uniform(0, wide), draw.uniform(0, high)
    across, down = draw.uniform(0, wide - x), draw.uniform(0, high - y)
    if kind == 0:
        across = draw.choice([0.01, 0.3, 1])
    elif kind == 1:
        down = draw.choice([0.01, 0.3, 1])
    elif kind == 2:
        across, down = draw.uniform(0, 1), draw.uniform(0, 1)
    elif kind == 3:
        x, across = draw.choice([(0.0, across), (wide - across, across)])
    elif kind == 4:
        y, down = draw.choice([(0.0, down), (high - down, down)])
    elif kind == 5:
        x, y = x - wide * draw.choice([0, 1, 2]), y + high * draw.choice([0, 1, 2])
    elif kind == 6:
        x, y, across, down = 0, 0, wide, high
    elif kind == 7:
        across = down = 0
    return [round(value, 2) for value in (x, y, x + across, y + down)]


def in_steps(
    form: CoordinateFormat, points: list[list[float]], size: tuple[int, int]
) -> list[tuple[float, float]]:
    """Points in steps that are not rounded."""
    wide, high = (max(size), max(size)) if form.square else size
    return [(x * (form.steps or wide) / wide, y * (form.steps or high) / high) for x, y in points]


def is_resolved(form: CoordinateFormat, box: list[float], size: tuple[int, int]) -> bool:
    inside = 0 <= box[0] <= box[2] <= size[0] and 0 <= box[1] <= box[3] <= size[1]
    (x1, y1), (x2, y2) = in_steps(form, [box[:2], box[2:]], size)
    return inside and x2 - x1 >= MINIMUM and y2 - y1 >= MINIMUM


def localization(name: str) -> Callable[[random.Random], Case]:
    def make(draw: random.Random) -> Case:
        size = sizes(draw)
        box = a_box(draw, size)
        target = {"boxes": [box], "width": size[0], "height": size[1]}
        return Case(target, is_resolved(FORMATS[name], box, size))

    return make


def detection(name: str) -> Callable[[random.Random], Case]:
    """No box, boxes of all kinds, or boxes apart from each other in a grid."""

    def make(draw: random.Random) -> Case:
        size = sizes(draw)
        if draw.random() < 0.5:
            found = [a_box(draw, size) for _ in range(draw.choice([0, 1, 1, 2, 5]))]
        else:
            columns, rows = draw.randint(1, 4), draw.randint(1, 4)
            wide, high = size[0] / columns, size[1] / rows
            found = [
                [
                    round(wide * (c + 0.1), 2),
                    round(high * (r + 0.1), 2),
                    round(wide * (c + 0.9), 2),
                    round(high * (r + 0.9), 2),
                ]
                for c in range(columns)
                for r in range(rows)
            ]
        apart = len(found) < 2 or all(
            a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            for a in found
            for b in found
            if a is not b
        )
        resolved = apart and all(is_resolved(FORMATS[name], box, size) for box in found)
        return Case({"boxes": found, "width": size[0], "height": size[1]}, resolved)

    return make


def an_outline(draw: random.Random, size: tuple[int, int]) -> list[list[float]]:
    """A box's corners, a tilted strip, a bent word of many corners, points that fall together, or a line."""
    x1, y1, x2, y2 = a_box(draw, size)
    kind = draw.randrange(6)
    if kind < 2:
        return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    angle, long, thin = draw.uniform(0, math.pi), max(x2 - x1, y2 - y1), min(x2 - x1, y2 - y1)
    if kind == 4:
        thin = 0
    across, down = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    count = draw.choice([2, 2, 3, 6, 12]) if kind < 5 else 30

    def at(along: float, out: float) -> list[float]:
        bend = 0.1 * long * math.sin(math.pi * along)
        return [
            round(x1 + long * along * across[i] + (thin * out + bend) * down[i], 2)
            for i, x1 in enumerate((x1, y1))
        ]

    upper = [at(k / (count - 1), 0) for k in range(count)]
    lower = [at(k / (count - 1), 1) for k in range(count)]
    return upper + lower[::-1]


def text_detection(name: str, shape: str) -> Callable[[random.Random], Case]:
    def make(draw: random.Random) -> Case:
        size, form = sizes(draw), FORMATS[name]
        outlines = [an_outline(draw, size) for _ in range(draw.choice([0, 1, 1, 1, 3]))]
        target = {
            "polygons": outlines,
            "ignored": [False] * len(outlines),
            "width": size[0],
            "height": size[1],
        }
        if len(outlines) != 1:
            return Case(target, not outlines)
        (points,) = outlines
        xs, ys = zip(*points, strict=True)
        box = [min(xs), min(ys), max(xs), max(ys)]
        if shape == "box":
            return Case(target, is_resolved(form, box, size))
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]
        return Case(target, inside and _is_wide(in_steps(form, points, size)))

    return make


def _is_wide(points: list[tuple[float, float]]) -> bool:
    """Whether an outline in steps keeps an IoU above 0.5 when each corner moves by up to half a step in x and y."""
    around = list(zip(points, points[1:] + points[:1], strict=True))
    area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in around)) / 2
    lost = math.sqrt(0.5) * sum(math.dist(a, b) for a, b in around) + len(points)
    return area - lost > 0.5 * (area + lost)


def arithmetic(draw: random.Random) -> Case:
    whole = draw.choice([0, draw.randint(0, 9), draw.randint(0, 10**6), draw.randint(0, 10**40)])
    text = draw.choice(["", "-", "−", "+"]) + draw.choice([str(whole), f"{whole:,}"])
    text += draw.choice(["", "", ".5", ".000", "." + str(draw.randint(0, 10**9)), "e5", "E-12"])
    return Case({"answer": draw.choice([text, f" {text} "])}, query="1+1=")


def clock(draw: random.Random) -> Case:
    return Case(
        {
            "hour": draw.choice([0, 12, 23, 24, draw.randint(1, 12)]),
            "minute": draw.choice([0, 59, draw.randint(0, 59)]),
        }
    )


def quantity(draw: random.Random) -> Case:
    """Numbers from 0 to 99,999 with up to two decimals."""
    number = draw.choice([0, draw.randint(0, 9), draw.randint(0, 99_999), round(draw.uniform(0, 99_000), 2)])
    return Case({"value": f"{number}", "low": "0", "high": "99999"}, query="carat 0.23, cut Ideal")


def series(draw: random.Random) -> Case:
    """Six values behind twelve, of any level, some without any change."""
    level, step = draw.choice([0, 5, 4000]), draw.choice([0, 1, 400])
    values = [str(level + draw.randint(0, step)) for _ in range(18)]
    target = {"values": values[12:], "low": values[0], "high": values[1], "naive_error": 1.5}
    return Case(target, query=",".join(values[:12]))


SIGNS = "abc XYZ ABC 019 .,;:!?'\"“”()[]{}<>$%°√\\/^_-+=*#|\n’×"


def mathvista(draw: random.Random) -> Case:
    """Every type of answer, with texts that look like answers."""

    def words(most: int = 12) -> str:
        return "".join(draw.choice(SIGNS) for _ in range(draw.randint(1, most)))

    kind = draw.choice(["choice", "integer", "float", "text", "list"])
    target: dict[str, Any] = {
        "question_type": "free_form",
        "answer_type": kind,
        "choices": None,
        "unit": None,
        "precision": None,
    }
    if kind == "choice":
        choices = [
            draw.choice([words(), "Yes", "(A)", "B", 'the answer is "C"', "3.5"])
            for _ in range(draw.choice([1, 2, 4, 26, 60]))
        ]
        types = draw.choice(["text", "integer", "float"])
        return Case(
            target
            | {
                "question_type": "multi_choice",
                "answer_type": types,
                "choices": choices,
                "answer": draw.choice(choices),
            }
        )
    if kind == "integer":
        return Case(
            target
            | {"answer": draw.choice([str, int])(draw.choice([0, -1, draw.randint(-(10**6), 10**6), 10**40]))}
        )
    if kind == "float":
        places = draw.choice([1, 2, 3])
        number = format(draw.uniform(-1000, 1000), f".{places}f")
        answer = draw.choice([number, str(float(number)), float(number), 1e-7, "2.50"])
        return Case(target | {"answer": answer, "precision": draw.choice([None, places, float(places)])})
    if kind == "list":
        values = [
            draw.choice([draw.randint(-9, 99), draw.uniform(0, 1), words(), [1, [2]]])
            for _ in range(draw.randint(0, 5))
        ]
        return Case(target | {"answer": draw.choice([values, str(values)])})
    return Case(
        target
        | {
            "answer": draw.choice([words(40), 'He said: the answer is "No".', "[1, 2", "a 'b' c"]).strip()
            or "x"
        }
    )


def makers() -> Iterator[tuple[str, Task, Callable[[random.Random], Case]]]:
    """(name for the table, task, how to make a case)."""
    yield "arithmetic", ArithmeticTask(), arithmetic
    for prefix in ("The answer is ", "Result: ", "= ", "No. ", "x=-", "3.", "Answer:\n"):
        yield f"arithmetic, prefix {prefix!r}", ArithmeticTask(prefix=prefix), arithmetic
    yield "clock", ClockTask(), clock
    yield "mathvista", MathVistaTask(), mathvista
    for encoding in ("padded", "decimal", "scientific"):
        yield f"regression, {encoding}", RegressionTask(encoding=encoding, digits=7, places=2), quantity
    yield "receipt", ReceiptTask(), quantity
    for encoding in ENCODINGS:
        yield f"forecast, {encoding}", ForecastTask(encoding=encoding), series
    for name in FORMATS:
        yield f"localization, {name}", LocalizationTask(name), localization(name)
    for name in FORMATS:
        yield f"detection, {name}", DetectionTask(name), detection(name)
    for shape in ("box", "polygon"):
        for name in FORMATS:
            yield (
                f"text_detection, {shape}, {name}",
                TextDetectionTask(name, shape=shape),
                text_detection(name, shape),
            )


def score_of(task: Task, scores: dict[str, Any]) -> float:
    """1 where everything is right (at an IoU of 0.5)."""
    if "targets" in scores:
        return (
            1.0
            if scores["hits"] == scores["targets"] == scores["found"]
            else scores["hits"] / max(1, scores["targets"])
        )
    names = {"arithmetic": ("correct", "exact", "digits"), "clock": ("exact",), "mathvista": ("accuracy",)}
    names |= dict.fromkeys(("regression", "receipt", "forecast"), ("exact",))
    return min(scores[name] for name in names.get(task.name, ("acc_50",)) if scores[name] is not None)


def outcome(task: Task, make: Callable[[random.Random], Case], cases: int, seed: int = 0) -> Outcome:
    draw = random.Random(seed)
    unread, resolved, smallest, smallest_of_all = 0, 0, 1.0, 1.0
    for number in range(cases):
        case = make(draw)
        example = Example(f"case-{number}", "test", case.target, query=case.query)
        parsed = task.parse(task.answer(example))
        score = score_of(task, task.score(parsed, example))
        unread += parsed is None
        resolved += case.resolved
        smallest_of_all = min(smallest_of_all, score)
        smallest = min(smallest, score) if case.resolved else smallest
    return Outcome(cases, unread, resolved, smallest, smallest_of_all)


def receipts(every: int = 1) -> Iterator[Example]:
    """The real receipts of ../shared/data/sroie, or each so many-th of them."""
    for file in sorted(RECEIPTS.glob("*/*.txt"))[::every]:
        rows = [line.split(",")[:8] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        outlines = [[[int(x), int(y)] for x, y in zip(row[::2], row[1::2], strict=True)] for row in rows]
        with Image.open(file.with_suffix(".jpg")) as picture:
            wide, high = picture.size
        target = {"polygons": outlines, "ignored": [False] * len(outlines), "width": wide, "height": high}
        yield Example(file.stem, "test", target)


def print_receipts() -> None:
    examples = list(receipts())
    print("\n| receipts | unread | score 0 | hits of all lines |\n|---|---|---|---|")
    for shape in ("box", "polygon"):
        for name in FORMATS:
            task, unread, empty, hits, targets = TextDetectionTask(name, shape=shape), 0, 0, 0.0, 0.0
            for example in examples:
                parsed = task.parse(task.answer(example))
                scores = task.score(parsed, example)
                unread += parsed is None
                empty += not scores["hits"]
                hits, targets = hits + (scores["hits"] or 0), targets + (scores["targets"] or 0)
            print(f"| {len(examples)}, {shape}, {name} | {unread} | {empty} | {hits / targets:.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2000, help="of each row (default: 2000)")
    cases = parser.parse_args().cases
    print(
        "| task, format | cases | unread | resolved | smallest score of these | of all |\n|---|---|---|---|---|---|"
    )
    for name, task, make in makers():
        row = outcome(task, make, cases)
        print(
            f"| {name} | {row.cases} | {row.unread} | {row.resolved} | {row.smallest:g} | {row.smallest_of_all:g} |"
        )
    if RECEIPTS.exists():
        print_receipts()


if __name__ == "__main__":
    main()
