"""The report as plain text, for where rich is not installed."""

import shutil
import textwrap

from ntil.explain.report import Report
from ntil.explain.rows import GAP, NAME, blocks, legend, lines, value_width
from ntil.explain.words import findings, setting


def show_report(report: Report, published: str) -> None:
    """Print the table, what it says, and what its rows measure."""
    width = shutil.get_terminal_size().columns
    print(_wrapped(setting(report), width), end="\n\n")
    for shown in blocks(report, width):
        print(_table(report, shown), end="\n\n")
    for sentence in findings(report):
        print(_wrapped(f"• {sentence}", width))
    print("\nWhat the rows measure")
    for name, about in legend(report):
        print(
            textwrap.fill(
                about, width, initial_indent=f"{name:<{NAME}}  ", subsequent_indent=" " * (NAME + 2)
            )
        )
    print(f"\n{_wrapped(published, width)}")


def _table(report: Report, shown: list[int]) -> str:
    column = value_width(report)
    judged = len(report.wrong) > 1

    def line(name: str, cells: list[str], favours: str) -> str:
        between = " " * GAP
        values = between.join(f"{cells[i]:>{column}}" for i in shown)
        return f"{name:<{NAME}}{between}{values}{between}{favours if judged else ''}".rstrip()

    titles = [answer.text for answer in report.answers]
    found = [line("", titles, ""), line("", ["truth", *[""] * len(report.wrong)], "favours")]
    found.append("-" * max(len(text) for text in found))
    for row in lines(report):
        if row.opens_section:
            found.append("")
        found.append(line(row.name, row.cells, row.favours))
    return "\n".join(found)


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width)
