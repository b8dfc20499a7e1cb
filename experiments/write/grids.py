"""A comparison as grids of text cells, the same for Markdown and LaTeX."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.compare.comparison import Comparison
from experiments.compare.labels import all_groups, label, row_label
from experiments.compare.pairing import Column
from experiments.compare.statistics import Difference, Summary
from experiments.write.published import Published

MISSING = "–"


@dataclass(frozen=True)
class Verdict:
    """A difference with its interval, and what it says."""

    text: str  # −0.012
    interval: str  # [−0.033, +0.008]
    verdict: str  # better, worse, not distinguishable
    mean: float


@dataclass(frozen=True)
class Cell:
    text: str
    bold: bool = False
    difference: Verdict | None = None  # that the text tells


@dataclass(frozen=True)
class Grid:
    """A titled table; `groups` names what stands over each column, where that is anything."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[str, ...] = ()


def grids(table: Comparison, published: Published | None) -> list[Grid]:
    """For each split its scores and their differences to the baseline; then the published values in full."""
    found: list[Grid | None] = []
    for split in table.spec.splits:
        indices = [index for index, column in enumerate(table.columns) if column.split == split]
        found += [_scores(table, split, indices, published), _differences(table, split, indices)]
        found += contrast_grids(table, split)
    return [grid for grid in [*found, published_grid(table, published)] if grid is not None]


def number(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    zero = f"{0:.{digits}f}"
    return zero if text.lstrip("+-") == zero else text.replace("-", "−")


def summary_text(summary: Summary, digits: int) -> str:
    """0.870 ± 0.012 (3); one seed has no deviation: 0.870 ± – (1)."""
    if summary.mean is None:
        return MISSING
    return f"{number(summary.mean, digits)} ± {number(summary.sd, digits)} ({summary.count})"


def difference_text(difference: Difference | None, digits: int) -> str:
    if difference is None:
        return MISSING
    said = verdict(difference, digits)
    return f"{said.text} {said.interval} {said.verdict}"


def verdict(difference: Difference, digits: int) -> Verdict:
    low, high = (_bound(value, digits) for value in (difference.low, difference.high))
    mean = number(difference.mean, digits, sign=True)
    return Verdict(mean, f"[{low}, {high}]", difference.verdict, difference.mean)


def _bound(value: float, digits: int) -> str:
    """With as many more digits as a bound near 0 needs to show its side, which decides the verdict."""
    more = 0
    while value and math.isfinite(value) and not round(value, digits + more):
        more += 1
    return number(value, digits + more, sign=True)


def _scores(table: Comparison, split: str, indices: list[int], published: Published | None) -> Grid:
    heads = [_row_head(table)]
    rows = [[Cell(row.label)] for row in table.rows]
    for index in indices:
        column = table.columns[index]
        heads.append(column.about.title)
        for cells, row in zip(rows, table.rows, strict=True):
            entry = row.entries[index]
            cells.append(Cell(summary_text(entry.summary, column.about.decimals), entry.best))
        if published is not None and stands_beside(table, column, published):
            heads.append(f"published, {published.beside}: {column.about.title}")
            for cells, row in zip(rows, table.rows, strict=True):
                value = published.value(published.beside, row.value, column.metric)
                cells.append(Cell(number(value, column.about.decimals)))
    return Grid(f"Scores on {split}", tuple(heads), tuple(tuple(cells) for cells in rows))


def stands_beside(table: Comparison, column: Column, published: Published) -> bool:
    """The paper has one test set, so its value stands beside the first split only."""
    return column.split == table.spec.splits[0] and column.metric in published.printed_as


def _differences(table: Comparison, split: str, indices: list[int]) -> Grid | None:
    rows = [row for row in table.rows if not row.is_baseline]
    if not any(row.entries[index].difference for row in rows for index in indices):
        return None
    found = [(row.label, [entry.difference for entry in row.entries]) for row in rows]
    return _difference_grid(
        table, split, f"Difference to {label(table.spec.baseline)}", _row_head(table), found
    )


def contrast_grids(table: Comparison, split: str) -> list[Grid]:
    """What several rows say together on a split: over all groups, and the main effects; those that the table has."""
    groups = len({row.group for row in table.rows})
    together = f"Difference to {label(table.spec.baseline)} over {all_groups(groups)}"
    return [
        _difference_grid(
            table,
            split,
            title,
            head,
            [(row_label(one.name, one.group), one.differences) for one in contrasts],
        )
        for title, head, contrasts in (
            (together, _row_head(table), table.pooled),
            ("Main effects", "factor", table.effects),
        )
        if contrasts
    ]


def _difference_grid(
    table: Comparison,
    split: str,
    title: str,
    head: str,
    rows: Sequence[tuple[str, Sequence[Difference | None]]],
) -> Grid:
    """The columns of a split; rows: a label, and a difference for each column of the table."""
    columns = [(index, column) for index, column in enumerate(table.columns) if column.split == split]
    cells = tuple(
        (
            Cell(name),
            *(_difference_cell(differences[index], column.about.decimals) for index, column in columns),
        )
        for name, differences in rows
    )
    return Grid(f"{title} on {split}", (head, *(column.about.title for _, column in columns)), cells)


def _difference_cell(difference: Difference | None, digits: int) -> Cell:
    said = verdict(difference, digits) if difference else None
    return Cell(difference_text(difference, digits), difference=said)


def published_grid(table: Comparison, published: Published | None) -> Grid | None:
    if published is None:
        return None
    columns = {column.metric: column for column in table.columns if column.metric in published.printed_as}
    rows = dict.fromkeys([*(row.value for row in table.rows), *(row for _, row, _ in published.values)])
    cells = tuple(
        (
            Cell(label(row)),
            *(
                Cell(number(published.value(model, row, metric), column.about.decimals))
                for model in published.models
                for metric, column in columns.items()
            ),
        )
        for row in rows
    )
    pairs = [(model, column) for model in published.models for column in columns.values()]
    heads = (_row_head(table), *(column.about.title for _, column in pairs))
    models = ("", *(model for model, _ in pairs))
    return Grid("Published", heads, cells, models) if columns else None


def _row_head(table: Comparison) -> str:
    return table.spec.rows
