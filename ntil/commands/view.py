"""`ntil view RUN`: one HTML page of a run's predictions."""

import argparse
import sys
from pathlib import Path

from ntil.checkout import check_checkout
from ntil.errors import UserError
from ntil.escape import terminal
from ntil.io import write_text

TITLE = "a page of a run's predictions, for the browser"
DESCRIPTION = """\
Look at a run's predictions in a browser. Writes RUN/view.html: the worst, the best and some random predictions of each split,
truth and answer drawn over the pictures, with filters by split and category. One file that needs no server and no network."""
EXAMPLES = """\
examples:
  ntil view outputs/runs/clock-tiny-ntil-seed0
  ntil view outputs/runs/clock-tiny-ntil-seed0 --count 100 --out clocks.html"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run's folder, as train.py leaves it")
    parser.add_argument(
        "--count", type=int, default=24, metavar="N", help="worst, best and random ones of each split (24)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="the data set, where it has moved since the run"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page to write (default: RUN/view.html)")


def run(options: argparse.Namespace) -> int:
    check_checkout("ntil view")
    if options.count < 1:
        raise UserError(f"--count {options.count} leaves nothing to look at; use at least 1.")
    from ntil.evaluation.view.cards import read_view
    from ntil.evaluation.view.page import render

    out = options.out or options.run / "view.html"
    found = read_view(options.run, options.count, options.data)
    for reason in found.skipped:
        print(f"no picture of {terminal(reason)}", file=sys.stderr)
    write_text(out, render(found))
    print(f"open {out}")
    return 0
