"""trainer.dry_run: the right counts, an estimate near what is measured, the supervised span marked, nothing written."""

from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import SMALL, in_folder, run
from model_configs import composed, picture, twin
from transformers import LlamaConfig, LlamaForCausalLM

from ntil.models import load_model
from ntil.settings import load_settings
from ntil.training.dry_run import Tokens, marked, memory_estimate
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


def test_a_frozen_vision_tower_is_not_counted_as_trained() -> None:
    shares = []
    for frozen in ("true", "false"):
        cfg = composed("model=llava15_tiny", f"model.tuning.freeze_vision={frozen}")
        model, adapter = load_model(cfg.model)
        settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
        shares.append(memory_estimate(model, settings, Tokens(50, 60, 6), False, adapter.vision))
    weights = sum(p.numel() for p in twin("llava15")[0].parameters()) * 4
    assert shares[0]["weights"] == shares[1]["weights"] == weights
    assert shares[1]["gradients"] == weights
    assert shares[0]["gradients"] < weights
    assert shares[0]["AdamW"] == 2 * shares[0]["gradients"]
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
    cfg = composed("model=tiny", "trainer.batch_size=2", f"trainer.precision={precision}")
    settings = load_settings(TrainerSettings, cfg.trainer, "trainer")
    estimate = memory_estimate(model, settings, Tokens(256, 256, 7), checkpointing)["activations"]
    if checkpointing:
        model.activation_checkpointing_enable()
        one = memory_estimate(
            LlamaForCausalLM(model.config.__class__(**{**model.config.to_dict(), "num_hidden_layers": 1})),
            settings,
            Tokens(256, 256, 7),
            False,
        )["activations"]
        estimate -= one  # of the layer that is recomputed, which is kept in the backward only
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
