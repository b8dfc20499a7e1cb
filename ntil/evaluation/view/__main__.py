"""Look at a run's predictions in a browser.

    python -m ntil.evaluation.view outputs/runs/clock-tiny-ntil-seed0

Writes RUN/view.html: the worst, the best and some random predictions of each split, truth and answer drawn over the pictures,
with filters by split and category. One file that needs no server and no network; open it in any browser.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ntil.errors import UserError, guard, run_command
from ntil.escape import terminal
from ntil.evaluation.view.cards import read_view
from ntil.evaluation.view.page import render
from ntil.io import write_text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ntil.evaluation.view",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument(
        "--count", type=int, default=24, help="worst, best and random ones of each split (24)"
    )
    parser.add_argument("--data", type=Path, help="the data set, where it has moved since the run")
    parser.add_argument("--out", type=Path, help="the page to write (default: RUN/view.html)")
    options = parser.parse_args(arguments)
    return guard(
        lambda: view(options.run, options.count, options.data, options.out or options.run / "view.html")
    )


def view(run: Path, count: int, data: Path | None, out: Path) -> int:
    if count < 1:
        raise UserError(f"--count {count} leaves nothing to look at; use at least 1.")
    found = read_view(run, count, data)
    for reason in found.skipped:
        print(f"no picture of {terminal(reason)}", file=sys.stderr)
    write_text(out, render(found))
    print(f"open {out}")
    return 0


if __name__ == "__main__":
    run_command(main)
