"""Read the complete runs in outputs/ into results/, in place of their earlier rows."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pandas as pd

from experiments.results.fields import BrokenRunError
from experiments.results.folder import NOT_RUNS, RunResult, read_run
from experiments.results.gallery import update_galleries
from experiments.results.rows import MetricRow, RunRow
from experiments.results.store import Store
from ntil.errors import UserError, did_you_mean
from ntil.escape import terminal
from ntil.io import PART, reading, writing
from ntil.locks import held


def collect(outputs: Path, results: Path, experiment: str | None = None, repair: bool = False) -> int:
    """Returns the exit code 0; UserError where no usable run was found at all."""
    store, mended = Store(results), 0
    if repair:
        with locked(results):
            for said in store.repair():
                mended += 1
                print(terminal(said), file=sys.stderr)
        if not outputs.is_dir():
            print(f"{outputs} does not exist; nothing was added to {results}.")
            return 0
    found, broken = read_outputs(outputs, experiment)
    with locked(results) if found else nullcontext():
        found, metrics, others = agreeing(store, found)
        broken += others
        for folder, reason in broken:
            print(f"left out {terminal(str(folder))}: {terminal(reason)}", file=sys.stderr)
        if found:
            merge(store, found, metrics)
            for reason in update_galleries(store, found):
                print(terminal(reason))
    if not found:
        what = "No complete run" if not broken else f"None of {len(broken)} run folders can be used"
        raise UserError(
            f"{what} in {outputs / experiment if experiment else outputs}; "
            f"{'nothing was added to results' if mended else 'results are unchanged'}."
        )
    experiments = sorted({run.experiment for run in found})
    print(f"{len(found)} runs of {', '.join(experiments)} → {store.runs_path}, {len(broken)} left out")
    return 0


@contextmanager
def locked(results: Path) -> Iterator[None]:
    """While one process writes to `results`, others wait, and say so."""
    lock = results.parent / f".{results.name or 'results'}.lock"
    with ExitStack() as stack:
        with writing(results):
            results.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(lock, f"another process writes to {results}; waiting for it."))
        yield


def read_outputs(
    outputs: Path, experiment: str | None = None
) -> tuple[list[RunResult], list[tuple[Path, str]]]:
    """(runs that can be used, folders that cannot with the reason), in alphabetical order."""
    if not outputs.is_dir():
        raise UserError(f"{outputs} does not exist; `python -m experiments.launch NAME` makes runs there.")
    names = _folders(outputs)
    if experiment is not None and experiment not in (path.name for path in names):
        near = did_you_mean(experiment, [path.name for path in names])
        raise UserError(f"{outputs} holds no experiment {experiment!r}.{near}")
    found: list[RunResult] = []
    broken: list[tuple[Path, str]] = []
    for parent in names:
        if experiment in (None, parent.name):
            for folder in _folders(parent):
                if not _is_passed_over(folder):
                    try:
                        found.append(read_run(folder))
                    except BrokenRunError as reason:
                        broken.append((folder, str(reason)))
    return found, broken


def _is_passed_over(folder: Path) -> bool:
    """Logs, caches and the like; but a run that is called so is said to be left out."""
    if folder.name.endswith(PART):  # a copy that a killed launcher began
        return True
    hidden = any(path.name.startswith(".") or path.name in NOT_RUNS for path in (folder, folder.parent))
    return hidden and not (folder / "config.yaml").exists()


def _folders(parent: Path) -> list[Path]:
    with reading(parent):
        return sorted(path for path in parent.iterdir() if path.is_dir())


def agreeing(
    store: Store, runs: Sequence[RunResult]
) -> tuple[list[RunResult], list[MetricRow], list[tuple[Path, str]]]:
    """(the runs that can stand beside each other and what is kept, what holds of all metrics then, the others and why).

    Runs of a task must mean the same by a metric's values. Its label and decimals are the last run's.
    """
    known = {
        (row.task, row.metric): (row, str(store.metrics_path)) for row in store.metrics(_kept(store, runs))
    }
    found: list[RunResult] = []
    others: list[tuple[Path, str]] = []
    for run in runs:
        if reason := next((said for row in run.metrics if (said := _contradiction(row, known))), ""):
            others.append((run.folder, reason))
        else:
            known |= {(row.task, row.metric): (row, str(run.folder)) for row in run.metrics}
            found.append(run)
    if not others:
        return found, [row for row, _ in known.values()], []
    found, metrics, more = agreeing(store, found)  # with what is kept of the others
    return found, metrics, others + more


def _contradiction(row: MetricRow, known: Mapping[tuple[str, str], tuple[MetricRow, str]]) -> str:
    before, whose = known.get((row.task, row.metric), (row, ""))
    for key in ("better", "unit", "ratio"):
        if (ours := getattr(row, key)) != (theirs := getattr(before, key)):
            return (
                f"{key} of the metric {row.metric!r} is {ours!r} here and {theirs!r} in {whose}: their values cannot be "
                "compared. Evaluate the older runs anew, or remove them"
            )
    return ""


def _kept(store: Store, runs: Sequence[RunResult]) -> list[RunRow]:
    """Rows of runs.csv that none of the runs replaces."""
    fresh = {(run.experiment, run.run) for run in runs}
    return [row for row in store.runs() if (row.experiment, row.run) not in fresh]


def merge(store: Store, runs: Sequence[RunResult], metrics: Sequence[MetricRow]) -> None:
    """Put the runs in place of their earlier rows."""
    for experiment in sorted({run.experiment for run in runs}):
        mine = [run for run in runs if run.experiment == experiment]
        fresh = {run.run for run in mine}
        scores = store.scores(experiment)
        scores = scores[~scores["run"].isin(fresh)]
        store.write_scores(experiment, pd.concat([scores, *(run.scores for run in mine)]))
        curves = [row for row in store.curves(experiment) if row.run not in fresh]
        store.write_curves(experiment, curves + [row for run in mine for row in run.curves])
        errors = [row for row in store.errors(experiment) if row.run not in fresh]
        if errors := errors + [row for run in mine for row in run.errors]:
            store.write_errors(experiment, errors)
    store.write_runs(_kept(store, runs) + [row for run in runs for row in run.rows], metrics)
