"""The loss in a plain PyTorch loop and in Lightning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from loops import (
    EQUAL,
    UNEQUAL,
    full,
    gradients,
    gradients_by_hand,
    largest_difference,
    llama,
    rows,
    stack,
)
from torch.utils.data import DataLoader

from ntil.integrations import hf_loss

TIGHT = 1e-5


@pytest.mark.parametrize("size", [1, 2, 4])
def test_plain_accumulation_of_equally_long_samples(size: int) -> None:
    """What docs/integrations.md shows: divide by the number of micro-batches."""
    data, loss, model = rows(EQUAL), full(), llama()
    for start in range(0, 8, size):
        batch = stack(data[start : start + size])
        labels = batch.pop("labels")
        (loss(model(**batch).logits[:, :-1], labels[:, 1:]) * size / 8).backward()
    assert largest_difference(gradients(model), gradients_by_hand(loss, data)) < TIGHT


def test_plain_accumulation_of_samples_of_any_length() -> None:
    """What docs/integrations.md shows: the same function as in the Trainer, with the step's tokens counted."""
    data, full_loss, model = rows(UNEQUAL), full(), llama()
    loss = hf_loss(full_loss, accumulation_steps=4)
    micro_batches = [stack(data[i : i + 2]) for i in range(0, 8, 2)]
    tokens = sum(batch["labels"].ne(-100).sum() for batch in micro_batches)
    for batch in micro_batches:
        labels = batch.pop("labels")
        loss(model(**batch), labels, tokens).backward()
    assert largest_difference(gradients(model), gradients_by_hand(full_loss, data)) < TIGHT


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_plain_loop_under_autocast(dtype: torch.dtype) -> None:
    data, model = rows(EQUAL), llama()
    batch = stack(data)
    labels = batch.pop("labels")
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = model(**batch).logits
        assert logits.dtype == dtype
        loss = full()(logits[:, :-1], labels[:, 1:])
    assert loss.dtype == torch.float32
    loss.backward()
    expected = gradients_by_hand(full(), data)
    one, other = (torch.cat([g.flatten() for g in found.values()]) for found in (gradients(model), expected))
    assert torch.cosine_similarity(one, other, dim=0) > 0.99


@pytest.fixture
def lightning() -> Any:
    return pytest.importorskip("lightning")


def fit(lightning: Any, folder: Path, data: Any, size: int, **options: Any) -> Any:
    """Gradients of the first step."""
    found = []

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss = llama(), full()

        def training_step(self, batch: dict[str, Any], _: int) -> Any:
            labels = batch.pop("labels")
            return self.loss(self.model(**batch).logits[:, :-1], labels[:, 1:])

        def on_before_optimizer_step(self, _: Any) -> None:
            found.append(gradients(self.model))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    module = Module()
    trainer = lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )
    trainer.fit(module, DataLoader(data, batch_size=size))
    assert not any(name.startswith("loss") for name in module.state_dict())
    return found[0]


def test_lightning_has_the_gradient_of_the_shifted_loss(lightning: Any, tmp_path: Path) -> None:
    found = fit(lightning, tmp_path, rows(UNEQUAL), 8)
    assert largest_difference(found, gradients_by_hand(full(), rows(UNEQUAL))) < TIGHT


def test_lightning_accumulates_equally_long_samples(lightning: Any, tmp_path: Path) -> None:
    found = fit(lightning, tmp_path, rows(EQUAL), 1, accumulate_grad_batches=8)
    assert largest_difference(found, gradients_by_hand(full(), rows(EQUAL))) < TIGHT


def test_lightning_in_bfloat16(lightning: Any, tmp_path: Path) -> None:
    found = fit(lightning, tmp_path, rows(EQUAL), 8, precision="bf16-mixed")
    expected = gradients_by_hand(full(), rows(EQUAL))
    one, other = (torch.cat([g.flatten() for g in part.values()]) for part in (found, expected))
    assert torch.cosine_similarity(one, other, dim=0) > 0.99
