"""Clock reading: what time does an analog clock show?

    prompt  What time is it?        (a config value: families have prompts of their own)
    answer  3:25                    hour 1–12, minute with two digits

An answer is parsed when its text holds exactly one time H:MM with H in 1–12 and MM in 00–59; anything else counts as
wrong and gets no invented time. The published time gap's definition is unknown, so the plain and the circular one are
both reported, over the parsed answers and as a worst case that counts an unparsed answer as 720 or 360 minutes. "±1 min"
goes around the dial and past full hours: 4:00 for 3:59 is right by it.

`evaluation.reading=lenient` also reads hours of 0 to 24 (`15:25`, `00:05`), seconds (`3:25:10`), JSON (`"hour": 3, "minute":
25`) and words (`quarter past three`, `ten to 4`, `3 o'clock`), as long as all that a text names are one time on the dial.
"""

import re
from collections.abc import Mapping, Sequence
from math import cos, pi, sin
from typing import Any, ClassVar, NamedTuple

from PIL import Image, ImageDraw

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Metric, Task
from ntil.errors import UserError
from ntil.metrics.centre import Kind, least_risk
from ntil.metrics.clock import DIAL, circular_gap, dial_minutes, plain_gap
from tasks.drawing import ANSWER, TRUTH, enlarged

