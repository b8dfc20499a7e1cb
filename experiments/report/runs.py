"""The runs behind each row of a table: what was run, on what, and all of its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.compare.comparison import Comparison
from experiments.compare.groups import row_groups
from experiments.compare.labels import row_label
from experiments.results.rows import MetricRow, RunRow
from experiments.results.store import Store
from experiments.write.grids import MISSING, number
from experiments.write.render import minutes


@dataclass(frozen=True)
class RunScores:
    """Metrics of a run by split."""

    splits: tuple[tuple[str, int], ...]  # name, number of items
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # metric, its value on each split


@dataclass(frozen=True)
class RunDetails:
    name: str
    anchor: str
    seed: int
    headline: str  # the table's first metric, in words
    facts: tuple[tuple[str, str], ...]
    scores: RunScores
    values: dict[tuple[str, str], float | None]

    def score(self, split: str, metric: str) -> float | None:
        return self.values.get((split, metric))


@dataclass(frozen=True)
class RowRuns:
    """The runs of a table's row, by seed."""

    group: str
    value: str
    label: str
    anchor: str
    runs: tuple[RunDetails, ...]


def rows_of_runs(table: Comparison, store: Store) -> tuple[RowRuns, ...]:
    lines: dict[str, list[RunRow]] = {}
    for line in store.runs(table.experiment):
        lines.setdefault(line.run, []).append(line)
    metrics = {row.metric: row for row in store.metrics(line for rows in lines.values() for line in rows)}
    groups = row_groups({row.run: row for row in table.runs}, table.spec.rows)
    found = []
    for place, row in enumerate(table.rows):
        seeds = groups.get(row.group, {}).get(row.value, {})
        runs = tuple(_details(table, lines[run], metrics) for _, run in sorted(seeds.items()))
        if runs:
            anchor = f"row/{table.experiment}/{place}"
            found.append(RowRuns(row.group, row.value, row_label(row.value, row.group), anchor, runs))
    return tuple(found)


def _details(table: Comparison, rows: Sequence[RunRow], metrics: Mapping[str, MetricRow]) -> RunDetails:
    first = rows[0]
    values = {(row.split, row.metric): row.value for row in rows}
    column = table.columns[0]
    headline = number(values.get((column.split, column.metric)), column.about.decimals)
    splits = dict.fromkeys((row.split, row.count) for row in rows)
    scores = tuple(
        (about.title, tuple(number(values.get((split, metric)), about.decimals) for split, _ in splits))
        for metric, about in metrics.items()
        if any(row.metric == metric for row in rows)
    )
    return RunDetails(
        name=first.run,
        anchor=f"run/{table.experiment}/{first.run.replace(' ', '_')}",
        seed=first.seed,
        headline=f"{column.about.label} {headline}",
        facts=tuple((name, value or MISSING) for name, value in _facts(first)),
        scores=RunScores(tuple(splits), scores),
        values=values,
    )


def _facts(row: RunRow) -> list[tuple[str, str]]:
    dirty = " with uncommitted changes" if row.dirty else ""
    threads = "" if row.threads is None else f", {row.threads} thread{'' if row.threads == 1 else 's'}"
    parameters = "" if row.parameters is None else f", {row.parameters:,} parameters"
    return [
        ("model", row.model + parameters),
        ("loss", row.loss),
        ("seed", str(row.seed)),
        ("overrides", row.overrides),
        ("steps", "" if row.steps is None else f"{row.steps:,}"),
        ("training examples", "" if row.train_count is None else f"{row.train_count:,}"),
        ("training time", minutes(row)),
        ("device", row.device + threads),
        ("config", row.config_hash[:12]),
        ("data", row.data_hash[:12]),
        ("commit", row.commit[:10] + dirty),
        ("torch, transformers", f"{row.torch}, {row.transformers}"),
    ]
