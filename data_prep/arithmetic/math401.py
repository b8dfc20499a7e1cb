"""MATH-401 (Yuan et al., 2023): 401 sums as JSON lines, test-only.

    <raw>/math401.json      {"query": "5+9=", "response": "14"}

The first row is Euler's identity; 16 groups of 25 follow in order. It is a test set: a training split is
refused; train on generated sums instead.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.numbers.text import parse_number

VERSION = 1  # raise it whenever the same config gives other records
FILE = "math401.json"
HOME = "https://github.com/GanjinZero/math401-llm"
GROUP = 25  # rows of a group


@dataclass(frozen=True)
class Math401Config:
    name: str
    builder: str
    raw: str  # the folder that holds math401.json
    split: str = "test"

    def __post_init__(self) -> None:
        if self.split != "test":
            raise UserError(
                f"MATH-401 is a test set; it makes no {self.split!r} split. Train on generated sums "
                "(python -m data_prep sums)."
            )


def plan(config: Math401Config) -> Plan:
    path = Path(config.raw) / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing. Its owners publish it at {HOME}")
    results = [_record(number, line) for number, line in _lines(path)]
    return Plan(
        jobs=[result for result in results if isinstance(result, Example)],
        make=Made,
        caption=lambda example: example.query or "",
        skipped=[result for result in results if isinstance(result, Skipped)],
    )


def group(number: int) -> str:
    """Of the row's number from 0: "euler", then "01" to "16"."""
    return "euler" if number == 0 else f"{(number - 1) // GROUP + 1:02d}"


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}).") from None
    return list(enumerate(line for line in text.splitlines() if line.strip()))


def _record(number: int, line: str) -> Example | Skipped:
    where = f"row {number + 1}"
    try:
        row = json.loads(line)
        query, answer = row["query"], row["response"]
    except (ValueError, KeyError, TypeError) as error:
        return Skipped(where, f"not a row with query and response ({type(error).__name__})")
    if not isinstance(query, str) or parse_number(str(answer)) is None:
        return Skipped(where, f"the response {answer!r} is not a number")
    target, meta = {"answer": str(answer).strip()}, {"group": group(number)}
    return Example(id=f"test-{number:03d}", split="test", query=query, target=target, meta=meta)
