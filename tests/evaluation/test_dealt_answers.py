"""Batches dealt to processes: the same answers for any number of them, nothing lost, nothing asked twice."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ntil.data.example import Example, read_examples
from ntil.errors import SpellingError
from ntil.evaluation import answers, score_examples
from ntil.evaluation.answers import Answer, Unasked, answered, longest_first
from ntil.evaluation.engines import AT_ONCE, AT_ONCE_LARGE, Engine, at_once, is_divided
from ntil.evaluation.generate import Generated, Question
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import load_trained

PLAIN: dict[str, Any] = {"splits": None, "optional_splits": [], "pictures": False, "limit": None}


class Together:
    """Threads that pass for the processes of one command."""

    def __init__(self, count: int) -> None:
        self._count, self._own = count, threading.local()
        self._barrier = threading.Barrier(count, timeout=20)
        self._parts: list[Any] = [None] * count

    def count(self) -> int:
        return self._count

    def rank(self) -> int:
        return int(self._own.rank)

    def gathered(self, part: Any) -> list[Any]:
        self._parts[self.rank()] = part
        self._barrier.wait()
        parts = list(self._parts)
        self._barrier.wait()
        return parts

    def run(self, work: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * self._count

        def one(rank: int) -> None:
            self._own.rank = rank
            results[rank] = work()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self._count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


def subject_of(spelled: Callable[[str], bool] = lambda prompt: True) -> Any:
    def question_ids(prompt: str) -> list[int]:
        if not spelled(prompt):
            raise SpellingError(f"cannot spell {prompt}")
        return [0] * len(prompt)

    return SimpleNamespace(
        adapter=SimpleNamespace(question_ids=question_ids),
        task=SimpleNamespace(prompt=lambda example: example.query),
        data=Path("."),
    )


def neighbours(prompts: Sequence[Any]) -> list[Generated]:
    """Answers that say who was asked together, as the last digits of probabilities do."""
    return [Generated(f"{prompt} among {'|'.join(prompts)}", [], []) for prompt in prompts]


def asked_by(
    count: int, examples: Sequence[Example], size: int, synced: bool = False, subject: Any = None
) -> tuple[list[list[Answer]], list[list[list[str]]]]:
    """(what each process has in the end, the batches that each one answered)."""
    together = Together(count)
    made: list[list[list[str]]] = [[] for _ in range(count)]

    def answer(prompts: Sequence[Any]) -> list[Generated]:
        made[together.rank()].append(list(prompts))
        return neighbours(prompts)

    engine = Engine(lambda question: question.prompt, answer, 3, synced)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "processes", together)
        results = together.run(
            lambda: answered(
                subject or subject_of(), examples, EvaluationSettings(**PLAIN, batch_size=size), engine
            )
        )
    return results, made


def questions(lengths: Sequence[int]) -> list[Example]:
    return [Example(str(i), "test", {}, query=f"{i}".ljust(length, ".")) for i, length in enumerate(lengths)]


@settings(max_examples=60)
@given(st.lists(st.integers(2, 6), max_size=12), st.integers(1, 4), st.integers(2, 4), st.booleans())
def test_any_number_of_processes_gives_the_same(
    lengths: list[int], size: int, count: int, synced: bool
) -> None:
    examples = questions(lengths)
    (alone,), (batches,) = asked_by(1, examples, size)
    results, made = asked_by(count, examples, size, synced)
    assert results == [alone] * count
    assert [str(said.text).split(" among ")[0] for said in alone if isinstance(said, Generated)] == [
        example.query for example in examples
    ]
    own = [batch for part in made for batch in part if batch != ["1"]]  # "1": the question of the idle
    assert sorted(own) == sorted(batches)
    if synced:
        assert {len(part) for part in made} == {-(-len(batches) // count)}


@pytest.mark.parametrize(("examples", "size"), [(7, 2), (7, 1), (1, 4), (2, 1), (3, 3)])
def test_uneven_shards(examples: int, size: int) -> None:
    results, made = asked_by(2, questions([4] * examples), size)
    assert [len(result) for result in results] == [examples, examples]
    assert sum(len(batch) for part in made for batch in part) == examples


def test_longest_first_and_those_of_one_length_in_order() -> None:
    assert longest_first({0: 3, 1: 9, 2: 3, 5: 9, 4: 1}) == [1, 5, 0, 2, 4]
    _, (batches,) = asked_by(1, questions([2, 5, 2, 5, 9]), 2)
    assert [[len(prompt) for prompt in batch] for batch in batches] == [[9, 5], [5, 2], [2]]
    _, (same,) = asked_by(1, questions([4] * 5), 2)
    assert [prompt[0] for batch in same for prompt in batch] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_cannot_be_asked_says_why_and_keeps_its_place(count: int) -> None:
    subject = subject_of(spelled=lambda prompt: not prompt.startswith("1"))
    results, made = asked_by(count, questions([3, 3, 3]), 2, synced=True, subject=subject)
    for result in results:
        assert result[1] == Unasked("cannot spell 1..")
        assert [isinstance(said, Generated) for said in result] == [True, False, True]
    assert len({len(part) for part in made}) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_workers_change_nothing(
    workers: int, finished: Path, small_data: Path, tmp_path: Path
) -> None:
    """Nor the random numbers of a training in whose midst they are used; a picture that cannot be read stays one."""
    subject = load_trained(finished).on(small_data)
    examples = list(read_examples(small_data, "test"))
    broken = Example("broken", "test", examples[0].target, image="nowhere.png")
    examples.insert(2, broken)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    here, there = (
        score_examples(subject, examples, EvaluationSettings(**PLAIN, batch_size=3, workers=number))
        for number in (0, workers)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert here.rows == there.rows
    assert here.metrics == there.metrics
    assert [row["id"] for row in here.rows] == [example.id for example in examples]
    assert [row["id"] for row in here.rows if "unanswered" in row] == ["broken"]
    assert "nowhere.png" in here.rows[2]["unanswered"]


def test_pictures_of_any_size_count_by_their_tokens(tmp_path: Path) -> None:
    from model_configs import twin

    model, adapter = twin("qwen2vl")
    sides = {"small.png": 56, "large.png": 224, "middle.png": 112}
    for name, side in sides.items():
        Image.new("RGB", (side, side)).save(tmp_path / name)
    (tmp_path / "torn.png").write_bytes(b"no picture")
    examples = [Example(name, "test", {}, image=name) for name in (*sides, "torn.png")]
    subject: Any = SimpleNamespace(
        adapter=adapter, task=SimpleNamespace(prompt=lambda example: "Time?"), data=tmp_path, model=model
    )
    lengths = answers._lengths(subject, examples)
    text = len(adapter.question_ids("Time?"))
    for example, length in zip(examples[:3], lengths, strict=False):
        with Image.open(tmp_path / str(example.image)) as picture:
            row = adapter.encode("Time?", picture.convert("RGB"), None)
        marks = int((row["input_ids"] == adapter.processor.image_token_id).sum())
        assert length == text + marks
    assert lengths[3] == text


def test_batch_sizes_by_model() -> None:
    class Sized(torch.nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.empty(count, device="meta"))

    assert at_once(Sized(800_000)) == AT_ONCE == 128
    assert at_once(Sized(7_063_000_000)) == AT_ONCE_LARGE == 16
    parted = Sized(0)
    parted.weights.ds_numel = 7_063_000_000  # type: ignore[attr-defined]  # as ZeRO-3 leaves it
    parted.weights.ds_id = 0  # type: ignore[attr-defined]
    assert at_once(parted) == 16
    assert is_divided(parted)
    assert not is_divided(Sized(3))


def test_a_question_is_prepared_as_generate_would() -> None:
    from model_configs import picture, twin

    from ntil.evaluation.engines import encode
    from ntil.evaluation.generate import generate

    model, adapter = twin("llava15")
    asked = [Question("Time?", picture("llava15", i)) for i in range(2)]
    assert generate(model, adapter, [encode(adapter, one) for one in asked], 4) == generate(
        model, adapter, asked, 4
    )
