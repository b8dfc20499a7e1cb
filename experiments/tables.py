"""Write the tables of experiments from results/ alone: Markdown, LaTeX and CSV.

    python -m experiments.tables                     every experiment in results/runs.csv whose preset has a table
    python -m experiments.tables clock_demo

A preset's `table:` says which rows, splits and metrics; conf/published.yaml holds the paper's values. Writes
results/tables/<experiment>.md, .tex and .csv, and <experiment>_errors.md and .csv: how far off the answers are, which of
their digits are wrong, and calibration. What is missing is "–" (an empty cell in the CSV), never 0.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_experiments, add_results, parser_of
from experiments.write.tables import tables
from ntil.checkout import CONF
from ntil.errors import guard, run_command


def main(argv: Sequence[str] | None = None, conf: Path = CONF) -> int:
    parser = parser_of("tables", __doc__)
    add_experiments(parser, "all that have a table")
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: tables(arguments.results, arguments.experiments, conf))


if __name__ == "__main__":
    run_command(main)
