"""Accumulated micro-batches against one large batch, in the stock Trainer and with the mixin."""

from pathlib import Path
from typing import Any

import pytest
import torch
from loops import (
    EQUAL,
    UNEQUAL,
    Gradients,
    Recorder,
    by_hand,
    full,
    gradients_by_hand,
    largest_difference,
    llama,
    logged,
    micro,
    rows,
    settings,
    stack,
)
from transformers import Trainer

import ntil
from ntil.integrations import NumberLossMixin, hf_loss

TIGHT = 1e-5  # of the largest gradient; float32 sums in another order


class NumberTrainer(NumberLossMixin, Trainer):
    """The stock Trainer with our loss."""


def stock(folder: Path, loss: Any, data: Any, accumulation_steps: int | None = None, **options: Any) -> Any:
    function = hf_loss(loss, accumulation_steps)
    return train(Trainer, folder, data, options, compute_loss_func=function)


def mixed(folder: Path, loss: Any, data: Any, **options: Any) -> Any:
    return train(NumberTrainer, folder, data, options, number_loss=loss)


def train(
    kind: Any, folder: Path, data: Any, options: Any, **arguments: Any
) -> tuple[list[Gradients], list[float]]:
    """(gradients of each step, logged loss of each step)."""
    recorder = Recorder()
    trainer = kind(
        llama(), settings(folder, **options), train_dataset=data, callbacks=[recorder], **arguments
    )
    trainer.train()
    return recorder.steps, logged(trainer)


@pytest.mark.parametrize("run", [stock, mixed])
@pytest.mark.parametrize(("batch_size", "steps"), [(1, 8), (2, 4)])
@pytest.mark.parametrize(
    "loss", [full(), full(ce_on_digits=False), ntil.CrossEntropy()], ids=["none", "off", "ce"]
)
def test_equally_long_samples(run: Any, batch_size: int, steps: int, loss: Any, tmp_path: Path) -> None:
    data = rows(EQUAL)
    (gradients,), (value,) = run(tmp_path, loss, data, **micro(batch_size, steps))
    assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT
    assert value == pytest.approx(by_hand(loss, llama(), data).item(), rel=1e-4)


@pytest.mark.parametrize("options", [micro(1, 8), micro(2, 4), micro(8, 1)], ids=str)
def test_samples_of_any_length_with_the_mixin(options: Any, tmp_path: Path) -> None:
    data, loss = rows(UNEQUAL), full()
    (gradients,), (value,) = mixed(tmp_path, loss, data, **options)
    assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT
    assert value == pytest.approx(by_hand(loss, llama(), data).item(), rel=1e-4)


def test_samples_of_any_length_with_the_number_of_steps_given(tmp_path: Path) -> None:
    data, loss = rows(UNEQUAL), full()
    (gradients,), _ = stock(tmp_path, loss, data, accumulation_steps=8, **micro(1, 8))
    assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT


def test_cross_entropy_of_samples_of_any_length_is_a_mean_over_tokens(tmp_path: Path) -> None:
    data, loss = rows(UNEQUAL), ntil.CrossEntropy()
    (gradients,), _ = stock(tmp_path, loss, data, **micro(1, 8))
    assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT


@pytest.mark.parametrize("balance", ["none", "ce_ratio", "digit_share"])
def test_stock_trainer_weighs_micro_batches_by_their_tokens(balance: str, tmp_path: Path) -> None:
    """What `hf_loss` documents for samples of unequal lengths, and for a ratio in each micro-batch."""
    data, loss = rows(UNEQUAL), full(balance)
    counts = [int((row["labels"] >= 0).sum()) for row in data]

    model = llama()
    value = sum(by_hand(loss, model, [row]) * n / sum(counts) for row, n in zip(data, counts, strict=True))
    assert isinstance(value, torch.Tensor)
    value.backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    (gradients,), (seen,) = stock(tmp_path, loss, data, **micro(1, 8))
    assert largest_difference(gradients, expected) < TIGHT
    assert seen == pytest.approx(value.item(), rel=1e-4)
    whole = largest_difference(gradients, gradients_by_hand(loss, data))
    assert whole > 100 * TIGHT, "not the one large batch, whose number loss is a mean over samples"


