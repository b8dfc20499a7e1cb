"""From rows of results/ to a table's content: which runs make a row, its means, its difference to the baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from experiments.compare import labels
from experiments.compare.groups import Members, row_groups
from experiments.compare.pairing import Column, Scores, by_item, paired
from experiments.compare.spec import TableSpec
from experiments.compare.statistics import Difference, Summary, summarise
from experiments.results.rows import MetricRow, RunRow
from experiments.results.store import Store
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """What stands in a row under a column."""

    summary: Summary
    difference: Difference | None
    scored: float | None  # share of the items that have a score, 0–1
    best: bool = False


@dataclass(frozen=True)
class TableRow:
    """A value of the row choice within a group of runs that share everything else."""

    group: str
    value: str
    entries: tuple[Entry, ...]
    is_baseline: bool

    @property
    def label(self) -> str:
        return labels.row_label(self.value, self.group)


@dataclass(frozen=True)
class Contrast:
    """The mean over some rows minus that over others, under each column."""

    group: str
    name: str
    differences: tuple[Difference | None, ...]


@dataclass(frozen=True)
class Comparison:
    experiment: str
    spec: TableSpec
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    runs: tuple[RunRow, ...]  # one row of runs.csv for each run behind the table
    counts: tuple[tuple[str, int], ...]  # (split, number of items), each pair once
    effects: tuple[Contrast, ...] = ()  # of each factor: the grid's rows that have it minus its others
    pooled: tuple[Contrast, ...] = ()  # each row minus the baseline, over all groups together

    @property
    def title(self) -> str:
        return self.spec.title or self.experiment


def compare(experiment: str, spec: TableSpec, store: Store, expected: Sequence[str] = ()) -> Comparison:
    """The table of an experiment; `expected`, the grid's row values, are shown even where they have no run yet."""
    data = store.runs(experiment)
    if not data:
        raise UserError(f"{store.runs_path} has no runs of {experiment!r}; collect them first.")
    _check_effects(experiment, spec, expected)
    columns = _columns(experiment, spec, store.metrics(data))
    runs = {row.run: row for row in data}
    values = {(row.run, row.split, row.metric): row.value for row in data}
    scores = by_item(store.scores(experiment))
    rows: list[TableRow] = []
    effects: list[Contrast] = []
    groups = row_groups(runs, spec.rows)
    for group, members in groups.items():
        order = labels.ordered(list(members), first=[spec.baseline, *expected])
        grouped = [_row(group, value, members, spec, columns, values, scores) for value in order]
        rows.extend(_mark_best(grouped, columns))
        effects.extend(_effects(group, members, spec, columns, scores, expected))
    behind = tuple(runs[name] for name in sorted(runs))
    counts = tuple(sorted({(row.split, row.count) for row in data}))
    pooled = _pooled(list(groups.values()), spec, columns, scores, expected)
    return Comparison(experiment, spec, columns, tuple(rows), behind, counts, tuple(effects), tuple(pooled))


def _columns(experiment: str, spec: TableSpec, metrics: Sequence[MetricRow]) -> tuple[Column, ...]:
    about = {row.metric: row for row in metrics}
    if unknown := [metric for metric in spec.metrics if metric not in about]:
        near = did_you_mean(unknown[0], about)
        raise UserError(
            f"the runs of {experiment} have no metric {unknown[0]!r}.{near} They have: {', '.join(about)}."
        )
    return tuple(Column(split, about[metric]) for split in spec.splits for metric in spec.metrics)


def _row(
    group: str,
    value: str,
    members: Members,
    spec: TableSpec,
    columns: Sequence[Column],
    values: Mapping[tuple[str, str, str], float | None],
    scores: Scores,
) -> TableRow:
    runs, baseline = members.get(value, {}), members.get(spec.baseline, {})
    entries = []
    for column in columns:
        found = [values.get((run, column.split, column.metric)) for run in runs.values()]
        difference = None if value == spec.baseline else paired([runs], [baseline], column, scores)
        summary = summarise([value for value in found if value is not None])
        entries.append(Entry(summary, difference, _scored_share(runs, column, scores)))
    return TableRow(group, value, tuple(entries), value == spec.baseline)


def _check_effects(experiment: str, spec: TableSpec, grid: Sequence[str]) -> None:
    named = [value for having in spec.effects.values() for value in having]
    if grid and (unknown := [value for value in named if value not in grid]):
        near = did_you_mean(unknown[0], grid)
        raise UserError(
            f"the effects of {experiment} name the row {unknown[0]!r}, which its grid does not have.{near} "
            f"It has: {', '.join(grid)}."
        )


def _effects(
    group: str,
    members: Members,
    spec: TableSpec,
    columns: Sequence[Column],
    scores: Scores,
    grid: Sequence[str],
) -> list[Contrast]:
    """Nothing unless every row of the grid has runs: half a factorial has other main effects."""
    if not grid or not set(grid) <= members.keys():
        return []
    found = []
    for factor, having in spec.effects.items():
        present = [members[value] for value in sorted(grid) if value in having]
        absent = [members[value] for value in sorted(grid) if value not in having]
        differences = tuple(paired(present, absent, column, scores) for column in columns)
        found.append(Contrast(group, factor, differences))
    return found


def _pooled(
    groups: Sequence[Members],
    spec: TableSpec,
    columns: Sequence[Column],
    scores: Scores,
    expected: Sequence[str],
) -> list[Contrast]:
    """Of the rows that every group has, with the seeds of its baseline; nothing for a single group."""
    baseline = [members.get(spec.baseline, {}) for members in groups]
    if len(groups) < 2 or not all(baseline):
        return []
    found = []
    for value in labels.ordered([value for members in groups for value in members], first=expected):
        rows = [members.get(value, {}) for members in groups]
        seeds = {frozenset(runs) for runs in [*rows, *baseline]}
        if value != spec.baseline and len(seeds) == 1:
            differences = tuple(paired(rows, baseline, column, scores) for column in columns)
            found.append(Contrast("", value, differences))
    return found


def _scored_share(runs: Mapping[int, str], column: Column, scores: Scores) -> float | None:
    """None for metrics that no single item has: ratios and those of a whole split."""
    tables = [scores[run, column.split] for run in runs.values() if (run, column.split) in scores]
    cells = pd.concat([table[column.metric] for table in tables if column.metric in table] or [pd.Series()])
    return float(1 - cells.isna().mean()) if cells.size else None


def _mark_best(rows: list[TableRow], columns: Sequence[Column]) -> list[TableRow]:
    """Mark the best mean of each column, ties as printed included; nothing where all are equal."""
    marked = [list(row.entries) for row in rows]
    for index, column in enumerate(columns):
        means = [entry[index].summary.mean for entry in marked]
        known = [
            round(mean, column.about.decimals) for mean in means if mean is not None and math.isfinite(mean)
        ]
        if len(set(known)) < 2:
            continue
        best = max(known) if column.about.better == "higher" else min(known)
        for entries, mean in zip(marked, means, strict=True):
            if mean is not None and math.isfinite(mean) and round(mean, column.about.decimals) == best:
                old = entries[index]
                entries[index] = Entry(old.summary, old.difference, old.scored, best=True)
    return [
        TableRow(row.group, row.value, tuple(entries), row.is_baseline)
        for row, entries in zip(rows, marked, strict=True)
    ]
