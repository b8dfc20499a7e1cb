"""Converted checkpoints say what the published models say: logits against oracles/published_forward.py."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import fixtures
import published_layouts as layouts
import pytest
import torch
from fixtures import SMALL, in_folder, run
from model_configs import model_config, picture
from oracles.published_forward import IMAGE, baichuan2_logits, clip_hidden, yivl_logits
from safetensors.torch import load_file

from ntil.commands import main
from ntil.evaluation.generate import Question, generate
from ntil.models import load_model, logit_width
from ntil.models.convert import convert
from ntil.models.convert.shards import ShardWriter
from ntil.numbers import NumberVocab

workplace, in_tmp_path = fixtures.workplace, fixtures.in_tmp_path
FILES = pytest.mark.parametrize(
    ("kind", "shards"), [("bin", 1), ("bin", 3), ("safetensors", 1), ("safetensors", 3)]
)
CLOSE = 1e-5  # of logits up to about 4, in float32


def load(name: str, folder: Path) -> tuple[Any, Any]:
    tuning = ("model/tuning=full", "model.tuning.dtype=float32")
    model, adapter = load_model(model_config(name, f"model.local_folder={folder}", *tuning))
    return model.eval(), adapter


def said(model: Any, row: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits [T, V] of one encoded question."""
    inputs = {name: row[name][None] for name in ("input_ids", "pixel_values") if name in row}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs).logits[0]
    return logits


def as_published(ids: list[int], image_id: int) -> list[int]:
    """The run of image tokens as the one place that the published code has."""
    at, many = ids.index(image_id), ids.count(image_id)
    assert ids[at : at + many] == [image_id] * many
    return [*ids[:at], IMAGE, *ids[at + many :]]


def off(got: torch.Tensor, want: torch.Tensor) -> float:
    assert got.shape == want.shape
    assert want.abs().max() > 1, "and not all about 0"
    return float((got - want).abs().max())


@FILES
def test_baichuan2(kind: str, shards: int, tmp_path: Path) -> None:
    config, weights = layouts.baichuan2(tmp_path / "published", kind, shards)
    assert convert(tmp_path / "published", tmp_path / "new") == "baichuan2"
    model, adapter = load("baichuan2", tmp_path / "new")
    row = adapter.encode("12+34=", None, "46")
    assert off(said(model, row), baichuan2_logits(weights, config, row["input_ids"].tolist())) < CLOSE
    assert type(model).__name__ == "LlamaForCausalLM"


@FILES
def test_yivl(kind: str, shards: int, tmp_path: Path) -> None:
    config, weights, tower = layouts.yivl(tmp_path / "published", kind, shards)
    assert convert(tmp_path / "published", tmp_path / "new") == "yivl"
    model, adapter = load("yivl", tmp_path / "new")
    row = adapter.encode("What time is it?", picture("yivl", 1, (90, 40)), "3:25")
    ids = as_published(row["input_ids"].tolist(), adapter.processor.image_token_id)
    want = yivl_logits(weights, config, tower, layouts.TOWER, ids, row["pixel_values"])
    assert off(said(model, row), want) < CLOSE
    assert type(model).__name__ == "YiVLForConditionalGeneration"


@pytest.mark.parametrize("layer", [-4, -3, -1, 0, 2])
def test_any_of_the_towers_layers(layer: int, tmp_path: Path) -> None:
    config, weights, tower = layouts.yivl(tmp_path / "published", mm_vision_select_layer=layer)
    convert(tmp_path / "published", tmp_path / "new")
    model, adapter = load("yivl", tmp_path / "new")
    row = adapter.encode("?", picture("yivl", 1), "3:25")
    ids = as_published(row["input_ids"].tolist(), adapter.processor.image_token_id)
    want = yivl_logits(weights, config, tower, layouts.TOWER, ids, row["pixel_values"])
    assert off(said(model, row), want) < CLOSE


