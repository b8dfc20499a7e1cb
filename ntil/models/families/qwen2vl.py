"""Qwen2-VL: pictures of any size, four patches a visual token; positions in time, height and width."""

from typing import Any

from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from ntil.models.family import Family, Published, TowerShape, Vision
from ntil.models.settings import ModelSettings, TwinSettings
from ntil.models.twin_sizes import PATCH, grouped_sizes
from ntil.models.twin_tokenizers import CHATML, TwinTokenizer

QWEN_TOKENIZER = TwinTokenizer(
    kind="digits",
    special=[
        *CHATML,
        *(
            f"<|{what}_{end}|>"
            for what in ("object_ref", "box", "quad", "vision")
            for end in ("start", "end")
        ),
        *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    ],
    roles={"eos": "<|im_end|>", "pad": "<|endoftext|>"},
)
BOX_MARKS = r"<\|box_(start|end)\|>"
PATCHES = 2560  # of a picture that takes 640 visual tokens, which conf/model/qwen2vl.yaml allows at most


def twin_config(sizes: TwinSettings, tokenizer: PreTrainedTokenizerFast, _: Any) -> Qwen2VLConfig:
    half = sizes.hidden_size // sizes.heads // 2
    known = tokenizer.get_vocab()
    return Qwen2VLConfig(
        text_config={
            **grouped_sizes(sizes, tokenizer),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8],
            },
        },
        vision_config={
            "depth": sizes.layers,
            "embed_dim": sizes.hidden_size,
            "hidden_size": sizes.hidden_size,
            "num_heads": sizes.heads,
            "patch_size": PATCH,
        },
        image_token_id=known["<|image_pad|>"],
        video_token_id=known["<|video_pad|>"],
        vision_start_token_id=known["<|vision_start|>"],
        vision_end_token_id=known["<|vision_end|>"],
    )


def twin_processor(settings: ModelSettings, _: TwinSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    images = Qwen2VLImageProcessor(min_pixels=settings.min_pixels, max_pixels=settings.max_pixels)
    return Qwen2VLProcessor(images, tokenizer, Qwen2VLVideoProcessor())


def tower_shape(config: Any) -> TowerShape:
    return TowerShape(config.depth, config.embed_dim, config.embed_dim * config.mlp_ratio, PATCHES)


# As config.json of the hub's repository has them.
PUBLISHED = {
    "Qwen/Qwen2-VL-2B-Instruct": Published(
        {
            "text_config": {
                "vocab_size": 151936,
                "hidden_size": 1536,
                "intermediate_size": 8960,
                "num_hidden_layers": 28,
                "num_attention_heads": 12,
                "num_key_value_heads": 2,
                "max_position_embeddings": 32768,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1000000.0,
                    "mrope_section": [16, 24, 24],
                },
            },
            "vision_config": {
                "depth": 32,
                "embed_dim": 1280,
                "hidden_size": 1536,
                "num_heads": 16,
                "mlp_ratio": 4,
                "patch_size": 14,
            },
            "image_token_id": 151655,
            "video_token_id": 151656,
            "vision_start_token_id": 151652,
            "vision_end_token_id": 151653,
            "tie_word_embeddings": True,
        },
        parameters=2.209,
    ),
    "Qwen/Qwen2-VL-7B-Instruct": Published(
        {
            "text_config": {
                "vocab_size": 152064,
                "hidden_size": 3584,
                "intermediate_size": 18944,
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
                "max_position_embeddings": 32768,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1000000.0,
                    "mrope_section": [16, 24, 24],
                },
            },
            "vision_config": {
                "depth": 32,
                "embed_dim": 1280,
                "hidden_size": 3584,
                "num_heads": 16,
                "mlp_ratio": 4,
                "patch_size": 14,
            },
            "image_token_id": 151655,
            "video_token_id": 151656,
            "vision_start_token_id": 151652,
            "vision_end_token_id": 151653,
            "tie_word_embeddings": False,
        },
        parameters=8.291,
    ),
}


FAMILY = Family(
    model_class=Qwen2VLForConditionalGeneration,
    twin_tokenizer=QWEN_TOKENIZER,
    twin_config=twin_config,
    vision=Vision(
        tower="visual",
        linears=("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
        twin_processor=twin_processor,
        shape=tower_shape,
    ),
    answer_marks=BOX_MARKS,
    published=PUBLISHED,
)
