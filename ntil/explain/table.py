"""The report on a terminal with rich: tables that use the width there is."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntil.explain.report import Report
from ntil.explain.rows import (
    GAP,
    NAME,
    block_width,
    blocks,
    favours_width,
    legend,
    lines,
    value_width,
)
from ntil.explain.words import findings, setting

SENTENCE = 40  # characters that a column of sentences needs


def show_report(report: Report, published: str) -> None:
    """Print the table, what it says, and what its rows measure."""
    console = Console(highlight=False)
    console.print(setting(report))
    console.print()
    sides = blocks(report, console.width)
    sentences = console.width - block_width(report, sides[0]) >= SENTENCE
    for shown in sides:
        console.print(_table(report, shown, sentences), "")
    for sentence in findings(report):
        console.print(f"• {sentence}")
    if not sentences:
        console.print("\nWhat the rows measure", style="bold")
        console.print(_legend(report))
    console.print(f"\n{published}", style="dim")


def _legend(report: Report) -> Table:
    """For terminals too narrow for a column of sentences."""
    table = Table(box=None, padding=(0, GAP - 1, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", ratio=1)
    for name, about in legend(report):
        table.add_row(name, about)
    return table


def _table(report: Report, shown: list[int], sentences: bool) -> Table:
    judged = len(report.wrong) > 1
    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("", width=NAME, no_wrap=True)
    for i in shown:
        title = f"{report.answers[i].text}\n{'' if i else 'truth'}"
        table.add_column(title, justify="right", width=value_width(report), no_wrap=True)
    if judged:
        table.add_column("\nfavours", no_wrap=True, width=favours_width(report))
    if sentences:
        table.add_column("\nwhat it measures", style="dim", ratio=1)
    for line in lines(report):
        if line.opens_section:
            table.add_section()
        table.add_row(
            Text(line.name, "bold" if line.is_heading else ""),
            *(line.cells[i] for i in shown),
            *[line.favours] * judged,
            *[line.about] * sentences,
        )
    return table
