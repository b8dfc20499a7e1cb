"""`ntil explain 0.98 1.01 1.98`: what each loss says about some predictions of a number."""

import argparse
from pathlib import Path

from ntil.errors import UserError

TITLE = "a table and a picture of what each loss says about predictions of a number"
DESCRIPTION = """\
Losses for numbers differ in which wrong answer they forgive. This command shows it: a table of every
loss, term by term, for a true number and some predictions of it, and a picture of every loss over all
predictions with as many digits (up to 4).

The predictions stand for a model that is nearly sure of each token of its answer, given the target so
far, as in training. A prediction has as many tokens as the target, with the point in the same place."""
EXAMPLES = """\
examples:
  ntil explain 0.98 1.01 1.98      1.01 is nearer, yet shares no digit with 0.98
  ntil explain 345 344 945         one wrong digit each; cross-entropy sees no difference
  ntil explain 50 49 10 --png 50.png
  ntil explain 2024 2023 1024 --tokenizer ../models/llama3     tokens of several digits: 202·4
  ntil explain -- -5 +5 -6         the sign; -- keeps texts with a minus from being options"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="the true number as text, such as 0.98")
    parser.add_argument(
        "predictions", nargs="+", metavar="prediction", help="what a model might answer instead"
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="PATH",
        help="tokenizer.json, or a folder with one (default: a token for each character)",
    )
    parser.add_argument(
        "--sure",
        type=float,
        default=0.99999,
        metavar="P",
        help="probability of each token of an answer (default: 0.99999)",
    )
    parser.add_argument(
        "--png",
        type=Path,
        default=Path("explain.png"),
        metavar="FILE",
        help="the picture (default: explain.png)",
    )


def run(options: argparse.Namespace) -> int:
    try:
        from ntil.explain.command import run as explain

        explain(options.target, options.predictions, options.tokenizer, options.sure, options.png)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "ntil":
            raise
        raise UserError(f"`explain` needs {error.name}: pip install 'ntil[explain]'.") from None
    return 0
