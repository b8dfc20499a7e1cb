"""Where NTIL pays and where it does not: every setting that was run with CE, EMD and NTIL, on one page.

    python -m experiments.overview

Writes results/overview.md from results/ alone, and its short form between the overview marks of README.md. A setting is
a group of runs that share everything but loss and seed, in an experiment of these three losses; it is judged by the first
metric of its table on the first split, and the verdicts by its other metrics and splits are counted beside that. Settings
with fewer than three seeds are shown and not counted. Where all groups of a table have the same seeds, they are also told
together.
"""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.command import add_results, parser_of
from experiments.comparison import TableSpec, compare
from experiments.grids import difference_text, number, summary_text
from experiments.labels import difference_label, label
from experiments.pairing import Column
from experiments.presets import table_spec
from experiments.render import escape, markdown_line
from experiments.statistics import LEVEL, Difference, Summary
from experiments.store import Store
from experiments.tabulate import chosen
from ntil.errors import UserError, guard
from ntil.io import write_text
from ntil.runs.run import ROOT_CONF

PAGE = "overview.md"
README = ROOT_CONF.parent / "README.md"
LOSSES = ("ce", "emd", "ntil")
Pair = tuple[str, str]  # a loss and what it is compared to
PAIRS: tuple[Pair, ...] = (("ntil", "ce"), ("ntil", "emd"), ("emd", "ce"))
ENOUGH_SEEDS = 3
VERDICTS = ("better", "worse", "not distinguishable")
UNTOLD = VERDICTS[-1]
_SAID = {"trainer.train_examples": "{} training examples", "data": "{}", "model": "{}"}
_BLOCK = re.compile(r"(<!-- overview:begin -->\n).*?(<!-- overview:end -->)", re.DOTALL)


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
        words = said(self.group) if self.groups == 1 else f"all {self.groups} groups together"
        return f"{self.title}: {words}" if words else self.title

    @property
    def is_told(self) -> bool:
        return self.seeds >= ENOUGH_SEEDS

    @property
    def seeds(self) -> int:
        return min(self.difference(pair).seeds for pair in PAIRS)

    def difference(self, pair: Pair) -> Difference:
        return self.differences[pair][self.column]


def main(argv: Sequence[str] | None = None, conf: Path = ROOT_CONF, readme: Path = README) -> int:
    parser = parser_of("overview", __doc__)
    add_results(parser)
    arguments = parser.parse_args(argv)
    return guard(lambda: overview(arguments.results, conf, readme))


def overview(results: Path, conf: Path, readme: Path) -> int:
    found = settings(Store(results), conf)
    write_text(results / PAGE, page(found))
    print(results / PAGE)
    if readme.exists():
        write_text(readme, with_statement(readme.read_text(encoding="utf-8"), found))
    return 0


def settings(store: Store, conf: Path = ROOT_CONF, names: Sequence[str] = ()) -> list[Setting]:
    """Of the experiments named, or all; in the order of runs.csv, and of the groups in each table, all together last."""
    result = []
    for name in chosen(store, list(names), conf):
        spec = TableSpec.parse(name, table_spec(name, conf) or {})
        losses = {row["loss"] for row in store.runs(name)}
        if spec.rows == "loss" and losses == set(LOSSES):
            result += _settings(name, spec, store)
    return result


def _settings(name: str, spec: TableSpec, store: Store) -> list[Setting]:
    tables = {
        base: compare(name, replace(spec, baseline=base), store) for base in {base for _, base in PAIRS}
    }
    rows = {(base, row.group, row.value): row for base, table in tables.items() for row in table.rows}
    pooled = {(base, one.name): one.differences for base, table in tables.items() for one in table.pooled}
    title, columns = tables["ce"].title, tables["ce"].columns

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
            means = {loss: rows["ce", group, loss].entries[0].summary for loss in LOSSES}
            found.append(Setting(name, title, group, columns[0], means, differences))
    together = {pair: by_column(pooled.get((pair[1], pair[0]), [None] * len(columns))) for pair in PAIRS}
    if _is_whole(together, columns[0]):
        means = {loss: _mean_of([setting.means[loss] for setting in found]) for loss in LOSSES}
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
    words = (word.lstrip("+").partition("=")[::2] for word in group.split(", ") if word)
    return ", ".join(_SAID.get(key, f"{key}={{}}").format(value) for key, value in words)


