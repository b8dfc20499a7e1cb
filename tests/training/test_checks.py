"""What can be known before training is said before training."""

import statistics
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import in_folder, run, write_data_set
from hypothesis import given
from hypothesis import strategies as st
from model_configs import composed, model_config

from ntil.data.example import Example, read_examples
from ntil.errors import SpellingError, UserError
from ntil.evaluation import evaluate
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.splits import splits_to_score
from ntil.io import read_json, write_json
from ntil.models import Subject, load_model
from ntil.models.families import family_of
from ntil.models.load import model_settings
from ntil.models.published import PublishedAdapter
from ntil.models.tiny_processor import character_tokenizer
from ntil.training import check_before_training, checks
from tasks.arithmetic import ArithmeticTask

in_tmp_path = fixtures.in_tmp_path
SUMS = ["task=arithmetic", "trainer.eval_steps=0", "trainer.batch_size=1"]


def record(number: int, split: str = "train", query: str = "1+1=", answer: str = "2") -> dict[str, Any]:
    return {"id": f"{split}-{number}", "split": split, "query": query, "target": {"answer": answer}}


def checked(data: Path, *overrides: str, **task: Any) -> list[str]:
    cfg = composed(*SUMS, *overrides)
    model, adapter = load_model(cfg.model)
    return check_before_training(Subject(model, adapter, ArithmeticTask(**task), data), cfg)


def test_what_fits_is_told_with_its_ceiling(tmp_path: Path) -> None:
    data = write_data_set(tmp_path, [record(1), record(2, "test", answer="1234")])
    (line,) = checked(data)
    assert line.startswith("test (1): the true answers of at most 5 tokens would score correct 1.000")


@pytest.mark.parametrize("limit", [4, 1])
def test_answers_that_would_be_cut_are_refused_with_the_limit_that_they_need(
    tmp_path: Path, limit: int
) -> None:
    data = write_data_set(tmp_path, [record(1, answer="12345"), record(2), record(3, "test", answer="1234")])
    with pytest.raises(UserError) as refused:
        checked(data, max_new_tokens=limit)
    said = str(refused.value)
    assert f"train: {2 if limit == 1 else 1} of 2" in said
    assert "test: 1 of 1 (100.0%)" in said
    assert "Set task.max_new_tokens=6" in said
    assert checked(data, max_new_tokens=6)


def test_only_what_is_used_counts(tmp_path: Path) -> None:
    long = "1" * 30
    data = write_data_set(tmp_path, [record(1), record(2, answer=long), record(3, "test")])
    with pytest.raises(UserError, match="train: 1 of 2"):
        checked(data)
    assert checked(data, "trainer.train_examples=1")
    assert checked(data, "trainer.max_steps=0"), "nothing is trained"


def test_more_than_the_model_has_positions_for(tmp_path: Path) -> None:
    data = write_data_set(tmp_path, [record(1, query="1+" * 60), record(2, "test")])
    with pytest.raises(UserError, match=r"train-1 takes 124 tokens .* 64 positions.*=128"):
        checked(data, "+model.text_config.max_position_embeddings=64")
    assert checked(data, "+model.text_config.max_position_embeddings=128")


@pytest.mark.parametrize(
    ("query", "prefix"), [("π+1=", ""), ("1+1=", "ü"), ("\t1+1=", ""), ("1+1=\u200b", "")]
)
def test_training_texts_that_cannot_be_spelled_are_refused(tmp_path: Path, query: str, prefix: str) -> None:
    data = write_data_set(tmp_path, [record(1), record(2, query=query), record(3, "test")])
    with pytest.raises(UserError, match=r"of the 2 training examples[\s\S]*train-2: .*cannot spell"):
        checked(data, prefix=prefix)


@pytest.mark.parametrize(
    ("has", "overrides", "says"),
    [
        (["train", "test"], ["trainer.eval_steps=1"], "no split 'val'.*trainer.eval_steps=0"),
        (["test"], [], "no split 'train'.*trainer.max_steps=0"),
        (["train", "test"], ["trainer.batch_size=64"], "batch_size=64 exceeds the 1 training"),
        (["train", "test"], ["evaluation.splits=[tset]"], "no split 'tset'. Did you mean 'test'"),
    ],
)
def test_splits_that_the_training_needs(
    tmp_path: Path, has: list[str], overrides: list[str], says: str
) -> None:
    data = write_data_set(tmp_path, [record(i, split) for i, split in enumerate(has)])
    with pytest.raises(UserError, match=says):
        checked(data, *overrides)


