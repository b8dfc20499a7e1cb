"""What is trained: LoRA in the right layers, the vision tower left alone, and adapters saved, resumed, merged, exported."""

import shutil
from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import SMALL, in_folder, losses, run
from model_configs import model_config, picture, twin
from safetensors.torch import load_file

from ntil.checksums import SUMS
from ntil.commands import main
from ntil.data.dataset import collate
from ntil.errors import UserError
from ntil.evaluation.trained import load_trained
from ntil.io import read_json
from ntil.models import load_model
from ntil.models.families import FAMILIES
from ntil.training.weights import load_weights, save_model

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path
LORA = "model/tuning=lora"
FROZEN = "model.tuning.freeze_vision=true"


def tuned(family: str, *overrides: str) -> tuple[Any, Any]:
    torch.manual_seed(0)
    return load_model(model_config(f"{family}_tiny", "model.tuning.dtype=float32", *overrides))


def trained_names(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def some_logits(model: Any, adapter: Any, family: str) -> torch.Tensor:
    inputs = collate([adapter.encode("What is it?", picture(family, 1), "3:25")], adapter.pad_token_id)
    with torch.no_grad():
        result: torch.Tensor = model.eval()(**{k: v for k, v in inputs.items() if k != "labels"}).logits
    return result


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(f, marks=() if f in ("llava15", "minicpm3") else pytest.mark.slow)
        for f in sorted(FAMILIES)
    ],
)
def test_lora_trains_adapters_of_the_language_model_only(family: str) -> None:
    model, adapter = tuned(family, LORA, FROZEN)
    names = trained_names(model)
    assert names
    seeing = FAMILIES[family].vision
    vision = seeing and seeing.tower
    for name in names:
        assert ".lora_" in name
        assert vision is None or f".{vision}." not in name
    layers = {name.split(".lora_")[0] for name in names}
    targets = model_config(f"{family}_tiny", LORA).tuning.targets
    assert len(layers) == 2 * len(targets), "each target in each of two layers"
    untouched = twin(family)
    assert torch.equal(some_logits(model, adapter, family), some_logits(*untouched, family)), "B starts at 0"


@pytest.mark.parametrize(
    "family",
    ["qwen2vl", *(pytest.param(f, marks=pytest.mark.slow) for f in ("llava15", "paligemma", "yivl"))],
)
def test_the_vision_tower_can_be_trained_too(family: str) -> None:
    spec = FAMILIES[family].vision
    assert spec is not None
    vision = f".{spec.tower}."
    lora, _ = tuned(family, LORA, "model.tuning.freeze_vision=false")
    seen = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in trained_names(lora) if vision in name}
    assert seen == {name.rsplit(".", 1)[-1] for name in spec.linears}
    frozen, _ = tuned(family, FROZEN)
    assert not any(vision in name for name in trained_names(frozen))
    assert any("language_model" in name for name in trained_names(frozen))
    whole, _ = tuned(family)
    assert trained_names(whole) - trained_names(frozen) == {
        name for name, _ in whole.named_parameters() if vision in name
    }


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(
    "family", ["paligemma", *(pytest.param(f, marks=pytest.mark.slow) for f in ("qwen2vl", "minicpm3"))]
)
def test_gradient_checkpointing_changes_no_gradient(family: str, method: str) -> None:
    gradients = []
    for checkpointing in ("false", "true"):
        model, adapter = tuned(
            family,
            f"model/tuning={method}",
            f"model.tuning.gradient_checkpointing={checkpointing}",
            "model.tuning.dropout=0.0",
        )
        model.train()
        inputs = collate([adapter.encode("What?", picture(family, 1), "3:25")], adapter.pad_token_id)
        recomputed = sum(bool(getattr(module, "gradient_checkpointing", False)) for module in model.modules())
        assert bool(recomputed) is (checkpointing == "true")
        model(**{k: v for k, v in inputs.items() if k != "labels"}).logits.square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert gradients[0]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-5)


def test_bfloat16_weights_have_float32_adapters() -> None:
    model, _ = load_model(model_config("llava15_tiny", LORA, "model.tuning.dtype=bfloat16"))
    kinds = {".lora_" in name: parameter.dtype for name, parameter in model.named_parameters()}
    assert kinds == {False: torch.bfloat16, True: torch.float32}


