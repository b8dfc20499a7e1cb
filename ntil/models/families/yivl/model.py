"""Yi-VL in transformers' terms: LLaVA with layer norms in its projector.

    LLaVA    Linear · GELU · Linear
    Yi-VL    Linear · LayerNorm · GELU · Linear · LayerNorm     (published as `mm_projector.0, .1, .3, .4`)

Everything else is LLaVA's: a CLIP tower whose patches, without the class token, stand in the places of the image token.
The published vocabulary has no image token. The one that stands in the text here may have an id beyond the embedding's rows;
no row is made up for it, so that the logits are as wide as published and nothing can be answered that was not there.
"""

from typing import Any

from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, LlavaConfig, LlavaForConditionalGeneration


class YiVLConfig(LlavaConfig):
    """LLaVA's, under a name of its own."""

    model_type = "ntil_yivl"


class YiVLProjector(nn.Sequential):
    """Patches of the vision tower [B, P, vision width] → [B, P, hidden]; numbered as the published weights are."""

    def __init__(self, config: YiVLConfig) -> None:
        seen, hidden = config.vision_config.hidden_size, config.text_config.hidden_size
        super().__init__(
            nn.Linear(seen, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
        )


class YiVLForConditionalGeneration(LlavaForConditionalGeneration):
    """`LlavaForConditionalGeneration` with `YiVLProjector`."""

    config_class = YiVLConfig
    config: YiVLConfig

    def __init__(self, config: YiVLConfig) -> None:
        super().__init__(config)
        self.model.multi_modal_projector = YiVLProjector(config)
        image_id = config.image_token_id

        def within_rows(embedding: nn.Embedding, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            """Read row 0 where the picture's features will stand."""
            (ids,) = inputs
            return (ids.masked_fill(ids == image_id, 0),) if image_id >= embedding.num_embeddings else inputs

        self.model.language_model.embed_tokens.register_forward_pre_hook(within_rows)


AutoConfig.register(YiVLConfig.model_type, YiVLConfig)
AutoModelForImageTextToText.register(YiVLConfig, YiVLForConditionalGeneration)
