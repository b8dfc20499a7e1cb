"""What a training run would be, without running it: parameters, tokens, an estimate of GPU memory, the first sample.

    python train.py task=clock model=qwen2vl_tiny trainer.dry_run=true

The estimate is arithmetic on sizes (bytes; B samples of T tokens a device, L layers H wide, feed-forward r times as wide,
K supervised positions, V logits):

    weights       Σ parameters × their bytes                  as they are kept
    gradients     Σ trained parameters × their bytes
    AdamW         2 × gradients                               both moments
    activations   B·T·H·L × (42 + 16·r) in fp32, (41 + 11·r) in 16 bits over float32 weights, (29 + 8·r) over 16-bit ones;
                  with gradient checkpointing what one layer stores, and B·T·H·L × the weights' bytes between the layers
    logits        B·K·V × (4 or 2, as the model writes them, + 8)   and their float32 copy with its gradient

The factors of the activations are what Llama layers were seen to keep for the backward. The vision tower's count where any
of it is trained. Fragmentation, the libraries and samples longer than those looked at come on top: leave a fifth.
"""

import re
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import Tensor

from ntil.data.dataset import IGNORED, EncodedDataset
from ntil.data.example import read_examples
from ntil.models import Adapter, Subject, logit_width
from ntil.models.family import Vision
from ntil.settings import load_settings
from ntil.training.settings import TrainerSettings

LOOKED_AT = 32  # samples
GIGABYTE = 1e9


class Shape(NamedTuple):
    """Of a stack of layers, and of what goes through it in a step."""

    layers: int
    hidden: int
    feed_forward: int
    positions: int  # samples × tokens (or patches)


class Tokens(NamedTuple):
    """Lengths of the samples looked at, in tokens."""

    mean: float
    longest: int
    answer: int  # the longest answer, its end included


def fitting_report(subject: Subject, cfg: DictConfig) -> str:
    """The text that `trainer.dry_run=true` prints. cfg: the whole configuration."""
    model, adapter, task, data = subject.model, subject.adapter, subject.task, subject.data
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    examples = read_examples(data, "train", LOOKED_AT)
    samples = EncodedDataset(examples, data, task, adapter)
    rows = [samples[i] for i in range(len(samples))]
    lengths = [len(row["input_ids"]) for row in rows]
    longest_answer = max(int((row["labels"] != IGNORED).sum()) for row in rows)
    tokens = Tokens(sum(lengths) / len(lengths), max(lengths), longest_answer)
    tuning = cfg.model.get("tuning")
    checkpointing = bool(tuning and tuning.gradient_checkpointing)
    memory = memory_estimate(model, settings, tokens, checkpointing, adapter.vision)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    sizes = ", ".join(f"{name} {size / GIGABYTE:.2f}" for name, size in memory.items())
    return "\n".join(
        [
            f"model         {cfg.model.name}: {total:,} parameters, {trained:,} of them trained ({trained / total:.2%})",
            f"step          {settings.batch_size} samples × {settings.accumulation_steps} accumulated, {settings.precision}",
            f"tokens        {tokens.mean:.0f} a sample, {tokens.longest} at most; the answer with its end "
            f"{tokens.answer} at most (first {len(rows)} of training)",
            f"GPU memory    about {sum(memory.values()) / GIGABYTE:.2f} GB: {sizes}",
            "              (an estimate; its formula opens ntil/training/dry_run.py)",
            f"first sample  {examples[0].id}; what is supervised stands between ⟦ and ⟧",
            "",
            marked(adapter, rows[0]),
        ]
    )


def memory_estimate(
    model: Any, settings: TrainerSettings, tokens: Tokens, checkpointing: bool, vision: Vision | None = None
) -> dict[str, float]:
    """Bytes by purpose; see the module's docstring for the formula."""
    gradients = float(sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad))
    bytes_written = 4 if settings.precision == "fp32" else 2
    text = model.config.get_text_config()
    decoder = Shape(
        text.num_hidden_layers,
        text.hidden_size,
        text.intermediate_size,
        settings.batch_size * tokens.longest,
    )
    stacks = [decoder, *_trained_vision(model, vision, settings.batch_size)]
    small_weights = next(model.parameters()).element_size() < 4
    logits = settings.batch_size * (tokens.answer + 1) * logit_width(model)
    return {
        "weights": float(sum(p.numel() * p.element_size() for p in model.parameters())),
        "gradients": gradients,
        "AdamW": 2 * gradients,
        "activations": sum(
            _activations(stack, bytes_written, small_weights, checkpointing) for stack in stacks
        ),
        "logits": logits * (bytes_written + 8.0),
    }


def _activations(shape: Shape, bytes_written: int, small_weights: bool, checkpointing: bool) -> float:
    fixed, wide = (42, 16) if bytes_written == 4 else (29, 8) if small_weights else (41, 11)
    layer = shape.positions * (fixed * shape.hidden + wide * shape.feed_forward)
    if not checkpointing:
        return float(layer * shape.layers)
    return float(layer + (2 if small_weights else 4) * shape.positions * shape.hidden * shape.layers)


def _trained_vision(model: Any, vision: Vision | None, batch_size: int) -> list[Shape]:
    """The vision tower, where any of it is trained."""
    if vision is None:  # `tiny` has a tower too small to count
        return []
    ends = f"model.{vision.tower}"
    tower = next(module for name, module in model.named_modules() if name.endswith(ends))
    if not any(p.requires_grad for p in tower.parameters()):
        return []
    layers, hidden, feed_forward, patches = vision.shape(tower.config)
    return [Shape(layers, hidden, feed_forward, batch_size * patches)]


def marked(adapter: Adapter, row: dict[str, Tensor]) -> str:
    """The sample's text with a picture's tokens as <token>×count and the supervised span between ⟦ and ⟧."""
    supervised = row["labels"] != IGNORED
    before, answer = (adapter.tokenizer.decode(row["input_ids"][part]) for part in (~supervised, supervised))
    short = re.sub(r"(<[^<>]+>)\1{3,}", lambda run: f"{run[1]}×{len(run[0]) // len(run[1])}", before)
    return f"{short}⟦{answer}⟧"
