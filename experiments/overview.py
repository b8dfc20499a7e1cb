"""Where NTIL pays and where it does not: every setting that was run with CE, EMD and NTIL, on one page.

    python -m experiments.overview

Writes results/overview.md from results/ alone, and its short form between the overview marks of README.md. A setting is
a group of runs that share everything but loss and seed, in an experiment of these three losses; it is judged by the first
metric of its table on the first split. Settings with fewer than three seeds are shown and not counted. Where all groups of
a table have the same seeds, they are also told together.
"""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.command import add_results, parser_of
from experiments.comparison import Comparison, TableSpec, compare
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
PAIRS = (("ntil", "ce"), ("ntil", "emd"), ("emd", "ce"))  # the first minus the second
ENOUGH_SEEDS = 3
VERDICTS = ("better", "worse", "not distinguishable")
_SAID = {"trainer.train_examples": "{} training examples", "data": "{}", "model": "{}"}
_BLOCK = re.compile(r"(<!-- overview:begin -->\n).*?(<!-- overview:end -->)", re.DOTALL)


@dataclass(frozen=True)
class Setting:
    """Runs with the three losses that share everything else, or all groups of such runs; differences by (loss, baseline)."""

    experiment: str
    title: str
    group: str
    column: Column
    means: Mapping[str, Summary]
    differences: Mapping[tuple[str, str], Difference]
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
        return min(difference.seeds for difference in self.differences.values())


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
    spec = replace(spec, splits=spec.splits[:1], metrics=spec.metrics[:1])
    tables: dict[str, Comparison] = {
        base: compare(name, replace(spec, baseline=base), store) for base in {base for _, base in PAIRS}
    }
    entries = {
        (base, row.group, row.value): row.entries[0] for base, table in tables.items() for row in table.rows
    }
    column = tables["ce"].columns[0]
    found = []
    for group in dict.fromkeys(row.group for row in tables["ce"].rows):
        pairs = {(ours, base): entries.get((base, group, ours)) for ours, base in PAIRS}
        differences = {pair: entry.difference for pair, entry in pairs.items() if entry and entry.difference}
        if len(differences) == len(PAIRS):  # else a loss has no run that could be paired yet
            means = {loss: entries["ce", group, loss].summary for loss in LOSSES}
            found.append(Setting(name, tables["ce"].title, group, column, means, differences))
    pooled = {(base, one.name): one.differences[0] for base, table in tables.items() for one in table.pooled}
    together = {pair: difference for pair in PAIRS if (difference := pooled.get((pair[1], pair[0])))}
    if len(together) == len(PAIRS):
        means = {loss: _mean_of([setting.means[loss] for setting in found]) for loss in LOSSES}
        found.append(Setting(name, tables["ce"].title, "", column, means, together, len(found)))
    return found


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
    for ours, base in PAIRS:
        verdicts = Counter(setting.differences[ours, base].verdict for setting in counted)
        counts = ", ".join(f"{word} in {verdicts[word]}" for word in VERDICTS)
        number_of = f"{len(counted)} setting{'' if len(counted) == 1 else 's'}"
        lines.append(f"- **{label(ours)} against {label(base)}**, {number_of}: {counts}.")
        for setting in counted:
            difference = setting.differences[ours, base]
            if difference.verdict != VERDICTS[-1]:
                lines.append(f"  - {_told(setting, ours, base, tables)}")
    together = [setting for setting in found if setting.is_told and setting.groups > 1]
    if together:
        lines.append(
            "- All groups of a table together, which tells smaller differences and isn't counted above:"
        )
    for setting in together:
        told = ", ".join(
            f"{difference_label(*pair)} {difference_text(difference, setting.column.digits)}"
            for pair, difference in setting.differences.items()
        )
        lines.append(f"  - {_link(setting, tables)}, {setting.column.title}: {told}")
    chance = (1 - LEVEL) * len(counted)
    return [
        *lines,
        "",
        f"A setting counts with {ENOUGH_SEEDS} seeds or more ({_seeds(counted)} here). Better and worse: the 95 % interval of the "
        f"paired bootstrap over seeds and test items leaves out 0; with no difference anywhere, about {chance:.1f} of "
        f"{len(counted)} settings would do so by chance.",
    ]


def _told(setting: Setting, ours: str, base: str, tables: str) -> str:
    difference, column = setting.differences[ours, base], setting.column
    before, after = (number(setting.means[loss].mean, column.digits) for loss in (base, ours))
    return (
        f"{_link(setting, tables)}, {column.title}: {before} → {after}, "
        f"{difference_text(difference, column.digits)}"
    )


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
        *(difference_text(setting.differences[pair], digits) for pair in PAIRS),
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
