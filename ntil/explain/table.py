"""The report as a table for the terminal: losses and their terms down, predictions across."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from ntil.explain.lineup import CE, Contestant
from ntil.explain.report import Report
from ntil.numbers import format_number

NAME, VALUE, SENTENCE = 24, 8, 40  # columns' widths, in characters
GAP = 3  # between them: two of padding and one of the box
MARKS = {"right": " ✓", "wrong": " ✗", "tie": "", "": ""}
SECTIONS = {
    "digits": ("NTIL: as released", "a point ends a number; weights of the released code"),
    "decimal": ("NTIL decimal: ours", "a decimal is one number, with place values"),
}


class Row(NamedTuple):
    """A term or a total of a loss, for each answer."""

    name: str
    values: list[float]
    about: str


def rows(report: Report, contestant: Contestant) -> list[Row]:
    """A loss's terms where it has several, then its total."""
    total = report.totals(contestant.name)
    terms = report.parts[contestant.name][0].terms
    if len(terms) < 2:
        return [Row(contestant.name, total, contestant.about)]
    found = [
        Row(f"  {name}", report.term(contestant.name, key), about)
        for key, (name, about) in ((key, contestant.term(key)) for key in terms)
    ]
    return [*found, Row(f"  = {contestant.name}", total, contestant.formula or contestant.about)]


def tables(report: Report, width: int) -> tuple[list[Table], bool]:
    """One table, or several where not all predictions fit side by side; each holds the target. And whether there was
    room for a sentence in each row; where not, print `legend`."""
    column = _value_width(report) + GAP
    fixed = NAME + GAP + (_favours_width(report) + GAP) * (len(report.wrong) > 1)
    fit = max(1, (width - fixed) // column - 1)
    wrong = range(1, len(report.answers))
    blocks = [list(wrong[i : i + fit]) for i in range(0, len(wrong), fit)] or [[]]
    sentences = width - fixed - column * (1 + len(blocks[0])) >= SENTENCE
    return [_table(report, [0, *block], sentences) for block in blocks], sentences


def legend(report: Report) -> Table:
    """What the rows measure, for terminals too narrow for a column of sentences."""
    table = Table(box=None, padding=(0, GAP - 1, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", ratio=1)
    seen = set()
    for contestant in report.contestants:
        section = SECTIONS.get(contestant.number_format) if _is_ntil(contestant) else None
        named = [(row.name.strip(" ="), row.about) for row in rows(report, contestant)]
        for name, about in [*([section] if section else []), *named]:
            if name not in seen:
                seen.add(name)
                table.add_row(name, about)
    return table


def show(value: float) -> str:
    """Three decimals while they matter."""
    return f"{float(value):.3f}" if abs(value) < 1000 else f"{float(value):,.0f}"


def favoured(report: Report, values: Sequence[float]) -> str:
    """The wrong answer with the lowest value: "1.98", "1.98 +1" where another costs the same, "tie" where all do."""
    favourites = report.favours(values)
    if len(favourites) < 2:
        return favourites[0].text if favourites else ""
    return "tie" if len(favourites) == len(report.wrong) else f"{favourites[0].text} +{len(favourites) - 1}"


def _favours_width(report: Report) -> int:
    others = 3 if len(report.wrong) > 2 else 0  # " +1"
    return max([len("favours"), *(len(answer.text) + 2 + others for answer in report.wrong)])


def _value_width(report: Report) -> int:
    return max([VALUE, *(len(answer.text) for answer in report.answers)])


def _is_ntil(contestant: Contestant) -> bool:
    return contestant.name.split()[0] == "NTIL"


def _table(report: Report, shown: list[int], sentences: bool) -> Table:
    judged = len(report.wrong) > 1
    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("", width=NAME, no_wrap=True)
    for i in shown:
        title = f"{report.answers[i].text}\n{'' if i else 'truth'}"
        table.add_column(title, justify="right", width=_value_width(report), no_wrap=True)
    if judged:
        table.add_column("\nfavours", no_wrap=True, width=_favours_width(report))
    if sentences:
        table.add_column("\nwhat it measures", style="dim", ratio=1)

    def add(name: str, cells: Sequence[str], favours: str, about: str, style: str = "") -> None:
        table.add_row(
            Text(name, style), *(cells[i] for i in shown), *[favours] * judged, *[about] * sentences
        )

    for name, cells, about in _facts(report):
        add(name, cells, "", about)
    section = None
    for contestant in report.contestants:
        heading = _heading(contestant)
        if heading != section:
            table.add_section()
            section = heading
            if heading != ("", ""):
                add(heading[0], [""] * len(report.answers), "", heading[1], "bold")
        for row in rows(report, contestant):
            favours = favoured(report, row.values) + MARKS[report.verdict(row.values)]
            add(row.name, [show(value) for value in row.values], favours, row.about)
    return table


def _facts(report: Report) -> Iterator[tuple[str, list[str], str]]:
    """(name, cells, sentence) of what is known of the answers before any loss is asked."""
    if (errors := report.errors()) is not None:
        yield "off by", [format_number(error) for error in errors], "distance from the truth"
    yield f"wrong {report.token_kind}s", [str(count) for count in report.wrong_tokens()], ""


def _heading(contestant: Contestant) -> tuple[str, str]:
    if contestant.name == CE:
        return "", ""
    return (
        SECTIONS[contestant.number_format]
        if _is_ntil(contestant)
        else ("Other losses", "as published, unless ours")
    )
