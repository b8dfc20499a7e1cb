"""Yi-VL in transformers' terms: LLaVA with layer norms in its projector.

    LLaVA    Linear · GELU · Linear
    Yi-VL    Linear · LayerNorm · GELU · Linear · LayerNorm     (published as `mm_projector.0, .1, .3, .4`)

Everything else is LLaVA's: a CLIP tower whose patches, without the class token, stand in the places of the image token.
"""

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


AutoConfig.register(YiVLConfig.model_type, YiVLConfig)
AutoModelForImageTextToText.register(YiVLConfig, YiVLForConditionalGeneration)
