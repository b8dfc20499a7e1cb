"""Write the tables of experiments from results/ alone: Markdown, LaTeX and CSV.

    python -m experiments.tables                     every experiment in results/runs.csv whose preset has a table
    python -m experiments.tables clock_demo

A preset's `table:` says which rows, splits and metrics; conf/published.yaml holds the paper's values. Writes
results/tables/<experiment>.md, .tex and .csv. What is missing is "–" (an empty cell in the CSV), never 0.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from experiments.caption import caption
from experiments.command import guard
from experiments.comparison import TableSpec, compare
from experiments.grids import grids
from experiments.presets import grid_values, table_spec
from experiments.published import load_published
from experiments.render import latex, markdown, tidy_csv
from experiments.store import Store
from ntil.errors import UserError, did_you_mean
from ntil.io import write_text
from ntil.runs.run import ROOT_CONF


def main(argv: Sequence[str] | None = None, conf: Path = ROOT_CONF) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "experiments", nargs="*", metavar="NAME", help="experiments (default: all that have a table)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="where runs.csv is (default: results)"
    )
    arguments = parser.parse_args(argv)
    return guard(lambda: tables(arguments.results, arguments.experiments, conf))


def tables(results: Path, names: Sequence[str], conf: Path = ROOT_CONF) -> int:
    """Returns the exit code 0; UserError where there is nothing to show."""
    store = Store(results)
    for name in chosen(store, names, conf):
        text = write_table(store, name, conf)
        show(text)
    return 0


def chosen(store: Store, names: Sequence[str], conf: Path) -> list[str]:
    """The experiments to show: those named, each of which must have runs and a table, or all that have."""
    collected = store.experiments()
    if not collected:
        raise UserError(
            f"{store.runs_path} has no runs; `python -m experiments.collect` reads them from outputs/."
        )
    for name in names:
        if name not in collected:
            near = did_you_mean(name, collected)
            raise UserError(
                f"{store.runs_path} has no experiment {name!r}.{near} It has: {', '.join(collected)}."
            )
        if table_spec(name, conf) is None:
            raise UserError(f"{name} has no table: add a `table:` node to conf/experiment/{name}.yaml.")
    return list(names) or [name for name in collected if table_spec(name, conf) is not None]


def write_table(store: Store, name: str, conf: Path) -> str:
    """Write the three files; returns the Markdown."""
    spec = TableSpec.parse(name, table_spec(name, conf) or {})
    table = compare(name, spec, store, expected=grid_values(name, spec.rows, conf))
    published = load_published(spec.published, conf / "published.yaml") if spec.published else None
    shown, sentences = grids(table, published), caption(table, published)
    text = markdown(table, shown, sentences)
    folder = store.root / "tables"
    write_text(folder / f"{name}.md", text)
    write_text(folder / f"{name}.tex", latex(table, shown, sentences))
    write_text(folder / f"{name}.csv", tidy_csv(table, published))
    return text


def show(text: str) -> None:
    """Rendered on a terminal, as it is into a pipe."""
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        print(text)


if __name__ == "__main__":
    sys.exit(main())
