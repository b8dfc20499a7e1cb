"""MathVista testmini as published (CC BY-SA 4.0): an object of records keyed by pid, and the pictures beside it.

    <raw>/testmini.json     {"1": {"question": …, "image": "images/1.jpg", "choices": …, "unit": …, "precision": …,
                             "answer": …, "question_type": …, "answer_type": …, "pid": …, "metadata": {…}}, …}
    <raw>/images/…

Its licence prohibits training on it, so there is one split, `test`. A record is left out if a field that is asked or scored has
another type than published: a truth that the rules cannot compare would count every answer as wrong.
"""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from data_prep.accounts import plain
from data_prep.builder import Builder
from data_prep.pictures import read_picture
from data_prep.schema import Within
from data_prep.sources import Folder, read_text, shown
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import inside
from ntil.numbers.text import MOST_DIGITS

FILE = "testmini.json"
HOME = "https://mathvista.github.io"
FIELDS = ("question_type", "answer_type", "choices", "unit", "precision", "answer")
QUESTION_TYPES = ("multi_choice", "free_form")
ANSWER_TYPES = ("text", "integer", "float", "list")
AMBIGUOUS = object()  # in place of a record
MOST_PLACES = 15  # decimal places that `precision` may ask for
MOST_CHOICES = 26  # one letter each


@dataclass(frozen=True)
class MathVistaConfig:
    name: str
    builder: str
    raw: str  # the folder that holds testmini.json and images/
    split: str = "test"
    size: Annotated[int, Within(16, 8192, "pixels")] | None = None  # width and height; None copies the files
    licence: str = "CC BY-SA 4.0; training on it is prohibited"

    def __post_init__(self) -> None:
        if self.split != "test":
            raise UserError(
                f"MathVista's licence prohibits training on it, so it makes no {self.split!r} split, only test. "
                "Train on generated charts (python -m data_prep charts)."
            )


def plan(config: MathVistaConfig) -> Plan:
    path = Path(config.raw) / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    records = _records(path)
    times = Counter(plain(pid) for pid, _ in records)
    pictures = Folder(Path(config.raw))
    jobs: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    for number, (pid, record) in enumerate(records, start=1):
        if times[plain(pid)] > 1:
            skipped.append(Skipped(shown(f"pid {pid}, record {number}"), "its pid is another record's, too"))
            continue
        if why := _fault(pid, record):
            skipped.append(Skipped(shown(f"pid {pid}"), why))
            continue
        try:
            image = pictures.picture(record["image"])
        except UserError:
            skipped.append(Skipped(f"pid {pid} ({record['image']!r})", "its picture lies outside the folder"))
            continue
        if image is None:
            skipped.append(Skipped(f"pid {pid}", "the picture is missing"))
        else:
            jobs.append({**record, "image": image, "pid": pid})
    return Plan(
        jobs=jobs, make=partial(make, config), caption=lambda e: str(e.target["answer"]), skipped=skipped
    )


def _records(path: Path) -> list[tuple[str, Any]]:
    """(pid, record) in the file's order, a pid that occurs twice twice; a field that does makes its record AMBIGUOUS.

    Numbers that are none (NaN, 1e999) are left as they are written.
    """
    doubled: list[
        tuple[dict[str, Any], list[tuple[str, Any]]]
    ] = []  # objects with a name twice, and all their entries

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            doubled.append((value, pairs))
        return value

    try:
        content = json.loads(
            read_text(path) or "",
            object_pairs_hook=keep,
            parse_constant=str,
            parse_float=_finite_or_text,
            parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else digits,
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold an object of records by pid, not a {type(content).__name__}.")
    entries = next((pairs for value, pairs in doubled if value is content), list(content.items()))
    ambiguous = [id(value) for value, _ in doubled]
    return [(pid, AMBIGUOUS if id(record) in ambiguous else record) for pid, record in entries]


def _finite_or_text(written: str) -> float | str:
    value = float(written)
    return value if math.isfinite(value) else written


def make(config: MathVistaConfig, record: dict[str, Any]) -> Made | Skipped:
    picture = read_picture(inside(config.raw, record["image"]), config.size)
    if isinstance(picture, str):
        return Skipped(f"pid {record['pid']}", picture)
    about = record.get("metadata")
    about = about if isinstance(about, dict) else {}
    named = ("source", "task", "category", "context", "grade", "language", "skills")
    example = Example(
        id=f"test-{record['pid']}",
        split="test",
        image=f"images/test/{record['pid']}{picture.suffix}",
        query=record["question"],
        target={field: record.get(field) for field in FIELDS},
        meta={
            "question_type": record["question_type"],
            "answer_type": record["answer_type"],
            **{key: about[key] for key in named if key in about},
        },
    )
    return Made(example, picture.content)


def _fault(pid: str, record: Any) -> str:
    """Why a record cannot be used; '' if it can."""
    if not re.fullmatch(r"\w[\w .-]{0,99}", pid):
        return "its pid is no plain name"
    if record is AMBIGUOUS:
        return "one of its fields occurs more than once"
    if not isinstance(record, dict):
        return "not an object"
    if shown(text := json.dumps(record, ensure_ascii=False)) != text:
        return "it holds what is no Unicode text"
    if missing := [key for key in ("question", "image", "answer") if not isinstance(record.get(key), str)]:
        return f"without {', '.join(missing)} as text"
    if record.get("question_type") not in QUESTION_TYPES or record.get("answer_type") not in ANSWER_TYPES:
        return "of an unknown question or answer type"
    return _odd_field(record) or _odd_answer(record)


def _odd_field(record: dict[str, Any]) -> str:
    choices, unit, precision = (record.get(key) for key in ("choices", "unit", "precision"))
    if choices is not None and not (isinstance(choices, list) and all(isinstance(c, str) for c in choices)):
        return "its choices are no list of texts"
    if unit is not None and not isinstance(unit, str):
        return "its unit is no text"
    if precision is not None and not (
        isinstance(precision, int | float)
        and not isinstance(precision, bool)
        and 0 <= precision <= MOST_PLACES
        and precision == int(precision)
    ):
        return f"its precision is no number of decimal places from 0 to {MOST_PLACES}"
    return ""


def _odd_answer(record: dict[str, Any]) -> str:
    choices = record.get("choices") or []
    if record["question_type"] == "multi_choice":
        if len(choices) > MOST_CHOICES:
            return f"it has more than {MOST_CHOICES} choices"
        return "" if record["answer"] in choices else "its answer is not among its choices"
    if record["answer_type"] in ("integer", "float") and not _is_finite(record["answer"]):
        return "its answer is no number"
    return ""


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


BUILDER = Builder(
    "mathvista", MathVistaConfig, plan, version=2, help="MathVista testmini, from its folder (test only)"
)
