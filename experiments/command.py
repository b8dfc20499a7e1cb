"""What the commands of this folder share: their parser."""

import argparse
from pathlib import Path


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
