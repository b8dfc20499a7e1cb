"""Every reader of a run's and of the results' files on 10,000 spoilt files each: nothing but the project's own errors."""

import contextlib
import gzip
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mutate import spoilt
from run_factory import said, write_run

from experiments.collect import main as collect
from experiments.compare.comparison import compare
from experiments.compare.errors import analyse
from experiments.compare.spec import TableSpec
from experiments.report.__main__ import main as report
from experiments.results.csv_files import Form, salvage
from experiments.results.fields import BrokenRunError
from experiments.results.folder import RunResult, read_run
from experiments.results.rows import CURVES, ERRORS, GALLERY, METRICS, RUNS, SCORES, GalleryRow
from experiments.results.store import Store
from experiments.run.progress import last_step
from experiments.run.reuse import _made
from experiments.tables import main as tables
from ntil.errors import UserError
from ntil.evaluation.view import cards
from ntil.evaluation.view.cards import read_view
from ntil.evaluation.view.page import render
from ntil.io import read_json, read_jsonl
from ntil.runs.stored import build_stored_task, read_stored_config

CASES = int(os.environ.get("NTIL_FUZZ_CASES", "10000"))
OURS = (UserError, BrokenRunError)
SPEC = TableSpec.parse("demo", {"rows": "loss", "baseline": "ce", "splits": ["test"], "metrics": ["exact"]})
FORMS = {
    "runs.csv": RUNS,
    "metrics.csv": METRICS,
    "scores.csv.gz": SCORES,
    "curves.csv.gz": CURVES,
    "errors.csv": ERRORS,
    "gallery.csv": GALLERY,
}


@pytest.fixture
def run(outputs: Path) -> Path:
    answers = [said("12:45", "12:40"), said("1:30", "1:30", ("1", 0.9), (":30", 0.4))]
    scores = [{"exact": 0.0, "gap_circular": 5.0}, {"exact": 1.0, "gap_circular": None}]
    return write_run(
        outputs, {"test": scores}, answers={"test": answers}, loss="ntil",
        metrics={"f": ({"ratio": [["exact"], ["exact", "exact"]]}, {"test": 0.5}), "ap": ({"of_split": True}, {"test": 0.1})},
        config={"task": {"_target_": "tasks.clock.ClockTask", "question": "Time?"}},
    )  # fmt: skip


def spoil(path: Path, read: Callable[[], object], values: bool = True, seed: int = 0) -> Iterator[object]:
    """What `read` returns for each spoilt version of `path` that it does not refuse; counts those that it does."""
    whole = path.read_bytes()
    chance = random.Random(seed)
    accepted = refused = 0
    for _ in range(CASES):
        path.write_bytes(spoilt(whole, chance, values))
        try:
            found = read()
        except OURS:
            refused += 1
        else:
            accepted += 1
            yield found
    path.write_bytes(whole)
    read()
    assert accepted
    assert refused > CASES / 10


def check_rows(result: RunResult) -> None:
    """What was accepted can be read again."""
    for form, rows in (
        (RUNS, result.rows),
        (METRICS, result.metrics),
        (SCORES, result.scores[[*SCORES.key]].itertuples(index=False, name=None)),
        (CURVES, result.curves),
        (ERRORS, result.errors),
    ):
        for row in rows:
            cells = [kind.write(value) for kind, value in zip(form.kinds.values(), row, strict=True)]
            read = [kind.read(text) for kind, text in zip(form.kinds.values(), cells, strict=True)]
            assert [kind.write(value) for kind, value in zip(form.kinds.values(), read, strict=True)] == cells
            assert not form.together(form.row(*read))
            "".join(cells).encode()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["metrics.json", "predictions.jsonl", "provenance.json", "train.jsonl"])
def test_a_run_with_a_spoilt_file(run: Path, name: str) -> None:
    assert read_run(run)
    for result in spoil(run / name, lambda: read_run(run)):
        check_rows(result)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml"])
