"""Check that the committed tables, the overview and the page are what results/ gives: make them anew and compare.

    python -m experiments.check                      everything in results/runs.csv
    python -m experiments.check clock_demo           the tables of this experiment alone

Prints each file that differs, with its first different line, and what is missing or left over; exits with 1 then. Figures
are not drawn anew, since letters look different on other machines; the page holds those that are there. Nothing is written.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_experiments, add_results, parser_of
from experiments.report.check import check
from ntil.checkout import CONF
from ntil.errors import guard, run_command


def main(argv: Sequence[str] | None = None, conf: Path = CONF) -> int:
    parser = parser_of("check", __doc__)
    add_experiments(parser, "all")
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: check(arguments.results, arguments.experiments, conf))


if __name__ == "__main__":
    run_command(main)
