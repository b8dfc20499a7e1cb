"""Reading a thermometer: what temperature does it show?

    prompt  Degrees?        (a config value)
    answer  -12.5           degrees with one decimal

An answer is parsed when its text is one such number and nothing else.

Version 1: first version.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from PIL import Image, ImageDraw

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Metric, Task
from tasks.drawing import ANSWER, TRUTH, caption_font, enlarged


class DegreesFormat(AnswerFormat[float]):
    """`-12.5`; values are multiples of 0.1."""

    @property
    def pattern(self) -> str:
        return r"-?(?:0|[1-9][0-9]*)\.[0-9]"

    def write(self, value: float) -> str:
        return f"{value:.1f}"

    def read(self, text: str) -> float | None:
        return float(text) if re.fullmatch(self.pattern, text) else None


class ThermometerTask(Task):
    """See the module's docstring. question: the prompt's text."""

    name: ClassVar[str] = "thermometer"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "exact"
    groups: ClassVar[Sequence[str]] = ("liquid",)
    metrics: ClassVar[Mapping[str, Metric]] = {
        "exact": Metric("exact", "higher", "share"),
        "off": Metric("off by", "lower", "degrees", 2),
        "parsed": Metric("parsed", "higher", "share"),
    }
    magnitude: ClassVar[Magnitude] = Magnitude(
        "degrees off", (0, 0.5, 1, 2, 5, 10), "no temperature", lambda scores: scores["off"]
    )
    format = DegreesFormat()

    def __init__(self, question: str = "What temperature is it?", max_new_tokens: int = 8) -> None:
        self.question, self.max_new_tokens = question, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question

    def truth(self, example: Example) -> float:
        return float(example.target["degrees"])

    def score(self, parsed: float | None, example: Example) -> dict[str, float | None]:
        if parsed is None:
            return {"exact": 0.0, "off": None, "parsed": 0.0}
        off = abs(parsed - self.truth(example))
        return {"exact": float(off == 0), "off": off, "parsed": 1.0}

    def error(self, scores: Mapping[str, float | None]) -> float:
        """Degrees; what could not be read comes first."""
        return 1000.0 if scores["off"] is None else scores["off"]

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large, with the truth (green) and the answer (orange) in its corner."""
        image, _ = enlarged(image)
        pen, font = ImageDraw.Draw(image), caption_font(24)
        if example is not None:
            pen.text((6, 6), self.answer(example), fill=TRUTH, font=font)
        if parsed is not None:
            pen.text((6, 36), self.format.write(parsed), fill=ANSWER, font=font)
        return image
