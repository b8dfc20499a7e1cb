"""The runs behind each row of a table: what was run, on what, and all of its scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.compare.comparison import Comparison
from experiments.compare.groups import row_groups
from experiments.compare.labels import metric_title, row_label
from experiments.results.csv_files import Row
from experiments.results.store import Store
from experiments.write.grids import MISSING, number


@dataclass(frozen=True)
class RunScores:
    """Metrics of a run by split."""

    splits: tuple[tuple[str, str], ...]  # name, number of items
    rows: tuple[tuple[str, tuple[str, ...]], ...]  # metric, its value on each split


@dataclass(frozen=True)
class RunDetails:
    name: str
    anchor: str
    seed: int
    headline: str  # the table's first metric, in words
    facts: tuple[tuple[str, str], ...]
    scores: RunScores
    values: dict[tuple[str, str], float]

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
    lines: dict[str, list[Row]] = {}
    for line in store.runs(table.experiment):
        lines.setdefault(line["run"], []).append(line)
    groups = row_groups({row["run"]: row for row in table.runs}, table.spec.rows)
    found = []
    for place, row in enumerate(table.rows):
        seeds = groups.get(row.group, {}).get(row.value, {})
        runs = tuple(_details(table, lines[run]) for _, run in sorted(seeds.items()))
        if runs:
            anchor = f"row/{table.experiment}/{place}"
            found.append(RowRuns(row.group, row.value, row_label(row.value, row.group), anchor, runs))
    return tuple(found)


def _details(table: Comparison, rows: Sequence[Row]) -> RunDetails:
    first = rows[0]
    values = {(row["split"], row["metric"]): float(row["value"]) for row in rows if row["value"]}
    column = table.columns[0]
    headline = number(values.get((column.split, column.metric)), column.digits)
    return RunDetails(
        name=first["run"],
        anchor=f"run/{table.experiment}/{first['run'].replace(' ', '_')}",
        seed=int(first["seed"]),
        headline=f"{column.label} {headline}",
        facts=tuple((name, value or MISSING) for name, value in _facts(first)),
        scores=_scores(rows),
        values=values,
    )


def _facts(row: Row) -> list[tuple[str, str]]:
    minutes = f"{float(row['train_seconds']) / 60:.1f} min" if row["train_seconds"] else ""
    dirty = " with uncommitted changes" if row["dirty"] == "true" else ""
    threads = f", {row['threads']} thread{'' if row['threads'] == '1' else 's'}" if row["threads"] else ""
    return [
        (
            "model",
            f"{row['model']}, {_thousands(row['parameters'])} parameters"
            if row["parameters"]
            else row["model"],
        ),
        ("loss", row["loss"]),
        ("seed", row["seed"]),
        ("overrides", row["overrides"]),
        ("steps", _thousands(row["steps"])),
        ("training examples", _thousands(row["train_count"])),
        ("training time", minutes),
        ("device", row["device"] + threads),
        ("config", row["config_hash"][:12]),
        ("data", row["data_hash"][:12]),
        ("commit", row["commit"][:10] + dirty),
        ("torch, transformers", f"{row['torch']}, {row['transformers']}"),
    ]


def _scores(rows: Sequence[Row]) -> RunScores:
    splits = dict.fromkeys((row["split"], row["count"]) for row in rows)
    cells = {(row["split"], row["metric"]): row for row in rows}
    metrics = {row["metric"]: row for row in rows}
    lines = []
    for metric, about in metrics.items():
        values = []
        for split, _ in splits:
            cell = cells.get((split, metric))
            value = float(cell["value"]) if cell and cell["value"] else None
            values.append(number(value, int(about["digits"])))
        lines.append((metric_title(about["label"], about["unit"], about["better"]), tuple(values)))
    return RunScores(tuple(splits), tuple(lines))


def _thousands(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else text
