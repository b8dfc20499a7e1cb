"""What a training run would be, without running it: parameters, tokens, an estimate of GPU memory, the first sample.

    python train.py task=clock model=llava15 trainer.dry_run=true

No weights are needed: the model is built without them (ntil.models.outline). What memory is counted as stands in
ntil/training/memory.py. Fragmentation, the libraries and samples longer than those looked at come on top: a fifth is left for them.
"""

import re
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from ntil.data.dataset import IGNORED, EncodedDataset
from ntil.data.example import read_examples
from ntil.evaluation.engines import at_once
from ntil.evaluation.settings import EvaluationSettings
from ntil.models import Adapter, Subject
from ntil.models.outline import Outline
from ntil.runs import processes
from ntil.settings import load_settings
from ntil.training.anatomy import Anatomy, anatomy_of
from ntil.training.memory import Plan, Tokens, evaluation_memory, training_memory
from ntil.training.settings import TrainerSettings

LOOKED_AT = 32  # samples
GIGABYTE = 1e9
GPUS = (24, 80)  # GB
LEFT = 0.2  # of a GPU, for what is not counted
DEVICES = (1, 2, 4, 8)


def fitting_report(subject: Subject, cfg: DictConfig, outline: Outline) -> str:
    """The text that `trainer.dry_run=true` prints. cfg: the whole configuration."""
    model, adapter, task, data = subject.model, subject.adapter, subject.task, subject.data
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    evaluation = load_settings(EvaluationSettings, cfg.evaluation, "evaluation")
    examples = read_examples(data, "train", LOOKED_AT)
    samples = EncodedDataset(examples, data, task, adapter)
    rows = [samples[i] for i in range(len(samples))]
    tokens = tokens_of(rows)
    at_a_time = evaluation.batch_size or at_once(model)
    anatomy, plan = anatomy_of(model, adapter.vision), plan_of(cfg, settings, adapter)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    training = training_memory(anatomy, plan, tokens)
    answering = evaluation_memory(anatomy, plan, tokens, at_a_time, task.max_new_tokens)
    return "\n".join(
        [
            f"model         {cfg.model.name}: {total:,} parameters, {trained:,} of them trained ({trained / total:.2%})",
            *_origin(outline, anatomy),
            f"step          {settings.batch_size} samples × {settings.accumulation_steps} accumulated, {settings.precision}"
            f"{_processes(plan)}",
            f"tokens        {tokens.mean:.0f} a sample, {tokens.longest} at most; the answer with its end "
            f"{tokens.answer} at most (first {len(rows)} of training)",
            f"GPU memory    training about {_listed(training)}",
            f"              evaluation about {_listed(answering)} (evaluation.batch_size={at_a_time})",
            f"              training on {_devices(anatomy, plan, tokens)}",
            "              (an estimate; its formula opens ntil/training/memory.py)",
            *(_fits(anatomy, plan, tokens, size) for size in GPUS),
            *(_answers(anatomy, plan, tokens, at_a_time, task.max_new_tokens, size) for size in GPUS),
            f"first sample  {examples[0].id}; what is supervised stands between ⟦ and ⟧",
            "",
            marked(adapter, rows[0]),
        ]
    )


def tokens_of(rows: list[dict[str, Tensor]]) -> Tokens:
    """Lengths of encoded samples."""
    lengths = [len(row["input_ids"]) for row in rows]
    answers = [int((row["labels"] != IGNORED).sum()) for row in rows]
    return Tokens(sum(lengths) / len(lengths), max(lengths), max(answers))


def plan_of(cfg: DictConfig, settings: TrainerSettings, adapter: Adapter) -> Plan:
    """What of the configuration decides the memory."""
    plan = Plan(
        batch_size=settings.batch_size,
        accumulation_steps=settings.accumulation_steps,
        precision=settings.precision,
        optimizer=getattr(settings, "optimizer", "adamw"),
        projection=getattr(settings, "projection", "full"),
        sharding=getattr(settings, "sharding", "none"),
        devices=processes.count(),
    )
    tuning = cfg.model.get("tuning")
    if tuning is None:
        return plan
    names = ("method", "dtype", "quantize", "rank", "dropout", "freeze_vision", "gradient_checkpointing")
    return replace(
        plan,
        targets=tuple(tuning.targets),
        vision_linears=adapter.vision.linears if adapter.vision else (),
        **{name: tuning[name] for name in names},
    )


def _origin(outline: Outline, anatomy: Anatomy) -> list[str]:
    """Where sizes and tokens come from, and the published count beside the model's."""
    lines = []
    if outline.parameters is not None:
        own = anatomy.parameters / GIGABYTE
        lines.append(
            f"published     {outline.parameters:.3f} billion parameters, here {own:.3f} before any adapters"
        )
    elif outline.sizes_from:
        lines.append(
            f"published     no count; here {anatomy.parameters / GIGABYTE:.3f} billion before any adapters"
        )
    if outline.sizes_from:
        lines.append(f"sizes from    {outline.sizes_from}")
    if outline.tokens_from:
        lines.append(f"counted by    {outline.tokens_from}")
    return lines


def _listed(memory: dict[str, float]) -> str:
    sizes = ", ".join(f"{name} {size / GIGABYTE:.2f}" for name, size in memory.items())
    return f"{sum(memory.values()) / GIGABYTE:.2f} GB: {sizes}"


