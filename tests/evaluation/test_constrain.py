"""Decoding held to an answer format: whatever the model would say, what it writes matches, for every tokenizer."""

from typing import Any

import pytest
import regex
import torch
from model_configs import SEEING, picture, twin

from ntil.data.example import Example
from ntil.errors import UserError
from ntil.evaluation.constrain import AnswerConstraint, token_texts
from ntil.evaluation.generate import Question, generate
from ntil.models import logit_width
from ntil.models.families import FAMILIES
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask
from tasks.coordinates import FORMATS
from tasks.localization import LocalizationTask

CLOCK = ClockTask().answer_pattern
EVERY = pytest.mark.parametrize("family", sorted(FAMILIES))


def constraint(family: str, pattern: str) -> AnswerConstraint:
    model, adapter = twin(family)
    return AnswerConstraint(adapter, pattern, 0, logit_width(model))


def random_answers(family: str, pattern: str, count: int, length: int) -> list[str]:
    """Answers of a model that says anything: random logits under the constraint."""
    adapter, held = twin(family)[1], constraint(family, pattern)
    generator = torch.Generator().manual_seed(0)
    ids = torch.empty(count, 0, dtype=torch.long)
    for _ in range(length):
        scores = held(ids, torch.randn(count, held.vocab_size, generator=generator))
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)
    return [adapter.decode(row) for row in ids]


@EVERY
def test_random_logits_write_only_times(family: str) -> None:
    answers = random_answers(family, CLOCK, 60, 9)
    task = ClockTask()
    assert all(task.parse(text) is not None and regex.fullmatch(CLOCK, text) for text in answers)
    assert len(set(answers)) > 20, "and many different ones"


@pytest.mark.parametrize(
    ("family", "coordinates"),
    [
        ("qwen2vl", "qwen_box"),
        ("llava15", "decimals_2"),
        ("paligemma", "loc_1024"),
        ("yi", "integers_1000"),
    ],
)
def test_random_logits_write_only_boxes(family: str, coordinates: str) -> None:
    task = LocalizationTask(coordinates)
    for text in random_answers(family, task.answer_pattern, 8, 60):
        assert FORMATS[coordinates].read(text) is not None, text


@pytest.mark.parametrize("coordinates", sorted(FORMATS))
def test_every_written_box_matches_its_pattern(coordinates: str) -> None:
    form = FORMATS[coordinates]
    for box in ([0, 0, 640, 480], [3, 5, 4, 6], [100.4, 20.5, 633.3, 479.0]):
        text = form.write([form.box_to_steps(box, (640, 480))])
        assert regex.fullmatch(form.box_pattern, text), text
    assert not regex.fullmatch(form.box_pattern, "")


@pytest.mark.parametrize("answer", ["46", "-7", "0.05", "-12.50", "1000000"])
def test_numbers_match_the_arithmetic_pattern(answer: str) -> None:
    example = Example("1", "test", {"answer": answer}, query="?")
    for prefix in ("", "The answer is "):
        task = ArithmeticTask(prefix=prefix)
        assert regex.fullmatch(task.answer_pattern, task.answer(example))
        assert not regex.fullmatch(task.answer_pattern, task.answer(example) + " apples")


@EVERY
def test_a_model_is_held_to_it_in_generation(family: str) -> None:
    model, adapter = twin(family)
    questions = [Question(q, picture(family, i)) for i, q in enumerate(("Time?", "What is the time?"))]
    free = generate(model, adapter, questions, 9)
    held = generate(model, adapter, questions, 9, CLOCK)
    assert not any(regex.fullmatch(CLOCK, said.text) for said in free), "an untrained model writes no times"
    assert all(regex.fullmatch(CLOCK, said.text) for said in held)
    for said in held:
        assert len(said.tokens) == len(said.probabilities)
        assert max(said.probabilities) < 0.2, "probabilities are those before the constraint"


def test_tokens_of_several_digits_are_cut_to_the_format() -> None:
    held = constraint("llama3", r"[0-9]{4}")
    texts = token_texts(twin("llama3")[1].tokenizer)
    after = {n: {texts[i] for i in held.allowed("9" * n).nonzero().flatten().tolist()} for n in range(5)}
    assert {len(text) for text in after[0]} == {1, 2, 3}
    assert {len(text) for text in after[2]} == {1, 2}
    assert {len(text) for text in after[3]} == {1}
    assert after[4] == {texts[stop] for stop in twin("llama3")[1].stop_ids}


def test_the_end_is_allowed_where_the_text_matches_and_nowhere_else() -> None:
    held = constraint("qwen2_5", r"1[0-9]?")
    stops = list(held.stop_ids)
    assert not held.allowed("")[stops].any()
    assert held.allowed("1")[stops].all()
    assert held.allowed("1").sum() == 10 + len(stops)
    assert held.allowed("12")[stops].all()
    assert held.allowed("12").sum() == len(stops)


def test_rows_that_have_ended_are_left_alone() -> None:
    held = constraint("qwen2_5", CLOCK)
    scores = torch.zeros(2, held.vocab_size)
    out = held(torch.tensor([[held.stop_ids[0]], [0]]), scores)
    assert torch.equal(out[0], scores[0])
    assert torch.isinf(out[1]).any()


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        constraint("yi", "(1")


@pytest.mark.parametrize("family", ["qwen2vl", "llava15", "llama3", "yi", "paligemma"])
def test_token_texts_join_to_what_decoding_says(family: str) -> None:
    tokenizer: Any = twin(family)[1].tokenizer
    texts = token_texts(tokenizer)
    text = "a: 12, 2024.5 (x,y)"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(texts[i] for i in ids).removeprefix(" ") == text


def test_seeing_families_are_among_them() -> None:
    assert set(SEEING) < set(FAMILIES)
