"""The one writer of data sets. A builder only says what to make (`Plan`); here it is made, in parallel, whole or not at all.

The records, the manifest and the pictures have the same bytes whatever the number of worker processes and whenever
they are built. A folder appears under its name only when it is finished; an interrupted build leaves a hidden
`.<name>.partial` folder, which the next build throws away.

No two records share an id, and none writes over another's picture: a plan that would mix them is stopped.
"""

import hashlib
import json
import os
import reprlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_prep.accounts import Apart, Skipped, commonest
from data_prep.contact_sheet import contact_sheet, said
from data_prep.processes import in_processes
from data_prep.sources import shown
from ntil.data.example import CONTACT_SHEET, MANIFEST, RECORDS, Example, read_manifest
from ntil.errors import UserError, refusal
from ntil.io import inside, sha256, write_json, write_jsonl, writing
from ntil.locks import held

CHUNK = 64  # jobs handed to a worker at a time
PATIENCE = 2.0  # seconds before a progress bar or a notice appears


@dataclass(frozen=True)
class Made:
    """One record and its picture's file content (None for text-only sets)."""

    example: Example
    image: bytes | None = None


@dataclass(frozen=True)
class Plan:
    """What a builder wants built. `make` runs in worker processes: a module-level function or a `partial` of one."""

    jobs: Sequence[Any]
    make: Callable[[Any], Made | Skipped]
    caption: Callable[[Example], str] = said  # under each picture of the contact sheet
    skipped: Sequence[Skipped] = field(default=())  # known before any job ran
    unique_across_splits: bool = False  # drop a picture whose very bytes an earlier split already holds


def write(out: Path, plan: Plan, header: dict[str, Any], workers: int | None = None) -> Path:
    """Build `out` unless it holds the finished set that `header` (builder, version, config) describes.

    Runs that ask for the same folder at the same time wait for each other, and only the first builds.
    """
    out = Path(out).absolute()
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if is_up_to_date(out, header):
            return out
        if out.exists() and any(out.iterdir()):
            raise UserError(
                f"{out} holds files that are not a finished data set. Empty it, or choose another folder."
            )
        partial_folder = out.parent / f".{out.name}.partial"
        if partial_folder.exists():
            shutil.rmtree(partial_folder)  # we hold the lock: its builder is dead
        try:
            with writing(out):
                partial_folder.mkdir()
            _fill(partial_folder, plan, header, workers, title=out.name)
            with writing(out):
                if out.exists():
                    out.rmdir()
                os.replace(partial_folder, out)
        except BaseException:
            shutil.rmtree(partial_folder, ignore_errors=True)  # a full disk has its room again
            raise
    return out


def is_up_to_date(out: Path, header: dict[str, Any]) -> bool:
    """True: finished and the same. False: not finished. A finished set of another kind is refused."""
    if not (out / MANIFEST).exists():
        return False
    manifest = read_manifest(out)
    changed = _differences({key: manifest.get(key) for key in header}, header)
    if changed:
        raise UserError(
            f"{out} already holds a data set that was built differently: {'; '.join(changed[:6])}"
            f"{' …' if len(changed) > 6 else ''}. Choose another folder, or remove this one to rebuild it."
        )
    return True


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*new, *(key for key in old if key not in new)]
        return [
            line
            for key in keys
            for line in _differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{where[:80]} was {reprlib.repr(old)} and is now {reprlib.repr(new)}"]


def _fill(folder: Path, plan: Plan, header: dict[str, Any], workers: int | None, title: str) -> None:
    examples: list[Example] = []
    skipped = list(plan.skipped)
    first_seen: dict[str, Example] = {}  # digest of a picture → the first record that holds it
    apart = Apart()
    pictures = hashlib.sha256()
    for result, digest in _progress(_results(folder, plan, workers), len(plan.jobs), title):
        if isinstance(result, Skipped):
            skipped.append(result)
            continue
        apart.check(result, digest)
        if digest is not None:
            twin = first_seen.setdefault(digest, result)
            if plan.unique_across_splits and twin.split != result.split:
                inside(folder, str(result.image)).unlink(missing_ok=True)
                skipped.append(Skipped(result.id, f"the same picture as {twin.id}, of another split"))
                continue
            pictures.update(f"{result.image} {digest}\n".encode())
        examples.append(result)
    skipped = list(dict.fromkeys(skipped))  # a picture of several records is named once
    if not examples:
        raise UserError(f"{title}: no usable record among {commonest(skipped)}.")
    write_jsonl(folder / RECORDS, (example.to_record() for example in examples))
    contact_sheet(folder, plan.caption, folder / CONTACT_SHEET)
    manifest = {
        **header,
        "counts": Counter(example.split for example in examples),
        "kept": len(examples),
        "skipped": [{"what": shown(skip.what), "why": shown(skip.why)} for skip in skipped],
        "records_sha256": sha256(folder / RECORDS),
        "pictures_sha256": pictures.hexdigest(),  # of the lines "path sha256", in record order
    }
    write_json(folder / MANIFEST, manifest)  # last: it says that the rest is there


Result = tuple[Example | Skipped, str | None]


def _results(folder: Path, plan: Plan, workers: int | None) -> Iterator[Result]:
    """(record or reason, digest of its picture), in the order of the jobs whoever made them."""
    if workers is not None and workers < 1:
        raise UserError(f"workers = {workers}; at least one process must do the work.")
    wanted = workers if workers is not None else _cores()
    chunks = [plan.jobs[start : start + CHUNK] for start in range(0, len(plan.jobs), CHUNK)]
    work = partial(_make_chunk, folder, plan.make)
    if min(wanted, len(chunks)) <= 1:
        for chunk in chunks:
            yield from work(chunk)
        return
    for results in in_processes(work, chunks, min(wanted, len(chunks))):
        yield from results


def _cores() -> int:
    """Cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_chunk(folder: Path, make: Callable[[Any], Made | Skipped], jobs: Sequence[Any]) -> list[Result]:
    return [_make(folder, make, job) for job in jobs]


def _make(folder: Path, make: Callable[[Any], Made | Skipped], job: Any) -> Result:
    made = make(job)
    if isinstance(made, Skipped):
        return made, None
    if (record := json.dumps(made.example.to_record(), ensure_ascii=False)) != shown(record):
        return Skipped(made.example.id, "its text or its file's name cannot be written as UTF-8"), None
    if made.image is None or made.example.image is None:
        return made.example, None
    path = inside(folder, made.example.image)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.image)  # the folder as a whole is renamed into place, so no half file can show
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"the record {made.example.id!r} would write {made.example.image}, of which another record makes a folder or "
            "a file; give their sources names that differ."
        ) from None
    except OSError as error:  # a full disk
        raise UserError(f"cannot write {refusal(error, path)}") from None
    return made.example, hashlib.sha256(made.image).hexdigest()


def locked(out: Path) -> AbstractContextManager[None]:
    """While one process builds `out`, others wait."""
    notice = f"Waiting for another process that is building {out.name} …"
    return held(out.parent / f".{out.name}.lock", notice, PATIENCE)


def _progress(results: Iterator[Result], total: int, title: str) -> Iterator[Result]:
    """Pass results through; a bar on stderr shows up only if this takes longer than `PATIENCE`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(f"building {title}", total=total)
    start, shown = time.monotonic(), False
    try:
        for result in results:
            yield result
            bar.advance(task)
            if not shown and time.monotonic() - start > PATIENCE:
                bar.start()
                shown = True
    finally:
        if shown:
            bar.stop()
