"""MathVista: a question about a picture, answered by a number or a choice.

    prompt  Hint: … an integer answer … e.g., 1, 2, 3.\nQuestion: How high is bar B? (Unit: cm)
    answer  12          (B) for the second choice

Record: `query` is the question; `target` has the published fields question_type ("multi_choice" or "free_form"),
answer_type ("integer", "float", "text" or "list"), choices, unit, precision and answer.

Scoring is the published one with a rule in place of the language model that extracts the answer:

    extraction    the text in quotes after `The answer is`; for numbers else the last number; for choices else a letter in
                  brackets, or a text that is one letter; for lists the last [...]; else the whole text
    choice        a letter picks from the choices, else the choice at the smallest edit distance (first of equals)
    integer       str(int(float(x)))        float  str(round(float(x), precision))        list  str(x)
    correct       exact equality of the text with the answer

Where a number or a list is asked for and none is found, extraction has failed: the answer is wrong and counted in 1 − "parsed".

Version 1: first version.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from PIL import Image, ImageDraw

from ntil.data.example import Example
from ntil.data.task import Metric, Task
from ntil.errors import UserError
from tasks.drawing import ANSWER, TRUTH, caption_font, enlarged

NUMBER = re.compile(r"[-−]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?", re.ASCII)
QUOTED = re.compile(r"""answer is:?\s*["“']([^"”']*)["”']""", re.IGNORECASE)
LETTER = re.compile(r"\(([A-Z])\)")
LONE_LETTER = re.compile(r"([A-Z])[.)]?")
LIST = re.compile(r"\[[^\[\]]*\]")
HINTS = {
    "integer": "Answer the question with an integer, e.g., 1, 2, 3, at the end.",
    "float": "Answer the question with a number of {places} decimal place{s}, e.g., {example}, at the end.",
    "list": "Answer the question with a Python list, e.g., [1, 2, 3], at the end.",
    "text": "Answer the question with the letter of the right choice, e.g., (A), at the end.",
}
EXAMPLES = {1: "1.2, 1.3, 1.4", 2: "1.23, 1.34, 1.45"}
STYLES = ("full", "short")


class Answer(NamedTuple):
    """What a text offers; which of it counts depends on the question."""

    text: str
    quoted: str | None
    number: str | None  # the last one, without separators
    letter: str | None
    items: str | None  # the last [...]

    def __str__(self) -> str:
        return self.text


class MathVistaTask(Task):
    """See the module's docstring. style: "full" prompts with hint and choices; "short" the question and the choices."""

    name: ClassVar[str] = "mathvista"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "accuracy"
    groups: ClassVar[Sequence[str]] = ("answer_type", "question_type", "task", "source", "kind")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("accuracy", "higher", "share"),
        "within_5": Metric("numbers within 5 %", "higher", "share"),
        "relative_error": Metric("relative error, at most 1", "lower", ""),
        "parsed": Metric("parsed", "higher", "share"),
    }

    def __init__(self, style: str = "full", max_new_tokens: int = 64) -> None:
        if style not in STYLES:
            raise UserError(f"task.style must be {' or '.join(STYLES)}, not {style!r}.")
        self.style, self.max_new_tokens = style, max_new_tokens

    def prompt(self, example: Example) -> str:
        question, target = example.query or "", example.target
        unit = f" (Unit: {target['unit']})" if target.get("unit") else ""
        choices = target.get("choices") or []
        if self.style == "short":
            return question + unit + "".join(f" ({_letter(i)}) {choice}" for i, choice in enumerate(choices))
        lines = [f"Hint: {_hint(target)}", f"Question: {question}{unit}"]
        if choices:
            lines += ["Choices:", *(f"({_letter(i)}) {choice}" for i, choice in enumerate(choices))]
        return "\n".join(lines)

    def answer(self, example: Example) -> str:
        target = example.target
        if target["question_type"] == "multi_choice":
            return f"({_letter(target['choices'].index(target['answer']))})"
        return str(target["answer"])

    def parse(self, text: str) -> Answer | None:
        text = text.strip()
        if not text:
            return None
        quoted = QUOTED.search(text)
        within = quoted[1].strip() if quoted else text
        numbers, lists = NUMBER.findall(within), LIST.findall(within)
        letter = LETTER.search(within) or LONE_LETTER.fullmatch(within)
        return Answer(
            text,
            quoted[1].strip() if quoted else None,
            numbers[-1].replace(",", "").replace("−", "-") if numbers else None,
            letter[1] if letter else None,
            lists[-1] if lists else None,
        )

    def score(self, parsed: Answer | None, example: Example) -> dict[str, float | None]:
        target = example.target
        normalised = None if parsed is None else _normalised(parsed, target)
        scores: dict[str, float | None] = {
            "accuracy": float(normalised == str(target["answer"])),
            "within_5": None,
            "relative_error": None,
            "parsed": float(normalised is not None),
        }
        if target["answer_type"] in ("integer", "float") and target["question_type"] != "multi_choice":
            truth = float(target["answer"])
            off = 1.0 if normalised is None else abs(float(normalised) - truth)
            near = normalised is not None and off <= 0.05 * abs(truth)
            scores["within_5"] = float(near)
            scores["relative_error"] = 1.0 if normalised is None else min(1.0, off / max(abs(truth), 1.0))
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


def _normalised(parsed: Answer, target: Mapping[str, Any]) -> str | None:
    """The answer in the form that is compared; None where extraction failed."""
    if target["question_type"] == "multi_choice":
        choices = [str(choice) for choice in target["choices"]]
        place = ord(parsed.letter) - ord("A") if parsed.letter else len(choices)
        if place < len(choices):
            return choices[place]
        said = parsed.quoted if parsed.quoted is not None else parsed.text
        return min(choices, key=lambda choice: edit_distance(said, choice))
    kind = target["answer_type"]
    if kind == "list":
        return parsed.items
    if kind == "text":
        return parsed.quoted if parsed.quoted is not None else parsed.text
    if parsed.number is None or len(parsed.number) > 300:  # longer ones are no floats
        return None
    value = float(parsed.number)
    return str(int(value)) if kind == "integer" else str(round(value, int(target["precision"] or 0)))


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's: the fewest insertions, deletions and replacements of a character."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        above, row = row, [i]
        for j, its in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != its)))
    return row[-1]


def _hint(target: Mapping[str, Any]) -> str:
    kind = "text" if target["question_type"] == "multi_choice" else target["answer_type"]
    places = int(target.get("precision") or 1)
    example = EXAMPLES.get(places, EXAMPLES[2])
    return HINTS[kind].format(places=places, s="" if places == 1 else "s", example=example)


def _letter(place: int) -> str:
    return chr(ord("A") + place)
