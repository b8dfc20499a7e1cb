"""`<family>_tiny`: a family's own architecture, processor and prompts at toy width, with random weights.

A twin's weights play the part of the published ones: they depend on `twin.weights_seed` and the sizes alone, not on the
run's seed, so that adapters trained on them can be loaded again.
"""

from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ntil.errors import UserError
from ntil.models.family import Family
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_tokenizers import twin_tokenizer

WRONG_SIZES = (ValueError, TypeError, RuntimeError, ImportError, ArithmeticError, AttributeError, KeyError)


def build_twin(
    settings: ModelSettings, twin: TwinSettings, family: Family
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, Any]:
    """Model, tokenizer and processor (None for text models) of `family` at the sizes of `twin`."""
    tokenizer = twin_tokenizer(family.twin_tokenizer, twin.tokenizer_folder)
    try:
        processor = twin_processor(settings, twin, family, tokenizer)
        config = family.twin_config(twin, tokenizer, processor)
        config._attn_implementation = settings.attention
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(twin.weights_seed)
            model = family.model_class(config)
    except WRONG_SIZES as error:
        raise UserError(
            f"model={settings.name} cannot be built with these sizes: {type(error).__name__}: {error}"
        ) from error
    return model, tokenizer, processor


def twin_processor(
    settings: ModelSettings, twin: TwinSettings, family: Family, tokenizer: PreTrainedTokenizerFast
) -> Any:
    """The family's processor; None for text models."""
    return None if family.vision is None else family.vision.twin_processor(settings, twin, tokenizer)