def test_the_logged_total_with_ce_ratio_is_a_multiple_of_cross_entropy(tmp_path: Path) -> None:
    data = rows(EQUAL)
    for run in (stock, mixed):
        _, (value,) = run(tmp_path, full("ce_ratio"), data, **micro(1, 8))
        ce = by_hand(ntil.CrossEntropy(), llama(), data).item()
        assert value == pytest.approx(1.3 * ce, rel=1e-4)


@pytest.mark.parametrize("run", [stock, mixed])
def test_the_last_step_of_an_epoch_may_be_short(run: Any, tmp_path: Path) -> None:
    data, loss = rows([EQUAL[0]] * 5), full()  # steps of 2 + 2 and of 1 sample
    steps, values = run(tmp_path, loss, data, **micro(1, 2), max_steps=3)
    assert len(steps) == 3
    for gradients in steps:
        assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT
    assert values == pytest.approx([values[0]] * 3, rel=1e-4)


@pytest.mark.parametrize("run", [stock, mixed])
def test_a_micro_batch_without_labels_adds_nothing(run: Any, tmp_path: Path) -> None:
    data, loss = rows(UNEQUAL[:3]), full()
    data.append({**data[0], "labels": torch.full_like(data[0]["labels"], -100)})
    (gradients,), _ = run(tmp_path, loss, data, **micro(1, 4))
    assert all(g.isfinite().all() for g in gradients.values())
    if run is mixed:
        assert largest_difference(gradients, gradients_by_hand(loss, data)) < TIGHT


@pytest.mark.parametrize("run", [stock, mixed])
def test_bfloat16_autocast(run: Any, tmp_path: Path) -> None:
    data, loss = rows(EQUAL), full()
    (half,), (value,) = run(tmp_path, loss, data, **micro(1, 8), bf16=True)
    expected = gradients_by_hand(loss, data)
    assert value == pytest.approx(by_hand(loss, llama(), data).item(), rel=0.02)
    one, other = (torch.cat([g.flatten() for g in found.values()]) for found in (half, expected))
    assert torch.cosine_similarity(one, other, dim=0) > 0.99


@pytest.mark.parametrize("kind", ["stock", "mixin"])
def test_evaluation_is_one_batch_whatever_was_trained(kind: str, tmp_path: Path) -> None:
    data, loss = rows(UNEQUAL), full()
    options = settings(tmp_path, **micro(1, 8), per_device_eval_batch_size=8)
    arguments: Any = {"train_dataset": data, "eval_dataset": data}
    trainer = (
        Trainer(llama(), options, compute_loss_func=hf_loss(loss, accumulation_steps=8), **arguments)
        if kind == "stock"
        else NumberTrainer(llama(), options, number_loss=loss, **arguments)
    )
    trainer.train()
    expected = by_hand(loss, llama(), data).item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-4)
    predicted = trainer.predict(data)  # type: ignore[arg-type]
    assert predicted.predictions.shape[:2] == predicted.label_ids.shape  # type: ignore[union-attr]
    assert predicted.metrics is not None
    assert predicted.metrics["test_loss"] == pytest.approx(expected, rel=1e-4)


def test_the_mixin_leaves_the_loss_and_the_batch_alone(tmp_path: Path) -> None:
    loss = full()
    trainer = NumberTrainer(llama(), settings(tmp_path), train_dataset=rows(UNEQUAL), number_loss=loss)
    trainer._samples = torch.tensor(16.0)
    inputs = stack(rows(UNEQUAL))
    trainer.compute_loss(trainer.model, inputs, num_items_in_batch=40)
    assert "labels" in inputs
    assert loss.weight == 0.3
