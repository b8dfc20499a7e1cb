"""A run folder from someone else against collect, tables, report, check and view: nothing it names is run, nothing is written
outside results/ and the run, each fault is one message, and the other runs are collected all the same.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile_runs import BOMB, CONFIGS, MODELS, TARGETS
from html_tags import Tags
from run_factory import change_json, dump_lines, exact, write_run

from experiments.check import main as check
from experiments.collect import main as collect
from experiments.overview import main as overview
from experiments.plots import main as plots
from experiments.report.__main__ import main as report
from experiments.results.store import Store
from experiments.tables import main as tables
from ntil.commands import main as ntil
from ntil.io import read_json, read_jsonl, sha256, write_json, write_jsonl

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`|\\input{x}\n[a](b)\x1b[31m\x07$x^{$&lt;"


@pytest.fixture
def run(finished: Path, outputs: Path) -> Path:
    """A real run of clocks with pictures, CE so that it has a gallery."""
    folder = outputs / "demo" / "hostile"
    shutil.copytree(finished, folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are typed, below a folder that is watched."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for owner, name in ((__import__("os"), "system"), (subprocess, "run"), (subprocess, "Popen")):
        monkeypatch.setattr(owner, name, _refuse)
    return work


def _refuse(*words: Any, **options: Any) -> None:
    raise AssertionError(f"it was run: {words} {options}")


def change_config(run: Path, **changes: Any) -> None:
    path = run / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def files_of(root: Path, *without: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(path.is_relative_to(other) for other in without)
    }


def sealed(data: Path) -> str:
    """The hash of a set's records as they are now, which its manifest then has too."""
    found = sha256(data / "records.jsonl")
    write_json(data / "manifest.json", read_json(data / "manifest.json") | {"records_sha256": found})
    return found


def everything(outputs: Path, results: Path, conf: Path, run: Path) -> list[int]:
    """The exit codes of all commands that read a run's folder or what collect made of it."""
    words = ["--results", str(results)]
    return [
        collect(["--outputs", str(outputs), *words]),
        tables(words, conf),
        plots(words, conf),
        overview(words, conf, results / "README.md"),
        report(words, conf),
        check(words, conf),
        ntil(["view", str(run), "--count", "2"]),
    ]


