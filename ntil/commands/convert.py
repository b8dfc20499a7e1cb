"""`ntil convert SOURCE --out FOLDER`: a published checkpoint into one that loads without remote code."""

import argparse
from pathlib import Path

from ntil.checkout import check_checkout
from ntil.errors import UserError, did_you_mean

TITLE = "a published checkpoint of Yi-VL or Baichuan2 into one that loads"
DESCRIPTION = "Turn a published checkpoint of Yi-VL or Baichuan2 7B into one that loads without remote code."
EXAMPLES = """\
examples:
  hf download baichuan-inc/Baichuan2-7B-Base --local-dir Baichuan2-7B-Base
  ntil convert Baichuan2-7B-Base --out baichuan2-7b
  python train.py task=arithmetic model=baichuan2 model.local_folder=baichuan2-7b

  ntil convert Yi-VL-6B --out yi-vl-6b
  python train.py task=localization model=yivl model.local_folder=yi-vl-6b

SOURCE is a folder as the hub lays it out: config.json, tokenizer.json or tokenizer.model, and safetensors or
pytorch_model*.bin files; for Yi-VL also the vision tower's own folder inside it, with config.json,
preprocessor_config.json and weights.

Every weight's name and shape is checked before the first is written. Weights keep their precision. No code of the
checkpoint's runs, and .bin files are opened for tensors only. The new folder takes as much disk as SOURCE, and appears
when it is complete. docs/converting.md says what is changed and what was assumed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder of the published checkpoint")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="the folder to write; it must not exist"
    )
    parser.add_argument(
        "--family",
        metavar="FAMILY",
        help="refuse any other (default: what config.json says it is)",
    )


def run(options: argparse.Namespace) -> int:
    check_checkout("ntil convert")
    from transformers.utils import logging

    from ntil.models.convert import convert
    from ntil.models.convert.recognise import convertible

    if options.family is not None and options.family not in (known := convertible()):
        near = did_you_mean(options.family, known)
        raise UserError(
            f"--family {options.family!r} has no layout of its own.{near} It is one of: {', '.join(known)}."
        )
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    family = convert(options.source, options.out, options.family)
    print(f"written to {options.out}: python train.py model={family} model.local_folder={options.out}")
    return 0