def test_saved_adapters_are_loaded_on_the_same_base(tmp_path: Path) -> None:
    family = "llava15"
    model, adapter = tuned(family, LORA)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.normal_(std=0.1)
    expected = some_logits(model, adapter, family)
    save_model(model, adapter, tmp_path / "model")
    assert {path.suffix for path in (tmp_path / "model").iterdir() if path.name != SUMS} == {
        ".json",
        ".safetensors",
    }
    assert not (tmp_path / "model" / "model.safetensors").exists(), "the base is not copied"
    torch.manual_seed(5)
    cfg = model_config("llava15_tiny", LORA, "model.tuning.dtype=float32")
    loaded, loaded_adapter = load_model(cfg, folder=tmp_path / "model")
    assert torch.equal(some_logits(loaded, loaded_adapter, family), expected)
    fresh, _ = tuned(family, LORA)
    assert not torch.equal(some_logits(fresh, adapter, family), expected)
    load_weights(fresh, tmp_path / "model")
    assert torch.equal(some_logits(fresh, adapter, family), expected)
    (tmp_path / "model" / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"adapter_model\.safetensors"):
        load_model(cfg, folder=tmp_path / "model")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.tuning.targets=[q_proj,nonsense]"], "no linear layer nonsense; it has"),
        (["model.tuning.targets=[lm_head]"], "no linear layer lm_head; it has"),
        (["model.tuning.quantize=4bit"], "bitsandbytes"),
        (["model.tuning.method=loar"], "lora or full"),
        (["model.tuning.rank=0"], "at least 1"),
        (["+model.tuning.ranks=4"], "no setting 'ranks'"),
        (["model.family=qwen"], "Did you mean 'qwen2vl'"),
        (["model.prompt.text=hello"], "must hold {question} once"),
        (["model.prompt.stop_tokens=[nothing]"], "answers would have no end"),
        (["model.twin.hidden_size=30"], "cannot be built"),
    ],
)
def test_what_cannot_work_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_model(model_config("qwen2vl_tiny", LORA, *overrides))
    assert words in str(caught.value)


def train(workplace: Path, name: str, *overrides: str) -> Path:
    common = [LORA, "model.tuning.dtype=float32", "evaluation.limit=2", "trainer.save_steps=2"]
    ran = run(
        "train", *SMALL, *in_folder(workplace), "model=llava15_tiny", *common, *overrides, f"name={name}"
    )
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / name


def test_a_broken_off_lora_run_resumes_and_is_exported(workplace: Path, tmp_path: Path) -> None:
    kept = ["trainer.max_steps=4", "trainer.keep_checkpoints=9", "trainer.keep_when_complete=true"]
    whole = train(workplace, "lora-whole", *kept)
    broken = whole.with_name("lora-broken")
    shutil.copytree(whole / "checkpoints", broken / "checkpoints")
    shutil.rmtree(broken / "checkpoints" / "checkpoint-4")
    text = (whole / "config.yaml").read_text().replace("lora-whole", "lora-broken")
    (broken / "config.yaml").write_text(text)
    shutil.copy(whole / "train.jsonl", broken)
    assert train(workplace, "lora-broken", *kept) == broken
    one, other = (load_file(folder / "model" / "adapter_model.safetensors") for folder in (whole, broken))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert losses(whole) == losses(broken)

    assert main(["export", str(whole), "--out", str(tmp_path / "merged")]) == 0
    trained = load_trained(whole)
    cfg = model_config(
        "llava15",
        f"model.local_folder={tmp_path / 'merged'}",
        "model/tuning=full",
        "model.tuning.dtype=float32",
    )
    merged, adapter = load_model(cfg)
    expected = some_logits(trained.model, trained.adapter, "llava15")
    torch.testing.assert_close(some_logits(merged, adapter, "llava15"), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(some_logits(*twin("llava15"), "llava15"), expected, rtol=1e-4, atol=1e-5)
    assert "adapter_config.json" not in {path.name for path in (tmp_path / "merged").iterdir()}
    assert read_json(tmp_path / "merged" / "config.json")["model_type"] == "llava"


def test_export_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    assert "not the folder of a trained run" in capsys.readouterr().err
    (tmp_path / "model").mkdir()
    (tmp_path / "config.yaml").write_text("model: {}")
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "model")]) == 2
    assert "exists already" in capsys.readouterr().err
