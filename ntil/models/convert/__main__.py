"""`python -m ntil.models.convert`: see --help."""

import argparse
from pathlib import Path

from transformers.utils import logging

from ntil.errors import guard, run_command
from ntil.models.convert import convert
from ntil.models.convert.recognise import convertible

EXAMPLES = """examples:
  hf download baichuan-inc/Baichuan2-7B-Base --local-dir Baichuan2-7B-Base
  python -m ntil.models.convert Baichuan2-7B-Base --out baichuan2-7b
  python train.py task=arithmetic model=baichuan2 model.local_folder=baichuan2-7b

  python -m ntil.models.convert Yi-VL-6B --out yi-vl-6b
  python train.py task=localization model=yivl model.local_folder=yi-vl-6b

SOURCE is a folder as the hub lays it out: config.json, tokenizer.json or tokenizer.model, and safetensors or
pytorch_model*.bin files; for Yi-VL also the vision tower's own folder inside it, with config.json,
preprocessor_config.json and weights.

Every weight's name and shape is checked before the first is written. Weights keep their precision. No code of the
checkpoint's runs, and .bin files are opened for tensors only. The new folder takes as much disk as SOURCE, and appears
when it is complete. docs/converting.md says what is changed and what was assumed.
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ntil.models.convert",
        description=f"Turn a published checkpoint of {' or '.join(convertible().values())} into one that loads without remote code.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder of the published checkpoint")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="the folder to write; it must not exist"
    )
    parser.add_argument(
        "--family",
        choices=tuple(convertible()),
        help="refuse any other (default: what config.json says it is)",
    )
    chosen = parser.parse_args(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    def run() -> int:
        family = convert(chosen.source, chosen.out, chosen.family)
        print(f"written to {chosen.out}: python train.py model={family} model.local_folder={chosen.out}")
        return 0

    return guard(run)


if __name__ == "__main__":
    run_command(main)
