"""MathVista testmini as published (CC BY-SA 4.0): an object of records keyed by pid, and the pictures beside it.

    <raw>/testmini.json     {"1": {"question": …, "image": "images/1.jpg", "choices": …, "unit": …, "precision": …,
                             "answer": …, "question_type": …, "answer_type": …, "pid": …, "metadata": {…}}, …}
    <raw>/images/…

Its licence prohibits training on it, so there is one split, `test`.
"""

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from data_prep.pictures import read_picture
from data_prep.schema import Within
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import inside

VERSION = 1  # raise it whenever the same config gives other records
FILE = "testmini.json"
HOME = "https://mathvista.github.io"
FIELDS = ("question_type", "answer_type", "choices", "unit", "precision", "answer")
QUESTION_TYPES = ("multi_choice", "free_form")
ANSWER_TYPES = ("text", "integer", "float", "list")


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
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold an object of records by pid, not a {type(content).__name__}.")
    jobs: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    for pid, record in content.items():
        why = _fault(config, record) if re.fullmatch(r"\w+", str(pid)) else "its pid is no plain name"
        if why:
            skipped.append(Skipped(f"pid {pid}", why))
        else:
            jobs.append({**record, "pid": str(pid)})
    return Plan(
        jobs=jobs, make=partial(make, config), caption=lambda e: str(e.target["answer"]), skipped=skipped
    )


def make(config: MathVistaConfig, record: dict[str, Any]) -> Made | Skipped:
    picture = read_picture(inside(config.raw, record["image"]), config.size)
    if isinstance(picture, str):
        return Skipped(f"pid {record['pid']}", picture)
    about = record.get("metadata") or {}
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


def _fault(config: MathVistaConfig, record: Any) -> str:
    """Why a record cannot be used; '' if it can."""
    if not isinstance(record, dict):
        return "not an object"
    if missing := [key for key in ("question", "image", "answer") if not isinstance(record.get(key), str)]:
        return f"without {', '.join(missing)} as text"
    if record.get("question_type") not in QUESTION_TYPES or record.get("answer_type") not in ANSWER_TYPES:
        return "of an unknown question or answer type"
    if record["question_type"] == "multi_choice" and record["answer"] not in (record.get("choices") or []):
        return "its answer is not among its choices"
    try:
        inside(config.raw, record["image"])
    except UserError:
        return f"its picture {record['image']!r} lies outside the folder"
    return ""
