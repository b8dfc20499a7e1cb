"""trainer.dry_run: the right counts, an estimate near what is measured, the supervised span marked, nothing written."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import REPOSITORY, SMALL, in_folder, run
from model_configs import composed, picture, twin
from oracles.saved_tensors import saved_for_the_backward
from transformers import LlamaConfig, LlamaForCausalLM

from ntil.errors import UserError
from ntil.models.outline import Outline, outline_model
from ntil.settings import load_settings
from ntil.training.anatomy import Anatomy, anatomy_of
from ntil.training.dry_run import LEFT, alternatives, marked, plan_of
from ntil.training.memory import Plan, Tokens, evaluation_memory, trained_parameters, training_memory
from ntil.training.settings import TrainerSettings

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path


def test_the_report(workplace: Path) -> None:
    ran = run(
        "train", *SMALL, *in_folder(workplace), "model=llava15_tiny", "trainer.dry_run=true", "name=dry"
    )
    assert ran.code == 0, ran.err
    count = twin("llava15")[0].num_parameters()
    assert f"llava15_tiny: {count:,} parameters, {count:,} of them trained (100.00%)" in ran.out
    assert "8 samples × 1 accumulated, fp32" in ran.out
    assert "<s> USER: <image>×16 \nTime? ASSISTANT:⟦" in ran.out
    assert ran.out.rstrip().endswith("</s>⟧")
    assert not (workplace / "outputs" / "runs" / "dry").exists(), "not even Hydra's empty folder is left"


def test_of_tiny_too(workplace: Path) -> None:
    ran = run("train", *SMALL, *in_folder(workplace), "trainer.dry_run=true")
    assert ran.code == 0, ran.err
    assert "<image>×16Time?" in ran.out


def estimated(*overrides: str, tokens: Tokens) -> tuple[Anatomy, Plan, dict[str, float], Outline]:
    """The dry run's numbers for this configuration."""
    cfg = composed(*overrides)
    outline = outline_model(cfg.model)
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    anatomy, plan = anatomy_of(outline.model, outline.adapter.vision), plan_of(cfg, settings, outline.adapter)
    return anatomy, plan, training_memory(anatomy, plan, tokens), outline


def test_a_frozen_vision_tower_is_not_counted_as_trained() -> None:
    shares = []
    for frozen in ("true", "false"):
        overrides = ("model=llava15_tiny", f"model.tuning.freeze_vision={frozen}")
        shares.append(estimated(*overrides, tokens=Tokens(50, 60, 6))[2])
    weights = sum(p.numel() for p in twin("llava15")[0].parameters()) * 4
    assert shares[0]["weights"] == shares[1]["weights"] == weights
    assert shares[1]["gradients"] == weights
    assert shares[0]["gradients"] < weights
    assert shares[0]["optimizer"] == 2 * shares[0]["gradients"]
    assert shares[0]["activations"] < shares[1]["activations"]


