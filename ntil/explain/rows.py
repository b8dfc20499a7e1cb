"""The rows of the table, however they are printed: losses and their terms down, predictions across."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ntil.explain.lineup import CE, Contestant
from ntil.explain.report import Report
from ntil.numbers import format_number

NAME, VALUE = 24, 8  # columns' widths, in characters
GAP = 3  # between them
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


class Line(NamedTuple):
    """A line of the table; a heading has no cells and opens a section, as the first row of a section without one does."""

    name: str
    cells: list[str]  # for each answer
    favours: str
    about: str
    is_heading: bool = False
    opens_section: bool = False


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


def lines(report: Report) -> Iterator[Line]:
    """The table, line by line."""
    for name, cells in _facts(report):
        yield Line(name, cells, "", "distance from the truth" if name == "off by" else "")
    section = None
    for contestant in report.contestants:
        heading, opens = _heading(contestant), False
        if heading != section:
            section, opens = heading, True
            if heading != ("", ""):
                yield Line(heading[0], [""] * len(report.answers), "", heading[1], True, True)
                opens = False
        for row in rows(report, contestant):
            favours = favoured(report, row.values) + MARKS[report.verdict(row.values)]
            yield Line(row.name, [show(x) for x in row.values], favours, row.about, opens_section=opens)
            opens = False


def legend(report: Report) -> Iterator[tuple[str, str]]:
    """(name, sentence) of what the rows measure, each once."""
    seen = set()
    for contestant in report.contestants:
        section = SECTIONS.get(contestant.number_format) if _is_ntil(contestant) else None
        named = [(row.name.strip(" ="), row.about) for row in rows(report, contestant)]
        for name, about in [*([section] if section else []), *named]:
            if name not in seen:
                seen.add(name)
                yield name, about


def blocks(report: Report, width: int) -> list[list[int]]:
    """Which answers stand side by side in `width` characters: several blocks where not all fit, each with the target."""
    fixed = NAME + GAP + (favours_width(report) + GAP) * (len(report.wrong) > 1)
    fit = max(1, (width - fixed) // (value_width(report) + GAP) - 1)
    wrong = range(1, len(report.answers))
    return [[0, *wrong[i : i + fit]] for i in range(0, len(wrong), fit)] or [[0]]


def block_width(report: Report, shown: Sequence[int]) -> int:
    favours = (favours_width(report) + GAP) * (len(report.wrong) > 1)
    return NAME + GAP + (value_width(report) + GAP) * len(shown) + favours


def show(value: float) -> str:
    """Three decimals while they matter."""
    return f"{float(value):.3f}" if abs(value) < 1000 else f"{float(value):,.0f}"


def favoured(report: Report, values: Sequence[float]) -> str:
    """The wrong answer with the lowest value: "1.98", "1.98 +1" where another costs the same, "tie" where all do."""
    favourites = report.favours(values)
    if len(favourites) < 2:
        return favourites[0].text if favourites else ""
    return "tie" if len(favourites) == len(report.wrong) else f"{favourites[0].text} +{len(favourites) - 1}"


def favours_width(report: Report) -> int:
    others = 3 if len(report.wrong) > 2 else 0  # " +1"
    return max([len("favours"), *(len(answer.text) + 2 + others for answer in report.wrong)])


def value_width(report: Report) -> int:
    return max([VALUE, *(len(answer.text) for answer in report.answers)])


def _is_ntil(contestant: Contestant) -> bool:
    return contestant.name.split()[0] == "NTIL"


def _facts(report: Report) -> Iterator[tuple[str, list[str]]]:
    """(name, cells) of what is known of the answers before any loss is asked."""
    if (errors := report.errors()) is not None:
        yield "off by", [format_number(error) for error in errors]
    yield f"wrong {report.token_kind}s", [str(count) for count in report.wrong_tokens()]


def _heading(contestant: Contestant) -> tuple[str, str]:
    if contestant.name == CE:
        return "", ""
    return (
        SECTIONS[contestant.number_format]
        if _is_ntil(contestant)
        else ("Other losses", "as published, unless ours")
    )