def test_a_run_with_spoilt_settings(run: Path, name: str) -> None:
    for result in spoil(run / name, lambda: read_run(run), values=False):
        check_rows(result)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_spoilt_config_builds_a_task_or_none(run: Path) -> None:
    path = run / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {"task": {"_target_": "tasks.clock.ClockTask", "question": "Time?", "max_new_tokens": 8}}
        )
    )
    for _ in spoil(path, lambda: build_stored_task(read_stored_config(path)), values=False):
        pass


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FORMS)
def test_a_spoilt_file_of_the_results(run: Path, outputs: Path, results: Path, name: str) -> None:
    """Read, shown where it is accepted, and repaired where it is not."""
    result, store, form = read_run(run), Store(results), FORMS[name]
    store.write_runs(result.rows, result.metrics)
    store.write_scores("demo", result.scores)
    store.write_curves("demo", result.curves)
    store.write_errors("demo", result.errors)
    store.write_gallery("demo", [GalleryRow("1", "1", "1", "worst", "1", "1", "1", "1", 1.0, "1")])
    read = {
        "runs.csv": (store.runs_path, lambda: compare("demo", SPEC, store)),
        "metrics.csv": (store.metrics_path, lambda: compare("demo", SPEC, store)),
        "scores.csv.gz": (store.scores_path("demo"), lambda: compare("demo", SPEC, store)),
        "curves.csv.gz": (store.curves_path("demo"), lambda: store.curves("demo")),
        "errors.csv": (store.errors_path("demo"), lambda: analyse("demo", SPEC, store)),
        "gallery.csv": (store.gallery_path("demo"), lambda: store.gallery("demo")),
    }
    path, action = read[name]
    for _ in spoil(path, action, values=False):
        pass
    check_repair(path, form, action)


def check_repair(path: Path, form: Form[Any], read: Callable[[], object]) -> None:
    whole, chance = path.read_bytes(), random.Random(1)
    for _ in range(CASES // 20):
        data = spoilt(gzip.decompress(whole) if path.suffix == ".gz" else whole, chance, values=False)
        spoiled = gzip.compress(data) if path.suffix == ".gz" and chance.random() < 0.7 else data
        path.write_bytes(spoiled)
        salvage(path, form)
        with contextlib.suppress(UserError):  # no line may be left, or half of one run's
            read()
        assert salvage(path, form) == []  # it is whole now
        copies = list(path.parent.glob(f"{path.name}.damaged*"))
        assert all(copy.read_bytes() == spoiled for copy in copies)
        for copy in copies:
            copy.unlink()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_spoilt_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n"a": [1, 2.5, "x", null, {"b": true}], "c": "1:30"}')
    for _ in spoil(path, lambda: read_json(path)):
        pass
    path.write_text('{"a": 1, "b": [1.5]}\n{"a": 2, "b": ["x"]}\n')
    for _ in spoil(path, lambda: list(read_jsonl(path))):
        pass
    for _ in range(2000):  # the launcher looks at a log that is being written
        path.write_bytes(spoilt(b'{"step": 1, "ce": 0.5}\n{"step": 2, "ce": 0.4}\n', random.Random(_)))
        shutil.copy(path, tmp_path / "train.jsonl")
        last_step(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_launcher_beside_spoilt_runs(run: Path, outputs: Path) -> None:
    for name in ("config.yaml", "provenance.json"):
        whole, chance = (run / name).read_bytes(), random.Random(0)
        for _ in range(CASES // 4):
            (run / name).write_bytes(spoilt(whole, chance, values=False))
            _made(outputs)
        (run / name).write_bytes(whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["metrics.json", "predictions.jsonl", "provenance.json"])
def test_a_page_of_a_spoilt_run(
    finished: Path, outputs: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "_picture", lambda task, root, example, said: str(task.parse(said)))
    monkeypatch.setattr(cards, "track", lambda places, description: places)
    folder = outputs / "demo" / "run"
    shutil.copytree(finished, folder)
    for view in spoil(folder / name, lambda: render(read_view(folder, 1))):
        assert "<script>alert" not in str(view)
        str(view).encode()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name", ["metrics.json", "predictions.jsonl", "provenance.json", "train.jsonl", "overrides.yaml"]
)
def test_what_was_accepted_can_be_shown(
    run: Path, outputs: Path, results: Path, conf: Path, name: str
) -> None:
    """Collect, tables and the page for spoilt runs beside a whole one: they end with 0, or 2 and a message."""
    shutil.copytree(run, outputs / "demo" / "clock-tiny-ce-seed0")
    whole, chance = (run / name).read_bytes(), random.Random(3)
    for _ in range(CASES // 50):
        shutil.rmtree(results, ignore_errors=True)
        (run / name).write_bytes(spoilt(whole, chance, values=not name.endswith("yaml")))
        assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
        assert tables(["--results", str(results)], conf) in (0, 2)
        assert report(["--results", str(results)], conf) in (0, 2)
