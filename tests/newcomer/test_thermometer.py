"""A task with its generator from docs/add_a_task.md alone: four new files, no edit, and all commands of the page work."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ntil.io import read_json, read_jsonl

ROOT = Path(__file__).parents[2]
NEW = Path(__file__).parent / "thermometer"
PAGE = (ROOT / "docs" / "add_a_task.md").read_text(encoding="utf-8")
CHECKOUT = ("ntil", "tasks", "data_prep", "experiments", "conf", "train.py", "evaluate.py", "predict.py")


def files() -> list[Path]:
    return sorted(path.relative_to(NEW) for path in NEW.rglob("*") if path.suffix in (".py", ".yaml"))


def commands() -> list[list[str]]:
    """The page's commands as `python` takes them, without that word."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    typed = [shlex.split(line) for line in lines if line.startswith(("python ", "ntil "))]
    return [words[1:] if words[0] == "python" else ["-m", *words] for words in typed]


def test_the_task_is_four_files_and_its_table_one() -> None:
    assert [path.as_posix() for path in files()] == [
        "conf/data/thermometers.yaml",
        "conf/experiment/thermometer.yaml",
        "conf/task/thermometer.yaml",
        "data_prep/thermometers.py",
        "tasks/thermometer.py",
    ]
    assert [path for path in files() if (ROOT / path).exists()] == [], "none of them is there already"


@pytest.mark.parametrize("path", files(), ids=str)
def test_the_page_shows_the_files(path: Path) -> None:
    assert f"# {path.as_posix()}\n{(NEW / path).read_text(encoding='utf-8')}```" in PAGE


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the new files, in which all commands of the page have been run."""
    copy = tmp_path_factory.mktemp("newcomer") / "checkout"
    for name in CHECKOUT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    for path in files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(NEW / path, copy / path)
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "walk.py")],
        input=json.dumps(commands()),
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return copy


def test_the_page_has_commands_for_every_stage() -> None:
    said = [" ".join(words[:2]) for words in commands()]
    for stage in ("-m data_prep", "-m experiments.collect", "-m experiments.tables", "-m experiments.plots"):
        assert stage in said
    for script in ("train.py", "evaluate.py", "predict.py"):
        assert any(word.startswith(script) for word in said)
    assert {"-m ntil", "-m experiments.report"} <= set(said)


def test_it_is_built_trained_and_scored(walked: Path) -> None:
    assert read_json(walked / "data" / "thermometers_small" / "manifest.json")["counts"] == {
        "train": 40,
        "val": 4,
        "test": 8,
    }
    metrics = read_json(walked / "outputs" / "runs" / "first" / "metrics.json")
    assert metrics["task"] == "thermometer"
    test = metrics["splits"]["test"]
    assert (test["count"], test["baselines"]["true"]["exact"], test["baselines"]["true"]["off"]) == (8, 1, 0)
    assert set(test["groups"]["liquid"]) <= {"red", "blue", "green"}
    constrained = read_json(next((walked / "outputs" / "runs" / "first").glob("evaluation*/metrics.json")))
    assert constrained["splits"]["test"]["metrics"]["parsed"] == 1, "decoding is held to the format"
    assert (walked / "answers.png").exists()
    assert "thermometer" in (walked / "outputs" / "runs" / "first" / "view.html").read_text()


def test_its_results_are_shown(walked: Path) -> None:
    results = walked / "results"
    table = (results / "tables" / "thermometer.md").read_text(encoding="utf-8")
    assert "| loss | exact ↑ | off by [degrees] ↓ | parsed ↑ |" in table
    errors = (results / "tables" / "thermometer_errors.md").read_text(encoding="utf-8")
    assert "degrees off" in errors
    assert "no temperature" in errors
    for kind in ("errors", "validation"):
        assert list((results / "figures").glob(f"thermometer_{kind}*.svg"))
    gallery = (results / "gallery" / "thermometer.csv").read_text(encoding="utf-8")
    assert "test-00000" in gallery
    assert list((results / "gallery" / "thermometer").rglob("*.jpg"))
    assert "Reading a thermometer" in (results / "index.html").read_text(encoding="utf-8")


def test_its_pictures_show_what_is_to_be_read(walked: Path) -> None:
    """The column's pixels give the degrees back to within half a degree, so that the task can be learnt."""
    root = walked / "data" / "thermometers_small"
    config = read_json(root / "manifest.json")["config"]
    for record in read_jsonl(root / "records.jsonl"):
        picture = np.asarray(Image.open(root / record["image"]).convert("RGB")).astype(int)
        column = (
            np.ptp(picture[:, config["size"] // 2], axis=-1) > 60
        )  # coloured, and neither black nor white
        top = int(np.flatnonzero(column)[0])
        low, high = 0.82 * config["size"], 0.06 * config["size"]
        share = (low - top) / (low - high)
        read = config["lowest"] + share * (config["highest"] - config["lowest"])
        assert abs(read - float(record["target"]["degrees"])) <= 0.5
