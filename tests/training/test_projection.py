"""trainer.projection=hidden: the same loss and gradients as from full logits, which never exist; refused by name where it cannot be."""

from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import SMALL, in_folder, losses, run
from hydra.utils import instantiate
from model_configs import composed, picture
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import TrainingArguments

import ntil
from ntil.data.dataset import collate
from ntil.errors import UserError
from ntil.models import load_model, logit_width
from ntil.models.families import FAMILIES
from ntil.models.head import passing_hidden, plain_head
from ntil.training.trainer import NumberTrainer

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path
HIDDEN = "trainer.projection=hidden"


def trainer_of(
    model: Any,
    adapter: Any,
    folder: Path,
    projection: str,
    bf16: bool = False,
    loss: str = "ntil",
    **options: Any,
) -> NumberTrainer:
    cfg = composed(f"loss={loss}").loss
    vocab = ntil.NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    full = instantiate(cfg, vocab=vocab, **options)
    if hasattr(full, "loss"):
        full.loss.noise_scale = 0.0
    return NumberTrainer(
        model=model,
        args=TrainingArguments(output_dir=str(folder), use_cpu=True, bf16=bf16, report_to=[]),
        number_loss=full,
        validate=dict,
        projection=projection,
    )


def loss_and_gradients(
    trainer: NumberTrainer, inputs: dict[str, Any], samples: int | None
) -> tuple[Any, Any]:
    model = trainer.model
    model.zero_grad()
    model.train()
    torch.manual_seed(0)
    if samples is not None:
        trainer._samples = torch.tensor(float(samples))
    tokens = int((inputs["labels"] >= 0).sum()) * (1 if samples is None else 2)
    total = trainer.compute_loss(model, inputs, num_items_in_batch=torch.tensor(tokens))
    total.backward()
    return total.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def batch_of(adapter: Any, family: str) -> dict[str, Any]:
    questions = [("What is it?", "3:25"), ("And here?", "12:07 or 4")]
    seen = family if family != "tiny" else "llava15"
    return collate(
        [adapter.encode(q, picture(seen, i), a) for i, (q, a) in enumerate(questions)], adapter.pad_token_id
    )


def compare(family: str, folder: Path, *overrides: str, samples: int | None = None, **options: Any) -> None:
    name = family if family == "tiny" else f"{family}_tiny"
    torch.manual_seed(0)
    model, adapter = load_model(composed(f"model={name}", *overrides).model)
    inputs = batch_of(adapter, family)
    (one, gradients), (other, ours) = (
        loss_and_gradients(trainer_of(model, adapter, folder, projection, **options), inputs, samples)
        for projection in ("full", "hidden")
    )
    torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
    assert gradients
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            ours[name], gradient, rtol=1e-3, atol=2e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("family", [*sorted(FAMILIES), "tiny"])
def test_it_is_the_loss_of_the_full_logits(family: str, tmp_path: Path) -> None:
    compare(family, tmp_path)


@pytest.mark.parametrize("family", ["minicpm3", "llava15"])
def test_beside_adapters_too(family: str, tmp_path: Path) -> None:
    compare(family, tmp_path, "model/tuning=lora", "model.tuning.dtype=float32", "model.tuning.dropout=0.0")


@pytest.mark.parametrize("loss", ["ce", "emd", "smmd"])
def test_with_every_kind_of_loss(loss: str, tmp_path: Path) -> None:
    compare("qwen2_5", tmp_path, loss=loss)


def test_micro_batches_count_by_their_samples(tmp_path: Path) -> None:
    compare("qwen2_5", tmp_path, samples=5, balance="none")


def test_full_logits_never_exist(tmp_path: Path) -> None:
    model, adapter = load_model(composed("model=minicpm3_tiny").model)
    inputs = batch_of(adapter, "minicpm3")
    fed = {name: x for name, x in inputs.items() if name not in ("labels", "_row")}
    head = plain_head(model)
    with torch.no_grad(), passing_hidden(head):
        hidden = model(**fed).logits
    assert hidden.shape[-1] == model.config.hidden_size
    with torch.no_grad():
        torch.testing.assert_close(nn.functional.linear(hidden, head.weight), model(**fed).logits)
    assert "forward" not in vars(head)


def test_a_run_learns_the_same(workplace: Path) -> None:
    for projection in ("full", "hidden"):
        ran = run(
            "train",
            *SMALL,
            *in_folder(workplace),
            f"trainer.projection={projection}",
            "trainer.accumulation_steps=2",
            f"name=projection-{projection}",
        )
        assert ran.code == 0, ran.err
    one, other = (losses(workplace / "outputs/runs" / f"projection-{p}") for p in ("full", "hidden"))
    assert one.keys() == other.keys() == {1, 2, 3}
    for step, value in one.items():
        assert other[step] == pytest.approx(value, rel=1e-3)


def test_adapters_on_the_head_are_refused() -> None:
    model, _ = load_model(composed("model=qwen2_5_tiny").model)
    with pytest.raises(UserError, match="a head without adapters"):
        plain_head(get_peft_model(model, LoraConfig(target_modules=["lm_head"])))


def test_a_capped_head_is_refused() -> None:
    model, _ = load_model(composed("model=qwen2_5_tiny").model)
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(UserError, match="final_logit_softcapping"):
        plain_head(model)


def test_a_loss_over_the_whole_vocabulary_is_refused(tmp_path: Path) -> None:
    model, adapter = load_model(composed("model=qwen2_5_tiny").model)
    with pytest.raises(UserError, match="GaussianCE needs the logits"):
        trainer_of(model, adapter, tmp_path, "hidden", loss="gaussian_ce")


def test_an_unknown_projection_is_refused(workplace: Path) -> None:
    ran = run("train", *SMALL, *in_folder(workplace), "trainer.projection=hiden")
    assert ran.code == 2
    assert "hidden" in ran.err
