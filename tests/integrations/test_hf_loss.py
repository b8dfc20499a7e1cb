"""What `hf_loss` reads from a model's outputs, and what it leaves out of other loops' way."""

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from loops import (
    ALPHABET,
    EQUAL,
    UNEQUAL,
    WIDTH,
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
)
from transformers import DataCollatorWithFlattening, Trainer

import ntil
from ntil.integrations import NumberLossMixin, hf_loss


def random_logits(length: int = 6) -> torch.Tensor:
    return torch.randn(2, length, WIDTH, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([[-100, 5, 6, 2, 7, 1], [4, 4, 1, -100, 9, 1]])


class Stock(Trainer):
    """The stock Trainer, under the mixin's arguments."""

    def __init__(self, *args: Any, number_loss: Any, **kwargs: Any) -> None:
        super().__init__(*args, compute_loss_func=hf_loss(number_loss), **kwargs)


class Mixed(NumberLossMixin, Trainer):
    """The stock Trainer with the mixin."""


@pytest.mark.parametrize("kind", [Stock, Mixed])
def test_the_model_computes_no_loss_of_its_own(kind: Any, tmp_path: Path, monkeypatch: Any) -> None:
    seen: list[Any] = []
    model = llama()
    forward = model.forward

    @functools.wraps(forward)
    def spy(*args: Any, **kwargs: Any) -> Any:
        outputs = forward(*args, **kwargs)
        seen.append((kwargs.get("labels"), outputs.loss, tuple(outputs.logits.shape)))
        return outputs

    monkeypatch.setattr(model, "forward", spy)
    data = rows(EQUAL)
    kind(model, settings(tmp_path, **micro(4, 2)), train_dataset=data, number_loss=full()).train()
    assert seen == [(None, None, (4, 14, WIDTH))] * 2


def test_kept_logits_are_the_last_ones() -> None:
    labels = LABELS.clone()
    labels[:, :3] = -100
    loss = full("ce_ratio")
    logits = random_logits()
    whole = hf_loss(loss)({"logits": logits}, labels, 5)
    kept = hf_loss(loss)({"logits": logits[:, -4:]}, labels, 5)
    torch.testing.assert_close(kept, whole)


def test_encoder_decoder_labels_are_not_shifted() -> None:
    loss, logits = full(), random_logits()
    torch.testing.assert_close(hf_loss(loss, shift=False)({"logits": logits}, LABELS), loss(logits, LABELS))


def test_a_batch_without_labels_says_so() -> None:
    with pytest.raises(ValueError, match="no labels"):
        hf_loss(full())({"logits": random_logits()}, None)


def test_a_loop_that_counts_nothing_divides_by_the_steps() -> None:
    loss, logits = full(), random_logits().requires_grad_()
    once = hf_loss(loss)({"logits": logits}, LABELS)
    torch.testing.assert_close(hf_loss(loss, accumulation_steps=4)({"logits": logits}, LABELS), once / 4)


def test_tokens_counted_for_each_gpu_of_data_parallel() -> None:
    """The Trainer passes the count once for each GPU, and takes the loss that many times."""
    loss, logits = full(), random_logits()
    one = hf_loss(loss)({"logits": logits}, LABELS, torch.tensor(18))
    two = hf_loss(loss)({"logits": logits}, LABELS, torch.tensor([[18], [18]]))
    torch.testing.assert_close(2 * two, one)


def test_the_loss_is_not_computed_in_half_precision_under_autocast() -> None:
    texts = [
        *ALPHABET,
        *(f"{i:02}" for i in range(100)),
    ]  # digit distributions of two-digit tokens: a matrix product
    loss = ntil.WithCrossEntropy(ntil.NTIL(ntil.NumberVocab.from_texts(texts), noise_scale=0.0))
    logits = 3 * torch.randn(2, 6, len(texts), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[-100, 50, 60, 2, 7, 1], [4, 44, 1, -100, 99, 1]])
    with torch.autocast("cpu", torch.bfloat16):
        inside = hf_loss(loss)({"logits": logits}, labels)
    torch.testing.assert_close(inside, hf_loss(loss)({"logits": logits}, labels), rtol=1e-6, atol=0)


