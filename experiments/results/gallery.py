"""A few predictions of an experiment in results/gallery/, small enough to keep: the worst and some random ones.

Of the first run (in the order of runs.csv) of CE and of NTIL each, so that both are seen on the same model, data and seed.
gallery/<experiment>.csv says what was asked, what is true and what was answered; tasks with pictures add a thumbnail
each, with truth and answer drawn on it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.results.fields import BrokenRunError, of
from experiments.results.folder import RunResult
from experiments.results.rows import GalleryRow, RunRow
from experiments.results.store import Store
from ntil.data.dataset import picture_of
from ntil.data.example import Example, read_examples
from ntil.data.shown import RANDOM, WORST, kinds_of, shown_places
from ntil.data.task import Task
from ntil.errors import UNEXPECTED, UserError
from ntil.io import atomic_open, file_name, inside, read_jsonl
from ntil.runs.stored import build_stored_task, read_stored_config, stored_data

SHOWN = ("ce", "ntil")  # losses whose first run is shown
COUNT = 6  # of the worst predictions of a run, and of random ones
SIDE, QUALITY = 176, 72  # pixels and JPEG quality of a thumbnail: about 5 kB
LONGEST = 160  # letters of a question or an answer


def update_galleries(store: Store, found: Sequence[RunResult]) -> list[str]:
    """Draw the galleries of the experiments in `found`; returns why some could not be drawn.

    A gallery whose run is not among `found` stays as it is.
    """
    reasons = []
    for experiment in sorted({run.experiment for run in found}):
        fresh = {run.run: run for run in found if run.experiment == experiment}
        old = store.gallery(experiment)
        rows: list[GalleryRow] = []
        for loss, name in shown_runs(store.runs(experiment)).items():
            kept = [row for row in old if row.run == name]
            if name in fresh:
                try:
                    kept, skipped = _draw(store, fresh[name], loss)
                    reasons += [f"no picture in the gallery of {experiment}/{name}: {why}" for why in skipped]
                except (UserError, BrokenRunError) as error:
                    reasons.append(f"no gallery of {experiment}/{name}: {' '.join(str(error).split())}")
            rows += kept
        if rows or old:
            store.write_gallery(experiment, rows)
            _remove_unused(store, experiment, rows)
    return reasons


def shown_runs(rows: Sequence[RunRow]) -> dict[str, str]:
    """Loss → its first run."""
    first: dict[str, str] = {}
    for row in rows:
        if row.loss in SHOWN:
            first.setdefault(row.loss, row.run)
    return first


def choose(errors: Sequence[float]) -> dict[int, tuple[str, ...]]:
    """Place → why it is shown; the worst first. The random ones are the same places in every run."""
    found = shown_places(errors, COUNT)
    shown = {kind: found[kind] for kind in (WORST, RANDOM)}
    return {place: kinds_of(place, shown) for place in dict.fromkeys([*shown[WORST], *shown[RANDOM]])}


def _draw(store: Store, run: RunResult, loss: str) -> tuple[list[GalleryRow], list[str]]:
    """(the rows of the run's gallery, why some have no picture)."""
    path = run.folder / "config.yaml"
    task = build_stored_task(read_stored_config(path), path)
    data = stored_data(run.folder)
    every = list(read_jsonl(run.folder / "predictions.jsonl"))
    if not every:
        return [], []
    split = every[0]["split"]
    members = [row for row in every if row["split"] == split]
    examples = {example.id: example for example in read_examples(data, split)}
    if unknown := next((str(row["id"]) for row in members if str(row["id"]) not in examples), None):
        raise UserError(f"{data} has no record {unknown!r} of {split}.")
    with of("predictions.jsonl"):
        errors = [float(task.error(row["scores"])) for row in members]
    rows: list[GalleryRow] = []
    skipped: list[str] = []
    for place, kinds in choose(errors).items():
        row, example = members[place], examples[str(members[place]["id"])]
        picture = ""
        try:
            picture = _picture(store, run, task, data, example, row)
        except (UserError, OSError, *UNEXPECTED) as error:
            skipped.append(f"{example.id}: {' '.join(str(error).split())}")
        rows.append(
            GalleryRow(
                run=run.run,
                loss=loss,
                split=split,
                kinds=" ".join(kinds),
                item=example.id,
                query=_shortened(example.query or ""),
                answer=_shortened(row["answer"]),
                text=_shortened(row["text"]),
                error=errors[place],
                picture=picture,
            )
        )
    return rows, skipped


def _picture(
    store: Store, run: RunResult, task: Task, data: Path, example: Example, row: dict[str, Any]
) -> str:
    """Draw the thumbnail; its path in gallery/, which never leaves the run's folder there. '' without a picture."""
    image = picture_of(example, data)
    if image is None:
        return ""
    picture = f"{run.experiment}/{run.run}/{file_name(example.id)}.jpg"
    path = inside(store.gallery_path(run.experiment).parent, picture)
    parsed = task.read(row["text"], example, row.get("reading", "strict"))
    _write_thumbnail(path, task.draw(image, parsed, example))
    return picture


def _write_thumbnail(path: Path, image: Any) -> None:
    image.thumbnail((SIDE, SIDE))
    with atomic_open(path, "wb") as file:
        image.convert("RGB").save(file, format="JPEG", quality=QUALITY, optimize=True)


def _remove_unused(store: Store, experiment: str, rows: Sequence[GalleryRow]) -> None:
    """Thumbnails that no row names any more."""
    root = store.gallery_path(experiment).parent
    used = {root / row.picture for row in rows if row.picture}
    if (root / experiment).is_symlink():
        return  # what it leads to is not ours
    for path in sorted((root / experiment).rglob("*.jpg")):
        if path not in used:
            path.unlink()
    for folder in sorted((root / experiment).glob("*")):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
