"""Errors and calibration by row of a table: each run's shares first, then mean and deviation over the seeds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from experiments.compare import labels
from experiments.compare.groups import row_groups
from experiments.compare.pairing import Scores, by_item
from experiments.compare.spec import TableSpec
from experiments.compare.statistics import Summary, summarise
from experiments.results.error_counts import CALIBRATION, PLACE
from experiments.results.magnitude import WRONG_DIGITS, binned, magnitude_of
from experiments.results.rows import ErrorRow
from experiments.results.store import Store
from ntil.data.magnitude import Magnitude

Counts = dict[tuple[str, str], list[ErrorRow]]  # by run and split


@dataclass(frozen=True)
class Shares:
    """Shares by bin, 0–1: over the seeds, and of each seed; `count` is what a seed's shares are of, over all seeds."""

    over_seeds: dict[str, Summary]
    seeds: dict[str, tuple[float, ...]]
    count: dict[str, int]


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error over the seeds; the bins' sums over all of them."""

    ece: Summary
    tokens: int
    right: float  # share of the tokens, 0–1
    confidence: float  # their mean probability
    points: tuple[
        tuple[float, float, int], ...
    ]  # mean confidence, share right, tokens, of each bin that has any


@dataclass(frozen=True)
class RowErrors:
    """A row of the table on one split; None or empty where the runs were collected without."""

    group: str
    value: str
    split: str
    magnitude: Shares | None
    places: Shares | None  # share wrong
    calibration: Calibration | None

    @property
    def label(self) -> str:
        return labels.row_label(self.value, self.group)


@dataclass(frozen=True)
class Analysis:
    experiment: str
    title: str  # of the magnitude
    bins: tuple[str, ...]
    hidden: int  # so many of the bins a figure leaves out
    places: tuple[str, ...]  # from the left
    rows: tuple[RowErrors, ...]  # by split, group and value, in the table's order

    def of(self, split: str, group: str | None = None) -> list[RowErrors]:
        return [row for row in self.rows if row.split == split and group in (None, row.group)]


def analyse(experiment: str, spec: TableSpec, store: Store, expected: Sequence[str] = ()) -> Analysis | None:
    """None where no run has anything to show. Rows stand as in the table: the baseline, then as `expected`."""
    runs = {row.run: row for row in store.runs(experiment)}
    magnitude = magnitude_of(next(iter(runs.values())).task)
    counts: Counts = defaultdict(list)
    for row in store.errors(experiment):
        counts[row.run, row.split].append(row)
    scores = by_item(store.scores(experiment)) if magnitude.measure else {}
    rows: list[RowErrors] = []
    for split in spec.splits:
        for group, members in row_groups(runs, spec.rows).items():
            for value in labels.ordered(list(members), first=[spec.baseline, *expected]):
                names = [*members.get(value, {}).values()]
                found = RowErrors(
                    group,
                    value,
                    split,
                    _shares([_magnitude(magnitude, run, split, scores, counts) for run in names]),
                    _wrong(_kind(counts, run, split, PLACE) for run in names),
                    calibration([_kind(counts, run, split, CALIBRATION) for run in names]),
                )
                if found.magnitude or found.places or found.calibration:
                    rows.append(found)
    if not rows:
        return None
    there = dict.fromkeys(name for row in rows if row.places for name in row.places.over_seeds)
    places = tuple(sorted(there, key=_place_order(counts)))
    return Analysis(experiment, magnitude.title, magnitude.bins, magnitude.hidden, places, tuple(rows))


def calibration(runs: Sequence[Sequence[ErrorRow]]) -> Calibration | None:
    """From the calibration rows of each run."""
    tables = [pd.DataFrame(rows) for rows in runs if rows]
    if not tables:
        return None
    bins = pd.concat(tables).groupby("bin")[["confidence", "right", "count"]].sum()
    points = tuple((c / n, r / n, int(n)) for c, r, n in bins.itertuples(index=False))
    confidence, right, tokens = bins.sum()
    eces = summarise([ece(table) for table in tables])
    return Calibration(eces, int(tokens), right / tokens, confidence / tokens, points)


def ece(bins: pd.DataFrame) -> float:
    """Σ over the bins of tokens/all · |share right − mean confidence|, of one run."""
    return float((bins["right"] - bins["confidence"]).abs().sum() / bins["count"].sum())


def _magnitude(
    magnitude: Magnitude,
    run: str,
    split: str,
    scores: Scores,
    counts: Counts,
) -> dict[str, int]:
    if magnitude.measure is not None:
        return binned(magnitude, scores[run, split]) if (run, split) in scores else {}
    return {row.bin: row.count for row in _kind(counts, run, split, WRONG_DIGITS)}


def _shares(runs: Sequence[Mapping[str, int]]) -> Shares | None:
    """Of each run's items, how many lie in each bin."""
    shares: dict[str, list[float]] = defaultdict(list)
    for counts in runs:
        for name, count in counts.items():
            shares[name].append(count / sum(counts.values()))
    total = sum(sum(counts.values()) for counts in runs)
    return _summed(shares, lambda name: total)


def _wrong(runs: Iterable[Sequence[ErrorRow]]) -> Shares | None:
    """Of each run's digits at a place, how many are wrong."""
    shares: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for rows in runs:
        for row in rows:
            assert row.right is not None
            shares[row.bin].append(1 - row.right / row.count)
            counts[row.bin] += row.count
    return _summed(shares, lambda name: counts[name])


def _summed(shares: Mapping[str, list[float]], count: Callable[[str], int]) -> Shares | None:
    if not shares:
        return None
    return Shares(
        {name: summarise(values) for name, values in shares.items()},
        {name: tuple(values) for name, values in shares.items()},
        {name: count(name) for name in shares},
    )


def _place_order(counts: Counts) -> Callable[[str], tuple[int, str]]:
    """Rows of a run list its places from the left; the run with the most of them gives the order."""
    lists = [[row.bin for row in rows if row.kind == PLACE] for rows in counts.values()]
    longest = max(lists, key=len, default=[])
    return lambda name: (longest.index(name) if name in longest else -1, name)


def _kind(counts: Counts, run: str, split: str, kind: str) -> list[ErrorRow]:
    return [row for row in counts.get((run, split), ()) if row.kind == kind]
