"""The settings in which CE, EMD and NTIL were all run: what each scored, and how the three differ there.

A setting is a group of runs that share everything but loss and seed, in an experiment of these three losses; it is judged
by the first metric of its table on the first split. Where all groups of a table have the same seeds, they make one more
setting, all together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.compare.comparison import Comparison, compare
from experiments.compare.labels import all_groups
from experiments.compare.pairing import Column
from experiments.compare.spec import TableSpec, chosen
from experiments.compare.statistics import ENOUGH_SEEDS, Difference, Summary
from experiments.results.store import Store
from experiments.run.presets import table_spec
from ntil.checkout import CONF
from ntil.runs.overrides import parse_override

PAPER_LOSSES = ("ce", "emd", "ntil")
Pair = tuple[str, str]  # a loss and what it is compared to
PAIRS: tuple[Pair, ...] = (("ntil", "ce"), ("ntil", "emd"), ("emd", "ce"))
_SAID = {"trainer.train_examples": "{} training examples", "data": "{}", "model": "{}"}


@dataclass(frozen=True)
class Setting:
    """Runs with the three losses that share everything else, or all groups of such runs."""

    experiment: str
    title: str
    group: str
    column: Column  # that it is judged by
    means: Mapping[str, Summary]
    differences: Mapping[Pair, Mapping[Column, Difference]]  # by every metric and split, where there is one
    groups: int = 1

    @property
    def name(self) -> str:
        return f"{self.title}: {self.words}" if self.words else self.title

    @property
    def words(self) -> str:
        """What sets it apart from the others of its title."""
        return said(self.group) if self.groups == 1 else f"{all_groups(self.groups)} together"

    @property
    def is_told(self) -> bool:
        return self.seeds >= ENOUGH_SEEDS

    @property
    def seeds(self) -> int:
        return min(self.difference(pair).seeds for pair in PAIRS)

    def difference(self, pair: Pair) -> Difference:
        return self.differences[pair][self.column]


def settings(
    store: Store, conf: Path = CONF, names: Sequence[str] = (), made: Sequence[Comparison] = ()
) -> list[Setting]:
    """Of the experiments named, or all; in the order of runs.csv, and of the groups in each table, all together last.

    Tables that are `made` already are not compared again.
    """
    result = []
    for name in chosen(store, list(names), conf):
        spec = TableSpec.parse(name, table_spec(name, conf) or {})
        losses = {row.loss for row in store.runs(name)}
        if spec.rows == "loss" and losses == set(PAPER_LOSSES):
            bases = dict.fromkeys(base for _, base in PAIRS)
            tables = {base: _table(name, replace(spec, baseline=base), store, made) for base in bases}
            result += _settings(tables)
    return result


def _table(name: str, spec: TableSpec, store: Store, made: Sequence[Comparison]) -> Comparison:
    same = [table for table in made if (table.experiment, table.spec) == (name, spec)]
    return same[0] if same else compare(name, spec, store)


def _settings(tables: Mapping[str, Comparison]) -> list[Setting]:
    """Of one experiment, from its tables by baseline."""
    rows = {(base, row.group, row.value): row for base, table in tables.items() for row in table.rows}
    pooled = {(base, one.name): one.differences for base, table in tables.items() for one in table.pooled}
    name, title, columns = tables["ce"].experiment, tables["ce"].title, tables["ce"].columns

    def by_column(found: Sequence[Difference | None]) -> dict[Column, Difference]:
        return {column: one for column, one in zip(columns, found, strict=True) if one is not None}

    found = []
    for group in dict.fromkeys(row.group for row in tables["ce"].rows):
        differences = {
            (ours, base): by_column([entry.difference for entry in rows[base, group, ours].entries])
            for ours, base in PAIRS
            if (base, group, ours) in rows
        }
        if _is_whole(differences, columns[0]):
            means = {loss: rows["ce", group, loss].entries[0].summary for loss in PAPER_LOSSES}
            found.append(Setting(name, title, group, columns[0], means, differences))
    together = {pair: by_column(pooled.get((pair[1], pair[0]), [None] * len(columns))) for pair in PAIRS}
    if _is_whole(together, columns[0]):
        means = {loss: _mean_of([setting.means[loss] for setting in found]) for loss in PAPER_LOSSES}
        found.append(Setting(name, title, "", columns[0], means, together, len(found)))
    return found


def _is_whole(differences: Mapping[Pair, Mapping[Column, Difference]], column: Column) -> bool:
    """Else a loss has no run that could be paired yet."""
    return all(column in differences.get(pair, {}) for pair in PAIRS)


def _mean_of(groups: Sequence[Summary]) -> Summary:
    """Over groups of the same seeds; how the mean varies between seeds is left open."""
    means = [group.mean for group in groups if group.mean is not None]
    return Summary(sum(means) / len(means), None, groups[0].count)


def said(group: str) -> str:
    """trainer.train_examples=250 → 250 training examples."""
    words = (parse_override(word) for word in group.split(", ") if word)
    return ", ".join(_SAID.get(key, f"{key}={{}}").format(value) for key, value in words)
