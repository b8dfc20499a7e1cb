"""The folder of a model (a run's model/, a checkpoint, base weights), looked at before transformers reads it.

    check_model_folder(folder, model_class)    it holds weights of that class, and asks for no more than they hold
    weight_shapes(folder)                      what the weights' files say they hold

Its JSON files are bounded in size, depth and numbers, and name no code, kernels or weights elsewhere.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ntil.errors import UserError
from ntil.io import inside, read_json
from ntil.models.tiny import TinyForConditionalGeneration
from ntil.models.tuning import ADAPTER_CONFIG

ATTENTION = ("eager", "sdpa", "flash_attention_2", "flex_attention")  # other names are kernels on the hub
# Bytes of one of the folder's files of settings; a sharded 70B model's index has 70 KB.
LARGEST_JSON = 4 * 1024**2
LARGEST_TOKENIZER = 64 * 1024**2
LARGEST_NUMBER = 10**9  # in config.json; rope_theta is some millions
MOST_LAYERS = 1000  # experts and labels
LARGEST_SIDE = 4096  # pixels of the pictures that a model is given; Qwen2-VL's area is counted as a square
DEEPEST = 20  # levels of settings
TOKENIZER, WEIGHTS, INDEX = "tokenizer.json", "model.safetensors", "model.safetensors.index.json"
TRUST = "type trust_remote_code=true (in the export --trust-remote-code) if you trust who made it"


def check_model_folder(folder: Path, model_class: Any, trusted: bool = False) -> None:
    """UserError where `folder` (a run's model/, a checkpoint, a base) is no plain folder of weights of that class.

    trusted: code that its files name may run, as this command's user typed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder of a model.")
    if (folder / ADAPTER_CONFIG).exists():  # transformers would follow it to other weights
        raise UserError(f"{folder} holds {ADAPTER_CONFIG}, which has no place beside whole weights.")
    contents = {path.name: _content(path, trusted) for path in sorted(folder.glob("*.json"))}
    config = contents.get("config.json")
    if not isinstance(config, dict):
        raise UserError(f"{folder} holds no config.json with a model's settings.")
    _check_config(config, folder / "config.json", model_class.config_class)
    for name in ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"):
        for key, value in _leaves(contents.get(name), folder / name):
            _check_number(
                key, value, folder / name, LARGEST_SIDE ** (2 if "edge" in key or "pixels" in key else 1)
            )
    shapes = weight_shapes(folder)
    _check_memory(folder, model_class, sum(math.prod(shape) for shape in shapes.values()))


def _content(path: Path, trusted: bool) -> Any:
    """A file's plain values; UserError where it is large beyond reason, no JSON, or names code to run."""
    limit = LARGEST_TOKENIZER if path.name == TOKENIZER else LARGEST_JSON
    if not path.is_file() or path.stat().st_size > limit:
        raise UserError(f"{path} is no file of at most {limit:,} bytes.")
    content = read_json(path)
    if path.name == TOKENIZER:
        return content
    for node in _nodes(content, path):
        if "auto_map" in node and not trusted:
            raise UserError(f"{path} names code to run (auto_map); {TRUST}.")
        for key in ("quantization_config", "transformers_weights", "custom_pipelines", "kernel_config"):
            if node.get(key) is not None:
                raise UserError(f"{path} holds {key}, which a run's model has not.")
        if not isinstance(node.get("chat_template"), str | None):
            raise UserError(f"{path}: chat_template is no text; no other kind is read.")
        for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
            if node.get(key) is not None and node[key] not in ATTENTION:
                raise UserError(f"{path}: {key} is {str(node[key])[:80]!r}, not {', '.join(ATTENTION)}.")
    return content


def _check_config(config: dict[str, Any], where: Path, config_class: Any) -> None:
    model_type = config_class.model_type
    if config.get("model_type") != model_type:
        raise UserError(f"{where}: model_type is {str(config.get('model_type'))[:80]!r}, not {model_type!r}.")
    parts = {node.get("model_type") for node in _nodes(config_class().to_dict(), where)}  # its usual towers
    known = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *parts, model_type}
    for node in _nodes(config, where):
        kind = node.get("model_type")
        if kind is not None and (not isinstance(kind, str) or kind not in known):
            raise UserError(f"{where}: model_type {str(kind)[:80]!r} is no part of such a model.")
        if any(node.get(key) for key in ("backbone", "use_timm_backbone", "use_pretrained_backbone")):
            raise UserError(f"{where} asks for a backbone from elsewhere.")
    for key, value in _leaves(config, where):
        many = any(word in key for word in ("layers", "depth", "experts", "labels"))
        _check_number(key, value, where, MOST_LAYERS if many else LARGEST_NUMBER)


def _check_number(key: str, value: Any, where: Path, most: int) -> None:
    if isinstance(value, int | float) and not abs(value) <= most:
        raise UserError(f"{where}: {key} is {str(value)[:40]}; at most {most:,} is read.")


def weight_shapes(folder: Path) -> dict[str, list[int]]:
    """Name → shape of the weights, from the headers of their files. UserError where an index names files elsewhere."""
    files = {WEIGHTS}
    if not (folder / WEIGHTS).exists():
        index = read_json(folder / INDEX) if (folder / INDEX).exists() else None
        names = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(names, dict) or not names:
            raise UserError(f"{folder} has no {WEIGHTS}; weights of other formats are not read.")
        files = set(map(str, names.values()))
        if strange := next((name for name in files if Path(name).name != name), None):
            raise UserError(f"{folder / INDEX} names weights elsewhere: {strange[:80]!r}.")
    shapes: dict[str, list[int]] = {}
    for name in sorted(files):
        with safe_open(inside(folder, name), "pt") as weights:
            shapes |= {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118
    return shapes


def _check_memory(folder: Path, model_class: Any, stored: int) -> None:
    """Build the model without memory, and compare its size with that of the weights (tied ones are stored once)."""
    config = model_class.config_class.from_pretrained(folder, local_files_only=True)
    if model_class is TinyForConditionalGeneration and not (
        type(config.image_size) is int and 1 <= config.image_size <= LARGEST_SIDE
    ):
        raise UserError(f"{folder / 'config.json'}: image_size is {config.image_size!r}.")
    with torch.device("meta"):
        model = model_class(config)
    wanted = sum(weight.numel() for weight in (*model.parameters(), *model.buffers()))
    if wanted > 2 * stored + 1_000_000:
        raise UserError(
            f"{folder / 'config.json'} describes a model of {wanted:,} values, and the weights beside it hold {stored:,}."
        )


def _nodes(value: Any, where: Path, depth: int = 0) -> Iterator[dict[str, Any]]:
    """All groups of settings in `value`."""
    if depth > DEEPEST:
        raise UserError(f"{where} is nested more than {DEEPEST} levels deep.")
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(child, where, depth + 1)


def _leaves(value: Any, where: Path, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(its name and those above it, joined; value) of each plain value."""
    if depth > DEEPEST:
        raise UserError(f"{where} is nested more than {DEEPEST} levels deep.")
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, where, f"{key}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, where, key, depth + 1)
    else:
        yield key, value
