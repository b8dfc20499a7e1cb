"""Write results/index.html: every table, figure, some predictions and the runs behind them, on one page.

    python -m experiments.report
    python -m experiments.report clock_demo            only this experiment
    python -m experiments.report --output page.html

The page needs no server and no network. It refers to the figures and pictures that are in results/ by relative links, so it
moves with that folder; make them first with `python -m experiments.plots`.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_experiments, add_results, parser_of
from experiments.compare.settings import settings
from experiments.compare.spec import chosen
from experiments.report.content import glances, sections
from experiments.report.page import PAGE, render
from experiments.report.pictures import overview_figure
from experiments.results.store import Store
from experiments.write.tabulate import tabulate
from ntil.checkout import CONF
from ntil.errors import guard, run_command
from ntil.io import write_text


def main(argv: Sequence[str] | None = None, conf: Path = CONF) -> int:
    parser = parser_of("report", __doc__)
    add_experiments(parser, "all that have a table")
    add_results(parser)
    parser.add_argument("--output", type=Path, help=f"the page's file (default: {PAGE} in results)")
    arguments = parser.parse_args(argv)
    output = arguments.output or arguments.results / PAGE
    return guard(lambda: report(arguments.results, arguments.experiments, output, conf))


def report(results: Path, names: Sequence[str], output: Path, conf: Path = CONF) -> int:
    store = Store(results)
    found = [tabulate(store, name, conf) for name in chosen(store, list(names), conf)]
    compared = settings(store, conf, names, [one.table for one in found])
    overview = None if names else overview_figure(store, output.parent)
    write_text(output, render(sections(store, found, output.parent), glances(compared), overview))
    print(output)
    return 0


if __name__ == "__main__":
    run_command(main)
