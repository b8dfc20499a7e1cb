"""Are the tables, the overview and the page what results/ gives? They are made anew and compared."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from experiments.compare.settings import settings
from experiments.compare.spec import chosen
from experiments.report.content import glances, sections
from experiments.report.page import PAGE, render
from experiments.report.pictures import overview_figure
from experiments.results.store import Store
from experiments.write.overview import PAGE as OVERVIEW
from experiments.write.overview import page
from experiments.write.tabulate import tabulate
from ntil.checkout import CONF

SHOWN = 100  # letters of a different line


def check(results: Path, names: Sequence[str], conf: Path = CONF) -> int:
    """Returns the exit code: 1 where anything differs."""
    store = Store(results)
    found = [tabulate(store, name, conf) for name in chosen(store, list(names), conf)]
    tables = {file: text for one in found for file, text in one.files().items()}
    faults = list(differences(store.tables, tables))
    if not names:  # only all of them together say what is left over, and make the page
        faults += left_over(store.tables, tables)
        compared = settings(store, conf, made=[one.table for one in found])
        index = render(sections(store, found, results), glances(compared), overview_figure(store, results))
        faults += differences(results, {OVERVIEW: page(compared), PAGE: index})
    for fault in faults:
        print(fault)
    if faults:
        print("`make tables` makes them anew.")
    else:
        print(
            f"{results}: {len(tables)} tables{'' if names else ', overview and page'} are as results/ gives them."
        )
    return 1 if faults else 0


def differences(folder: Path, expected: Mapping[str, str]) -> Iterator[str]:
    for name, text in expected.items():
        path = folder / name
        if not path.exists():
            yield f"{path} is missing"
        elif (there := path.read_bytes()) != text.encode():
            yield f"{path} differs in {_first_difference(there.decode(errors='replace'), text)}"


def left_over(folder: Path, expected: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(folder.glob("*")):
        if path.name not in expected:
            yield f"{path} belongs to no experiment in runs.csv"


def _first_difference(there: str, text: str) -> str:
    pairs = zip_longest(there.splitlines(), text.splitlines())
    for number, (old, new) in enumerate(pairs, start=1):
        if old != new:
            return f"line {number}: has {_shortened(old, new)}, should have {_shortened(new, old)}"
    return "its line ends"


def _shortened(line: str | None, other: str | None) -> str:
    """A long line from a little before the first letter that differs."""
    if line is None:
        return "no such line"
    same = next((i for i, (a, b) in enumerate(zip(line, other or "", strict=False)) if a != b), 0)
    start = max(0, same - 20)
    return repr(("…" if start else "") + line[start : start + SHOWN])
