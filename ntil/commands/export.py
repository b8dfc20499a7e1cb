"""`ntil export RUN --out FOLDER`: a trained run's model as one checkpoint that needs nothing of ours."""

import argparse
from pathlib import Path

from ntil.checkout import check_checkout

TITLE = "a trained run's model as one checkpoint, adapters merged"
DESCRIPTION = """\
Write a trained run's model as one checkpoint that needs nothing of ours: adapters merged, processor beside it. Merged weights
are computed and kept in the precision of the frozen ones (model.tuning.dtype)."""
EXAMPLES = """\
examples:
  ntil export outputs/runs/clock-llava15-ntil-seed0 --out /models/llava15-clocks
  python train.py model=llava15 model.local_folder=/models/llava15-clocks"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run's folder, as train.py leaves it")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="the folder to write; it must not exist"
    )
    parser.add_argument(
        "--base", metavar="FOLDER", help="base weights of the run's adapters, in place of those that it names"
    )
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that the model's own files name"
    )


def run(options: argparse.Namespace) -> int:
    check_checkout("ntil export")
    from transformers.utils import logging

    from ntil.models.export import export

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    export(options.run, options.out, options.trust_remote_code, options.base)
    print(f"written to {options.out}")
    return 0
