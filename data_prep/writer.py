"""The one writer of data sets. A builder only says what to make (`Plan`); here it is made, in parallel, whole or not at all.

The records, the manifest and the pictures have the same bytes whatever the number of worker processes and whenever
they are built. A folder appears under its name only when it is finished; an interrupted build leaves a hidden
`.<name>.partial` folder, which the next build throws away.

No two records share an id, and none writes over another's picture: a plan that would mix them is stopped.
"""

import hashlib
import os
import reprlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_prep.accounts import Account, Skipped, commonest
from data_prep.contact_sheet import contact_sheet, said
from data_prep.made import Made, Make, PicturesHash, Result, make_one
from data_prep.processes import in_processes
from data_prep.sharded import Sharding, gathered, make_range
from data_prep.sources import shown
from ntil.data.example import (
    CONTACT_SHEET,
    MANIFEST,
    PICTURES_HASH,
    RECORDS,
    RECORDS_HASH,
    Example,
    read_manifest,
)
from ntil.data.shards import SHARDS
from ntil.errors import UserError, refusal
from ntil.io import inside, sha256, write_json, write_jsonl, writing
from ntil.locks import held

__all__ = ["Made", "Plan", "Skipped", "is_up_to_date", "locked", "write"]

CHUNK = 64  # jobs handed to a worker at a time
PATIENCE = 2.0  # seconds before a progress bar or a notice appears

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class Plan:
    """What a builder wants built. `make` runs in worker processes: a module-level function or a `partial` of one."""

    jobs: Sequence[Any]
    make: Make
    caption: Callable[[Example], str] = said  # under each picture of the contact sheet
    sheet: Callable[[Path], None] | None = None  # makes the contact sheet in place of drawing one
    skipped: Sequence[Skipped] = field(default=())  # known before any job ran
    unique_across_splits: bool = False  # drop a picture whose very bytes an earlier split already holds
    # Told what the manifest will say of records and pictures, and may refuse it.
    check: Callable[[dict[str, Any]], None] | None = None


def write(
    out: Path,
    plan: Plan,
    header: dict[str, Any],
    workers: int | None = None,
    sharding: Sharding | None = None,
) -> Path:
    """Build `out` unless it holds the finished set that `header` (builder, version, config) describes.

    Runs that ask for the same folder at the same time wait for each other, and only the first builds.
    """
    out = Path(out).absolute()
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if is_up_to_date(out, header, sharding):
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
            _fill(partial_folder, plan, header, workers, sharding, title=out.name)
            with writing(out):
                if out.exists():
                    out.rmdir()
                os.replace(partial_folder, out)
        except BaseException:
            shutil.rmtree(partial_folder, ignore_errors=True)  # a full disk has its room again
            raise
    return out


def is_up_to_date(out: Path, header: dict[str, Any], sharding: Sharding | None = None) -> bool:
    """True: finished and the same. False: not finished. A finished set of another kind is refused."""
    if not (out / MANIFEST).exists():
        return False
    manifest = read_manifest(out)
    wanted = {**header, SHARDS: sharding and asdict(sharding)}
    changed = _differences({key: manifest.get(key) for key in wanted}, wanted)
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


def _fill(
    folder: Path,
    plan: Plan,
    header: dict[str, Any],
    workers: int | None,
    sharding: Sharding | None,
    title: str,
) -> None:
    account = Account(plan.skipped, plan.unique_across_splits)
    written = (
        _records(folder, plan, workers, account, title)
        if sharding is None
        else _shards(folder, plan, workers, account, title, sharding)
    )
    if not account.counts:
        raise UserError(f"{title}: no usable record among {commonest(account.skipped)}.")
    if plan.check is not None:
        plan.check(written)
    manifest = {
        **header,
        "counts": account.counts,
        "kept": account.counts.total(),
        "skipped": [{"what": shown(skip.what), "why": shown(skip.why)} for skip in account.skipped],
        **written,
    }
    write_json(folder / MANIFEST, manifest)
    if plan.sheet is not None:
        plan.sheet(folder / CONTACT_SHEET)
    else:
        contact_sheet(folder, plan.caption, folder / CONTACT_SHEET)


def _records(folder: Path, plan: Plan, workers: int | None, account: Account, title: str) -> dict[str, Any]:
    """Writes records.jsonl and the pictures; what the manifest says of them."""
    chunks = [plan.jobs[start : start + CHUNK] for start in range(0, len(plan.jobs), CHUNK)]
    results = chain.from_iterable(_worked(partial(_make_chunk, folder, plan.make), chunks, workers))
    pictures = PicturesHash()

    def kept() -> Iterator[Example]:
        for made, digest in _progress(results, len(plan.jobs), title):
            if account.keep(made, digest):
                assert isinstance(made, Example)
                pictures.add(made, digest)
                yield made
            elif isinstance(made, Example):
                inside(folder, str(made.image)).unlink(missing_ok=True)

    write_jsonl(folder / RECORDS, (example.to_record() for example in kept()))
    return {RECORDS_HASH: sha256(folder / RECORDS), PICTURES_HASH: pictures.hexdigest()}


def _shards(
    folder: Path, plan: Plan, workers: int | None, account: Account, title: str, sharding: Sharding
) -> dict[str, Any]:
    """Writes shards, each by one process; what the manifest says of them."""
    starts = range(0, len(plan.jobs), sharding.records)
    ranges = [(start, plan.jobs[start : start + sharding.records]) for start in starts]
    (folder / SHARDS).mkdir()
    made = _worked(partial(make_range, folder / SHARDS, plan.make, sharding), ranges, workers)
    return gathered(
        folder, _progress(made, len(plan.jobs), title, weight=lambda one: len(one.results)), account, sharding
    )


def _worked(work: Callable[[J], R], jobs: Sequence[J], workers: int | None) -> Iterator[R]:
    """`work(job)` for each job, in their order whoever does them."""
    if workers is not None and workers < 1:
        raise UserError(f"workers = {workers}; at least one process must do the work.")
    wanted = min(workers if workers is not None else _cores(), len(jobs))
    if wanted <= 1:
        yield from map(work, jobs)
        return
    yield from in_processes(work, jobs, wanted)


def _cores() -> int:
    """Cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_chunk(folder: Path, make: Make, jobs: Sequence[Any]) -> list[Result]:
    return [_make(folder, make, job) for job in jobs]


def _make(folder: Path, make: Make, job: Any) -> Result:
    made = make_one(make, job)
    if isinstance(made, Skipped):
        return made, None
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


def _progress(
    results: Iterator[R], total: int, title: str, weight: Callable[[R], int] = lambda result: 1
) -> Iterator[R]:
    """Pass results through; a bar on stderr shows up only if this takes longer than `PATIENCE`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(f"building {title}", total=total)
    start, shown = time.monotonic(), False
    try:
        for result in results:
            yield result
            bar.advance(task, weight(result))
            if not shown and time.monotonic() - start > PATIENCE:
                bar.start()
                shown = True
    finally:
        if shown:
            bar.stop()
