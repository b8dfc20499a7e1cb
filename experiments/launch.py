"""Run an experiment: expand its grid, skip what is complete, train the rest side by side.

    python -m experiments.launch clock_demo                    every run of conf/experiment/clock_demo.yaml
    python -m experiments.launch clock_demo --list             what would run, and what is done
    python -m experiments.launch clock_demo --jobs 2 seed=0,1,2,3,4 trainer.max_steps=100
    python -m experiments.launch ablation --missing            only what results/runs.csv has no row of

Stop it at any time, even with kill -9; the same command goes on where it stopped, and waits for what is still being trained.
Several launchers share the runs of an experiment. A run that another experiment in outputs/ has made with the same
settings, code and data is copied from there; --other-commits copies it from other code too. Words with `=` are Hydra overrides
and replace the grid's axis of the same name. Each run's output goes to outputs/<experiment>/logs/<run>.log.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.command import parser_of
from experiments.run.launch import TRAIN, launch
from ntil.checkout import CONF
from ntil.errors import guard, run_command


def main(argv: Sequence[str] | None = None, command: Sequence[str] = TRAIN, conf: Path = CONF) -> int:
    """Returns the exit code: 0 all done, 1 a run failed, 2 a mistake to mend, 130 interrupted."""
    arguments = parse(argv)
    return guard(lambda: launch(arguments, command, conf))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("launch", __doc__)
    parser.add_argument("experiment", help="a preset: the name of a file in conf/experiment")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides for every run")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="runs at once (default: GPUs, or cores without one)"
    )
    parser.add_argument(
        "--other-commits",
        action="store_true",
        help="copy runs of the same settings and data, whatever code made them",
    )
    parser.add_argument("--list", action="store_true", help="show the runs and their state; start nothing")
    parser.add_argument(
        "--missing",
        nargs="?",
        type=Path,
        const=Path("results"),
        metavar="RESULTS",
        help="leave out the runs that are collected already, by name (default: in results)",
    )
    return parser.parse_intermixed_args(argv)


if __name__ == "__main__":
    run_command(main)
