"""The forward passes of Baichuan2 7B and Yi-VL as they were published, on their published weights, one sequence at a time.

Written from the models' descriptions with loops over heads and positions in mind, not speed, and sharing nothing with
ntil/models or with transformers. Weights are dictionaries under the published names; `config` is the published config.json.
"""

import math
from typing import Any

import torch
from torch import Tensor

IMAGE = -200  # stands in the ids where the picture's features belong, as in the published code


def baichuan2_logits(weights: dict[str, Tensor], config: dict[str, Any], ids: list[int]) -> Tensor:
    """[T, V]"""
    head = weights["lm_head.weight"]
    lengths = (head * head).sum(1).sqrt().clamp(min=1e-12)  # NormHead

    def project(x: Tensor, layer: str) -> tuple[Tensor, Tensor, Tensor]:
        packed = x @ weights[f"{layer}.self_attn.W_pack.weight"].T  # [T, 3·hidden]
        width = config["hidden_size"]
        return packed[:, :width], packed[:, width : 2 * width], packed[:, 2 * width :]

    x = weights["model.embed_tokens.weight"][ids]
    return _decoder(weights, config, x, project, 10_000.0) @ (head / lengths[:, None]).T


def yivl_logits(
    weights: dict[str, Tensor],
    config: dict[str, Any],
    tower: dict[str, Tensor],
    tower_config: dict[str, Any],
    ids: list[int],
    pixels: Tensor,
) -> Tensor:
    """[T + patches − 1, V] for ids with one IMAGE; pixels [3, side, side]."""
    features = clip_hidden(tower, tower_config, pixels, config["mm_vision_select_layer"])[
        1:
    ]  # without the class token
    features = _projector(weights, features)
    at = ids.index(IMAGE)
    table = weights["model.embed_tokens.weight"]
    x = torch.cat([table[ids[:at]], features, table[ids[at + 1 :]]])

    def project(x: Tensor, layer: str) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (x @ weights[f"{layer}.self_attn.{which}_proj.weight"].T for which in "qkv")
        return q, k, v

    return _decoder(weights, config, x, project, config["rope_theta"]) @ weights["lm_head.weight"].T


def _decoder(
    weights: dict[str, Tensor], config: dict[str, Any], x: Tensor, project: Any, base: float
) -> Tensor:
    """The Llama decoder [T, hidden] → [T, hidden]."""
    heads = config["num_attention_heads"]
    groups = config.get("num_key_value_heads", heads)
    size, eps = config["hidden_size"] // heads, config["rms_norm_eps"]
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        q, k, v = project(_rms(x, weights[f"{layer}.input_layernorm.weight"], eps), layer)
        said = []
        for h in range(heads):
            g = h // (heads // groups)  # the key and value head that this query head shares with its group
            one, shared = slice(h * size, (h + 1) * size), slice(g * size, (g + 1) * size)
            scores = _rotate(q[:, one], base) @ _rotate(k[:, shared], base).T / math.sqrt(size)
            future = torch.ones_like(scores).triu(1).bool()
            said.append(scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, shared])
        x = x + torch.cat(said, 1) @ weights[f"{layer}.self_attn.o_proj.weight"].T
        y = _rms(x, weights[f"{layer}.post_attention_layernorm.weight"], eps)
        gate, up = (y @ weights[f"{layer}.mlp.{which}_proj.weight"].T for which in ("gate", "up"))
        x = x + (gate * torch.sigmoid(gate) * up) @ weights[f"{layer}.mlp.down_proj.weight"].T  # SwiGLU
    return _rms(x, weights["model.norm.weight"], eps)


def _rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / ((x * x).mean(-1, keepdim=True) + eps).sqrt()


def _rotate(x: Tensor, base: float) -> Tensor:
    """Entry j and entry j + size/2 of position t form a point, turned by t·base^(−2j/size)."""
    turned = torch.empty_like(x)
    half = x.shape[1] // 2
    for j in range(half):
        angle = torch.arange(len(x), dtype=torch.float64) * base ** (-2 * j / x.shape[1])
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        turned[:, j] = x[:, j] * cos - x[:, j + half] * sin
        turned[:, j + half] = x[:, j + half] * cos + x[:, j] * sin
    return turned


def clip_hidden(weights: dict[str, Tensor], config: dict[str, Any], pixels: Tensor, layer: int) -> Tensor:
    """[1 + patches, width]: hidden state `layer` of a CLIPVisionModel; 0 enters its first layer, −1 leaves its last."""
    p, eps = config["patch_size"], config["layer_norm_eps"]
    w = {name.removeprefix("vision_model."): value for name, value in weights.items()}
    kernel = w["embeddings.patch_embedding.weight"].flatten(1)  # [width, 3·p·p]
    side = pixels.shape[-1] // p
    cut = [
        pixels[:, r * p : (r + 1) * p, c * p : (c + 1) * p].flatten()
        for r in range(side)
        for c in range(side)
    ]
    x = torch.cat([w["embeddings.class_embedding"][None], torch.stack(cut) @ kernel.T])
    x = _layer_norm(x + w["embeddings.position_embedding.weight"], w, "pre_layrnorm", eps)
    states = [x]
    for i in range(config["num_hidden_layers"]):
        name = f"encoder.layers.{i}"
        y = _layer_norm(x, w, f"{name}.layer_norm1", eps)
        q, k, v = (_linear(y, w, f"{name}.self_attn.{which}_proj") for which in "qkv")
        size = q.shape[1] // config["num_attention_heads"]
        said = [
            (a @ b.T / math.sqrt(size)).softmax(-1) @ c
            for a, b, c in zip(q.split(size, 1), k.split(size, 1), v.split(size, 1), strict=True)
        ]
        x = x + _linear(torch.cat(said, 1), w, f"{name}.self_attn.out_proj")
        y = _gelu(_linear(_layer_norm(x, w, f"{name}.layer_norm2", eps), w, f"{name}.mlp.fc1"))
        x = x + _linear(y, w, f"{name}.mlp.fc2")
        states.append(x)
    return states[layer]


def _projector(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    w = {name.removeprefix("model.mm_projector."): value for name, value in weights.items()}
    x = _gelu(_layer_norm(_linear(x, w, "0"), w, "1", 1e-5))
    return _layer_norm(_linear(x, w, "3"), w, "4", 1e-5)


def _gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def _linear(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _layer_norm(x: Tensor, w: dict[str, Tensor], name: str, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / ((centred * centred).mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"]
        + w[f"{name}.bias"]
    )
