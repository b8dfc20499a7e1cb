"""The probabilities taken step by step against those of all logits, kept until the end."""

import copy
from typing import Any

import pytest
import torch
from model_configs import picture, twin
from transformers import LogitsProcessorList, StoppingCriteriaList

from ntil.data.dataset import collate
from ntil.evaluation.constrain import AnswerConstraint
from ntil.evaluation.generate import Question, _StopText, generate
from ntil.evaluation.probabilities import BeforeConstraints, Written
from ntil.models import logit_width
from tasks.clock import ClockTask

CLOCK = ClockTask().answer_pattern


@torch.no_grad()
def from_kept_logits(
    model: Any, adapter: Any, questions: list[Question], tokens: int, pattern: str | None
) -> Any:
    """Slow and obvious: every logit of every step, float32, softmax, and then the tokens that were written."""
    batch = collate([adapter.encode(q.prompt, q.image, None) for q in questions], adapter.pad_token_id)
    asked = batch["input_ids"].shape[1]
    held = [AnswerConstraint(adapter, pattern, asked, logit_width(model))] if pattern else []
    ends = [_StopText(adapter, asked)] if adapter.stop_text is not None else []
    output = model.eval().generate(
        **batch,
        max_new_tokens=tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=adapter.pad_token_id,
        eos_token_id=list(adapter.stop_ids),
        logits_processor=LogitsProcessorList(held),
        stopping_criteria=StoppingCriteriaList(ends),
    )
    said = []
    for row, ids in enumerate(output.sequences[:, asked:]):
        written = adapter.written(ids)
        steps = [torch.softmax(output.logits[step][row].float(), -1) for step in range(len(written))]
        said.append([round(float(step[token]), 4) for step, token in zip(steps, written, strict=True)])
    return said


@pytest.mark.parametrize("pattern", [None, CLOCK], ids=["free", "held"])
@pytest.mark.parametrize("family", ["llava15", "qwen2vl", "paligemma", "yivl", "llama3", "minicpm3"])
def test_they_are_those_of_the_kept_logits(family: str, pattern: str | None) -> None:
    model, adapter = twin(family)
    asked = ("Time?", "What is the time on this clock?", "When?")
    questions = [Question(q, picture(family, i)) for i, q in enumerate(asked)]
    said = generate(model, adapter, questions, 9, pattern)
    assert [one.probabilities for one in said] == from_kept_logits(model, adapter, questions, 9, pattern)
    assert any(one.probabilities for one in said)


def test_rows_that_have_ended_are_padded_and_the_others_go_on() -> None:
    """Row 0 ends after a step: what is gathered behind its end is of the padding, and row 1 keeps its own."""
    step = BeforeConstraints()
    written = Written(step)
    steps = torch.tensor([[[0.0, 2.0, 1.0], [1.0, 0.0, 0.0]], [[9.0, 0.0, 0.0], [0.0, 0.0, 3.0]]])
    chosen = torch.tensor([[1, 0], [0, 2]])  # step, row; 0 is the padding
    ids = torch.zeros(2, 1, dtype=torch.long)
    for scores, tokens in zip(steps, chosen, strict=True):
        assert torch.equal(step(ids, scores), scores)
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        assert not written(ids, None).any()
    expected = torch.stack([steps[i].softmax(-1)[[0, 1], chosen[i]] for i in range(2)], dim=1)
    assert torch.equal(written.all(), expected)


def test_nothing_of_the_vocabulary_s_size_is_kept_of_an_earlier_step() -> None:
    step = BeforeConstraints()
    written = Written(step)
    ids = torch.zeros(3, 1, dtype=torch.long)
    for _ in range(5):
        step(ids, torch.randn(3, 1000))
        written(ids, None)
    held = [value for value in vars(written).values() if isinstance(value, list)]
    assert sum(tensor.numel() for tensors in held for tensor in tensors) == 3 * 5
    assert step.probabilities.numel() == 3 * 1000


def test_a_failed_generation_leaves_the_model_in_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    model, adapter = twin("llama3")

    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(model, "generate", full)
    model.train()
    with pytest.raises(torch.OutOfMemoryError):
        generate(model, adapter, [Question("Time?", None)], 3)
    assert model.training
    model.eval()


@pytest.mark.gpu
def test_on_a_gpu_they_are_the_same_to_rounding() -> None:
    model, adapter = twin("llava15")
    questions = [Question(q, picture("llava15", i)) for i, q in enumerate(("Time?", "What is the time?"))]
    here = generate(model, adapter, questions, 9, CLOCK)
    there = generate(copy.deepcopy(model).to("cuda"), adapter, questions, 9, CLOCK)
    for one, other in zip(here, there, strict=True):
        assert one.text == other.text
        assert one.probabilities == pytest.approx(other.probabilities, abs=1.1e-4)
