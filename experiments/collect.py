"""Read the complete runs in outputs/ into results/, from which tables and figures are made.

    python -m experiments.collect                              every experiment in outputs/
    python -m experiments.collect --experiment clock_demo
    python -m experiments.collect --outputs /data/outputs --results results
    python -m experiments.collect --repair                     first mend what is damaged in results/

Writes results/runs.csv, results/scores/<experiment>.csv.gz (each test item's scores), results/curves/<experiment>.csv.gz,
results/errors/<experiment>.csv (wrong digits and calibration) and small pictures of some predictions in
results/gallery/. A run that is read replaces its earlier rows; rows of runs that are not in outputs/ (or cannot be used)
stay. Incomplete or damaged folders are named with the reason and left out. Nothing that a run's folder names is run but the
project's own tasks. Several at once take turns. --repair keeps the lines of a damaged file that can be read, and the file
as it was beside it.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import parser_of
from experiments.results.collect import collect
from ntil.errors import guard, run_command


def main(argv: Sequence[str] | None = None) -> int:
    parser = parser_of("collect", __doc__)
    parser.add_argument(
        "--outputs", type=Path, default=Path("outputs"), help="where the runs are (default: outputs)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="where to write (default: results)"
    )
    parser.add_argument("--experiment", metavar="NAME", help="only this experiment (default: all in outputs)")
    parser.add_argument("--repair", action="store_true", help="mend damaged files in results first")
    arguments = parser.parse_args(argv)
    return guard(
        lambda: collect(arguments.outputs, arguments.results, arguments.experiment, arguments.repair)
    )


if __name__ == "__main__":
    run_command(main)
