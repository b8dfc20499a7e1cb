"""MATH-401 (Yuan et al., 2023): 401 sums as JSON lines, test-only.

    <raw>/math401.json      {"query": "5+9=", "response": "14"}

The first row is Euler's identity; 16 groups of 25 follow in order. It is a test set: a training split is
refused; train on generated sums instead.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from data_prep.builder import Builder
from data_prep.sources import lines, read_text, shown
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError
from ntil.numbers.text import parse_number

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
    text = read_text(path)
    if text is None:
        raise UserError(f"{path} holds no text.")
    results = [_record(number, line) for number, (_, line) in enumerate(lines(text))]
    return Plan(
        jobs=[result for result in results if isinstance(result, Example)],
        make=Made,
        skipped=[result for result in results if isinstance(result, Skipped)],
    )


def group(number: int) -> str:
    """Of the row's number from 0: "euler", then "01" to "16"."""
    return "euler" if number == 0 else f"{(number - 1) // GROUP + 1:02d}"


def _record(number: int, line: str) -> Example | Skipped:
    where = f"row {number + 1}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return Skipped(where, "it is not JSON")
    if not isinstance(row, dict) or not {"query", "response"} <= row.keys():
        return Skipped(where, "it has no query and response")
    query, answer = row["query"], row["response"]
    if not isinstance(query, str) or not query.strip() or shown(query) != query:
        return Skipped(shown(f"{where} ({query!r})"), "its query is not text")
    if isinstance(answer, bool) or parse_number(str(answer)) is None:
        return Skipped(shown(f"{where} ({answer!r})"), "its response is not a number")
    target, meta = {"answer": str(answer).strip()}, {"group": group(number)}
    return Example(id=f"test-{number:03d}", split="test", query=query, target=target, meta=meta)


BUILDER = Builder("math401", Math401Config, plan, version=2, help="MATH-401, arithmetic in text (test only)")