def test_the_oracle_tells_neighbouring_layers_apart() -> None:
    tower = layouts.random_weights(layouts.tower_shapes(), seed=3)
    pixels = torch.randn(3, layouts.SIDE, layouts.SIDE, generator=torch.Generator().manual_seed(0))
    states = [clip_hidden(tower, layouts.TOWER, pixels, layer) for layer in range(4)]
    for one, other in pairwise(states):
        assert (one - other).abs().max() > 0.1


def test_baichuan2_with_its_own_tokenizer(tokenizer_folder: Callable[[str], Path], tmp_path: Path) -> None:
    config, weights = layouts.baichuan2(tmp_path / "published", tokenizer=tokenizer_folder("baichuan2"))
    convert(tmp_path / "published", tmp_path / "new")
    model, adapter = load("baichuan2", tmp_path / "new")
    row = adapter.encode("12+34=", None, "46")
    assert adapter.tokenizer.convert_ids_to_tokens(row["input_ids"].tolist())[-3:] == ["4", "6", "</s>"]
    assert off(said(model, row), baichuan2_logits(weights, config, row["input_ids"].tolist())) < CLOSE


def test_yivl_with_its_own_tokenizer(tokenizer_folder: Callable[[str], Path], tmp_path: Path) -> None:
    """It has no image token, so that token's id lies beyond the embedding."""
    config, weights, tower = layouts.yivl(tmp_path / "published", tokenizer=tokenizer_folder("yi"))
    convert(tmp_path / "published", tmp_path / "new")
    model, adapter = load("yivl", tmp_path / "new")
    row = adapter.encode("What time is it?", picture("yivl", 1), "3:25")
    assert adapter.processor.image_token_id == config["vocab_size"] == logit_width(model) == 64_000
    ids = as_published(row["input_ids"].tolist(), 64_000)
    want = yivl_logits(weights, config, tower, layouts.TOWER, ids, row["pixel_values"])
    assert off(said(model, row), want) < CLOSE
    assert len(NumberVocab.from_tokenizer(adapter.tokenizer, logit_width(model)).groups[0].token_ids) == 10


def test_an_image_token_without_a_row(tmp_path: Path) -> None:
    """No row is made up: embedding, head and logits are as wide as published, and pictures can still be answered."""
    config, weights, _ = layouts.yivl(tmp_path / "published")
    convert(tmp_path / "published", tmp_path / "new")
    model, adapter = load("yivl", tmp_path / "new")
    image_id, width = adapter.processor.image_token_id, config["vocab_size"]
    assert image_id == width == logit_width(model)
    assert torch.equal(model.get_input_embeddings().weight, weights["model.embed_tokens.weight"])
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])
    (answer,) = generate(model, adapter, [Question("Time?", picture("yivl", 3))], 4)
    assert answer.tokens
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[1, width + 1]]))


def test_an_image_token_that_the_tokenizer_has(tmp_path: Path) -> None:
    layouts.yivl(tmp_path / "published", vocab_size=400)
    layouts.write_tokenizer(tmp_path / "published", "yivl", None)
    convert(tmp_path / "published", tmp_path / "new")
    _, adapter = load("yivl", tmp_path / "new")
    assert adapter.processor.image_token_id == 3


def test_weights_keep_their_precision_and_the_head_is_normalised_in_it(tmp_path: Path) -> None:
    source = tmp_path / "published"
    _, weights = layouts.baichuan2(source, torch_dtype="bfloat16")
    weights = {name: value.bfloat16() for name, value in weights.items()}
    weights["lm_head.weight"][5] = 0  # a row that cannot be normalised
    layouts.write_weights(source, weights, "bin")
    convert(source, tmp_path / "new")
    got = load_file(tmp_path / "new" / "model-00001-of-00001.safetensors")
    assert {value.dtype for value in got.values()} == {torch.bfloat16}
    assert torch.equal(got["lm_head.weight"], torch.nn.functional.normalize(weights["lm_head.weight"]))
    assert torch.equal(got["lm_head.weight"][5], torch.zeros(32, dtype=torch.bfloat16))
    assert json.loads((tmp_path / "new" / "config.json").read_text())["dtype"] == "bfloat16"


