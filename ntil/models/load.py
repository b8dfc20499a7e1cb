"""From a model config to (model, adapter), new or from a run's folder."""

import urllib.request
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import ENDPOINT as HUB
from huggingface_hub.errors import StrictDataclassError
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel

from ntil.errors import UserError
from ntil.models.adapters import Adapter, TinyAdapter
from ntil.models.tiny import TinyConfig, TinyForConditionalGeneration
from ntil.models.tiny_processor import TinyImageProcessor, TinyProcessor, character_tokenizer


def load_model(cfg: DictConfig, folder: Path | None = None) -> tuple[PreTrainedModel, Adapter]:
    """The model that `cfg` (conf/model/*.yaml) describes, with its adapter; trained weights where `folder` has them."""
    if cfg.family == "tiny":
        return _load_tiny(cfg, folder)
    return _load_published(cfg, folder)


def _load_tiny(cfg: DictConfig, folder: Path | None) -> tuple[PreTrainedModel, Adapter]:
    if folder is not None:
        model = TinyForConditionalGeneration.from_pretrained(folder, use_safetensors=True)
        return model, TinyAdapter(TinyProcessor.from_pretrained(folder), model.config.image_tokens)
    tokenizer = character_tokenizer()
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


def _load_published(cfg: DictConfig, folder: Path | None) -> tuple[PreTrainedModel, Adapter]:
    """A published family by hub id or local folder; never remote code unless the user allows it."""
    from transformers import AutoConfig

    source = str(folder or cfg.local_folder or cfg.hub_id)
    try:
        if source == cfg.hub_id:
            _reach_hub(source, cfg.revision)
        AutoConfig.from_pretrained(
            source, revision=cfg.revision, trust_remote_code=bool(cfg.trust_remote_code)
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"the weights of model={cfg.name} cannot be reached ({str(error).splitlines()[0]})\n"
            f"  hub id        {cfg.hub_id}\n"
            f"  local folder  model.local_folder=/path/to/{Path(cfg.hub_id).name}  (as save_pretrained or the hub lays it out)\n"
            f"  no download   model=tiny  trains in minutes on a CPU"
        ) from None
    raise UserError(f"training model={cfg.name} is not supported yet; use model=tiny.")


def _reach_hub(hub_id: str, revision: str | None) -> None:
    """Fail at once where the hub cannot be reached and the model is not cached, instead of after minutes of retries."""
    if not isinstance(try_to_load_from_cache(hub_id, "config.json", revision=revision), str):
        urllib.request.urlopen(urllib.request.Request(HUB, method="HEAD"), timeout=10).close()


def logit_width(model: PreTrainedModel) -> int:
    """V of the logits that the model returns; it may exceed the tokenizer's size."""
    width: int = model.get_output_embeddings().weight.shape[0]
    return width
