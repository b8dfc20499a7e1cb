"""Read the complete runs in outputs/ into results/, in place of their earlier rows."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from experiments.results.fields import BrokenRunError
from experiments.results.folder import NOT_RUNS, RunResult, read_run
from experiments.results.gallery import update_galleries
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
    for folder, reason in broken:
        print(f"left out {terminal(str(folder))}: {terminal(reason)}", file=sys.stderr)
    if not found:
        what = "No complete run" if not broken else f"None of {len(broken)} run folders can be used"
        raise UserError(
            f"{what} in {outputs / experiment if experiment else outputs}; "
            f"{'nothing was added to results' if mended else 'results are unchanged'}."
        )
    with locked(results):
        merge(store, found)
        for reason in update_galleries(store, found):
            print(terminal(reason))
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


def merge(store: Store, runs: Sequence[RunResult]) -> None:
    """Put the runs in place of their earlier rows; runs.csv last, since it says what there is."""
    for experiment in sorted({run.experiment for run in runs}):
        mine = [run for run in runs if run.experiment == experiment]
        fresh = {run.run for run in mine}
        scores = [row for row in store.scores(experiment) if row["run"] not in fresh]
        store.write_scores(experiment, scores + [row for run in mine for row in run.scores])
        curves = [row for row in store.curves(experiment) if row["run"] not in fresh]
        store.write_curves(experiment, curves + [row for run in mine for row in run.curves])
        errors = [row for row in store.errors(experiment) if row["run"] not in fresh]
        if errors := errors + [row for run in mine for row in run.errors]:
            store.write_errors(experiment, errors)
    fresh_runs = {(run.experiment, run.run) for run in runs}
    kept = [row for row in store.runs() if (row["experiment"], row["run"]) not in fresh_runs]
    store.write_runs(kept + [row for run in runs for row in run.rows])
