"""A model without its weights: the real classes on the meta device, for `trainer.dry_run`.

Its sizes come from the checkpoint's config.json, and its tokens from the checkpoint's processor, where the local folder or the
hub has them. Elsewhere the sizes are those that the family's module holds, and the tokens those of its twin's tokenizer: an
upper estimate, since that spells words character by character. A picture's tokens are always those of the published size.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from ntil.errors import UserError
from ntil.models.adapters import Adapter
from ntil.models.checkpoint import (
    BROKEN,
    check_layout,
    finish,
    first_line,
    load_published,
    reach_hub,
    read_processor,
    unreachable,
)
from ntil.models.families import family_of
from ntil.models.family import Family
from ntil.models.load import load_model, model_settings
from ntil.models.published import PublishedAdapter
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.tuning import check_quantization, tune
from ntil.models.twin_tokenizers import twin_tokenizer


@dataclass(frozen=True)
class Outline:
    """A model to be looked at, not run, and its adapter.

    model: on the meta device, adapters around it where `tuning` says so; a twin, or `tiny`, as it is.
    sizes_from, tokens_from: where they come from, in words; None where there is nothing to say.
    counted: whether the tokens are the model's own.
    parameters: of the published checkpoint, in billions; None where no count is known.
    """

    model: Any
    adapter: Adapter
    sizes_from: str | None = None
    tokens_from: str | None = None
    counted: bool = True
    parameters: float | None = None


def outline_model(cfg: DictConfig) -> Outline:
    """The model that `cfg` (conf/model/*.yaml) describes. UserError where neither a config.json nor the project has its sizes."""
    if cfg.family == "tiny":
        return Outline(*load_model(cfg))
    settings = model_settings(cfg)
    if settings.twin is not None and settings.local_folder is None:
        return Outline(*load_published(settings))
    check_quantization(settings.tuning)
    family = family_of(settings.family)
    source, sizes_from = _source(settings, family)
    config = _config(settings, family, source)
    tokenizer, processor, tokens_from, counted = _reader(settings, family, source, config)
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            dtype = getattr(torch, settings.tuning.dtype)
            model: Any = family.model_class._from_config(
                config, dtype=dtype, attn_implementation=settings.attention
            )
            adapter = PublishedAdapter(settings, family, tokenizer, processor)
            finish(model, adapter)
            model = tune(model, replace(settings.tuning, quantize="none"), family)
    except (ImportError, ValueError) as error:
        raise UserError(f"model={settings.name}: {first_line(error)}") from error
    known = family.published.get(settings.hub_id)
    return Outline(model, adapter, sizes_from, tokens_from, counted, known.parameters if known else None)


def _source(settings: ModelSettings, family: Family) -> tuple[str | None, str]:
    """(the folder or hub id whose config.json can be read, None where none can; where the sizes come from)."""
    folder = settings.local_folder
    try:
        if folder is None:
            reach_hub(settings)
        elif not (Path(folder) / "config.json").is_file():
            if not Path(folder).is_dir() and not family.packaged:
                raise unreachable(settings, f"{folder} is no folder")
            return _known(settings, family, f"{folder} holds no config.json")
        source = folder or settings.hub_id
        where = _where(settings)
        found, _ = PreTrainedConfig.get_config_dict(source, **where)
    except UserError:
        if folder is not None:
            raise
        return _known(settings, family, "the hub cannot be reached")
    except BROKEN as error:
        if folder is not None:
            raise unreachable(settings, f"{type(error).__name__}: {first_line(error)}") from error
        return _known(settings, family, first_line(error))
    if folder is None and family.layout is not None and family.layout.recognises(found):
        return _known(settings, family, f"{source} has a layout of its own, to be converted")
    check_layout(settings, family, source, where)
    return source, f"config.json of {source}"


def _known(settings: ModelSettings, family: Family, reason: str) -> tuple[None, str]:
    if settings.hub_id not in family.published:
        raise unreachable(settings, reason)
    return None, f"the project's own numbers for {settings.hub_id} ({reason})"


def _where(settings: ModelSettings) -> dict[str, Any]:
    return {"revision": settings.revision} if settings.local_folder is None else {"local_files_only": True}


def _config(settings: ModelSettings, family: Family, source: str | None) -> PreTrainedConfig:
    kind = family.model_class.config_class
    if source is None:
        return kind(**family.published[settings.hub_id].config)
    try:
        config: PreTrainedConfig = kind.from_pretrained(source, **_where(settings))
    except BROKEN as error:
        raise unreachable(settings, f"{type(error).__name__}: {first_line(error)}") from error
    return config


def _reader(
    settings: ModelSettings, family: Family, source: str | None, config: PreTrainedConfig
) -> tuple[PreTrainedTokenizerFast, Any, str, bool]:
    """(tokenizer, processor, where they come from, whether the tokens are the model's own)."""
    folder = settings.local_folder
    options = {**_where(settings), "trust_remote_code": settings.trust_remote_code}
    if source is not None:
        try:
            return *read_processor(settings, family, source, options), f"the tokenizer of {source}", True
        except BROKEN as error:
            if folder is not None and not (Path(folder) / "tokenizer.json").is_file():
                raise unreachable(settings, f"{type(error).__name__}: {first_line(error)}") from error
    own = folder is not None and (Path(folder) / "tokenizer.json").is_file()
    tokenizer = twin_tokenizer(family.twin_tokenizer, folder if own else None)
    tokenizer.add_tokens(list(family.more_tokens), special_tokens=False)
    said = f"the tokenizer of {folder}" if own else _ESTIMATED
    return tokenizer, _pictures(settings, family, tokenizer, config), said, own


_ESTIMATED = (
    "the twin's tokenizer, an upper estimate: it spells words character by character (model.local_folder= a folder with the "
    "family's own tokenizer.json counts them exactly)"
)


def _pictures(settings: ModelSettings, family: Family, tokenizer: Any, config: PreTrainedConfig) -> Any:
    """The family's processor for pictures at the published size; None for text models."""
    if family.vision is None:
        return None
    text, side = config.get_text_config(), getattr(config.vision_config, "image_size", None)
    sizes = TwinSettings(
        hidden_size=text.hidden_size,
        layers=text.num_hidden_layers,
        heads=text.num_attention_heads,
        intermediate_size=text.intermediate_size,
        image_size=side or 28,  # families that take pictures of any size have none
        weights_seed=0,
        tokenizer_folder=None,
    )
    return family.vision.twin_processor(settings, sizes, tokenizer)
