"""MathVista: a question about a picture, answered by a number or a choice.

    prompt  Hint: … an integer answer … e.g., 1, 2, 3.\nQuestion: How high is bar B? (Unit: cm)
    answer  12          (B) for the second choice

Record: `query` is the question; `target` has the published fields question_type ("multi_choice" or "free_form"),
answer_type ("integer", "float", "text" or "list"), choices, unit, precision and answer.

Scoring is the published one with rules in place of the language model that extracts the answer (tasks.extraction):

    extraction    the text in quotes after `The answer is`, else for numbers, choices and lists what the rules find in the
                  text, else the whole text
    choice        the choice that is named, by its letter or its text; the published script takes the one at the smallest
                  edit distance where none is
    integer       str(int(float(x)))        float  str(round(float(x), precision))        list  str(x)
    correct       exact equality of the text with the answer in the same form

Where a number, a choice or a list is asked for and none is found, extraction has failed: the answer is wrong and counted in
1 − "parsed".

Version 1: first version.
Version 2: stated letters count, numbers are read whole, and a text that names no choice is not parsed.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from PIL import Image, ImageDraw

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.task import Metric, Task
from ntil.errors import UserError
from tasks.choices import chosen, letter
from tasks.drawing import ANSWER, TRUTH, caption_font, enlarged
from tasks.extraction import last_list, last_number, value

QUOTED = re.compile(
    r"""answer is:?\s*(?:"([^"]{0,500})"|“([^”]{0,500})”|'([^']{0,500})'(?!\w))""", re.IGNORECASE
)
HINTS = {
    "integer": "Answer the question with an integer, e.g., 1, 2, 3, at the end.",
    "float": "Answer the question with a number of {places} decimal place{s}, e.g., {example}, at the end.",
    "list": "Answer the question with a Python list, e.g., [1, 2, 3], at the end.",
    "text": "Answer the question with the letter of the right choice, e.g., (A), at the end.",
}
EXAMPLES = {1: "1.2, 1.3, 1.4", 2: "1.23, 1.34, 1.45"}
NUMBERS = ("integer", "float")
STYLES = ("full", "short")


class Answer(NamedTuple):
    """What a text offers; which of it counts depends on the question."""

    text: str
    quoted: str | None
    number: str | None  # without separators
    items: str | None  # [...]

    def __str__(self) -> str:
        return self.text


class SentenceFormat(AnswerFormat[Answer]):
    """Any text that is not empty, and what it offers. No pattern: which form an answer has depends on its question."""

    def write(self, value: Answer) -> str:
        return value.text

    def read(self, text: str) -> Answer | None:
        text = text.strip()
        return _offered(text) if text else None


