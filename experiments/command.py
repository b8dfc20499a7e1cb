"""What the commands of this folder share: their parser, and user errors that become one message and exit code 2."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ntil.errors import UserError


def parser_of(name: str, described: str | None) -> argparse.ArgumentParser:
    """Of `python -m experiments.<name>`, described by its module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m experiments.{name}",
        description=described,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """`--results DIR`"""
    where = "where runs.csv is (default: results)"
    parser.add_argument("--results", type=Path, default=Path("results"), help=where)


def add_experiments(parser: argparse.ArgumentParser, default: str) -> None:
    """Names of experiments; `default`: what is meant without any."""
    parser.add_argument("experiments", nargs="*", metavar="NAME", help=f"experiments (default: {default})")


def guard(action: Callable[[], int]) -> int:
    """The exit code of `action`; 2 for a mistake that the user can mend, 130 for Ctrl-C."""
    try:
        return action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