@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_and_text_alone_do_not_mix(tmp_path: Path, split: str) -> None:
    records = [record(1), record(2, "test"), record(3, split) | {"image": "a.png"}]
    data = write_data_set(tmp_path, records)
    with pytest.raises(UserError, match=f"split {split}: record {split}-3 has a picture and {split}-"):
        checked(data)


def test_a_record_that_the_task_cannot_handle_is_named(tmp_path: Path) -> None:
    data = write_data_set(tmp_path, [record(1), record(2) | {"target": {}}, record(3, "test")])
    with pytest.raises(UserError, match="ArithmeticTask fails on record train-2: KeyError"):
        checked(data)


def test_the_ceiling_knows_the_format_that_decoding_is_held_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data_set(tmp_path, [record(1), record(2, "test"), record(3, "test", answer="1e5")])
    (free,) = checked(data)
    (held,) = checked(data, "evaluation.constrained=true")
    assert "correct 1.000" in free
    assert held == free, "all that a format writes matches its pattern"
    monkeypatch.setattr("tasks.arithmetic.NumberFormat.pattern", "[0-9]+")
    (narrow,) = checked(data, "evaluation.constrained=true")
    assert "correct 0.500" in narrow


def test_a_text_that_is_long_and_cannot_be_spelled_hides_no_other(tmp_path: Path) -> None:
    tests = [record(2, "test", query="1+" * 60), record(3, "test", query="π" * 500)]
    data = write_data_set(tmp_path, [record(1), *tests])
    with pytest.raises(UserError, match="test-2 takes 124 tokens"):
        checked(data, "+model.text_config.max_position_embeddings=64")


def test_questions_of_a_test_that_cannot_be_asked_are_told(tmp_path: Path) -> None:
    data = write_data_set(
        tmp_path, [record(1), *(record(i, "test", query=f"{i}π=") for i in range(5)), record(6, "test")]
    )
    lines = checked(data)
    assert "warning: 5 of 6 questions cannot be asked" in lines[1]
    assert "test-0:" in lines[1]
    assert "and 2 more" in lines[1]


def test_they_count_as_unanswered(tmp_path: Path) -> None:
    data = write_data_set(tmp_path, [record(1), record(2, "test", query="π="), record(3, "test", query="é=")])
    cfg = composed(*SUMS, "evaluation.pictures=true")
    model, adapter = load_model(cfg.model)
    said: list[str] = []
    result = evaluate(Subject(model, adapter, ArithmeticTask(), data), cfg.evaluation, tmp_path, said.append)
    split = result["splits"]["test"]
    assert split["unanswered"] == 2
    assert split["metrics"]["no_number"] == 1
    assert any("2 of 2 could not be asked and count as wrong; test-2: " in line for line in said)
    rows = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2
    assert all('"unanswered": "`tiny` writes' in row for row in rows)


def test_a_published_family_s_tokenizer_with_an_unknown_token() -> None:
    adapter = PublishedAdapter(
        model_settings(model_config("baichuan2_tiny")), family_of("baichuan2"), character_tokenizer()
    )
    assert adapter.answer_ids("12")[-1] == adapter.stop_ids[0]
    for spell in (adapter.question_ids, adapter.answer_ids):
        with pytest.raises(SpellingError, match="cannot spell 'é', 'π' of 'π=é1'"):
            spell("π=é1")


def settings(splits: list[str] | None, optional: list[str]) -> EvaluationSettings:
    return EvaluationSettings(
        splits=splits, optional_splits=optional, pictures=False, batch_size=1, limit=None
    )


@pytest.mark.parametrize(
    ("has", "splits", "optional", "scored"),
    [
        (["train", "val", "test"], None, ["heldout"], ["test"]),
        (["train", "test", "heldout"], None, ["heldout"], ["test", "heldout"]),
        (["train", "val", "testA", "testB"], None, ["testB"], ["testA", "testB"]),
        (["train", "val", "testA"], ["val"], [], ["val"]),
    ],
)
def test_splits_that_are_scored(
    has: list[str], splits: list[str] | None, optional: list[str], scored: list[str]
) -> None:
    assert splits_to_score(settings(splits, optional), dict.fromkeys(has, 1), Path("d")) == scored


