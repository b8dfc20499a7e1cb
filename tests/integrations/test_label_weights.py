"""Label weights in training loops, and settings of a Trainer that would be passed over in silence."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from loops import (
    UNEQUAL,
    WIDTH,
    Recorder,
    by_hand,
    full,
    gradients,
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
from ntil.errors import UserError
from ntil.integrations import NumberLossMixin, hf_loss

TIGHT = 1e-5


class Mixed(NumberLossMixin, Trainer):
    """The stock Trainer with the mixin."""


def weighted_rows(seed: int = 0) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    data = rows(UNEQUAL)
    for row in data:
        row["label_weights"] = torch.rand(row["labels"].shape, generator=generator) * 3
    return data


def by_hand_weighted(loss: Any, model: Any, data: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """One large batch, labels and weights shifted by hand."""
    batch = stack(data)
    labels, weights = batch.pop("labels"), batch.pop("label_weights")
    result: torch.Tensor = loss(model(**batch).logits[:, :-1], labels[:, 1:], label_weights=weights[:, 1:])
    return result


def expected(loss: Any, data: Any) -> tuple[float, Any]:
    model = llama()
    total = by_hand_weighted(loss, model, data)
    total.backward()
    return total.item(), gradients(model)


@pytest.mark.parametrize("options", [micro(8, 1), micro(2, 4), micro(1, 8)], ids=str)
@pytest.mark.parametrize("loss", [full(), ntil.CrossEntropy()], ids=["ntil", "ce"])
def test_the_mixin_takes_them_from_the_batch(options: Any, loss: Any, tmp_path: Path) -> None:
    data, recorder = weighted_rows(), Recorder()
    trainer = Mixed(
        llama(), settings(tmp_path, **options), train_dataset=data, number_loss=loss, callbacks=[recorder]
    )
    trainer.train()
    value, exact = expected(loss, data)
    assert logged(trainer)[0] == pytest.approx(value, rel=1e-4)
    assert largest_difference(recorder.steps[0], exact) < TIGHT
    plain = by_hand(loss, llama(), rows(UNEQUAL)).item()
    assert value != pytest.approx(plain, rel=1e-3), "the weights tell"


def test_weights_of_one_change_nothing(tmp_path: Path) -> None:
    data = rows(UNEQUAL)
    for row in data:
        row["label_weights"] = torch.ones(row["labels"].shape)
    trainer = Mixed(llama(), settings(tmp_path, **micro(2, 4)), train_dataset=data, number_loss=full())
    trainer.train()
    assert logged(trainer)[0] == pytest.approx(by_hand(full(), llama(), rows(UNEQUAL)).item(), rel=1e-4)


def test_data_sets_keep_their_column(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = weighted_rows()
    table = datasets.Dataset.from_list([{k: v.tolist() for k, v in row.items()} for row in data])
    trainer = Mixed(llama(), settings(tmp_path), train_dataset=table, number_loss=full())
    trainer.train()
    assert logged(trainer)[0] == pytest.approx(expected(full(), data)[0], rel=1e-4)


def test_evaluation_is_weighted_too(tmp_path: Path) -> None:
    data = weighted_rows()
    trainer = Mixed(
        llama(), settings(tmp_path, per_device_eval_batch_size=8), train_dataset=data, number_loss=full()
    )
    trainer.train()
    assert trainer.evaluate(data)["eval_loss"] == pytest.approx(expected(full(), data)[0], rel=1e-4)


LABELS = torch.tensor([[-100, 5, 6, 2, 7, 1], [4, 4, 1, -100, 9, 1]])


def test_the_function_takes_them_where_a_loop_gives_them() -> None:
    weights = torch.rand(LABELS.shape)
    logits = torch.randn(2, 6, WIDTH)
    loss = full()
    ours = hf_loss(loss)({"logits": logits}, LABELS, label_weights=weights)
    by_hand = loss(logits[:, :-1], LABELS[:, 1:], label_weights=weights[:, 1:])
    torch.testing.assert_close(ours, by_hand)
    straight = hf_loss(loss, shift=False)({"logits": logits}, LABELS, label_weights=weights)
    torch.testing.assert_close(straight, loss(logits, LABELS, label_weights=weights))
    kept = hf_loss(loss)({"logits": logits[:, -4:]}, LABELS, label_weights=weights)
    masked = LABELS.clone()
    masked[:, :3] = -100
    torch.testing.assert_close(
        kept, loss(logits[:, 2:-1], masked[:, 3:], label_weights=weights[:, 3:]), rtol=1e-5, atol=1e-6
    )


def test_a_compiled_loss_takes_them() -> None:
    weights, logits, loss = torch.rand(LABELS.shape), torch.randn(2, 6, WIDTH), full()
    compiled: Any = torch.compile(loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(
        hf_loss(compiled)({"logits": logits}, LABELS, 9, label_weights=weights),
        hf_loss(loss)({"logits": logits}, LABELS, 9, label_weights=weights),
    )


@pytest.mark.parametrize(
    ("logits", "labels", "weights"),
    [
        ((2, 7), (2, 6), None),
        ((3, 6), (2, 6), None),
        ((12,), (2, 6), None),
        ((2, 6), (12,), None),
        ((12,), (12,), None),
        ((2, 6), (2, 6), (2, 5)),
        ((2, 6), (2, 6), (12,)),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused_with_the_shapes(logits: Any, labels: Any, weights: Any) -> None:
    function = hf_loss(full())
    given = None if weights is None else torch.ones(weights)
    with pytest.raises(ValueError, match="expected") as error:
        function(
            {"logits": torch.zeros(*logits, WIDTH)},
            torch.zeros(labels, dtype=torch.int64),
            label_weights=given,
        )
    said = [[*labels], [*weights]] if weights else [[*logits, WIDTH], [*labels]]
    assert all(str(shape) in str(error.value) for shape in said)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_labels_of_other_integer_types(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 6, WIDTH)
    expected = hf_loss(full())({"logits": logits}, LABELS)
    torch.testing.assert_close(hf_loss(full())({"logits": logits}, LABELS.to(dtype)), expected)
    with pytest.raises(ValueError, match="signed integers"):
        hf_loss(full())({"logits": logits}, LABELS.clamp(min=0).to(torch.uint8))


def test_outputs_without_logits_say_why() -> None:
    with pytest.raises(UserError, match="loss_type='nll'"):
        hf_loss(full())({"loss": torch.zeros(())}, LABELS)
    with pytest.raises(UserError, match="return_dict=True"):
        hf_loss(full())((torch.zeros(2, 6, WIDTH),), LABELS)


def test_label_smoothing_is_refused(tmp_path: Path) -> None:
    args = settings(tmp_path, label_smoothing_factor=0.1)
    stock = Trainer(llama(), args, train_dataset=rows(UNEQUAL), compute_loss_func=hf_loss(full()))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"label_smoothing_factor=0\.1"):
        stock.train()
    with pytest.raises(UserError, match=r"label_smoothing_factor=0\.1"):
        Mixed(llama(), args, train_dataset=rows(UNEQUAL), number_loss=full())


def test_a_loop_with_settings_of_its_own_is_left_alone() -> None:
    class Loop:
        def __init__(self) -> None:
            self.args = argparse.Namespace(lr=1)

        def loss(self) -> torch.Tensor:
            return hf_loss(full())({"logits": torch.zeros(2, 6, WIDTH)}, LABELS)

    assert Loop().loss().isfinite()
