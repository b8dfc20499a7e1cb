"""`tiny`: a vision-language model of under a million parameters that trains in minutes on one core.

Strided convolutions turn a square image into a 4×4 grid of visual tokens; a small causal decoder (Llama by default, any
transformers decoder by `text_config.model_type`) reads them in the places of the `<image>` tokens, as LLaVA does.
It is a regular `PreTrainedModel`: `save_pretrained`, `from_pretrained` and `generate` work as for its large relatives.

    config = TinyConfig(image_size=64, vocab_size=len(tokenizer))
    model = TinyForConditionalGeneration(config)
"""

import itertools
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

GRID = 4  # visual tokens along each side, after four halvings and pooling


class TinyConfig(PretrainedConfig):
    """Sizes of `tiny`. `image_size` in pixels; `channels` one entry a block, each block halves the image."""

    model_type = "ntil_tiny"
    sub_configs = {"text_config": AutoConfig}  # noqa: RUF012 - transformers' own convention

    text_config: Any

    def __init__(
        self,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        image_size: int = 64,
        channels: list[int] | None = None,
        image_token_id: int = 3,
        vocab_size: int = 100,
        decoder: str = "llama",
        pad_token_id: int = 0,
        bos_token_id: int = 1,
        eos_token_id: int = 2,
        tie_word_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        self.image_size = image_size
        self.channels = channels or [16, 32, 64, 128]
        self.image_token_id = image_token_id
        specials = {"pad_token_id": pad_token_id, "bos_token_id": bos_token_id, "eos_token_id": eos_token_id}
        if not isinstance(text_config, PretrainedConfig):
            sizes = {
                "vocab_size": vocab_size,
                "hidden_size": 128,
                "intermediate_size": 384,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 4,
                "head_dim": 32,
                "max_position_embeddings": 2048,
                "tie_word_embeddings": tie_word_embeddings,
                **specials,
                **(text_config or {}),
            }
            text_config = CONFIG_MAPPING[sizes.pop("model_type", decoder)](**sizes)
        self.text_config = text_config
        super().__init__(tie_word_embeddings=tie_word_embeddings, **specials, **kwargs)

    @property
    def image_tokens(self) -> int:
        """Visual tokens an image takes in the sequence."""
        return GRID * GRID


class _BatchNorm(nn.BatchNorm2d):
    """Over the batch of all processes that train together, as torch.nn.SyncBatchNorm does on GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, C, H, W], as many of them in each process."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        mean = _over_processes(x.mean((0, 2, 3)))
        centred = x - mean[:, None, None]
        variance = _over_processes(centred.square().mean((0, 2, 3)))
        with torch.no_grad():
            count = x.numel() // x.shape[1] * dist.get_world_size()
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None, None] + self.bias[:, None, None]


class _Sum(torch.autograd.Function):
    """Over processes; so is its gradient, since each process's loss depends on the sum."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _over_processes(value: Tensor) -> Tensor:
    """The mean of the processes' values, with a gradient to each."""
    total: Tensor = _Sum.apply(value)
    return total / dist.get_world_size()


class _Block(nn.Sequential):
    """[conv3×3 stride 2, BatchNorm, ReLU, conv3×3, BatchNorm, ReLU]: half the side, `outputs` channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            _BatchNorm(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            _BatchNorm(outputs),
            nn.ReLU(inplace=True),
        )


class TinyVisionTower(nn.Module):
    """Pictures uint8 [B, 3, S, S] → [B, 16, hidden]."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        sides = [3, *config.channels]
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in itertools.pairwise(sides)))
        self.pool: nn.Module = nn.Identity()
        if config.image_size != GRID * 2 ** len(config.channels):
            self.pool = nn.AdaptiveAvgPool2d(GRID)
        hidden = config.text_config.hidden_size
        self.project = nn.Linear(config.channels[-1], hidden)
        self.norm = nn.LayerNorm(hidden)
        self.position = nn.Parameter(torch.zeros(GRID * GRID, hidden))

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = pixel_values.to(self.position.dtype) / 64.0 - 2.0  # −2 … 2: about unit variance for pictures
        x = self.pool(self.blocks(x.contiguous(memory_format=torch.channels_last)))
        return self.norm(self.project(x.flatten(2).transpose(1, 2))) + self.position


class TinyPreTrainedModel(PreTrainedModel):
    config_class = TinyConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = False
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules = ["_Block", "LlamaDecoderLayer"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, TinyVisionTower):
            nn.init.normal_(module.position, std=0.02)


class TinyModel(TinyPreTrainedModel):
    """Vision tower and decoder without the vocabulary projection."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.vision_tower = TinyVisionTower(config)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            visual = self.vision_tower(pixel_values)
            place = (input_ids == self.config.image_token_id).unsqueeze(-1).expand_as(embeds)
            embeds = embeds.masked_scatter(place, visual.to(embeds.dtype))
        return self.language_model(inputs_embeds=embeds, attention_mask=attention_mask, **kwargs)


class TinyForConditionalGeneration(TinyPreTrainedModel, GenerationMixin):
    """`forward(input_ids [B, T], pixel_values uint8 [B, 3, S, S], attention_mask, logits_to_keep)` → logits [B, K, V]."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.model = TinyModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        outputs = self.model(input_ids, pixel_values, attention_mask, **kwargs)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        hidden = outputs.last_hidden_state[:, keep]
        return CausalLMOutputWithPast(logits=self.lm_head(hidden), past_key_values=outputs.past_key_values)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        inputs = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs["pixel_values"] = pixel_values  # the image is read once, then lives in the cache
        result: dict[str, Any] = inputs
        return result


AutoConfig.register(TinyConfig.model_type, TinyConfig)
AutoModel.register(TinyConfig, TinyModel)
AutoModelForImageTextToText.register(TinyConfig, TinyForConditionalGeneration)
