"""A picture that cannot be decoded, whatever its decoder raises: named, and the rest goes on, in training and evaluation."""

import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import SMALL, run
from PIL import Image

from ntil.data.dataset import EncodedDataset
from ntil.data.example import read_examples
from ntil.io import read_json, read_jsonl, sha256

workplace, finished, small_data, in_tmp_path = (
    fixtures.workplace,
    fixtures.finished,
    fixtures.small_data,
    fixtures.in_tmp_path,
)
DAMAGED = {"truncated": lambda data: data[:40], "empty": lambda data: b"", "text": lambda data: b"no picture"}
RAISED = [
    struct.error("unpack"),
    SyntaxError("broken PNG file"),
    Image.DecompressionBombError("bomb"),
    MemoryError(),
    zlib.error("Error -3"),
    OverflowError("too large"),
    RecursionError(),
    OSError("broken data stream"),
    AssertionError(),
    NotImplementedError("mode"),
]


def spoil(data: Path, split: str, index: int, kind: str = "truncated") -> str:
    """Damage the picture of one record; returns its id."""
    example = read_examples(data, split)[index]
    path = data / str(example.image)
    path.write_bytes(DAMAGED[kind](path.read_bytes()))
    return example.id


@pytest.fixture
def data(small_data: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_data, tmp_path / "data" / small_data.name)


def train(tmp_path: Path, name: str, *words: str) -> Any:
    places = [f"paths.data={tmp_path / 'data'}", f"paths.outputs={tmp_path / 'outputs'}"]
    return run("train", *SMALL, *places, f"name={name}", *words)


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_run_goes_on(data: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    bad = {
        spoil(data, "train", index, kind) for index in (0, 7, 31)
    }  # the last is replaced by one at the start
    unread = spoil(data, "test", 2, kind)
    ran = train(tmp_path, "here")
    assert ran.code == 0, ran.err
    folder = tmp_path / "outputs" / "runs" / "here"
    named = {row["id"] for row in read_jsonl(folder / "replaced.jsonl")}
    assert named <= bad
    metrics = read_json(folder / "metrics.json")
    assert metrics["training_records_replaced"] == len(named) > 0
    assert all(ran.err.count(f"record {name!r}") == 1 for name in named), "each is named once"
    test = metrics["splits"]["test"]
    assert (test["count"], test["unanswered"]) == (6, 1)
    assert unread in test["unanswered_first"]
    assert "1 of 6 could not be asked" in ran.out
    rows = {row["id"]: row for row in read_jsonl(folder / "predictions.jsonl")}
    assert "cannot be read as a picture" in rows[unread]["unanswered"]
    assert rows[unread]["parsed"] is None
    other = train(tmp_path, "beside", "trainer.loader_workers=2", "trainer.cache_examples=false")
    assert other.code == 0, other.err
    beside = folder.with_name("beside")
    assert sha256(beside / "model" / "model.safetensors") == sha256(folder / "model" / "model.safetensors")
    assert {row["id"] for row in read_jsonl(beside / "replaced.jsonl")} == named


def test_the_longest_training_record_is_read_by_the_checks(data: Path, tmp_path: Path) -> None:
    for index in range(8):
        spoil(data, "train", index)
    ran = train(tmp_path, "dry", "trainer.dry_run=true")
    assert ran.code == 0, ran.err


def test_evaluation_goes_on_without_any_picture(data: Path, finished: Path, tmp_path: Path) -> None:
    for index in range(6):
        spoil(data, "test", index)
    ran = run(
        "evaluate", f"run={finished}", f"data_folder={data}", "splits=[test]", f"output={tmp_path / 'out'}"
    )
    assert ran.code == 0, ran.err
    split = read_json(tmp_path / "out" / "metrics.json")["splits"]["test"]
    assert split["unanswered"] == split["count"] == 6
    assert split["metrics"]["exact"] == 0


def test_no_picture_at_all_is_an_error_before_hours_are_spent(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "images" / "train")
    ran = train(tmp_path, "none")
    assert ran.code == 2
    assert "none of the 32 pictures can be read" in ran.err
    ran = train(tmp_path, "none", "trainer.loader_workers=1")
    assert ran.code == 2
    assert "none of the 32 pictures can be read" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_decoder_raises(
    small_data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    examples = read_examples(small_data, "train")

    class Encoder:
        pad_token_id = 0

        def encode(self, prompt: str, image: Any, answer: str | None) -> dict[str, Any]:
            return {"answer": answer}

    class AskedTask:
        def prompt(self, example: Any) -> str:
            return ""

        def answer(self, example: Any) -> str:
            return str(example.id)

    named: list[str] = []
    bad = {str(examples[index].image) for index in (3, 4)}

    def open_(file: Any, *args: Any, **kwargs: Any) -> Any:
        if any(file.name.endswith(image) for image in bad):
            raise error
        return opened(file, *args, **kwargs)

    opened = Image.open
    monkeypatch.setattr(Image, "open", open_)
    data_set = EncodedDataset(
        examples,
        small_data,
        AskedTask(),  # type: ignore[arg-type]
        Encoder(),
        replaced=lambda example, reason: named.append(example.id),
    )
    for _ in range(2):  # the same whenever it is asked, as a resumed training does
        answers = [data_set[index]["answer"] for index in (5, 4, 3, 2)]
        assert answers == [examples[index].id for index in (5, 5, 5, 2)]
    assert set(named) == {examples[3].id, examples[4].id}


def test_true_answers_that_are_cut_are_told(finished: Path, small_data: Path, tmp_path: Path) -> None:
    """A run whose limit is too small for another set's answers."""
    folder = shutil.copytree(finished, tmp_path / "run")
    config = folder / "config.yaml"
    text = config.read_text()
    assert "max_new_tokens: 8" in text
    config.write_text(text.replace("max_new_tokens: 8", "max_new_tokens: 5"))
    ran = run("evaluate", f"run={folder}", f"data_folder={small_data}", f"output={tmp_path / 'out'}")
    assert ran.code == 0, ran.err
    long = sum(
        len(str(row["answer"])) + 1 > 5
        for row in read_jsonl(tmp_path / "out" / "predictions.jsonl")
        if row["split"] == "test"
    )
    line = next(line for line in ran.out.splitlines() if "max_new_tokens=5" in line)
    assert f"cuts {long} of 6" in line
