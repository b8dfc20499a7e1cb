"""The score tables of the page: a link, a difference and a verdict in each cell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.compare.comparison import Comparison, Entry
from experiments.report.runs import RowRuns
from experiments.write.grids import MISSING, Verdict, number, stands_beside, summary_text, verdict
from experiments.write.published import Published

NUMBER = re.compile(r"[−+-]?[0-9][0-9,]*(?:\.[0-9]+)?")


@dataclass(frozen=True)
class ScoreCell:
    text: str
    sort: float | None
    bold: bool = False
    anchor: str = ""  # of the runs behind it
    seeds: str = ""  # each seed's own value
    difference: Verdict | None = None
    published: bool = False


@dataclass(frozen=True)
class ScoreTable:
    split: str
    heads: tuple[tuple[str, bool], ...]  # text, whether it is a published column
    rows: tuple[
        tuple[str, str, bool, tuple[ScoreCell, ...]], ...
    ]  # label, anchor, whether the baseline, cells


def score_tables(table: Comparison, published: Published | None, runs: Sequence[RowRuns]) -> list[ScoreTable]:
    """One for each split."""
    behind = {(row.group, row.value): row for row in runs}
    found = []
    for split in table.spec.splits:
        columns = [(index, column) for index, column in enumerate(table.columns) if column.split == split]
        heads: list[tuple[str, bool]] = [(table.spec.rows, False)]
        lines: list[list[ScoreCell]] = [[] for _ in table.rows]
        for index, column in columns:
            heads.append((column.about.title, False))
            beside = published if published is not None and stands_beside(table, column, published) else None
            if beside is not None:
                heads.append((f"published, {beside.beside}", True))
            for cells, row in zip(lines, table.rows, strict=True):
                mine = behind.get((row.group, row.value))
                cells.append(_cell(row.entries[index], column.about.decimals, mine, split, column.metric))
                if beside is not None:
                    value = beside.value(beside.beside, row.value, column.metric)
                    cells.append(ScoreCell(number(value, column.about.decimals), value, published=True))
        rows = tuple(
            (
                row.label,
                mine.anchor if (mine := behind.get((row.group, row.value))) else "",
                row.is_baseline,
                tuple(cells),
            )
            for row, cells in zip(table.rows, lines, strict=True)
        )
        found.append(ScoreTable(split, tuple(heads), rows))
    return found


def sort_value(text: str) -> float | None:
    """What a cell of plain text is sorted by: its first number; None (always last) where there is none."""
    found = NUMBER.search(text)
    return float(found[0].replace("−", "-").replace(",", "")) if found and text != MISSING else None


def _cell(entry: Entry, digits: int, runs: RowRuns | None, split: str, metric: str) -> ScoreCell:
    if entry.summary.mean is None:
        return ScoreCell(MISSING, None)
    values = [(run.seed, run.score(split, metric)) for run in runs.runs] if runs else []
    return ScoreCell(
        text=summary_text(entry.summary, digits),
        sort=entry.summary.mean,
        bold=entry.best,
        anchor=runs.anchor if runs else "",
        seeds=", ".join(f"seed {seed}: {number(value, digits)}" for seed, value in values),
        difference=verdict(entry.difference, digits) if entry.difference else None,
    )