class MathVistaTask(Task):
    """See the module's docstring. style: "full" prompts with hint and choices; "short" the question and the choices."""

    name: ClassVar[str] = "mathvista"
    version: ClassVar[int] = 2
    headline: ClassVar[str] = "accuracy"
    groups: ClassVar[Sequence[str]] = ("answer_type", "question_type", "task", "source", "kind")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("accuracy", "higher", "share"),
        "within_5": Metric("numbers within 5 %", "higher", "share"),
        "relative_error": Metric("relative error, at most 1", "lower", ""),
        "parsed": Metric("parsed", "higher", "share"),
    }

    format = SentenceFormat()

    def __init__(self, style: str = "full", max_new_tokens: int = 64) -> None:
        if style not in STYLES:
            raise UserError(f"task.style must be {' or '.join(STYLES)}, not {style!r}.")
        self.style, self.max_new_tokens = style, max_new_tokens

    def prompt(self, example: Example) -> str:
        question, target = example.query or "", example.target
        unit = f" (Unit: {target['unit']})" if target.get("unit") else ""
        choices = target.get("choices") or []
        if self.style == "short":
            return question + unit + "".join(f" ({letter(i)}) {choice}" for i, choice in enumerate(choices))
        lines = [f"Hint: {_hint(target)}", f"Question: {question}{unit}"]
        if choices:
            lines += ["Choices:", *(f"({letter(i)}) {choice}" for i, choice in enumerate(choices))]
        return "\n".join(lines)

    def truth(self, example: Example) -> Answer:
        return _offered(self._written(example).strip())

    def _written(self, example: Example) -> str:
        target = example.target
        if target["question_type"] != "multi_choice":
            return str(target["answer"])
        choices = _choices(target)
        if str(target["answer"]) not in choices:
            raise UserError(
                f"record {example.id}: the answer {target['answer']!r} is none of its choices {choices}."
            )
        return f"({letter(choices.index(str(target['answer'])))})"

    def score(self, parsed: Answer | None, example: Example) -> dict[str, float | None]:
        target = example.target
        answer = str(target["answer"])
        normalised = None if parsed is None else _normalised(parsed, target)
        scores: dict[str, float | None] = {
            "accuracy": 0.0,
            "within_5": None,
            "relative_error": None,
            "parsed": float(normalised is not None),
        }
        if target["answer_type"] not in NUMBERS or target["question_type"] == "multi_choice":
            as_it_is = (
                parsed is not None and target["answer_type"] == "text" and parsed.text == answer.strip()
            )
            scores["accuracy"] = float(normalised == answer or as_it_is)
            return scores
        truth = value(answer)
        if truth is None:
            raise UserError(
                f"record {example.id}: the answer {answer!r} is no number of type {target['answer_type']}."
            )
        off = 1.0 if normalised is None else abs(float(normalised) - float(truth))
        scores["accuracy"] = float(normalised == _rounded(truth, target))
        scores["within_5"] = float(normalised is not None and off <= 0.05 * abs(float(truth)))
        scores["relative_error"] = 1.0 if normalised is None else min(1.0, off / max(abs(float(truth)), 1.0))
        return scores

    def error(self, scores: Mapping[str, float | None]) -> float:
        if scores["accuracy"]:
            return 0.0
        off = scores["relative_error"]
        return (0.5 if off is None else max(off, 1e-9)) + (0.0 if scores["parsed"] else 1.0)

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large; beneath it the question, the truth (green) and the answer (orange)."""
        image, _ = enlarged(image)
        font = caption_font(15)
        lines: list[tuple[str, tuple[int, int, int]]] = []
        if example is not None:
            lines = [(example.query or "", (0, 0, 0)), (f"truth: {self.answer(example)}", TRUTH)]
        if parsed is not None:
            lines.append((f"answer: {parsed}", ANSWER))
        sheet = Image.new("RGB", (image.width, image.height + 20 * len(lines)), "white")
        sheet.paste(image, (0, 0))
        pen = ImageDraw.Draw(sheet)
        for row, (text, colour) in enumerate(lines):
            while len(text) > 1 and pen.textlength(text, font=font) > image.width - 8:
                text = text.removesuffix("…")[:-1] + "…"
            pen.text((4, image.height + 20 * row + 2), text, fill=colour, font=font)
        return sheet


def _offered(text: str) -> Answer:
    found = QUOTED.search(text)
    quoted = next(group for group in found.groups() if group is not None).strip() if found else None
    within = text if quoted is None else quoted
    return Answer(text, quoted, last_number(within), last_list(within))


def _normalised(parsed: Answer, target: Mapping[str, Any]) -> str | None:
    """The answer in the form that is compared; None where extraction failed."""
    kind = target["answer_type"]
    if target["question_type"] == "multi_choice":
        choices = _choices(target)
        place = None if parsed.quoted is None else chosen(parsed.quoted, choices)
        place = chosen(parsed.text, choices) if place is None else place
        return None if place is None else choices[place]
    if kind == "list":
        return parsed.items
    if kind == "text":
        return parsed.quoted if parsed.quoted is not None else parsed.text
    number = None if parsed.number is None else value(parsed.number)
    return None if number is None else _rounded(number, target)


def _rounded(number: Fraction, target: Mapping[str, Any]) -> str:
    """Cut to an integer, or rounded to the precision; where there is none, to that of the answer."""
    if target["answer_type"] == "integer":
        return str(int(number))
    places = target["precision"]
    return str(
        round(float(number), len(str(target["answer"]).partition(".")[2]) if places is None else int(places))
    )


def _choices(target: Mapping[str, Any]) -> list[str]:
    return [str(choice) for choice in target["choices"]]


def _hint(target: Mapping[str, Any]) -> str:
    kind = "text" if target["question_type"] == "multi_choice" else target["answer_type"]
    places = int(target.get("precision") or 1)
    example = EXAMPLES.get(places, EXAMPLES[2])
    return HINTS[kind].format(places=places, s="" if places == 1 else "s", example=example)
