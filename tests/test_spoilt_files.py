"""Any file of a run or a data set may be damaged: one message that names it and exit code 2, or the command does its work.

Each command in this process, on a copy of a finished run and its data of which one file is spoilt.
"""

import random
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import SMALL, run

sys.path.append(str(Path(__file__).parent / "experiments"))
from mutate import DEEP, spoilt

workplace, finished, small_data, in_tmp_path = (
    fixtures.workplace,
    fixtures.finished,
    fixtures.small_data,
    fixtures.in_tmp_path,
)
WHOLE = {
    "empty": b"",
    "zero bytes": b"\x00" * 200,
    "deep": DEEP,
    "a list": b"[]",
    "a number": b"7",
    "a word": b'"x"',
    "null": b"null",
    "an object": b"{}",
    "1e400": b'{"a": 1e400}',
    "10,000 digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"ä": "ö"}'.encode("latin-1"),
    "half a pair": b'{"a": "\\ud800"}',
    "carriage returns": b"\r\r\r",
    "no JSON": b"{",
}
KINDS: dict[str, Callable[[bytes], bytes]] = {
    **{name: lambda data, content=content: content for name, content in WHOLE.items()},
    "truncated": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "a zero byte": lambda data: data[: len(data) // 2] + b"\x00" + data[len(data) // 2 :],
    "doubled": lambda data: data + data,
}
OF_THE_RUN = ["provenance.json", "timing.json"]
OF_THE_MODEL = [
    "config.yaml",
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/preprocessor_config.json",
    "model/generation_config.json",
    "model/model.safetensors",
]
OF_THE_DATA = ["manifest.json", "records.jsonl"]
needs_stored_models = pytest.mark.skipif(
    find_spec("ntil.models.stored") is None,
    reason="config.yaml and model/ are not looked at before they are read",
)


@pytest.fixture
def copied(finished: Path, small_data: Path, tmp_path: Path) -> Path:
    """data/ and outputs/ with the finished run, which is complete."""
    shutil.copytree(small_data, tmp_path / "data" / small_data.name)
    folder = shutil.copytree(finished, tmp_path / "outputs" / "runs" / "here")
    config = folder / "config.yaml"
    text = config.read_text().replace(str(small_data.parent), str(tmp_path / "data"))
    text = text.replace(str(finished.parents[1]), str(tmp_path / "outputs"))
    config.write_text(text.replace("name: finished", "name: here"))
    return folder


def ended_well(ran: Any, path: Path) -> None:
    """0, or 2 and one error; the file is named where it is the reason."""
    assert ran.code in (0, 2), ran
    assert "Traceback" not in ran.err
    if ran.code == 2:
        assert ran.err.count("error:") == 1, ran.err
        assert len(ran.err) < 5000
        said = ran.err[ran.err.index("error:") :]
        assert path.name in said or path.parent.name in said or str(path.parent) in said, said


def evaluate(folder: Path, tmp_path: Path) -> Any:
    return run("evaluate", f"run={folder}", "limit=2", "splits=[test]", f"output={tmp_path / 'again'}")


def predict(folder: Path, tmp_path: Path, data: Path) -> Any:
    picture = next(iter(sorted((data / "images" / "test").iterdir())))
    return run("predict", f"run={folder}", f"input={picture}", f"output={tmp_path / 'drawn.png'}")


def train(folder: Path, tmp_path: Path) -> Any:
    places = [f"paths.data={tmp_path / 'data'}", f"paths.outputs={tmp_path / 'outputs'}"]
    same = ["name=here", "evaluation.pictures=true", "trainer.eval_steps=2"]
    return run("train", *SMALL, *places, *same)


def data_of(tmp_path: Path) -> Path:
    return next(path for path in (tmp_path / "data").iterdir() if path.is_dir())


def spoil(path: Path, kind: str) -> None:
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    path.write_bytes(KINDS[kind](path.read_bytes()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_THE_RUN)
def test_a_file_of_the_run(copied: Path, tmp_path: Path, name: str, kind: str) -> None:
    spoil(copied / name, kind)
    ended_well(evaluate(copied, tmp_path), copied / name)
    ended_well(predict(copied, tmp_path, data_of(tmp_path)), copied / name)


@needs_stored_models
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_THE_MODEL)
def test_a_file_of_the_model(copied: Path, tmp_path: Path, name: str, kind: str) -> None:
    spoil(copied / name, kind)
    ended_well(evaluate(copied, tmp_path), copied / name)
    ended_well(predict(copied, tmp_path, data_of(tmp_path)), copied / name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_THE_DATA)
def test_a_file_of_the_data(copied: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = data_of(tmp_path) / name
    spoil(path, kind)
    ended_well(evaluate(copied, tmp_path), path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("config.yaml", marks=needs_stored_models),
        "provenance.json",
        "timing.json",
        "train.jsonl",
        "metrics.json",
        "predictions.jsonl",
    ],
)
def test_a_file_of_a_run_that_is_resumed(copied: Path, tmp_path: Path, name: str, kind: str) -> None:
    (copied / "COMPLETE").unlink()
    spoil(copied / name, kind)
    ended_well(train(copied, tmp_path), copied / name)


def random_cases(copied: Path, tmp_path: Path, name: str, cases: int) -> None:
    path = (data_of(tmp_path) if name in OF_THE_DATA else copied) / name
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    whole, chance = path.read_bytes(), random.Random(name)
    for _ in range(cases):
        path.write_bytes(spoilt(whole, chance, values=path.suffix in (".json", ".jsonl")))
        ended_well(evaluate(copied, tmp_path), path)


@pytest.mark.parametrize("name", [*OF_THE_RUN, *OF_THE_DATA])
def test_spoilt_at_random(copied: Path, tmp_path: Path, name: str) -> None:
    random_cases(copied, tmp_path, name, 12)


@needs_stored_models
@pytest.mark.parametrize("name", OF_THE_MODEL[:-1])
def test_a_model_spoilt_at_random(copied: Path, tmp_path: Path, name: str) -> None:
    random_cases(copied, tmp_path, name, 12)
