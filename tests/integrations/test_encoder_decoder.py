"""Encoder-decoder and masked language models: their labels stand where their logits do, and nobody has to say so."""

from pathlib import Path
from typing import Any

import pytest
import torch
from loops import VOCAB, Recorder, full, gradients, largest_difference, logged, micro, settings
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)

import ntil
from ntil.errors import UserError
from ntil.integrations import NumberLossMixin, hf_loss

WIDTH, START = 20, 0
TIGHT = 1e-5


class Mixed(NumberLossMixin, Seq2SeqTrainer):
    """Seq2SeqTrainer with the mixin."""


def t5() -> Any:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ids = {"decoder_start_token_id": START, "pad_token_id": 0, "eos_token_id": 1}
    return T5ForConditionalGeneration(T5Config(vocab_size=WIDTH, dropout_rate=0.0, **sizes, **ids))


def bart() -> Any:
    sizes = {
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
    }
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "dropout": 0.0}
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "decoder_start_token_id": START}
    return BartForConditionalGeneration(BartConfig(vocab_size=WIDTH, **sizes, **heads, **ids))


MODELS = {"t5": t5, "bart": bart}


def model_of(name: str) -> Any:
    torch.manual_seed(0)
    return MODELS[name]().train()


def rows(decoder_inputs: bool, lengths: tuple[int, ...] = (6, 4, 5, 6)) -> list[dict[str, torch.Tensor]]:
    """A source, and labels of several lengths, with what the decoder gets where a collator would have added it."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for length in lengths:
        labels = torch.randint(3, 15, (6,), generator=generator)
        labels[length:] = -100
        row = {"input_ids": torch.randint(3, 15, (5,), generator=generator), "labels": labels}
        if decoder_inputs:
            shifted = torch.cat([torch.tensor([START]), labels[:-1]])
            row["decoder_input_ids"] = shifted.masked_fill(shifted < 0, 0)
        made.append(row)
    return made


def stack(batch: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([row[name] for row in batch]) for name in batch[0]}


def right(name: str, loss: Any, data: list[dict[str, torch.Tensor]]) -> tuple[float, Any]:
    """The loss on labels where they stand, and the gradients of all weights."""
    model, batch = model_of(name), stack(data)
    labels = batch.pop("labels")
    total = loss(model(**batch).logits, labels)
    total.backward()
    return total.item(), gradients(model)


def train(name: str, folder: Path, data: Any, kind: Any, **more: Any) -> tuple[float, Any]:
    """The logged loss and the gradients of one step."""
    options = more.pop("options", micro(4, 1))
    recorder = Recorder()
    args = settings(folder, Seq2SeqTrainingArguments, **options)
    trainer = kind(model_of(name), args, train_dataset=data, callbacks=[recorder], **more)
    trainer.train()
    return logged(trainer)[0], recorder.steps[0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("decoder_inputs", [True, False], ids=["from the batch", "from the labels"])
@pytest.mark.parametrize("options", [micro(4, 1), micro(2, 2), micro(1, 4)], ids=str)
@pytest.mark.parametrize("loss", [full(), ntil.CrossEntropy()], ids=["ntil", "ce"])
def test_the_mixin(name: str, decoder_inputs: bool, options: Any, loss: Any, tmp_path: Path) -> None:
    value, found = train(name, tmp_path, rows(decoder_inputs), Mixed, number_loss=loss, options=options)
    expected, exact = right(name, loss, rows(True))
    assert value == pytest.approx(expected, rel=1e-4)
    assert largest_difference(found, exact) < TIGHT


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", [Trainer, Seq2SeqTrainer])
@pytest.mark.parametrize("options", [micro(4, 1), micro(2, 2)], ids=str)
def test_the_function(name: str, kind: Any, options: Any, tmp_path: Path) -> None:
    loss, data = ntil.CrossEntropy(), rows(True)
    value, found = train(name, tmp_path, data, kind, compute_loss_func=hf_loss(loss), options=options)
    expected, exact = right(name, loss, data)
    assert value == pytest.approx(expected, rel=1e-4)
    assert largest_difference(found, exact) < TIGHT


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_told_apart_without_a_trainer(name: str) -> None:
    loss, batch = full(), stack(rows(True))
    labels = batch.pop("labels")
    outputs = model_of(name)(**batch)
    expected = loss(outputs.logits, labels)
    torch.testing.assert_close(hf_loss(loss)(outputs, labels), expected)
    torch.testing.assert_close(hf_loss(loss)(dict(outputs), labels), expected)
    shifted = hf_loss(loss, shift=True)(outputs, labels)
    assert not torch.allclose(shifted, expected), "what is said counts"
    moved = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:]
    torch.testing.assert_close(shifted, loss(outputs.logits, moved))


def test_evaluation(tmp_path: Path) -> None:
    data, loss = rows(False), full()
    trainer = Mixed(
        model_of("t5"),
        settings(tmp_path, Seq2SeqTrainingArguments, per_device_eval_batch_size=4),
        eval_dataset=data,
        train_dataset=data,
        number_loss=loss,
    )
    assert trainer.evaluate()["eval_loss"] == pytest.approx(right("t5", loss, rows(True))[0], rel=1e-4)


def bert() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForMaskedLM(BertConfig(vocab_size=WIDTH, **sizes, **dropout)).train()


@pytest.mark.parametrize("kind", ["function", "mixin"])
def test_masked_language_models(kind: str, tmp_path: Path) -> None:
    data = [{name: row[name] for name in ("input_ids", "labels")} for row in rows(False)]
    for row in data:
        row["labels"] = row["labels"][:5]
    loss = ntil.CrossEntropy()

    class MaskedTrainer(NumberLossMixin, Trainer):
        """Trainer with the mixin."""

    args = settings(tmp_path, TrainingArguments, **micro(2, 2))
    trainer: Any = (
        Trainer(bert(), args, train_dataset=data, compute_loss_func=hf_loss(loss))  # type: ignore[arg-type]
        if kind == "function"
        else MaskedTrainer(bert(), args, train_dataset=data, number_loss=loss)
    )
    trainer.train()
    batch = stack(data)
    expected = loss(bert()(batch["input_ids"]).logits, batch["labels"])
    assert logged(trainer)[0] == pytest.approx(expected.item(), rel=1e-4)


def test_decoder_inputs_that_are_not_the_labels_shifted_are_refused() -> None:
    batch = stack(rows(True))
    labels = batch.pop("labels")
    outputs = model_of("t5")(
        input_ids=batch["input_ids"], decoder_input_ids=batch["decoder_input_ids"][:, :4]
    )
    with pytest.raises(
        ValueError, match=r"decoder_input_ids are the labels shifted; got \[4, 4, 20\] and \[4, 6\]"
    ):
        hf_loss(full())(outputs, labels)


def test_the_function_in_a_trainer_whose_batch_has_no_decoder_inputs(tmp_path: Path) -> None:
    """BART would take the source, shifted, for the decoder's input."""
    data = rows(False)
    for row in data:
        row["labels"] = row["labels"][:5]  # as long as the source, so that no shape tells
    with pytest.raises(UserError, match=r"DataCollatorForSeq2Seq\(tokenizer, model=model\)"):
        train("bart", tmp_path, data, Seq2SeqTrainer, compute_loss_func=hf_loss(full()))


def test_a_model_that_cannot_make_its_decoder_inputs_says_so(tmp_path: Path) -> None:
    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = type("Config", (), {"is_encoder_decoder": True})()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, input_ids: torch.Tensor) -> Any:
            raise AssertionError("not reached")

    trainer = object.__new__(Mixed)
    trainer.model, trainer._shift = Bare(), None
    with pytest.raises(UserError, match="Bare, an encoder-decoder, has no decoder_input_ids"):
        trainer.compute_loss(trainer.model, stack(rows(False)))


def test_numbers_are_those_of_the_labels() -> None:
    """A label more or less would make another number of them: 123 at the start of the labels, none masked."""
    labels = torch.tensor([[5, 6, 7]])
    seen = []
    loss = full()
    parts = loss.parts
    loss.parts = lambda *a, **k: seen.append(parts(*a, **k)) or seen[-1]  # type: ignore[method-assign,func-returns-value]
    outputs = {"logits": torch.zeros(1, 3, WIDTH), "encoder_last_hidden_state": torch.zeros(1, 2, 4)}
    hf_loss(loss)(outputs, labels)
    assert [int(p.digits) for p in seen] == [3]
    assert int((VOCAB.width[labels] > 0).sum()) == 3
