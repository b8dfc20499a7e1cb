"""Batches that do not fit are halved until they do, and a single question that does not is said."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntil.data.example import read_examples
from ntil.errors import UserError
from ntil.evaluation import score_examples
from ntil.evaluation.generate import Generated, generate
from ntil.evaluation.memory import WithinMemory, is_out_of_memory
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import load_trained

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."
    ),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


class Device:
    """Has room for `most` questions, and keeps what it was asked."""

    def __init__(self, most: int, error: Exception = FULL[0]) -> None:
        self.most, self.error = most, error
        self.asked: list[int] = []

    def ask(self, questions: Sequence[int]) -> list[str]:
        self.asked.append(len(questions))
        if len(questions) > self.most:
            raise self.error
        return [f"answer {question}" for question in questions]


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:30])
def test_a_batch_is_halved_and_the_rest_stays_so(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    device = Device(3, error)
    within = WithinMemory(device.ask, 8)
    assert within.answer(range(8)) == [f"answer {i}" for i in range(8)]
    assert within.answer(range(5)) == [f"answer {i}" for i in range(5)]
    assert device.asked == [8, 4, 2, 2, 2, 2, 2, 2, 1]
    assert within.size == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "memory ran out on 8 questions at once; 4 are tried (batch_size=4).",
        "memory ran out on 4 questions at once; 2 are tried (batch_size=2).",
    ]


@given(st.integers(0, 40), st.integers(1, 16), st.integers(1, 16))
def test_each_question_is_answered_once(count: int, size: int, most: int) -> None:
    device = Device(most)
    assert WithinMemory(device.ask, size).answer(range(count)) == [f"answer {i}" for i in range(count)]
    assert sum(asked for asked in device.asked if asked <= most) == count
    assert sum(asked > most for asked in device.asked) <= size.bit_length()


def test_a_single_question_that_does_not_fit() -> None:
    device = Device(0)
    with pytest.raises(UserError, match=r"on a single question\. Set evaluation\.batch_size"):
        WithinMemory(device.ask, 2).answer(range(2))
    assert device.asked == [2, 1]


def test_a_divided_model_is_not_asked_again() -> None:
    """The others would wait for it for ever, or add up what does not belong together."""
    device = Device(2)
    with pytest.raises(UserError, match=r"4 questions at once, and the model is divided among .*batch_size"):
        WithinMemory(device.ask, 4, synced=True).answer(range(4))
    assert device.asked == [4]


def test_other_errors_are_no_want_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))
    device = Device(1, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        WithinMemory(device.ask, 4).answer(range(4))


def test_an_evaluation_goes_on_with_fewer(
    finished: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def small(model: Any, adapter: Any, questions: Sequence[Any], *rest: Any) -> list[Generated]:
        asked.append(len(questions))
        if len(questions) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(model, adapter, questions, *rest)

    subject = load_trained(finished).on(small_data)
    examples = read_examples(small_data, "test")
    settings = EvaluationSettings(splits=None, optional_splits=[], pictures=False, batch_size=6, limit=None)
    whole = score_examples(subject, examples, settings)
    monkeypatch.setattr(sys.modules["ntil.evaluation.evaluate"], "generate", small)
    halved = score_examples(subject, examples, settings)
    assert asked == [6, 3, 1, 1, 1, 1, 1, 1]
    assert [row["text"] for row in halved.rows] == [row["text"] for row in whole.rows]
    assert halved.metrics == whole.metrics
    assert capsys.readouterr().err.count("memory ran out") == 2


@pytest.mark.gpu
def test_a_full_gpu_is_noticed_and_freed() -> None:
    """Room for two and a half questions: eight, four, two."""
    free, _ = torch.cuda.mem_get_info()

    def ask(questions: Sequence[int]) -> list[int]:
        torch.empty(len(questions) * (free * 2 // 5), dtype=torch.uint8, device="cuda")
        return list(questions)

    within = WithinMemory(ask, 8)
    assert within.answer(range(9)) == list(range(9))
    assert within.size == 2