@pytest.mark.parametrize("task", TARGETS, ids=lambda task: task["_target_"])
def test_no_target_is_run(
    run: Path,
    outputs: Path,
    results: Path,
    conf: Path,
    place: Path,
    task: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    change_config(run, task=task)
    before = files_of(outputs.parent, results)
    words = ["--outputs", str(outputs), "--results", str(results)]
    assert collect(words) == 0  # its numbers are numbers; its pictures are not drawn
    said = capsys.readouterr()
    assert said.out.count("no gallery of demo/hostile:") == 1
    assert report(["--results", str(results)], conf) == 0
    capsys.readouterr()
    assert ntil(["view", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert "Traceback" not in error + said.err + said.out
    after = files_of(outputs.parent, results)
    assert {path for path in after if not path.endswith(".lock")} == set(before)
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_that_is_refused_leaves_the_run_out(
    run: Path,
    outputs: Path,
    results: Path,
    conf: Path,
    place: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_run(outputs, exact(1, 0))
    change, word = CONFIGS[name]
    change(run)
    before = files_of(outputs.parent, results)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    said = capsys.readouterr()
    assert said.err.count("left out") == 1
    assert word in said.err
    assert {row.run for row in Store(results).runs()} == {"clock-tiny-ce-seed0"}
    assert report(["--results", str(results)], conf) == 0
    capsys.readouterr()
    assert ntil(["view", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert word in error
    assert "Traceback" not in said.err + error
    after = files_of(outputs.parent, results)
    assert {path for path in after if not path.endswith(".lock")} == set(before)
    assert not list(place.iterdir())


def test_what_was_typed_is_bounded_too(run: Path, outputs: Path, results: Path, place: Path) -> None:
    write_run(outputs, exact(1, 0))
    (run / "overrides.yaml").write_text(BOMB)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("linked", "pipe")])
def test_what_reads_results_loads_no_model(
    run: Path,
    outputs: Path,
    results: Path,
    conf: Path,
    place: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    MODELS[name][0](run)
    before = files_of(outputs.parent, results)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert report(["--results", str(results)], conf) == 0
    assert ntil(["view", str(run), "--count", "2"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    after = files_of(outputs.parent, results)
    assert {p for p in set(after) - set(before) if not p.endswith(".lock")} == {str(run / "view.html")}
    assert all(after[path] == content for path, content in before.items())
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    "odd",
    [
        "../../../../escaped",
        "/escaped",
        "..",
        ".",
        "a/../../../b",
        "x" * 300,
        "時" * 120,
        "a\nb",
        "\x1b[31m",
        "<b>|",
    ],
)
def test_an_id_names_no_place_outside(
    run: Path,
    small_data: Path,
    outputs: Path,
    results: Path,
    conf: Path,
    place: Path,
    odd: str,
    tmp_path: Path,
) -> None:
    """A set and its predictions that agree on an odd id; its pictures land in the run's own folder of the gallery."""
    data = tmp_path / "data" / "copy"
    shutil.copytree(small_data, data)
    made = read_json(run / "provenance.json")
    rows = list(read_jsonl(data / "records.jsonl"))
    named = list(read_jsonl(run / "predictions.jsonl"))
    for row in rows + named:
        row["id"] = odd if row["id"].endswith("-000000") else row["id"]
    write_jsonl(data / "records.jsonl", rows)
    write_jsonl(run / "predictions.jsonl", named)
    made["data"].update(folder=str(data), records_sha256=sealed(data))
    write_json(run / "provenance.json", made)
    before = files_of(tmp_path, results)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert report(["--results", str(results)], conf) == 0
    assert ntil(["view", str(run), "--count", "2"]) == 0
    after = files_of(tmp_path, results)
    assert {path for path in set(after) - set(before) if not path.endswith(".lock")} == {
        str(run / "view.html")
    }
    pictures = {path for path in results.rglob("*.jpg")}
    assert pictures == {results / "gallery" / row.picture for row in Store(results).gallery("demo")}
    assert all(path.parent == results / "gallery" / "demo" / "hostile" for path in pictures)


def test_a_link_in_the_gallery_is_not_followed(
    run: Path, outputs: Path, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (results / "gallery" / "demo").mkdir(parents=True)
    (results / "gallery" / "demo" / "hostile").symlink_to(tmp_path / "outside")
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert not list((tmp_path / "outside").iterdir())


def test_every_text_stays_text(run: Path, outputs: Path, results: Path, conf: Path, place: Path) -> None:
    """Whatever may be text is evil; what must be a number is refused with the run."""
    lines = list(read_jsonl(run / "predictions.jsonl"))
    for row in lines:
        row.update(text=EVIL, tokens=[EVIL], probabilities=[None], answer=EVIL, meta={"shape": EVIL})
    dump_lines(run / "predictions.jsonl", lines)
    metrics = read_json(run / "metrics.json")
    for about in metrics["metrics"].values():
        about.update(unit=EVIL)
    for name in ("exact", "hour"):
        metrics["metrics"][name]["label"] = EVIL + name
    metrics["splits"]["test"]["baselines"] = {EVIL: metrics["splits"]["test"]["metrics"]}
    write_json(run / "metrics.json", metrics)
    made = read_json(run / "provenance.json")
    made.update(device=EVIL, commit=EVIL)
    made["packages"]["torch"] = EVIL
    write_json(run / "provenance.json", made)
    config = yaml.safe_load((run / "config.yaml").read_text())
    change_config(run, choices=config["choices"] | {"model": EVIL, "loss": "ntil"})
    (run / "overrides.yaml").write_text(yaml.safe_dump([f"x={EVIL}"]))
    base = write_run(outputs, exact(*[1] * 6), loss="ce")  # so that there is a baseline, of the same metric
    change_json("metrics.json", lambda m: m["metrics"]["exact"].update(unit=EVIL))(base)
    assert everything(outputs, results, conf, run) == [0] * 7
    for page in (results / "index.html", run / "view.html"):
        tags = Tags(page.read_text())
        assert len(tags.seen["script"]) == 1, page
        assert all("onerror" not in image for image in tags.seen["img"]), page
        assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in page.read_text())
    table = (results / "tables" / "demo.md").read_text()
    assert "<script" not in table
    assert "](b)" not in table.replace("\\](b)", "")
    tex = (results / "tables" / "demo.tex").read_text()
    assert "\\input" not in tex
    assert not any(line.startswith("\\input") or "\x1b" in line for line in tex.splitlines())


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", [1], {"a": 1}, None])
def test_a_count_is_no_text_on_the_page(
    run: Path, outputs: Path, results: Path, evil: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1, 0))
    metrics = read_json(run / "metrics.json")
    metrics["splits"]["test"]["count"] = evil
    write_json(run / "metrics.json", metrics)
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert "metrics.json: count is" in capsys.readouterr().err
    assert ntil(["view", str(run)]) == 0
    assert len(Tags((run / "view.html").read_text()).seen["script"]) == 1


def test_runs_that_will_never_be_collected_are_said(
    outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(outputs, exact(1, 0))
    for name in (".x", "a/b", "logs", "a\nb", "x" * 230):
        write_run(outputs, exact(1, 0), name=name, seed=1)
    write_run(outputs, exact(1, 0), experiment=".hidden")
    (outputs / "demo" / ".copy.0123abcd.part").mkdir()
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    said = capsys.readouterr().err
    assert said.count("left out") == 6
    assert said.count("cannot be collected") == 5
    assert "the run a/b is a folder too deep" in said
    assert len(said.strip().splitlines()) == 6
    assert len(Store(results).runs()) == 1


def test_a_picture_that_is_gone_is_said_and_the_others_are_drawn(
    run: Path,
    small_data: Path,
    outputs: Path,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data" / "copy"
    shutil.copytree(small_data, data)
    made = read_json(run / "provenance.json")
    made["data"]["folder"] = str(data)
    write_json(run / "provenance.json", made)
    first = next(row for row in read_jsonl(data / "records.jsonl") if row["split"] == "test")
    (data / first["image"]).write_bytes(b"GIF89a")
    assert collect(["--outputs", str(outputs), "--results", str(results)]) == 0
    assert f"no picture in the gallery of demo/hostile: {first['id']}" in capsys.readouterr().out
    assert sum(bool(row.picture) for row in Store(results).gallery("demo")) == 5
    assert ntil(["view", str(run)]) == 0
    assert f"no picture of {first['id']}" in capsys.readouterr().err


def test_data_that_has_changed_since_is_not_shown_beside_the_answers(
    run: Path,
    small_data: Path,
    outputs: Path,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data" / "copy"
    shutil.copytree(small_data, data)
    records = data / "records.jsonl"
    records.write_text(records.read_text().replace('"minute": 1', '"minute": 2', 1))
    assert ntil(["view", str(run), "--data", str(data)]) == 2
    assert f"{records} has changed since it was written" in capsys.readouterr().err
    now = sealed(data)
    assert ntil(["view", str(run), "--data", str(data)]) == 2
    assert f"have the hash {now}, the run's had" in capsys.readouterr().err