def statement(found: Sequence[Setting], tables: str) -> list[str]:
    """Markdown lines: for each pair of losses how many settings, and which of them can be told apart."""
    counted = [setting for setting in found if setting.is_told and setting.groups == 1]
    if not counted:
        return [f"No setting has been run with all three losses and {ENOUGH_SEEDS} seeds yet."]
    lines = []
    for pair in PAIRS:
        ours, base = pair
        verdicts = Counter(setting.difference(pair).verdict for setting in counted)
        counts = ", ".join(f"{word} in {verdicts[word]}" for word in VERDICTS)
        number_of = f"{len(counted)} setting{'' if len(counted) == 1 else 's'}"
        every = Counter(one.verdict for setting in counted for one in setting.differences[pair].values())
        lines.append(
            f"- **{label(ours)} against {label(base)}**, {number_of}: {counts}. By every metric and split of their tables: "
            f"better in {every['better']}, worse in {every['worse']} of {every.total()}."
        )
        lines += [
            f"  - {_told(setting, pair, tables)}"
            for setting in counted
            if setting.difference(pair).verdict != UNTOLD
        ]
    together = [setting for setting in found if setting.is_told and setting.groups > 1]
    if together:
        lines.append(
            "- All groups of a table together, which tells smaller differences and isn't counted above:"
        )
        lines += [f"  - {_told_together(setting, tables)}" for setting in together]
    chance = (1 - LEVEL) * len(counted)
    return [
        *lines,
        "",
        f"A setting counts with {ENOUGH_SEEDS} seeds or more ({_seeds(counted)} here). Better and worse: the 95 % interval of the "
        f"paired bootstrap over seeds and test items leaves out 0; with no difference anywhere, about {chance:.1f} of "
        f"{len(counted)} settings would do so by chance, and as large a share of all metrics and "
        "splits, which rise and fall together within a setting.",
    ]


def _told(setting: Setting, pair: Pair, tables: str) -> str:
    ours, base = pair
    before, after = (number(setting.means[loss].mean, setting.column.digits) for loss in (base, ours))
    return (
        f"{_link(setting, tables)}, {setting.column.title}: {before} → {after}, "
        f"{difference_text(setting.difference(pair), setting.column.digits)}"
    )


def _told_together(setting: Setting, tables: str) -> str:
    """Every pair by the first metric, and the others where they tell a difference."""
    said: dict[Column, list[str]] = {}
    for column in setting.differences[PAIRS[0]]:
        for pair in PAIRS:
            difference = setting.differences[pair].get(column)
            if difference and (column == setting.column or difference.verdict != UNTOLD):
                text = f"{difference_label(*pair)} {difference_text(difference, column.digits)}"
                said.setdefault(column, []).append(text)
    first = setting.column.split
    parts = [
        f"{column.title}{'' if column.split == first else f' on {escape(column.split)}'}: {', '.join(texts)}"
        for column, texts in said.items()
    ]
    return f"{_link(setting, tables)}, {'; '.join(parts)}"


def _link(setting: Setting, tables: str) -> str:
    return f"[{escape(setting.name)}]({tables}/{setting.experiment}.md)"


def _seeds(found: Sequence[Setting]) -> str:
    counts = sorted({setting.seeds for setting in found})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def page(found: Sequence[Setting]) -> str:
    heads = ["setting", "metric", "seeds", *map(label, LOSSES)]
    heads += [difference_label(*pair) for pair in PAIRS]
    return "\n".join(
        [
            "<!-- generated by `python -m experiments.overview`; edits will be lost -->",
            "",
            "# Where NTIL pays here, and where it does not",
            "",
            *statement(found, "tables"),
            "",
            markdown_line(heads),
            markdown_line(["---", "---", "---:", *["---:"] * (len(heads) - 3)]),
            *(markdown_line(_cells(setting)) for setting in found),
            "",
            "Cells: mean ± standard deviation over seeds (number of seeds), and differences with their 95 % interval.",
            "",
        ]
    )


def _cells(setting: Setting) -> list[str]:
    digits = setting.column.digits
    return [
        _link(setting, "tables"),
        setting.column.title,
        str(setting.seeds),
        *(summary_text(setting.means[loss], digits) for loss in LOSSES),
        *(difference_text(setting.difference(pair), digits) for pair in PAIRS),
    ]


def with_statement(readme: str, found: Sequence[Setting]) -> str:
    """The README with the statement between its overview marks."""
    if not _BLOCK.search(readme):
        raise UserError(
            "README.md has no <!-- overview:begin --> … <!-- overview:end --> for the overview to stand in."
        )
    text = "\n".join(statement(found, "results/tables"))
    return _BLOCK.sub(lambda match: f"{match[1]}{text}\n{match[2]}", readme)


if __name__ == "__main__":
    sys.exit(main())
