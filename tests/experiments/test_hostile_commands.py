"""Run folders from someone else against the commands as they are typed: nothing runs, nothing is written outside, one message."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from fixtures import REPOSITORY
from hostile_runs import CONFIGS, EVIL, MODELS, RAN, TASKS, Change, within
from PIL import Image
from run_factory import exact, write_run

from ntil.io import read_jsonl, write_jsonl

COMMANDS = ("predict", "evaluate", "export", "view", "collect", "report")
DONE = ""  # the fault is no concern of this command, which does its work and says nothing of it


class Case(NamedTuple):
    """A hostile run, and what each command says of it: words of its one `error:` or one line, or DONE."""

    change: Change
    said: dict[str, str]


def odd_ids(run: Path) -> None:
    rows = list(read_jsonl(run / "predictions.jsonl"))
    write_jsonl(run / "predictions.jsonl", [row | {"id": f"../../../{row['id']}"} for row in rows])


def of_config(name: str) -> Case:
    change, word = CONFIGS[name]
    return Case(change, {command: DONE if command == "report" else word for command in COMMANDS})


def of_task(name: str) -> Case:
    change, word = TASKS[name]
    said = {command: word for command in ("predict", "evaluate", "view", "collect")}
    return Case(change, {"export": DONE, "report": DONE, **said})


def of_model(name: str) -> Case:
    change, word = MODELS[name]
    said = {command: word for command in ("predict", "evaluate", "export")}
    return Case(change, {"view": DONE, "collect": DONE, "report": DONE, **said})


CASES = {
    **{name: of_config(name) for name in ("bomb", "tag", "a resolver")},
    **{name: of_task(name) for name in TASKS if name.split()[0] in ("0", "10", "11")},
    **{name: of_model(name) for name in ("auto_map", "shards elsewhere", "pickled")},
    "ids": Case(
        odd_ids, dict.fromkeys(COMMANDS, DONE) | {"view": "has no record", "collect": "no gallery of"}
    ),
    "many at once": Case(
        within("evaluation", batch_size=10**9), dict.fromkeys(COMMANDS, DONE) | {"evaluate": "batch_size"}
    ),
}
QUICK = [
    ("bomb", "collect"),
    ("auto_map", "predict"),
]  # the rest in the slow tier: a second or more for each start


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param(name, command, marks=() if (name, command) in QUICK else pytest.mark.slow)
        for name in CASES
        for command in COMMANDS
    ],
)
def test_a_command_on_a_hostile_run(
    name: str, command: str, finished: Path, outputs: Path, results: Path, tmp_path: Path
) -> None:
    run, work = outputs / "demo" / "hostile", tmp_path / "work"
    shutil.copytree(finished, run)
    (run / "model" / "SHA256SUMS").unlink()
    (run / "evil.py").write_text(EVIL)
    write_run(outputs, exact(1, 0))
    work.mkdir()
    (work / "evil.py").write_text(EVIL)  # found, if anything were imported by that name
    Image.new("RGB", (64, 64)).save(work / "picture.png")
    if command == "report":
        typed("collect", run, outputs, results, work)  # before the harm: afterwards there is nothing to show
    CASES[name].change(run)
    before = tree(tmp_path)
    done = typed(command, run, outputs, results, work)
    word = CASES[name].said[command]
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert (said.count("error: "), done.returncode) == (
        (0, 0) if word == DONE or command == "collect" else (1, 2)
    ), said
    assert word in said
    if word != DONE and command == "collect":
        assert said.count(f"left out {run}") + said.count("no gallery of demo/hostile") == 1, said
    allowed = (
        run if command in ("evaluate", "view") and word == DONE else tmp_path / "-",
        results,
        work / "made",
    )
    assert changed(before, tree(tmp_path), allowed) == set()
    assert not list(tmp_path.rglob(RAN))


def typed(
    command: str, run: Path, outputs: Path, results: Path, work: Path
) -> subprocess.CompletedProcess[str]:
    made = work / "made"
    made.mkdir(exist_ok=True)
    words = {
        "predict": ["predict.py", f"run={run}", "input=picture.png", f"output={made / 'predictions.png'}"],
        "evaluate": ["evaluate.py", f"run={run}"],
        "export": ["-m", "ntil", "export", str(run), "--out", str(made / "model")],
        "view": ["-m", "ntil", "view", str(run), "--count", "2"],
        "collect": ["-m", "experiments.collect", "--outputs", str(outputs), "--results", str(results)],
        "report": ["-m", "experiments.report", "--results", str(results)],
    }[command]
    if words[0].endswith(".py"):
        words[0] = str(REPOSITORY / words[0])
    return subprocess.run(
        [sys.executable, *words],
        cwd=work,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def tree(root: Path) -> dict[Path, str]:
    """Every file with its content, every folder, link and pipe."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in root.rglob("*")
    }


def changed(before: dict[Path, str], after: dict[Path, str], allowed: tuple[Path, ...]) -> set[Path]:
    return {
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
        and not any(path.is_relative_to(place) for place in allowed)
        and path.suffix != ".lock"
    }
