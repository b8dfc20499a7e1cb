"""The loss in TRL's SFTTrainer."""

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

import torch
from datasets import Dataset
from loops import (
    ALPHABET,
    EQUAL,
    UNEQUAL,
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
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from ntil.errors import UserError
from ntil.integrations import NumberLossMixin, hf_loss

TIGHT = 1e-5


class NumberSFTTrainer(NumberLossMixin, SFTTrainer):
    """SFTTrainer with our loss."""


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({c: i for i, c in enumerate(ALPHABET)}, unk_token="_"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="_", eos_token=";")


def dataset(texts: list[str]) -> Dataset:
    """Prompt and completion; TRL adds the ";"."""
    pairs = (text.rstrip(";").split("=", 1) for text in texts)
    return Dataset.from_list([{"prompt": f"{left}=", "completion": right} for left, right in pairs])


def train(
    kind: Any, folder: Path, texts: list[str], options: Any = None, **arguments: Any
) -> tuple[Any, Any]:
    recorder = Recorder()
    defaults = {"bf16": False}
    trainer = kind(
        llama(eos_token_id=1),
        settings(folder, SFTConfig, **{**defaults, **(options or {})}),
        train_dataset=dataset(texts),
        processing_class=tokenizer(),
        callbacks=[recorder],
        **arguments,
    )
    trainer.train()
    return recorder.steps[0], trainer


@pytest.mark.parametrize("texts", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("options", [micro(8, 1), micro(2, 4), micro(1, 8)], ids=str)
def test_the_mixin_has_the_gradient_of_the_shifted_loss(
    options: Any, texts: list[str], tmp_path: Path
) -> None:
    loss = full()
    gradients, trainer = train(NumberSFTTrainer, tmp_path, texts, options, number_loss=loss)
    assert largest_difference(gradients, gradients_by_hand(loss, rows(texts))) < TIGHT
    assert logged(trainer)[0] == pytest.approx(by_hand(loss, llama(), rows(texts)).item(), rel=1e-4)


def test_one_forward_pass_for_each_micro_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute_loss = NumberSFTTrainer.compute_loss
    head: list[Any] = []

    def counted(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        handle = model.register_forward_hook(lambda *_: calls.append(1))
        head.append(handle)
        result = compute_loss(self, model, *args, **kwargs)
        handle.remove()
        return result

    monkeypatch.setattr(NumberSFTTrainer, "compute_loss", counted)
    train(NumberSFTTrainer, tmp_path, EQUAL, micro(4, 2), number_loss=full())
    assert len(calls) == len(head) == 2


def test_evaluation(tmp_path: Path) -> None:
    _, trainer = train(NumberSFTTrainer, tmp_path, UNEQUAL, micro(1, 8), number_loss=full())
    expected = by_hand(full(), llama(), rows(UNEQUAL)).item()
    assert trainer.evaluate(dataset(UNEQUAL))["eval_loss"] == pytest.approx(expected, rel=1e-4)


def test_compute_loss_func_works_while_trl_has_it(tmp_path: Path) -> None:
    """Deprecated in TRL 1.16, and a second forward pass; the same gradient where the samples are equally long."""
    loss = full()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        gradients, _ = train(SFTTrainer, tmp_path, EQUAL, micro(1, 8), compute_loss_func=hf_loss(loss))
    assert largest_difference(gradients, gradients_by_hand(loss, rows(EQUAL))) < TIGHT


@pytest.mark.parametrize(
    "option", [{"padding_free": True, "max_length": None}, {"packing": True, "max_length": 64}]
)
def test_flat_and_packed_batches_keep_their_samples_apart(option: Any, tmp_path: Path) -> None:
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loss = full()

        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            parts = self.loss.parts(logits, labels)
            seen.append((len(labels), int(parts.numbers)))  # type: ignore[arg-type]
            return parts.total

    train(NumberSFTTrainer, tmp_path, EQUAL, option, number_loss=Spy())
    assert seen == [(1, len(EQUAL))]


class TrainerInChunks:
    """TRL 1.9 to 1.13 with their default, as far as a loss function can see it."""

    def __init__(self, loss_type: str) -> None:
        self.args = type("Config", (), {"loss_type": loss_type, "label_smoothing_factor": 0.0})()

    def compute_loss(self, function: Any) -> Any:
        return function({"logits": torch.zeros(1, 3, len(ALPHABET))}, torch.zeros(1, 3, dtype=torch.int64))


def test_a_loss_in_chunks_says_what_to_set() -> None:
    with pytest.raises(UserError, match=r"Set SFTConfig\(loss_type='nll'\), or train with NumberLossMixin"):
        TrainerInChunks("chunked_nll").compute_loss(hf_loss(full()))
    assert TrainerInChunks("nll").compute_loss(hf_loss(full())).isfinite()


def test_the_mixin_needs_no_setting_for_chunks(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        options = {"loss_type": "chunked_nll", **micro(8, 1)}
        gradients, _ = train(NumberSFTTrainer, tmp_path, UNEQUAL, options, number_loss=full())
    assert largest_difference(gradients, gradients_by_hand(full(), rows(UNEQUAL))) < TIGHT


def test_another_loss_of_trl_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="loss_type='dft'"):
        train(NumberSFTTrainer, tmp_path, EQUAL, {"loss_type": "dft"}, number_loss=full())


@pytest.mark.parametrize("kind", ["mixin", "function"])
def test_label_smoothing_is_refused(kind: str, tmp_path: Path) -> None:
    options = {"label_smoothing_factor": 0.2}
    way: Any = (
        (NumberSFTTrainer, {"number_loss": full()})
        if kind == "mixin"
        else (SFTTrainer, {"compute_loss_func": hf_loss(full())})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        with pytest.raises(UserError, match=r"label_smoothing_factor=0\.2"):
            train(way[0], tmp_path, EQUAL, options, **way[1])
