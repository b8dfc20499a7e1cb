"""The console command `ntil`: a module for each of its commands, with TITLE, DESCRIPTION, EXAMPLES, add_options and run.

What a command works with is imported when it runs, so that `--help` needs torch alone and works everywhere.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

import ntil
from ntil.commands import convert, explain, export, view
from ntil.errors import UserError, did_you_mean, guard, run_command

COMMANDS = {"explain": explain, "convert": convert, "export": export, "view": view}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that is typed; returns its exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    return guard(lambda: _run(typed))


def console() -> NoReturn:
    """What the installed script `ntil` calls."""
    run_command(main)


def _run(typed: list[str]) -> int:
    if not typed[0].startswith("-") and typed[0] not in COMMANDS:
        near = did_you_mean(typed[0], COMMANDS)
        raise UserError(f"there is no command {typed[0]!r}.{near} `ntil --help` shows them all.")
    options = _parser().parse_args(typed)
    return COMMANDS[options.command].run(options)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ntil",
        description="Number-aware losses for autoregressive models.",
        epilog="`ntil COMMAND --help` shows a command's options and examples. Training: python train.py --help.",
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"ntil {ntil.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.TITLE,
            description=module.DESCRIPTION,
            epilog=module.EXAMPLES,
            formatter_class=raw,
        )
        module.add_options(command)
    return parser