def flat(texts: list[str]) -> dict[str, Any]:
    """One row without padding, as padding-free collators make it."""
    features = []
    for row, text in zip(rows(texts), texts, strict=True):
        features.append({name: row[name][: len(text)].tolist() for name in ("input_ids", "labels")})
    batch: dict[str, Any] = DataCollatorWithFlattening()(features)
    return batch


def test_numbers_do_not_run_across_samples_of_a_flat_row() -> None:
    texts = [
        "1=12",
        "3=45",
        "=7",
    ]  # they end with a digit; all of the last one is supervised but its first token
    batch = flat(texts)
    shifted = torch.nn.functional.pad(batch["labels"], (0, 1), value=-100)[:, 1:]
    parts = full().parts(torch.randn(1, shifted.shape[1], WIDTH), shifted)
    assert int(parts.numbers) == 3  # type: ignore[arg-type]
    batch["labels"][batch["labels"] < 0] = batch["input_ids"][
        batch["labels"] < 0
    ]  # nothing between the samples
    everything = full().parts(torch.randn(1, batch["labels"].shape[1], WIDTH), batch["labels"])
    assert int(everything.numbers) == 4, "1, 123, 45, 7: 12 and 3 have run together"  # type: ignore[arg-type]


def test_flat_rows_train_as_rows_of_their_own_where_one_number_is_in_each(tmp_path: Path) -> None:
    """One row is one sample: the means over its digits are those of samples with equally many digits."""
    texts = ["12+7=19;", "45+5=50;", "9+0=99;", "3+1=36;"]
    features = [{k: v.tolist() for k, v in row.items() if k != "attention_mask"} for row in rows(texts)]
    for feature, text in zip(features, texts, strict=True):
        feature.update({name: ids[: len(text)] for name, ids in feature.items()})
    recorder = Recorder()
    trainer = Trainer(
        llama(attn_implementation="sdpa"),
        settings(tmp_path, per_device_train_batch_size=4),
        train_dataset=features,
        data_collator=DataCollatorWithFlattening(),
        compute_loss_func=hf_loss(full()),
        callbacks=[recorder],
    )
    trainer.train()
    assert largest_difference(recorder.steps[0], gradients_by_hand(full(), rows(texts))) < 1e-4


@pytest.mark.slow
def test_a_compiled_model(tmp_path: Path) -> None:
    data = rows(EQUAL)
    trainer = Trainer(
        llama(),
        settings(tmp_path, torch_compile=True, **micro(4, 2)),
        train_dataset=data,
        compute_loss_func=hf_loss(full()),
    )
    trainer.train()
    assert logged(trainer)[0] == pytest.approx(by_hand(full(), llama(), data).item(), rel=1e-3)


def test_a_compiled_loss() -> None:
    loss, logits = full(), random_logits()
    compiled: Any = torch.compile(loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(
        hf_loss(compiled)({"logits": logits}, LABELS, 18), hf_loss(loss)({"logits": logits}, LABELS, 18)
    )


WORKER = """
import sys
import torch
from loops import UNEQUAL, Recorder, full, llama, micro, rows, settings
from test_hf_loss import Mixed, Stock

kind, folder = sys.argv[1:]
data = rows(UNEQUAL)
recorder = Recorder()
loss = full() if kind == "Mixed" else __import__("ntil").CrossEntropy()
trainer = {"Mixed": Mixed, "Stock": Stock}[kind](
    llama(), settings(folder, **micro(2, 2)), train_dataset=data, number_loss=loss, callbacks=[recorder]
)
trainer.train()
assert trainer.args.world_size == 2
if trainer.is_world_process_zero():
    torch.save({k.removeprefix("module."): g for k, g in recorder.steps[0].items()}, f"{folder}/gradients.pt")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Mixed", "Stock"])
def test_two_processes_are_one_large_batch(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    here = Path(__file__).parent
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(str(script), kind, str(tmp_path)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    loss = full() if kind == "Mixed" else ntil.CrossEntropy()
    found = torch.load(tmp_path / "gradients.pt", weights_only=True)
    assert largest_difference(found, gradients_by_hand(loss, rows(UNEQUAL))) < 1e-5
