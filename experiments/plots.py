"""Draw the figures of experiments from results/ alone: learning curves, or metrics over a swept setting.

    python -m experiments.plots                     every experiment in results/
    python -m experiments.plots clock_demo

Writes results/figures/<experiment>_validation.svg and _training.svg: a thin line for each seed, a thick one for
the mean over seeds at the steps that all seeds have, a colour for each loss (the same in every figure). Parts of the
training loss stand on a logarithmic axis. A preset whose table says `along: <override>` gets two others instead:
<experiment>_along, its metrics over that setting, and <experiment>_gain, their differences to the baseline with intervals.
<experiment>_errors shows how far off the answers are and which digits are wrong, <experiment>_calibration how often digits
are right that were written with a certain probability (hollow: under 20 of them). Made for half a page's width. Older
figures of the experiment that it no longer has are removed.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.command import add_experiments, add_results, parser_of
from experiments.plot.figures import plots
from ntil.checkout import CONF
from ntil.errors import guard, run_command


def main(argv: Sequence[str] | None = None, conf: Path = CONF) -> int:
    parser = parser_of("plots", __doc__)
    add_experiments(parser, "all")
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: plots(arguments.results, arguments.experiments, conf))


if __name__ == "__main__":
    run_command(main)
