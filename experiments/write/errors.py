"""Errors and calibration as grids, Markdown and tidy CSV, beside an experiment's main table."""

import csv
import io
from collections.abc import Callable, Mapping

from experiments.compare.comparison import Comparison
from experiments.compare.errors import Analysis, RowErrors, Shares
from experiments.compare.labels import label
from experiments.compare.statistics import Summary
from experiments.write.grids import MISSING, Cell, Grid, number, summary_text
from experiments.write.render import generated, markdown_grid, markdown_list, plain
from ntil.escape import markdown

DIGITS = 3
CSV_COLUMNS = (
    *("experiment", "group", "row", "label", "split", "kind", "bin"),
    *("seeds", "mean", "sd", "count", "confidence", "right"),
)


def error_grids(table: Comparison, found: Analysis) -> list[Grid]:
    """For each split: how far off, which digits are wrong, and how well the probabilities are calibrated."""
    grids = []
    for split in table.spec.splits:
        rows = found.of(split)
        grids += [
            _shares_grid(
                f"Share of the answers on {split}, by {found.title}",
                table.spec.rows,
                found.bins,
                [(row, row.magnitude) for row in rows],
            ),
            _shares_grid(
                f"Share of the answer's digits that are wrong on {split}, by place",
                table.spec.rows,
                found.places,
                [(row, row.places) for row in rows],
            ),
            _calibration_grid(f"Calibration of the written digits on {split}", table.spec.rows, rows),
        ]
    return [grid for grid in grids if grid is not None]


def error_sentences(found: Analysis) -> list[str]:
    lines = ["Cells: mean ± sample standard deviation over seeds (number of seeds)."]
    if any(row.places for row in found.rows):
        lines.append(
            "Places are aligned at the units; a digit that was not written is wrong. Shares are of the digits that the "
            "answers have at that place."
        )
    if any(row.calibration for row in found.rows):
        lines.append(
            "Calibration: each written token of digits, its probability against whether its digits stand in the answer as far "
            "from the number's first digit. ECE is the expected calibration error over ten bins of equal width, of each run. "
            "A number that ends too early or too late is not seen by it."
        )
    return lines


def error_markdown(table: Comparison, found: Analysis) -> str:
    title = f"{table.title}: errors and calibration"
    parts = [generated(table), f"# {markdown(title, keep='_')}"]
    parts += [
        f"**{markdown(grid.title, keep='_')}**\n\n{markdown_grid(grid)}" for grid in error_grids(table, found)
    ]
    return "\n\n".join([*parts, markdown_list(error_sentences(found))]) + "\n"


def error_csv(table: Comparison, found: Analysis) -> str:
    """Shares by bin and place with their count; ECE; and the points of the reliability diagram, over all seeds."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in found.rows:
        names = [table.experiment, row.group, row.value, label(row.value), row.split]

        def line(
            kind: str, name: str, summary: Summary, *rest: float | int, names: list[str] = names
        ) -> None:
            cells = [summary.count, summary.mean, summary.sd, *rest]
            cells += [None] * (len(CSV_COLUMNS) - len(names) - 2 - len(cells))
            writer.writerow([*names, kind, name, *map(plain, cells)])

        for kind, order, shares in (
            ("magnitude", found.bins, row.magnitude),
            ("wrong_place", found.places, row.places),
        ):
            for name in order:
                if shares and name in shares.over_seeds:
                    line(kind, name, shares.over_seeds[name], shares.count[name])
        if row.calibration:
            line("ece", "", row.calibration.ece, row.calibration.tokens)
            for confidence, right, tokens in row.calibration.points:
                summary = Summary(None, None, row.calibration.ece.count)
                line("reliability", "", summary, tokens, confidence, right)
    return text.getvalue()


def _shares_grid(
    title: str, head: str, bins: tuple[str, ...], rows: list[tuple[RowErrors, Shares | None]]
) -> Grid | None:
    shown = [(row, shares) for row, shares in rows if shares is not None]
    names = [name for name in bins if any(name in shares.over_seeds for _, shares in shown)]
    if not shown or not names:
        return None
    cells = tuple(
        (Cell(row.label), *(Cell(_summary(shares.over_seeds, name)) for name in names))
        for row, shares in shown
    )
    return Grid(title, (head, *names), cells)


def _calibration_grid(title: str, head: str, rows: list[RowErrors]) -> Grid | None:
    columns: dict[str, Callable[[RowErrors], str]] = {
        "ECE ↓": lambda row: summary_text(row.calibration.ece, DIGITS) if row.calibration else MISSING,
        "tokens": lambda row: f"{row.calibration.tokens:,}" if row.calibration else MISSING,
        "mean probability": lambda row: (
            number(row.calibration.confidence, DIGITS) if row.calibration else MISSING
        ),
        "share right": lambda row: number(row.calibration.right, DIGITS) if row.calibration else MISSING,
    }
    if not any(row.calibration for row in rows):
        return None
    cells = tuple((Cell(row.label), *(Cell(say(row)) for say in columns.values())) for row in rows)
    return Grid(title, (head, *columns), cells)


def _summary(summaries: Mapping[str, Summary], name: str) -> str:
    return summary_text(summaries[name], DIGITS) if name in summaries else MISSING
