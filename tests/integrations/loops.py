"""What the tests of the training loops share: a small Llama, rows of text for it, and gradients of one optimiser step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

import ntil

ALPHABET = "_;+=0123456789.a"  # _ pads
VOCAB = ntil.NumberVocab.from_texts([*ALPHABET])
WIDTH = 20  # of the logits: a padded model
EQUAL = ["12+7=19;", "45+5=50;", "99+0=99;", "3+33=36;", "10+7=17;", "48+1=49;", "2+11=13;", "60+8=68;"]
# One to six supervised tokens, one or two numbers or none: means over tokens and over samples differ.
UNEQUAL = ["1+1=2;", "9+5=14;", "4+a=a;", "990+10=1000;", "1+1=2=02;", "7=7;", "50+50=100;", "a=;"]
Gradients = dict[str, Tensor]


def llama(**options: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    # Weights that are not small: the digits' distributions are far from uniform, and every gradient is large.
    return LlamaForCausalLM(LlamaConfig(vocab_size=WIDTH, initializer_range=0.3, **sizes, **options))


def rows(texts: Sequence[str], length: int = 14) -> list[dict[str, Tensor]]:
    """Ids, labels behind the first "=" and the attention mask, padded on the right to `length`."""
    made = []
    for text in texts:
        ids = torch.tensor([ALPHABET.index(c) for c in text.ljust(length, "_")])
        position = torch.arange(length)
        labels = ids.masked_fill((position <= text.index("=")) | (position >= len(text)), -100)
        made.append({"input_ids": ids, "labels": labels, "attention_mask": (position < len(text)).long()})
    return made


def stack(batch: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in batch]) for name in batch[0]}


def full(balance: str = "none", **options: Any) -> ntil.WithCrossEntropy:
    return ntil.WithCrossEntropy(ntil.NTIL(VOCAB, noise_scale=0.0), balance=balance, **options)


def by_hand(loss: Any, model: Any, batch: Sequence[dict[str, Tensor]]) -> Tensor:
    """The loss on labels shifted by hand."""
    inputs = stack(batch)
    labels = inputs.pop("labels")
    result: Tensor = loss(model(**inputs).logits[:, :-1], labels[:, 1:])
    return result


def gradients(model: torch.nn.Module) -> Gradients:
    return {name: p.grad.detach().clone() for name, p in model.named_parameters() if p.grad is not None}


def gradients_by_hand(loss: Any, batch: Sequence[dict[str, Tensor]]) -> Gradients:
    model = llama()
    by_hand(loss, model, batch).backward()
    return gradients(model)


class Recorder(TrainerCallback):
    """Keeps the gradients of every optimiser step, and stops the weights from changing."""

    def __init__(self) -> None:
        self.steps: list[Gradients] = []

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        self.steps.append(gradients(model))


def settings(folder: Path, config: Any = TrainingArguments, **options: Any) -> Any:
    """One step of stochastic gradient descent on the CPU, without clipping, unless `options` say otherwise."""
    defaults = {
        "per_device_train_batch_size": 8,
        "max_steps": 1,
        "optim": "sgd",
        "learning_rate": 0.0,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "max_grad_norm": 0.0,
    }
    return config(str(folder), **{**defaults, **options})


def micro(batch_size: int, steps: int) -> dict[str, int]:
    return {"per_device_train_batch_size": batch_size, "gradient_accumulation_steps": steps}


def logged(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def largest_difference(one: Gradients, other: Gradients) -> float:
    """Of any entry, over the largest entry of `other`."""
    assert one.keys() == other.keys()
    scale = max(float(g.abs().max()) for g in other.values())
    assert scale > 1e-3, "there is a gradient to compare"
    return max(float((one[name] - other[name]).abs().max()) for name in one) / scale
