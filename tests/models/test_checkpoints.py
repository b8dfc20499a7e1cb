"""Loading published checkpoints: what is wrong with a folder is said, and nothing but safetensors is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixtures
import pytest
import torch
from fixtures import SMALL, in_folder, run
from model_configs import model_config, picture, twin

from ntil.data.dataset import collate
from ntil.errors import UserError
from ntil.models import load_model
from ntil.training.weights import save_model

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's twin, saved as a published checkpoint is."""
    folder = tmp_path_factory.mktemp("published")

    def of(family: str) -> Path:
        if not (folder / family).exists():
            save_model(*twin(family), folder / family)
        return folder / family

    return of


def refusal(name: str, folder: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_model(model_config(name, f"model.local_folder={folder}", *overrides))
    return str(caught.value)


def test_the_whole_command_on_a_published_layout(saved: Callable[[str], Path], workplace: Path) -> None:
    """`model=qwen2vl`, LoRA on bf16 weights with checkpointing, as on a large machine."""
    ran = run(
        "train",
        *SMALL,
        *in_folder(workplace),
        "model=qwen2vl",
        f"model.local_folder={saved('qwen2vl')}",
        "trainer.accumulation_steps=1",
        "trainer.loader_workers=0",
        "evaluation.limit=2",
        "name=published",
    )
    assert ran.code == 0, ran.err
    model = workplace / "outputs" / "runs" / "published" / "model"
    assert (model / "adapter_model.safetensors").exists()
    assert (model / "processor_config.json").exists()


@pytest.mark.parametrize("name", ["llava15", "qwen2_5"])
def test_another_familys_checkpoint(name: str, saved: Callable[[str], Path]) -> None:
    text = refusal(name, saved("yi"))
    assert "is a checkpoint of 'llama'" in text
    assert f"model={name}" in text


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("yivl", {"model_type": "llava", "mm_vision_tower": "./vit"}),
        ("baichuan2", {"model_type": "baichuan", "auto_map": {"AutoConfig": "evil.Config"}}),
    ],
)
def test_the_original_layouts_are_refused(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    """With what to type instead; and as another family's where another was asked for."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    text = refusal(name, tmp_path)
    assert f"ntil convert {tmp_path} --out {tmp_path}-converted" in text
    assert f"model={name} model.local_folder={tmp_path}-converted" in text
    other = {"yivl": "baichuan2", "baichuan2": "yivl"}[name]
    assert f"is a checkpoint of {config['model_type']!r}" in refusal(other, tmp_path)


def test_an_original_layout_on_the_hub_is_downloaded_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntil.models.checkpoint.reach_hub", lambda settings: None)
    published = {"model_type": "baichuan"}
    monkeypatch.setattr(
        "ntil.models.checkpoint.PreTrainedConfig.get_config_dict", lambda *_, **__: (published, {})
    )
    with pytest.raises(UserError) as caught:
        load_model(model_config("baichuan2"))
    assert "hf download baichuan-inc/Baichuan2-7B-Base --local-dir Baichuan2-7B-Base\n" in str(caught.value)
    assert "ntil convert Baichuan2-7B-Base --out" in str(caught.value)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    text = refusal("llava15", tmp_path)
    for words in (
        "holds no config.json",
        "llava-hf/llava-1.5-7b-hf",
        "model.local_folder=",
        "model=llava15_tiny",
    ):
        assert words in text


@pytest.mark.parametrize("name", ["qwen2vl_7b", "qwen2_5"])
def test_a_hub_out_of_reach(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(UserError) as caught:
        load_model(model_config(name))
    cfg = model_config(name)
    for words in ("no route to host", cfg.hub_id, "model.local_folder=", f"model={cfg.family}_tiny"):
        assert words in str(caught.value)


@pytest.mark.parametrize("harm", ["config", "weights cut", "weights gone", "a weight lacks", "tokenizer"])
def test_a_broken_checkpoint(harm: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken"
    shutil.copytree(saved("qwen2_5"), folder)
    weights = folder / "model.safetensors"
    if harm == "config":
        (folder / "config.json").write_text("{")
    elif harm == "weights cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif harm == "weights gone":
        weights.unlink()
    elif harm == "a weight lacks":
        state = load_file(weights)
        del state["model.layers.0.mlp.up_proj.weight"]
        save_file(state, weights, metadata={"format": "pt"})
    else:
        (folder / "tokenizer.json").write_text("{")
    text = refusal("qwen2_5", folder)
    if harm == "a weight lacks":
        assert "lacks 1 weights (model.layers.0.mlp.up_proj.weight)" in text


def test_pickled_weights_are_not_read(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(saved("yi"), folder)
    (folder / "model.safetensors").unlink()
    torch.save(twin("yi")[0].state_dict(), folder / "pytorch_model.bin")
    assert "cannot be reached" in refusal("yi", folder)


def test_the_pixel_budget_sets_the_tokens(saved: Callable[[str], Path]) -> None:
    counts = []
    for pixels in (3136, 12544):
        cfg = model_config("qwen2vl", f"model.local_folder={saved('qwen2vl')}", f"model.max_pixels={pixels}")
        adapter: Any = load_model(cfg)[1]
        encoded = adapter.encode("?", picture("qwen2vl", size=(500, 500)), None)
        counts.append(int((encoded["input_ids"] == adapter.processor.image_token_id).sum()))
    assert counts == [4, 16]
    text = refusal("llava15", saved("llava15"), "model.max_pixels=3136")
    assert "pictures of one size" in text


def test_a_checkpoints_own_generation_settings_are_not_used(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Published ones sample, and some have a repetition penalty that would also change greedy answers."""
    folder = tmp_path / "sampling"
    shutil.copytree(saved("qwen2_5"), folder)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, "repetition_penalty": 1.5}))
    model, adapter = load_model(model_config("qwen2_5", f"model.local_folder={folder}"))
    assert model.generation_config.repetition_penalty in (None, 1.0)
    assert not model.generation_config.do_sample
    assert model.generation_config.eos_token_id == list(adapter.stop_ids)


def test_yis_digits_have_no_space_before_them(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Its published files name LlamaTokenizer, with which AutoTokenizer would put one there."""
    folder = tmp_path / "yi"
    shutil.copytree(saved("yi"), folder)
    published = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**published, "pad_token": "<unk>", "unk_token": "<unk>"})
    )
    adapter: Any = load_model(model_config("yi", f"model.local_folder={folder}"))[1]
    assert adapter.tokenizer.convert_ids_to_tokens(adapter._ids("2024")) == [*"2024"]
    row = adapter.encode("12+34=", None, "46")
    assert torch.equal(row["input_ids"], twin("yi")[1].encode("12+34=", None, "46")["input_ids"])
    assert collate([row], adapter.pad_token_id)["input_ids"].shape[0] == 1
