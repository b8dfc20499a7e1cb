"""Where NTIL pays and where it does not, in Markdown: the page, and its short form for the README."""

import re
from collections import Counter
from collections.abc import Sequence

from experiments.compare.labels import difference_label, label
from experiments.compare.pairing import Column
from experiments.compare.settings import PAIRS, PAPER_LOSSES, Pair, Setting
from experiments.compare.statistics import ENOUGH_SEEDS
from experiments.results.store import OVERVIEW_CAPTION
from experiments.write.grids import difference_text, number, summary_text
from experiments.write.render import markdown_line
from ntil.errors import UserError
from ntil.escape import markdown
from ntil.metrics.resampling import LEVEL

PAGE = "overview.md"
VERDICTS = ("better", "worse", "not distinguishable")
UNTOLD = VERDICTS[-1]
_BLOCK = re.compile(r"(<!-- overview:begin -->\n).*?(<!-- overview:end -->)", re.DOTALL)


def statement(found: Sequence[Setting], tables: str) -> list[str]:
    """Markdown lines: for each pair of losses how many settings, and which of them are distinguishable."""
    counted = _counted(found)
    if not counted:
        return [f"No setting has been run with all three losses and {ENOUGH_SEEDS} seeds yet."]
    lines = []
    for pair in PAIRS:
        ours, base = pair
        every = _every(counted, pair)
        lines.append(
            f"- **{label(ours)} against {label(base)}**, {_settings(counted)}: {_counts(counted, pair)}. By every metric and split of their tables: "
            f"better in {every['better']}, worse in {every['worse']} of {every.total()}."
        )
        lines += [
            f"  - {_told(setting, pair, tables)}"
            for setting in counted
            if setting.difference(pair).verdict != UNTOLD
        ]
    together = _together(found)
    if together:
        lines.append(
            "- All groups of a table together, which tells smaller differences and isn't counted above:"
        )
        lines += [line for setting in together for line in _told_together(setting, tables)]
    chance = (1 - LEVEL) * len(counted)
    return [
        *lines,
        "",
        f"A setting counts with {ENOUGH_SEEDS} seeds or more ({_seeds(counted)} here). Better and worse: the 95 % interval of the "
        f"paired bootstrap over seeds and test items leaves out 0; with no difference anywhere, about {chance:.1f} of "
        f"{len(counted)} settings would do so by chance, and as large a share of all metrics and "
        "splits, which rise and fall together within a setting.",
    ]


def summary(found: Sequence[Setting], results: str) -> list[str]:
    """Markdown lines, the statement in short: how many settings for each pair, and what all groups together say."""
    links = f"[every setting]({results}/overview.md) and [all results on one page]({results}/index.html)"
    counted, together = _counted(found), _together(found)
    if not counted:
        return [*statement(found, f"{results}/tables"), f"See {links}."]
    lines = [
        f"Out of {_settings(counted)} with {_seeds(counted)} seeds, by the first metric of each table:",
        "",
        *(
            f"- **{label(ours)} against {label(base)}**: {_counts(counted, (ours, base))}."
            for ours, base in PAIRS
        ),
    ]
    if together:
        every = {pair: _every(together, pair) for pair in PAIRS}
        said = ", ".join(
            f"{label(ours)} is better than {label(base)} in {verdicts['better']} and worse in {verdicts['worse']}"
            for (ours, base), verdicts in every.items()
        )
        compared = every[PAIRS[0]].total()
        lines += [
            "",
            f"With all groups of a table together, by all {compared} metrics on their splits, {said}.",
        ]
    return [*lines, *([] if together else [""]), f"See {links}."]


def _counted(found: Sequence[Setting]) -> list[Setting]:
    return [setting for setting in found if setting.is_told and setting.groups == 1]


def _together(found: Sequence[Setting]) -> list[Setting]:
    return [setting for setting in found if setting.is_told and setting.groups > 1]


def _settings(counted: Sequence[Setting]) -> str:
    return f"{len(counted)} setting{'' if len(counted) == 1 else 's'}"


def _counts(counted: Sequence[Setting], pair: Pair) -> str:
    verdicts = Counter(setting.difference(pair).verdict for setting in counted)
    return ", ".join(f"{word} in {verdicts[word]}" for word in VERDICTS)


def _every(found: Sequence[Setting], pair: Pair) -> Counter[str]:
    """Verdicts by every metric and split."""
    return Counter(one.verdict for setting in found for one in setting.differences[pair].values())


def _figure(found: Sequence[Setting], figures: str) -> list[str]:
    return [f'<img src="{figures}/overview.svg" width="480" alt="{OVERVIEW_CAPTION}">', ""] if found else []


def _told(setting: Setting, pair: Pair, tables: str) -> str:
    ours, base = pair
    before, after = (number(setting.means[loss].mean, setting.column.about.decimals) for loss in (base, ours))
    return (
        f"{_link(setting, tables)}, {markdown(setting.column.about.title)}: {before} → {after}, "
        f"{difference_text(setting.difference(pair), setting.column.about.decimals)}"
    )


def _told_together(setting: Setting, tables: str) -> list[str]:
    """A line for each metric: every pair by the first, and the others where they tell a difference."""
    said: dict[Column, list[str]] = {}
    for column in setting.differences[PAIRS[0]]:
        for pair in PAIRS:
            difference = setting.differences[pair].get(column)
            if difference and (column == setting.column or difference.verdict != UNTOLD):
                text = f"{difference_label(*pair)} {difference_text(difference, column.about.decimals)}"
                said.setdefault(column, []).append(text)
    first = setting.column.split
    lines = [
        f"    - {markdown(column.about.title)}{'' if column.split == first else f' on {markdown(column.split)}'}: {', '.join(texts)}"
        for column, texts in said.items()
    ]
    return [f"  - {_link(setting, tables)}", *lines]


def _link(setting: Setting, tables: str) -> str:
    return f"[{markdown(setting.name)}]({tables}/{setting.experiment}.md)"


def _seeds(found: Sequence[Setting]) -> str:
    counts = sorted({setting.seeds for setting in found})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def page(found: Sequence[Setting]) -> str:
    heads = ["setting", "metric", "seeds", *map(label, PAPER_LOSSES)]
    heads += [difference_label(*pair) for pair in PAIRS]
    return "\n".join(
        [
            "<!-- generated by `python -m experiments.overview`; edits will be lost -->",
            "",
            "# Where NTIL pays here, and where it does not",
            "",
            *statement(found, "tables"),
            "",
            *_figure(found, "figures"),
            markdown_line(heads),
            markdown_line(["---", "---", "---:", *["---:"] * (len(heads) - 3)]),
            *(markdown_line(_cells(setting)) for setting in found),
            "",
            "Cells: mean ± standard deviation over seeds (number of seeds), and differences with their 95 % interval.",
            "",
        ]
    )


def _cells(setting: Setting) -> list[str]:
    digits = setting.column.about.decimals
    return [
        _link(setting, "tables"),
        markdown(setting.column.about.title),
        str(setting.seeds),
        *(summary_text(setting.means[loss], digits) for loss in PAPER_LOSSES),
        *(difference_text(setting.difference(pair), digits) for pair in PAIRS),
    ]


def with_statement(readme: str, found: Sequence[Setting]) -> str:
    """The README with the summary between its overview marks."""
    if not _BLOCK.search(readme):
        raise UserError(
            "README.md has no <!-- overview:begin --> … <!-- overview:end --> for the overview to stand in."
        )
    text = "\n".join(summary(found, "results"))
    return _BLOCK.sub(lambda match: f"{match[1]}{text}\n{match[2]}", readme)
