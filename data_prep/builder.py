"""What a data set's module holds to be found: `BUILDER = Builder(…)`, or `generated(…)` for a set that is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_prep.writer import Plan


@dataclass(frozen=True)
class Builder:
    """A data set that can be built.

    name     what `builder:` in conf/data/*.yaml says
    config   a frozen dataclass of the file's keys, `name` and `builder` among them (data_prep.schema)
    plan     from a checked config to what is to be made
    version  goes up whenever the same config gives other pictures or records
    help     a line for `python -m data_prep list`
    """

    name: str
    config: type[Any]
    plan: Callable[[Any], Plan]
    version: int
    help: str