_WORDS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
}
_WORDS |= {"ten": 10, "eleven": 11, "twelve": 12, "quarter": 15, "twenty": 20, "twenty-five": 25, "half": 30}
_WORDS |= {"noon": 12, "midnight": 12}
_COUNT = r"\d{1,2}|" + "|".join(sorted(_WORDS, key=len, reverse=True))
_OTHER_TIMES = re.compile(
    rf"""(?<![\w:.]) (?:
        (?P<hour>\d{{1,2}}) : (?P<minute>\d{{2}}) (?: : \d{{2}} )? (?![\d:])
      | (?:a\s)? (?P<apart>{_COUNT}) (?:\sminutes?)? \s (?P<side>past|after|to|before) \s (?P<near>{_COUNT}) \b
      | (?P<full>{_COUNT}) \s? o['’]?clock \b
    ) | ["']?hours?["']? \s? [:=] \s? (?P<named>\d{{1,2}}) \W{{1,9}} minutes?["']? \s? [:=] \s? (?P<minutes>\d{{1,2}}) \b""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_TIME = re.compile(r"(?<![\d:.])(\d{1,2}):(\d{2})(?![\d:])", re.ASCII)


class Reading(NamedTuple):
    """A time on a twelve-hour dial."""

    hour: int  # 1–12
    minute: int  # 0–59

    def __str__(self) -> str:
        return f"{self.hour}:{self.minute:02d}"


class TimeFormat(AnswerFormat[Reading]):
    """`3:25`, read out of any text that holds exactly one time H:MM."""

    @property
    def pattern(self) -> str:
        return r"(?:[1-9]|1[0-2]):[0-5][0-9]"

    def write(self, value: Reading) -> str:
        return str(value)

    def read(self, text: str) -> Reading | None:
        found = {Reading(int(hour), int(minute)) for hour, minute in _TIME.findall(text)}
        if len(found) != 1:
            return None
        reading = found.pop()
        return reading if 1 <= reading.hour <= 12 and reading.minute < 60 else None


class ClockTask(Task):
    """See the module's docstring. question: the prompt's text."""

    name: ClassVar[str] = "clock"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "exact"
    groups: ClassVar[Sequence[str]] = ("shape", "numerals", "list")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "exact": Metric("exact", "higher", "share"),
        "within_1": Metric("±1 min", "higher", "share"),
        "hour": Metric("hour", "higher", "share"),
        "minute": Metric("minute", "higher", "share"),
        "gap_circular": Metric("gap, circular", "lower", "minutes", 2),
        "gap_plain": Metric("gap, plain", "lower", "minutes", 2),
        "gap_circular_worst": Metric("gap, circular, unparsed = 360", "lower", "minutes", 2),
        "gap_plain_worst": Metric("gap, plain, unparsed = 720", "lower", "minutes", 2),
        "parsed": Metric("parsed", "higher", "share"),
    }
    magnitude: ClassVar[Magnitude] = Magnitude(
        "minutes off, around the dial",
        (0, 1, 2, 3, 5, 10, 30, 60),
        "no time",
        lambda scores: scores["gap_circular"],
    )
    number_names: ClassVar[Sequence[str]] = ("hour", "minute")
    format = TimeFormat()

    def __init__(self, question: str = "What time is it?", max_new_tokens: int = 8) -> None:
        self.question = question
        self.max_new_tokens = max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question

    def truth(self, example: Example) -> Reading:
        time = _on_the_dial(int(example.target["hour"]), int(example.target["minute"]))
        if time is None:
            raise UserError(f"record {example.id}: {example.target} is no time.")
        return time

    def parse_otherwise(self, text: str, example: Example) -> Reading | None:
        found = {_other_time(one) for one in _OTHER_TIMES.finditer(text)}
        return found.pop() if len(found) == 1 else None

    def centre(self, parsed: Sequence[Reading], weights: Sequence[float], kind: Kind) -> Reading:
        """Around the dial: the answered time of least expected gap, or the time of least expected squared gap."""

        def gap(time: Reading, other: Reading) -> float:
            return circular_gap(*time, *other)

        def squared(time: Reading, other: Reading) -> float:
            return gap(time, other) ** 2

        if kind == "median":
            return least_risk(sorted(parsed, key=lambda time: dial_minutes(*time)), parsed, weights, gap)
        every = [Reading(minutes // 60 or 12, minutes % 60) for minutes in range(DIAL)]
        return least_risk(every, parsed, weights, squared)

    def score(self, parsed: Reading | None, example: Example) -> dict[str, float | None]:
        if parsed is None:
            wrong = dict.fromkeys(("exact", "within_1", "hour", "minute", "parsed"), 0.0)
            worst = {"gap_circular_worst": DIAL / 2, "gap_plain_worst": float(DIAL)}
            return {**wrong, "gap_circular": None, "gap_plain": None, **worst}
        truth = self.truth(example)
        circular, plain = float(circular_gap(*parsed, *truth)), float(plain_gap(*parsed, *truth))
        return {
            "exact": float(circular == 0),
            "within_1": float(circular <= 1),
            "hour": float(parsed.hour % 12 == truth.hour % 12),
            "minute": float(parsed.minute == truth.minute),
            "gap_circular": circular,
            "gap_plain": plain,
            "gap_circular_worst": circular,
            "gap_plain_worst": plain,
            "parsed": 1.0,
        }

    def error(self, scores: Mapping[str, float | None]) -> float:
        worst = scores["gap_circular_worst"]
        assert worst is not None
        return worst + (0.0 if scores["parsed"] else 1.0)

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large, with the hands of the truth (green) and of the answer (orange)."""
        image, _ = enlarged(image)
        pen = ImageDraw.Draw(image)
        if example is not None:
            _draw_hands(pen, image.size, self.truth(example), TRUTH, 7)
        if parsed is not None:
            _draw_hands(pen, image.size, parsed, ANSWER, 3)
        return image


def _on_the_dial(hour: int, minute: int) -> Reading | None:
    """A time of 0:00 to 24:59 on a twelve-hour dial."""
    return Reading(hour % 12 or 12, minute) if 0 <= hour <= 24 and 0 <= minute < 60 else None


def _other_time(found: re.Match[str]) -> Reading | None:
    """What a match of _OTHER_TIMES says; None where it is no time."""
    number = {
        name: _WORDS.get(text.lower(), -1) if not text.isdigit() else int(text)
        for name, text in found.groupdict().items()
        if text and name != "side"
    }
    if "near" in number:
        hour, minutes = number["near"], number["apart"]
        before = found["side"].lower() in ("to", "before")
        return _on_the_dial((hour - 1) % 12, 60 - minutes) if before else _on_the_dial(hour, minutes)
    hour = next(number[name] for name in ("hour", "full", "named") if name in number)
    return _on_the_dial(hour, next((number[name] for name in ("minute", "minutes") if name in number), 0))


def _draw_hands(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], time: Reading, colour: tuple[int, int, int], width: int
) -> None:
    x, y, radius = size[0] / 2, size[1] / 2, min(size) / 2
    for angle, length in ((time.hour % 12 * 30 + time.minute / 2, 0.45), (time.minute * 6.0, 0.75)):
        turn = angle * pi / 180
        end = (x + radius * length * sin(turn), y - radius * length * cos(turn))
        pen.line(((x, y), end), fill=colour, width=width)
