"""A comparison as grids of text cells, the same for Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.comparison import Comparison, Contrast, Entry
from experiments.labels import label, row_label
from experiments.pairing import Column
from experiments.published import Published
from experiments.statistics import Difference, Summary

MISSING = "–"


@dataclass(frozen=True)
class Cell:
    text: str
    bold: bool = False


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
        found += [one.grid() for one in contrast_tables(table, split)]
    return [grid for grid in [*found, published_grid(table, published)] if grid is not None]


def number(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None:
        return MISSING
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
    mean = number(difference.mean, digits, sign=True)
    return f"{mean} {interval_text(difference, digits)} {difference.verdict}"


def interval_text(difference: Difference, digits: int) -> str:
    low, high = number(difference.low, digits, sign=True), number(difference.high, digits, sign=True)
    return f"[{low}, {high}]"


def _scores(table: Comparison, split: str, indices: list[int], published: Published | None) -> Grid:
    heads = [_row_head(table)]
    rows = [[Cell(row.label)] for row in table.rows]
    for index in indices:
        column = table.columns[index]
        heads.append(column.title)
        for cells, row in zip(rows, table.rows, strict=True):
            entry = row.entries[index]
            cells.append(Cell(summary_text(entry.summary, column.digits), entry.best))
        if published is not None and stands_beside(table, column, published):
            heads.append(f"published, {published.beside}: {column.title}")
            for cells, row in zip(rows, table.rows, strict=True):
                value = published.value(published.beside, row.value, column.metric)
                cells.append(Cell(number(value, column.digits)))
    return Grid(f"Scores on {split}", tuple(heads), tuple(tuple(cells) for cells in rows))


def stands_beside(table: Comparison, column: Column, published: Published) -> bool:
    """The paper has one test set, so its value stands beside the first split only."""
    return column.split == table.spec.splits[0] and column.metric in published.printed_as


def _differences(table: Comparison, split: str, indices: list[int]) -> Grid | None:
    rows = [row for row in table.rows if not row.is_baseline]
    if not any(row.entries[index].difference for row in rows for index in indices):
        return None
    cells = tuple(
        (Cell(row.label), *(_difference_cell(row.entries[index], table.columns[index]) for index in indices))
        for row in rows
    )
    heads = (_row_head(table), *(table.columns[index].title for index in indices))
    return Grid(f"Difference to {label(table.spec.baseline)} on {split}", heads, cells)


def _difference_cell(entry: Entry, column: Column) -> Cell:
    return Cell(difference_text(entry.difference, column.digits))


@dataclass(frozen=True)
class ContrastTable:
    """What several rows say together: a labelled difference under each column in each row."""

    title: str
    head: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Difference | None, ...]], ...]

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head, *(column.title for column in self.columns))

    def grid(self) -> Grid:
        rows = tuple(
            (
                Cell(name),
                *(
                    Cell(difference_text(difference, column.digits))
                    for difference, column in zip(differences, self.columns, strict=True)
                ),
            )
            for name, differences in self.rows
        )
        return Grid(self.title, self.heads, rows)


def contrast_tables(table: Comparison, split: str) -> list[ContrastTable]:
    """On a split, what the table has of: differences over all groups, and main effects."""
    groups = len({row.group for row in table.rows})
    together = f"Difference to {label(table.spec.baseline)} over all {groups} groups on {split}"
    found = [
        _contrasts(table, split, together, _row_head(table), table.pooled),
        _contrasts(table, split, f"Main effects on {split}", "factor", table.effects),
    ]
    return [one for one in found if one.rows]


def _contrasts(
    table: Comparison, split: str, title: str, head: str, contrasts: Sequence[Contrast]
) -> ContrastTable:
    indices = [index for index, column in enumerate(table.columns) if column.split == split]
    rows = tuple(
        (row_label(one.name, one.group), tuple(one.differences[index] for index in indices))
        for one in contrasts
    )
    return ContrastTable(title, head, tuple(table.columns[index] for index in indices), rows)


def published_grid(table: Comparison, published: Published | None) -> Grid | None:
    if published is None:
        return None
    columns = {column.metric: column for column in table.columns if column.metric in published.printed_as}
    rows = dict.fromkeys([*(row.value for row in table.rows), *(row for _, row, _ in published.values)])
    cells = tuple(
        (
            Cell(label(row)),
            *(
                Cell(number(published.value(model, row, metric), column.digits))
                for model in published.models
                for metric, column in columns.items()
            ),
        )
        for row in rows
    )
    pairs = [(model, column) for model in published.models for column in columns.values()]
    heads = (_row_head(table), *(column.title for _, column in pairs))
    models = ("", *(model for model, _ in pairs))
    return Grid("Published", heads, cells, models) if columns else None


def _row_head(table: Comparison) -> str:
    return table.spec.rows