def _processes(plan: Plan) -> str:
    if plan.devices == 1:
        return ""
    return f", on {plan.devices} devices (trainer.sharding={plan.sharding})"


def _devices(anatomy: Anatomy, plan: Plan, tokens: Tokens) -> str:
    """The training's memory by the number of devices, each with the same batch."""
    sharding = "fsdp" if plan.sharding == "none" else plan.sharding
    plans = [replace(plan, devices=count, sharding=sharding) for count in DEVICES]
    sizes = [f"{_gigabytes(anatomy, each, tokens):.1f} GB × {each.devices}" for each in plans]
    return f"several devices with trainer.sharding={sharding}: {' · '.join(sizes)}"


def _gigabytes(anatomy: Anatomy, plan: Plan, tokens: Tokens) -> float:
    return sum(training_memory(anatomy, plan, tokens).values()) / GIGABYTE


def _fits(anatomy: Anatomy, plan: Plan, tokens: Tokens, size: int) -> str:
    """Whether the training fits on a GPU of `size` GB, and otherwise the first setting with which it does."""
    most = size * (1 - LEFT)
    if _gigabytes(anatomy, plan, tokens) <= most:
        return f"on {size} GB      the training fits"
    for said, other in alternatives(plan):
        if (needed := _gigabytes(anatomy, other, tokens)) <= most:
            return f"on {size} GB      the training does not fit on {size} GB: {said} would ({needed:.1f} GB)"
    return f"on {size} GB      the training does not fit on {size} GB: no setting looked at would"


def alternatives(plan: Plan) -> list[tuple[str, Plan]]:
    """Settings that take less memory, each with what to type: those that change nothing of what is learnt first."""
    found: list[tuple[str, Plan]] = []

    def add(typed: str, base: Plan, **changes: Any) -> Plan:
        other = replace(base, **changes)
        found.append((typed, other))
        return other

    said, base = "", plan
    if not plan.gradient_checkpointing and plan.targets:
        said = "model.tuning.gradient_checkpointing=true"
        base = add(said, plan, gradient_checkpointing=True)
    one_by_one = base
    for divisor in (2**power for power in range(1, plan.batch_size.bit_length())):
        if plan.batch_size % divisor == 0:
            batch, steps = plan.batch_size // divisor, plan.accumulation_steps * divisor
            typed = f"{said} trainer.batch_size={batch} trainer.accumulation_steps={steps}".strip()
            one_by_one = add(typed, base, batch_size=batch, accumulation_steps=steps)
    for count in (2, 4, 8):
        if count > plan.devices:
            sharding = "fsdp" if plan.sharding == "none" else plan.sharding
            start = f"torchrun --nproc-per-node {count} train.py … trainer.sharding={sharding}"
            add(f"{start} {said}".strip(), base, sharding=sharding, devices=count)
    if plan.targets and plan.method == "full":
        base = add(f"model/tuning=lora {said}".strip(), base, method="lora", dtype="bfloat16")
        add(f"{found[-1][0]} {_batch_one(one_by_one)}", base, **_sizes(one_by_one))
        said = f"model/tuning=lora {said}".strip()
    if plan.targets and plan.quantize == "none":
        base = add(f"{said} model.tuning.quantize=4bit".strip(), base, quantize="4bit")
        add(f"{found[-1][0]} {_batch_one(one_by_one)}", base, **_sizes(one_by_one))
    return found


def _sizes(plan: Plan) -> dict[str, int]:
    return {"batch_size": plan.batch_size, "accumulation_steps": plan.accumulation_steps}


def _batch_one(plan: Plan) -> str:
    return f"trainer.batch_size={plan.batch_size} trainer.accumulation_steps={plan.accumulation_steps}"


def _answers(
    anatomy: Anatomy, plan: Plan, tokens: Tokens, batch_size: int, max_new_tokens: int, size: int
) -> str:
    """Whether the evaluation fits on a GPU of `size` GB, and otherwise the largest batch that does."""
    most, fitting = size * (1 - LEFT), batch_size
    while fitting and _answering(anatomy, plan, tokens, fitting, max_new_tokens) > most:
        fitting //= 2
    if fitting == batch_size:
        return f"on {size} GB      the evaluation fits"
    if not fitting:
        return f"on {size} GB      the evaluation does not fit on {size} GB: its weights alone are too large"
    needed = _answering(anatomy, plan, tokens, fitting, max_new_tokens)
    return f"on {size} GB      the evaluation does not fit on {size} GB: evaluation.batch_size={fitting} would ({needed:.1f} GB)"


def _answering(anatomy: Anatomy, plan: Plan, tokens: Tokens, batch_size: int, max_new_tokens: int) -> float:
    return sum(evaluation_memory(anatomy, plan, tokens, batch_size, max_new_tokens).values()) / GIGABYTE


def marked(adapter: Adapter, row: dict[str, Tensor]) -> str:
    """The sample's text with a picture's tokens as <token>×count and the supervised span between ⟦ and ⟧."""
    supervised = row["labels"] != IGNORED
    before, answer = (adapter.tokenizer.decode(row["input_ids"][part]) for part in (~supervised, supervised))
    short = re.sub(r"(<[^<>]+>)\1{3,}", lambda run: f"{run[1]}×{len(run[0]) // len(run[1])}", before)
    return f"{short}⟦{answer}⟧"
