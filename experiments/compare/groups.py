"""Which runs make a row of a table, and which rows belong together."""

import re
from collections.abc import Mapping

from experiments.results.overrides import NOT_OVERRIDES
from experiments.results.rows import RunRow
from ntil.errors import UserError
from ntil.runs.overrides import parse_override

DRAWABLE = 1e30  # from which on no value has a place on an axis
Members = dict[str, dict[int, str]]  # row value → seed → run


def row_groups(runs: Mapping[str, RunRow], key: str) -> dict[str, Members]:
    """Runs that differ in the row choice and the seed alone belong together; the name says what sets a group apart."""
    settings = {run: _other_settings(row, key) for run, row in runs.items()}
    common = set.intersection(*(set(words) for words in settings.values()))
    groups: dict[str, Members] = {}
    for run, row in runs.items():
        group = ", ".join(word for word in settings[run] if word not in common)
        seeds = groups.setdefault(group, {}).setdefault(row_value(row, key), {})
        if (twin := seeds.setdefault(row.seed, run)) != run:
            raise UserError(
                f"{twin} and {run} are the same point of the grid ({key}={row_value(row, key)}, seed {row.seed}), "
                "so a mean over seeds would count it twice. Remove one of them from runs.csv, or collect it under "
                "another experiment_name."
            )
    return dict(sorted(groups.items(), key=lambda item: _natural(item[0])))


def _natural(text: str) -> list[tuple[float, str]]:
    """A key that puts 500 before 1000."""
    pieces = re.findall(r"(\d+(?:\.\d+)?)|(\D+)", text)
    return [(float(number), "") if number else (0.0, word) for number, word in pieces]


def row_value(row: RunRow, key: str) -> str:
    """The value of the row choice: a column of runs.csv, or an override such as loss.sigma."""
    if key in NOT_OVERRIDES:
        return str(getattr(row, key))
    typed = dict(map(parse_override, row.overrides.split()))
    return typed.get(key, "default")


def setting_value(text: str) -> float | None:
    """Of a swept setting; None where it has no place on a logarithmic axis."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < DRAWABLE else None


def _other_settings(row: RunRow, key: str) -> list[str]:
    choices = [f"{name}={getattr(row, name)}" for name in ("task", "model", "loss") if name != key]
    return choices + [word for word in row.overrides.split() if parse_override(word).key != key]
