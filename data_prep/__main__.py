"""The command line of the builders: `python -m data_prep --help`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.configs import available, read, with_overrides
from data_prep.registry import BUILDERS, request
from ntil.errors import UserError, did_you_mean

EXAMPLES = """examples:
  python -m data_prep list
  python -m data_prep clock --difficulty easy --out data/clock_easy
  python -m data_prep clock --difficulty hard --size 224 --train 20000 --out data/clock_hard_224
  python -m data_prep clock --out data/with_seconds --set style.seconds.probability=0.5
  python -m data_prep clock_time --raw ~/Downloads/time --out data/clock_time --size 64

A data set is a folder with records.jsonl, images/, contact_sheet.png and manifest.json (written last: a folder
without it is unfinished). The same command gives the same bytes, whatever the number of workers.
"""

SET_HELP = (
    "change any value of the data config, for example style.dial.radius=[0.3,0.4] or "
    "style.faces.train.numerals={arabic: 1, roman: 2}; may be repeated"
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "list":
            return _list()
        data = read(_config_name(options))
        data = with_overrides(data, [*_shortcuts(options), *(options.set or ())])
        return _build(data, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _build(data: dict[str, Any], options: argparse.Namespace) -> int:
    asked = request(data)
    if asked.is_built(options.out):
        print(f"{options.out} is up to date.")
        return 0
    asked.build(options.out, options.workers)
    print(f"{options.out} is ready; look at {options.out / 'contact_sheet.png'}.")
    return 0


def _list() -> int:
    width = max(map(len, BUILDERS))
    for name, builder in BUILDERS.items():
        print(f"{name:{width}}  {builder.help}")
        for config in available():
            if read(config)["builder"] == name:
                print(f"{'':{width}}    conf/data/{config}.yaml")
    return 0


def _config_name(options: argparse.Namespace) -> str:
    if options.command != "clock":
        return str(options.command)
    levels = [name.removeprefix("clock_") for name in available() if read(name)["builder"] == "clock"]
    if options.difficulty not in levels:
        near = did_you_mean(options.difficulty, levels)
        raise UserError(
            f"There is no difficulty {options.difficulty!r}.{near} Difficulties: {', '.join(levels)}."
        )
    return f"clock_{options.difficulty}"


# Options that are short names for config values.
SHORTCUTS = {
    "size": "size",
    "seed": "seed",
    "raw": "raw",
    "train": "splits.train",
    "val": "splits.val",
    "test": "splits.test",
    "heldout_faces": "splits.heldout_faces",
}


def _shortcuts(options: argparse.Namespace) -> list[tuple[str, Any]]:
    given = {option: getattr(options, option, None) for option in SHORTCUTS}
    return [(SHORTCUTS[option], value) for option, value in given.items() if value is not None]


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m data_prep",
        description="Build a data set.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("list", help="the builders and their configs")
    clock = commands.add_parser(
        "clock", help=BUILDERS["clock"].help, epilog=EXAMPLES, formatter_class=formatter
    )
    clock.add_argument(
        "--difficulty", default="easy", metavar="LEVEL", help="easy, medium or hard (default easy)"
    )
    clock.add_argument("--size", type=int, metavar="PIXELS", help="width and height of the pictures")
    for split in ("train", "val", "test"):
        clock.add_argument(f"--{split}", type=int, metavar="N", help=f"pictures in {split}")
    clock.add_argument(
        "--heldout-faces", type=int, metavar="N", help="test pictures of faces never trained on"
    )
    clock.add_argument("--seed", type=int, metavar="N", help="another seed, another data set")
    time = commands.add_parser(
        "clock_time", help=BUILDERS["clock_time"].help, epilog=EXAMPLES, formatter_class=formatter
    )
    time.add_argument(
        "--raw",
        type=_folder,
        required=True,
        metavar="DIR",
        help="the folder that holds train/, valid/, test/",
    )
    time.add_argument(
        "--size", type=int, metavar="PIXELS", help="resize to this width and height (default: copy the files)"
    )
    for command in (clock, time):
        command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to build")
        command.add_argument(
            "--workers", type=int, metavar="N", help="processes (default: one for each core)"
        )
        command.add_argument("--set", action="append", metavar="KEY=VALUE", help=SET_HELP)
    return parser


def _folder(text: str) -> str:
    return str(Path(text).expanduser().absolute())


if __name__ == "__main__":
    sys.exit(main())