@pytest.mark.parametrize(
    ("has", "splits", "says"),
    [
        (["train", "testA"], ["test"], "no split 'test'.*'testA'"),
        (["train", "val"], None, "no split to score"),
        (["train", "test"], [], "no split to score"),
    ],
)
def test_splits_that_cannot_be_scored(has: list[str], splits: list[str] | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        splits_to_score(settings(splits, []), dict.fromkeys(has, 1), Path("d"))


@given(st.lists(st.integers(1, 9), min_size=1))
def test_the_median_of_counts_is_that_of_the_values(values: list[int]) -> None:
    assert checks.median(Counter(values)) == statistics.median(values)


def test_what_is_wrong_with_many_records_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    bad = [record(number, query=f"{number}π=") for number in range(30)]
    data = write_data_set(tmp_path, [record(99), *bad, record(99, "test")])
    with pytest.raises(UserError) as refused:
        checked(data)
    said = str(refused.value)
    assert "30 questions and 0 answers of the 31 training examples" in said
    assert said.index("train-0:") < said.index("train-1:") < said.index("train-2:")
    assert "train-3" not in said
    assert "and 27 more" in said


def test_each_record_is_looked_at_once_and_only_counts_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The greatest memory of the checks does not follow the number of training records."""
    monkeypatch.setattr(checks, "TEXTS", 100)
    asked = 0
    prompt = ArithmeticTask.prompt

    def counted(task: ArithmeticTask, example: Example) -> str:
        nonlocal asked
        asked += 1
        return prompt(task, example)

    monkeypatch.setattr(ArithmeticTask, "prompt", counted)
    cfg = composed(*SUMS, "trainer.train_examples=null")
    model, adapter = load_model(cfg.model)
    most = {}
    for count in (500, 500, 5000):  # the first one fills caches of the libraries
        rows = [record(number, query=f"{number}+{number}=") for number in range(count)]
        data = write_data_set(tmp_path / str(count), [*rows, record(0, "test")])
        for split in ("train", "test"):
            read_examples(data, split)
        asked = 0
        tracemalloc.start()
        check_before_training(Subject(model, adapter, ArithmeticTask(), data), cfg)
        most[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count <= asked < count + 10
    assert most[5000] < most[500] + 100_000, most


def test_a_bad_line_ends_the_command_before_anything_is_trained(tmp_path: Path) -> None:
    """Wherever it stands, of whichever split, and though the first records alone are wanted."""
    ran = run(
        "train",
        *SUMS,
        "data.splits={train: 20, test: 6, val: 4}",
        "trainer.dry_run=true",
        *in_folder(tmp_path),
    )
    assert ran.code == 0, ran.err
    (records,) = tmp_path.glob("data/*/records.jsonl")
    manifest = read_json(records.with_name("manifest.json"))
    del manifest["records_sha256"]
    write_json(records.with_name("manifest.json"), manifest)
    lines = records.read_text().splitlines()
    for number in (3, 20, 23, 30):
        records.write_text("\n".join([*lines[: number - 1], lines[number - 1][:-5], *lines[number:]]))
        ran = run(
            "train",
            *SUMS,
            "data.splits={train: 20, test: 6, val: 4}",
            "trainer.train_examples=2",
            *in_folder(tmp_path),
            "name=r",
        )
        assert ran.code == 2
        assert f"line {number}, is not valid JSON" in ran.err
    assert not (tmp_path / "outputs" / "runs" / "r" / "train.jsonl").exists()


@pytest.mark.parametrize("dry", ["true", "false"])
def test_the_command_refuses_before_training(tmp_path: Path, dry: str) -> None:
    ran = run(
        "train",
        "task=arithmetic",
        "data.splits={train: 20, val: 4, test: 6}",
        *in_folder(tmp_path),
        "task.max_new_tokens=1",
        "trainer.eval_steps=0",
        "trainer.batch_size=4",
        "name=r",
        f"trainer.dry_run={dry}",
    )
    assert ran.code == 2
    assert "train: 20 of 20 (100.0%)" in ran.err
    assert not (tmp_path / "outputs" / "runs" / "r" / "train.jsonl").exists()
