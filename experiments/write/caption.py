"""The sentences under a table: what was run, at which scale, how to read it, and what to be careful about."""

from collections.abc import Iterable, Iterator

from experiments.compare.comparison import Comparison
from experiments.compare.labels import label
from experiments.compare.statistics import FEW_SEEDS, REPLICATES
from experiments.results.rows import RunRow
from experiments.write.published import Published


def caption(table: Comparison, published: Published | None) -> list[str]:
    """Sentences in reading order."""
    return [
        _scale(table),
        "Cells: mean ± sample standard deviation over seeds (number of seeds). ↑ higher is better, ↓ lower is better, "
        "– not there. Bold: the best mean of its column, which doesn't say that it is distinguishable from the others.",
        *_differences(table),
        *_partial_metrics(table),
        *_published(published),
        *_warnings(table),
    ]


def _scale(table: Comparison) -> str:
    runs = table.runs

    def said(column: str, form: str = "") -> str:
        texts = {format(value, form) for row in runs if (value := getattr(row, column)) not in (None, "")}
        return " / ".join(sorted(texts, key=lambda text: (len(text), text))) or "unknown"

    parameters = "" if said("parameters") == "unknown" else f" ({said('parameters', ',')} parameters)"
    return (
        f"Scale: model {said('model')}{parameters}, {said('steps', ',')} steps on "
        f"{said('train_count', ',')} training examples, seeds {_numbers(row.seed for row in runs)}, "
        f"{said('device')}, {said('threads')} CPU threads, commit {_commits(runs)}; test items: {_counts(table)}."
    )


def _differences(table: Comparison) -> list[str]:
    found = [entry.difference for row in table.rows for entry in row.entries if entry.difference]
    if not found:
        return []
    base = label(table.spec.baseline)
    lines = [
        *_contrasts(table),
        f"Differences: row minus {base} over the seeds and test items that both have, with the 95 % interval of a paired "
        f"bootstrap over seeds and items ({REPLICATES:,} replicates). The verdict is better or worse where the interval "
        "leaves out 0; it is not corrected for the number of comparisons.",
    ]
    seeds = min(difference.seeds for difference in found)
    if seeds == 1:
        lines.append(
            "With one seed the interval covers the choice of test items only, not the training's own variation."
        )
    elif seeds < FEW_SEEDS:
        lines.append(f"With {seeds} seeds the interval understates the variation between seeds.")
    return lines


def _contrasts(table: Comparison) -> Iterator[str]:
    if table.pooled:
        yield (
            f"Over all groups: the mean over the groups minus {label(table.spec.baseline)}'s mean over them, paired in the same "
            "way; for rows that every group has with the same seeds."
        )
    if table.effects:
        yield (
            "Main effects: the mean over all rows that have the factor minus the mean over all that do not, each paired in the "
            "same way; all rows tell about every factor, so that its interval is narrower than that of any two rows."
        )


def _partial_metrics(table: Comparison) -> list[str]:
    """Metrics that leave items out, such as a gap over the answers that could be parsed."""
    columns: dict[tuple[str, str], list[str]] = {}  # (split, rows with their shares) → metrics
    for index, column in enumerate(table.columns):
        shares = [(row.label, row.entries[index].scored) for row in table.rows]
        listed = [f"{name} {_percent(share)}" for name, share in shares if share is not None and share < 1]
        if listed:
            listed += ["others 100 %"] if any(share == 1 for _, share in shares) else []
            columns.setdefault((column.split, ", ".join(listed)), []).append(column.about.label)
    if not columns:
        return []
    parts = [f"{' and '.join(names)} on {split} ({listed})" for (split, listed), names in columns.items()]
    return [
        f"Averaged over the items that have a score only, whose share differs by row: {'; '.join(parts)}."
    ]


def _percent(share: float) -> str:
    """A share below 1 that does not look like all: 98.0 %, 99.96 %."""
    digits = 1
    while float(f"{100 * share:.{digits}f}") == 100:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def _published(published: Published | None) -> list[str]:
    if published is None:
        return []
    note = f" {published.note.strip()}" if published.note else ""
    return [
        f"Published values: {', '.join(published.models)}; {published.source} ({published.status}). They are other models, "
        f"trained on other data and at another scale than ours: compare the order of the losses, not the values.{note}"
    ]


def _warnings(table: Comparison) -> list[str]:
    checks = {
        "data_hash": "on different data",
        "task_version": "with different versions of the task",
        "steps": "with different numbers of steps",
        "commit": "from different commits",
        "torch": "with different versions of torch",
        "transformers": "with different versions of transformers",
        "device": "on different devices",
    }
    mixed = [
        words for column, words in checks.items() if len({getattr(row, column) for row in table.runs}) > 1
    ]
    lines = [f"Careful: these runs were made {', '.join(mixed)}."] if mixed else []
    if missing := [row.label for row in table.rows if not any(entry.summary.count for entry in row.entries)]:
        lines.append(f"Without a complete run: {', '.join(missing)}.")
    return lines


def _commits(runs: Iterable[RunRow]) -> str:
    names = {
        (row.commit[:10] or "unknown") + (" with uncommitted changes" if row.dirty else "") for row in runs
    }
    return ", ".join(sorted(names))


def _counts(table: Comparison) -> str:
    found = {column.split: set[int]() for column in table.columns}
    for split, count in table.counts:
        if split in found:
            found[split].add(count)
    return ", ".join(
        f"{split} {'/'.join(map(str, sorted(counts))) or '–'}" for split, counts in found.items()
    )


def _numbers(values: Iterable[int]) -> str:
    """0, 1, 2, 5 → 0–2, 5."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