def kept_for_the_backward(model: Any, batch: int, length: int, keep: int, bf16: bool) -> int:
    """Bytes that autograd saves in a forward pass, parameters left out."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, tuple[int, torch.Tensor]] = {}  # the tensor is held, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    ids = torch.zeros(batch, length, dtype=torch.long)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        model(input_ids=ids, logits_to_keep=keep, use_cache=False)
    return sum(size for size, _ in saved.values())


@pytest.mark.parametrize("ratio", [1, 4])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_estimate_of_activations_is_near_what_is_kept(
    ratio: int, precision: str, checkpointing: bool
) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 256 * ratio, "num_hidden_layers": 4}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=64, num_attention_heads=4, num_key_value_heads=4, **sizes)
    )
    plan = Plan(2, 1, precision, gradient_checkpointing=checkpointing)
    memory = training_memory(anatomy_of(model, None), plan, Tokens(256, 256, 7))
    estimate = memory["activations"] + (0 if checkpointing else memory["copies"])
    if checkpointing:
        model.activation_checkpointing_enable()
        anatomy = anatomy_of(model, None)
        one = anatomy._replace(stacks=(anatomy.stacks[0]._replace(layers=1),))
        whole = training_memory(one, replace(plan, gradient_checkpointing=False), Tokens(256, 256, 7))
        estimate -= whole[
            "activations"
        ]  # of the layer that is recomputed, which is kept in the backward only
    model.train()
    measured = kept_for_the_backward(model, 2, 256, 8, precision == "bf16")
    assert estimate == pytest.approx(measured, rel=0.5 if checkpointing else 0.15)


@pytest.mark.parametrize("family", ["qwen2vl", "paligemma", "llama3"])
def test_the_supervised_span_is_marked(family: str) -> None:
    adapter = twin(family)[1]
    text = marked(adapter, adapter.encode("What is it?", picture(family), "3:25"))
    assert text.endswith(f"⟦3:25{adapter.prompt.stop_tokens[0]}⟧")
    assert text.count("⟦") == 1
    assert "What is it?" in text


PUBLISHED = {  # billions of parameters
    "paligemma": 2.923,
    "llava15": 7.063,
    "qwen2vl": 2.209,
    "qwen2vl_7b": 8.291,
    "yivl": 6.715,
    "llama3": 8.030,
    "qwen2_5": 7.616,
    "yi": 6.061,
    "baichuan2": 7.506,
    "minicpm3": 4.074,
    "smollm2": 0.135,
}
SQUARES = {"llava15": 576, "paligemma": 256, "yivl": 1024}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, as on a machine without a network, and none of its files."""

    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    monkeypatch.setattr("ntil.models.checkpoint.try_to_load_from_cache", lambda *_, **__: None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_needs_no_weights(name: str, offline: None) -> None:
    anatomy, plan, memory, outline = estimated(f"model={name}", tokens=Tokens(300, 300, 20))
    assert {p.device.type for p in outline.model.parameters()} == {"meta"}
    assert anatomy.parameters / 1e9 == pytest.approx(PUBLISHED[name], abs=6e-4)
    assert outline.parameters is None or outline.parameters == PUBLISHED[name]
    trained = sum(p.numel() for p in outline.model.parameters() if p.requires_grad)
    assert trained_parameters(anatomy, plan) == trained
    assert memory["weights"] == sum(p.numel() * p.element_size() for p in outline.model.parameters())
    assert not outline.counted
    assert "project's own numbers" in str(outline.sizes_from)
    assert "upper estimate" in str(outline.tokens_from)
    if name in SQUARES:  # the picture's tokens are the published model's, not its twin's
        row = outline.adapter.encode("What?", picture(name, size=(200, 100)), "3:25")
        assert int((row["input_ids"] == outline.adapter.processor.image_token_id).sum()) == SQUARES[name]


def test_a_pictures_tokens_follow_from_its_pixels(offline: None) -> None:
    adapter = outline_model(composed("model=qwen2vl").model).adapter
    row = adapter.encode("What?", picture("qwen2vl", size=(640, 480)), "3:25")
    marks = int((row["input_ids"] == adapter.processor.image_token_id).sum())
    assert marks == round(640 / 28) * round(480 / 28)


def test_an_unknown_checkpoint_needs_its_config(offline: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        outline_model(composed("model=qwen2_5", "model.hub_id=Qwen/Qwen2.5-1000B").model)
    with pytest.raises(UserError, match="is no folder"):
        outline_model(composed("model=qwen2_5", f"model.local_folder={tmp_path / 'none'}").model)


def test_config_and_tokenizer_are_read_where_they_are(offline: None, tmp_path: Path) -> None:
    model, adapter = twin("llama3")
    model.config.save_pretrained(tmp_path)
    adapter.save_pretrained(tmp_path)
    cfg = composed("model=llama3", f"model.local_folder={tmp_path}").model
    outline = outline_model(cfg)
    assert anatomy_of(outline.model, None).parameters == model.num_parameters()
    assert outline.counted
    assert outline.sizes_from == f"config.json of {tmp_path}"
    (tmp_path / "config.json").unlink()
    tokens_only = outline_model(cfg)
    assert tokens_only.counted
    assert anatomy_of(tokens_only.model, None).parameters == 8_030_261_248
    twin("qwen2_5")[0].config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a checkpoint of"):
        outline_model(cfg)


def test_the_report_of_a_published_model(workplace: Path, offline: None) -> None:
    ran = run(
        "train",
        *SMALL,
        *in_folder(workplace),
        "model=llava15",
        "trainer.dry_run=true",
        "task.max_new_tokens=2",
    )
    assert ran.code == 0, ran.err
    assert "published     7.063 billion parameters, here 7.063 before any adapters" in ran.out
    assert "<image>×576" in ran.out
    assert "by an estimate of the tokens, this would be refused: task.max_new_tokens=2" in ran.out
    assert "the training fits" in ran.out


KEPT = [
    ("qwen2vl", 1000, ()),
    ("qwen2vl_7b", 1000, ()),
    ("llava15", 650, ()),
    ("llava15", 650, ("model/tuning=full",)),
    ("minicpm3", 100, ()),
    ("paligemma", 300, ()),
    ("llama3", 100, ()),
    ("qwen2_5", 100, ("model/tuning=full", "model.tuning.dtype=bfloat16")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "length", "overrides"), KEPT)
def test_the_estimate_is_near_the_saved_tensors(
    name: str, length: int, overrides: tuple[str, ...], offline: None
) -> None:
    overrides = (f"model={name}", "model.tuning.gradient_checkpointing=false", *overrides)
    memory, outline = estimated(*overrides, tokens=Tokens(length, length, 19))[2:]
    counted = sum(saved_for_the_backward(outline.model, 4, length, 20, bf16=True).values())
    assert memory["activations"] + memory["copies"] == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("sharding", ["fsdp", "zero2", "zero3"])
def test_devices_divide_what_the_engine_shards(sharding: str) -> None:
    anatomy, plan, alone, _ = estimated("model=llava15_tiny", tokens=Tokens(50, 60, 6))
    shared = training_memory(anatomy, replace(plan, sharding=sharding, devices=4), Tokens(50, 60, 6))
    divided = {name for name in alone if shared[name] == alone[name] / 4 and alone[name]}
    assert divided == {"gradients", "optimizer"} | ({"weights"} if sharding != "zero2" else set())
    beside = training_memory(anatomy, replace(plan, devices=4), Tokens(50, 60, 6))
    assert beside["weights"] == alone["weights"]


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_what_is_proposed_keeps_the_step_and_takes_less(tuning: str, offline: None) -> None:
    tokens = Tokens(650, 650, 19)
    anatomy, plan, memory, _ = estimated(
        "model=llava15", f"model/tuning={tuning}", "model.tuning.gradient_checkpointing=false", tokens=tokens
    )
    proposed = alternatives(plan)
    assert proposed
    for said, other in proposed:
        assert other.batch_size * other.accumulation_steps == plan.batch_size * plan.accumulation_steps
        assert sum(training_memory(anatomy, other, tokens).values()) < sum(memory.values()), said
        for name in ("batch_size", "accumulation_steps"):
            if getattr(other, name) != getattr(plan, name):
                assert f"trainer.{name}={getattr(other, name)}" in said
    assert 0 < LEFT < 1


def test_evaluation_keeps_a_cache_of_what_it_has_read() -> None:
    anatomy, plan, _, _ = estimated("model=llava15_tiny", tokens=Tokens(50, 60, 6))
    memory = evaluation_memory(anatomy, plan, Tokens(50, 60, 6), batch_size=3, max_new_tokens=8)
    with torch.no_grad():
        cache = twin("llava15")[0](torch.zeros(3, 62, dtype=torch.long)).past_key_values
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert memory["cache"] == kept


def test_no_gigabytes_are_allocated() -> None:
    """In a process of its own: seven billion parameters in less than a fifth of what their weights would take."""
    code = (
        "import resource, sys\n"
        "sys.path[:0] = ['tests', '.']\n"
        "from model_configs import composed\n"
        "from ntil.models.outline import outline_model\n"
        "model = outline_model(composed('model=llava15', 'model.hub_id=llava-hf/llava-1.5-7b-hf').model).model\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, sum(p.nbytes for p in model.parameters()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    resident, weights = map(int, ran.stdout.split()[-2:])
    assert weights > 14e9
    assert resident < weights / 5
