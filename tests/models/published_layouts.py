"""Small checkpoints with random weights in the layouts in which Baichuan2 and Yi-VL were published."""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ntil.io import write_json
from ntil.models.families import family_of
from ntil.models.twin_tokenizers import twin_tokenizer

SIDE, PATCH = 56, 14
TOWER_NAME = "vit/clip-448"
BAICHUAN2: dict[str, Any] = {
    "architectures": ["BaichuanForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_baichuan.BaichuanConfig"},
    "model_type": "baichuan",
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096,
    "model_max_length": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
YIVL: dict[str, Any] = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "model_type": "llava",
    "hidden_size": 48,
    "intermediate_size": 72,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 5_000_000.0,
    "max_position_embeddings": 4096,
    "image_aspect_ratio": "pad",
    "mm_hidden_size": 24,
    "mm_projector_type": "mlp2x_gelu_Norm",
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": f"./{TOWER_NAME}",
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
TOWER: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
PICTURES: dict[str, Any] = {  # as CLIP's preprocessor_config.json had it when Yi-VL was published
    "crop_size": SIDE,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.5, 0.25, 0.75],
    "image_std": [0.25, 0.5, 0.2],
    "resample": 3,
    "size": SIDE,
}


def random_weights(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Spread wide enough that every part of the model leaves its mark on the logits; gains are about 1."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=draw) * 0.1 + (len(shape) == 1 and name.endswith("weight"))
        for name, shape in shapes.items()
    }


def decoder_shapes(
    config: dict[str, Any], attention: dict[str, tuple[int, int]]
) -> dict[str, tuple[int, ...]]:
    """Llama's weights; attention: name → shape of the matrices before o_proj."""
    width, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocab, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (vocab, width),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        shapes |= {f"{layer}.self_attn.{name}.weight": shape for name, shape in attention.items()}
        shapes |= {
            f"{layer}.self_attn.o_proj.weight": (width, width),
            f"{layer}.mlp.gate_proj.weight": (inner, width),
            f"{layer}.mlp.up_proj.weight": (inner, width),
            f"{layer}.mlp.down_proj.weight": (width, inner),
            f"{layer}.input_layernorm.weight": (width,),
            f"{layer}.post_attention_layernorm.weight": (width,),
        }
    return shapes


def baichuan2_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    width = config["hidden_size"]
    return decoder_shapes(config, {"W_pack": (3 * width, width)})


def yivl_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    width, seen = config["hidden_size"], config["mm_hidden_size"]
    shared = width // config["num_attention_heads"] * config["num_key_value_heads"]
    attention = {"q_proj": (width, width), "k_proj": (shared, width), "v_proj": (shared, width)}
    shapes = decoder_shapes(config, attention)
    for part, shape in (("0", (width, seen)), ("1", (width,)), ("3", (width, width)), ("4", (width,))):
        shapes |= {f"model.mm_projector.{part}.weight": shape, f"model.mm_projector.{part}.bias": (width,)}
    return shapes


def tower_shapes() -> dict[str, tuple[int, ...]]:
    width, inner = TOWER["hidden_size"], TOWER["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, PATCH, PATCH),
        "embeddings.position_embedding.weight": ((SIDE // PATCH) ** 2 + 1, width),
    }
    norms = ["pre_layrnorm", "post_layernorm"]
    for i in range(TOWER["num_hidden_layers"]):
        layer = f"encoder.layers.{i}"
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        linears = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
        linears |= {"mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
        for name, shape in linears.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
    shapes |= {f"{norm}.{part}": (width,) for norm in norms for part in ("weight", "bias")}
    return {f"vision_model.{name}": shape for name, shape in shapes.items()}


def write_weights(folder: Path, weights: dict[str, Tensor], kind: str, shards: int = 1) -> None:
    """kind: safetensors or bin; with more than one shard, the names are dealt out as cards are."""
    stem = "model" if kind == "safetensors" else "pytorch_model"
    names = sorted(weights)
    files = (
        [f"{stem}.{kind}"]
        if shards == 1
        else [f"{stem}-{i + 1:05d}-of-{shards:05d}.{kind}" for i in range(shards)]
    )
    for i, file in enumerate(files):
        part = {name: weights[name] for name in names[i::shards]}
        save_file(part, folder / file) if kind == "safetensors" else torch.save(part, folder / file)
    if shards > 1:
        where = {name: files[i % shards] for i, name in enumerate(names)}
        write_json(folder / f"{stem}.{kind}.index.json", {"metadata": {}, "weight_map": where})


def write_tokenizer(folder: Path, family: str, real: Path | None) -> int:
    """The family's own tokenizer of `real`, or the twin's; returns its size. Yi's real one has no image token."""
    if real is not None:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(real / name, folder / name)
            (folder / name).chmod(0o644)
        return {"baichuan2": 125_696, "yi": 64_000}[family]
    tokenizer = twin_tokenizer(family_of(family).twin_tokenizer, None)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def baichuan2(
    folder: Path, kind: str = "bin", shards: int = 1, tokenizer: Path | None = None, **changes: Any
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and weights, as written into the new `folder`."""
    folder.mkdir(parents=True)
    config = {**BAICHUAN2, "vocab_size": write_tokenizer(folder, "baichuan2", tokenizer), **changes}
    weights = random_weights(baichuan2_shapes(config), seed=1)
    write_json(folder / "config.json", config)
    write_weights(folder, weights, kind, shards)
    return config, weights


def yivl(
    folder: Path, kind: str = "bin", shards: int = 1, tokenizer: Path | None = None, **changes: Any
) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """config.json, weights and the tower's weights, as written into the new `folder`."""
    tower = folder / TOWER_NAME
    tower.mkdir(parents=True)
    config = {**YIVL, "vocab_size": write_tokenizer(folder, "yi", tokenizer), **changes}
    weights, seen = random_weights(yivl_shapes(config), seed=2), random_weights(tower_shapes(), seed=3)
    write_json(folder / "config.json", config)
    write_weights(folder, weights, kind, shards)
    write_json(tower / "config.json", TOWER)
    write_json(tower / "preprocessor_config.json", PICTURES)
    write_weights(tower, seen, kind)
    return config, weights, seen
