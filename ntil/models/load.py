"""From a model config to (model, adapter), new or from a run's folder."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from omegaconf import DictConfig, OmegaConf
from transformers import GenerationConfig, PreTrainedModel

from ntil.errors import UserError
from ntil.models.adapters import Adapter, TinyAdapter
from ntil.models.families import family_of
from ntil.models.family import check_prompt
from ntil.models.settings import ModelSettings
from ntil.models.tiny import TinyConfig, TinyForConditionalGeneration
from ntil.models.tiny_processor import TinyImageProcessor, TinyProcessor, character_tokenizer
from ntil.settings import load_settings


def load_model(cfg: DictConfig, folder: Path | None = None) -> tuple[PreTrainedModel, Adapter]:
    """The model that `cfg` (conf/model/*.yaml) describes, with its adapter; trained weights where `folder` has them."""
    if cfg.family == "tiny":
        return _load_tiny(cfg, folder)
    from ntil.models.checkpoint import load_published

    return load_published(model_settings(cfg), folder)


def check_model(cfg: DictConfig) -> None:
    """Refuse settings that cannot work before anything is built."""
    if cfg.family != "tiny":
        model_settings(cfg)


def model_settings(cfg: DictConfig) -> ModelSettings:
    """The settings of a published family, checked. UserError where something is wrong or unknown."""
    settings = load_settings(ModelSettings, cfg, "model")
    check_prompt(settings, family_of(settings.family))
    return settings


def _load_tiny(cfg: DictConfig, folder: Path | None) -> tuple[PreTrainedModel, Adapter]:
    if folder is not None:
        model = TinyForConditionalGeneration.from_pretrained(
            folder, use_safetensors=True, local_files_only=True
        )
        model.generation_config = GenerationConfig.from_model_config(model.config)  # greedy and nothing else
        return model, TinyAdapter(TinyProcessor.from_pretrained(folder), model.config.image_tokens)
    tokenizer = character_tokenizer(_digits_per_token(cfg))
    text: dict[str, Any] = OmegaConf.to_container(cfg.text_config, resolve=True)  # type: ignore[assignment]
    if cfg.image_size < 16:
        raise UserError(f"model.image_size must be at least 16 pixels, not {cfg.image_size}.")
    try:
        config = TinyConfig(
            text_config=text,
            image_size=cfg.image_size,
            channels=list(cfg.channels),
            vocab_size=len(tokenizer),
            image_token_id=tokenizer.image_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        model = TinyForConditionalGeneration(config)
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, StrictDataclassError) as error:
        raise UserError(
            f"model=tiny cannot be built with these sizes: {type(error).__name__}: {error}"
        ) from error
    return model, TinyAdapter(
        TinyProcessor(TinyImageProcessor(cfg.image_size), tokenizer), config.image_tokens
    )


def _digits_per_token(cfg: DictConfig) -> int:
    digits = cfg.get("digits_per_token", 1)
    if digits not in (1, 2, 3):
        raise UserError(f"model.digits_per_token must be 1, 2 or 3, not {digits!r}.")
    return int(digits)


def logit_width(model: PreTrainedModel) -> int:
    """V of the logits that the model returns; it may exceed the tokenizer's size."""
    width: int = model.get_output_embeddings().weight.shape[0]
    return width
