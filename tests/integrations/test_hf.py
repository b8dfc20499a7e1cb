"""The loss in a stock transformers Trainer on a small Llama."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

import ntil
from ntil.integrations import hf_loss

VOCAB = ntil.NumberVocab.from_texts([*"_0123456789.:a"])
WIDTH = 16  # of the logits: a padded model


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=WIDTH, **sizes))


def rows(count: int = 8) -> list[dict[str, torch.Tensor]]:
    """`3:25`-like sequences of different lengths, padded on the right; the first token is not supervised."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for i in range(count):
        ids = torch.randint(1, 14, (6,), generator=generator)
        labels = ids.clone()
        labels[0] = -100
        if i % 2:
            ids[4:], labels[4:] = 0, -100
        made.append({"input_ids": ids, "labels": labels})
    return made


def full(balance: str = "ce_ratio") -> Any:
    return ntil.WithCrossEntropy(ntil.NTIL(VOCAB, noise_scale=0.0), balance=balance)


def by_hand(loss: Any, model: LlamaForCausalLM, batch: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    ids, labels = (torch.stack([row[name] for row in batch]) for name in ("input_ids", "labels"))
    result: torch.Tensor = loss(model(ids).logits[:, :-1], labels[:, 1:])
    return result


def train(folder: Path, loss: Any, **options: Any) -> tuple[LlamaForCausalLM, list[float], float]:
    model = llama()
    settings = {
        "per_device_train_batch_size": 8,
        "max_steps": 8,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "max_grad_norm": 0.0,
    }
    trainer = Trainer(
        model=model,
        args=TrainingArguments(str(folder), **{**settings, **options}),
        train_dataset=rows(),  # type: ignore[arg-type]
        compute_loss_func=loss,
    )
    evaluated = trainer.evaluate(rows())["eval_loss"]  # type: ignore[arg-type]
    trainer.train()
    return model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], evaluated


@pytest.mark.parametrize("make", [full, ntil.CrossEntropy], ids=["ntil", "ce"])
def test_the_stock_trainer_trains_on_the_shifted_loss(make: Any, tmp_path: Path) -> None:
    loss = make()
    _, logged, evaluated = train(tmp_path, hf_loss(loss))
    expected = float(by_hand(loss, llama(), rows()).detach())
    assert logged[0] == pytest.approx(expected, rel=1e-4)
    assert evaluated == pytest.approx(expected, rel=1e-4)
    assert logged[-1] < 0.9 * logged[0]


def test_one_step_is_the_gradient_of_the_shifted_loss(tmp_path: Path) -> None:
    trained, _, _ = train(tmp_path, hf_loss(full()), max_steps=1, optim="sgd", learning_rate=0.1)
    model = llama()
    by_hand(full(), model, rows()).backward()
    for (name, after), before in zip(trained.named_parameters(), model.parameters(), strict=True):
        assert before.grad is not None
        torch.testing.assert_close(after, before - 0.1 * before.grad, msg=name)


def test_accumulated_micro_batches_are_one_batch(tmp_path: Path) -> None:
    options = {"max_steps": 2, "optim": "sgd", "learning_rate": 0.1}
    whole, log, _ = train(tmp_path, hf_loss(full("none")), **options)
    micro = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    parts, log_parts, _ = train(tmp_path, hf_loss(full("none"), accumulation_steps=4), **options, **micro)
    assert log == pytest.approx(log_parts, rel=0.05)
    assert log[0] < 2 * log_parts[0], "the loss is divided once, not never or twice"
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    "wrap", [lambda logits: {"logits": logits}, lambda logits: type("Out", (), {"logits": logits})()]
)
def test_outputs_of_both_kinds(wrap: Any) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, WIDTH), torch.randint(1, 14, (2, 5))
    loss = full()
    torch.testing.assert_close(hf_loss(loss)(wrap(logits), labels), loss(logits[:, :-1], labels[:, 1:]))


def test_no_accumulation_below_one() -> None:
    with pytest.raises(ValueError, match="accumulation_steps"):
        hf_loss(full(), accumulation_steps=0)