def test_the_published_image_processor(tmp_path: Path) -> None:
    layouts.yivl(tmp_path / "published")
    convert(tmp_path / "published", tmp_path / "new")
    processor = load("yivl", tmp_path / "new")[1].processor
    assert list(processor.image_processor.image_mean) == [0.5, 0.25, 0.75]
    assert list(processor.image_processor.image_std) == [0.25, 0.5, 0.2]
    assert dict(processor.image_processor.crop_size) == {"height": 56, "width": 56}


def test_what_old_files_hold_besides_the_weights(tmp_path: Path) -> None:
    """Buffers, the rest of a CLIP, a second copy of the tower: the published code does not read them either."""
    source = tmp_path / "published"
    _, weights, tower = layouts.yivl(source)
    copies = {f"model.vision_tower.vision_tower.{name}": value + 1 for name, value in tower.items()}
    buffers = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    layouts.write_weights(source, {**weights, **copies, **buffers}, "bin")
    rest = {
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
        "text_model.final_layer_norm.weight": torch.ones(8),
        "visual_projection.weight": torch.ones(8, 24),
        "logit_scale": torch.tensor(1.0),
    }
    layouts.write_weights(source / layouts.TOWER_NAME, {**tower, **rest}, "bin")
    whole = {"model_type": "clip", "hidden_size": 8, "vision_config": layouts.TOWER}
    (source / layouts.TOWER_NAME / "config.json").write_text(json.dumps(whole))
    convert(source, tmp_path / "new")
    model, _ = load("yivl", tmp_path / "new")
    kept = model.model.vision_tower.embeddings.class_embedding
    assert torch.equal(kept, tower["vision_model.embeddings.class_embedding"])


def test_weights_are_written_in_shards(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, shard_bytes=100)
    tensors = {f"t{i}": torch.full((n,), float(i)) for i, n in enumerate((20, 5, 5, 40, 1))}
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    writer.close()
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert files == [f"model-{i:05d}-of-00004.safetensors" for i in (1, 2, 3, 4)]
    assert index["metadata"]["total_size"] == 4 * 71
    for name, tensor in tensors.items():
        assert torch.equal(load_file(tmp_path / index["weight_map"][name])[name], tensor)
    assert [sum(v == f for v in index["weight_map"].values()) for f in files] == [2, 1, 1, 1]


def test_shards_of_a_hub_cache_are_links(tmp_path: Path) -> None:
    """snapshots/<commit>/ holds links into blobs/."""
    source = tmp_path / "snapshot"
    layouts.baichuan2(source)
    (source / "pytorch_model.bin").rename(tmp_path / "blob")
    (source / "pytorch_model.bin").symlink_to("../blob")
    assert convert(source, tmp_path / "new") == "baichuan2"


def test_the_whole_way(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused as published, with the command to type; converted by it; trained with LoRA for three steps."""
    published = workplace / "Yi-VL 6B"
    layouts.yivl(published, "safetensors", shards=2)
    train = (
        *SMALL,
        *in_folder(workplace),
        "model=yivl",
        "task.max_new_tokens=10",  # of the small tokenizer; the published one needs 8
        "trainer.accumulation_steps=1",
        "evaluation.limit=2",
    )
    train = (*train, "trainer.loader_workers=0", "name=converted")
    refused = run("train", *train, f"model.local_folder='{published}'")
    assert refused.code == 2
    converted = f"{published}-converted"
    assert f"ntil convert '{published}' --out '{converted}'" in refused.err
    assert main(["convert", str(published), "--out", converted]) == 0
    assert f"model.local_folder={converted}" in capsys.readouterr().out
    ran = run("train", *train, f"model.local_folder='{converted}'")
    assert ran.code == 0, ran.err
    assert (workplace / "outputs" / "runs" / "converted" / "COMPLETE").exists()
