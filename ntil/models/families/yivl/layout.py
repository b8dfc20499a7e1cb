"""Yi-VL from the original LLaVA's layout to `YiVLForConditionalGeneration`.

    model.layers…, model.embed_tokens, model.norm, lm_head     → the language model
    model.mm_projector.{0,1,3,4}                               → model.multi_modal_projector.{0,1,3,4}
    <mm_vision_tower>/  a CLIPVisionModel of its own           → model.vision_tower

The tower's folder decides, as in the published code, which loads it from there; a copy of the tower that the main files may
hold (`model.vision_tower.…`) is left out.
The published code cuts the prompt at `<image_placeholder>` and needs no token for it. Here it is one: where the tokenizer
lacks it, it gets the first free id. That may lie beyond the embedding's rows, which stay as published (see model.py).

Assumed, since no published files were at hand: the keys of config.json are those that the published code reads.
"""

import re
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from transformers import CLIPImageProcessor, CLIPVisionConfig, LlavaProcessor

from ntil.errors import UserError
from ntil.io import inside
from ntil.models.convert.plan import Conversion, Source, llama_config, renamed, shapes_of
from ntil.models.convert.recognise import read_config
from ntil.models.convert.tokenizer import check_vocabulary, published_tokenizer
from ntil.models.families.yivl.model import YiVLConfig, YiVLForConditionalGeneration

IMAGE_TOKEN = "<image_placeholder>"
PROJECTOR = "mlp2x_gelu_Norm"
FEATURE, STRATEGY = "patch", "default"  # all but the class token: the published name, and transformers'
ROTARY_BASE = 10_000.0  # where config.json has none
CLIP = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels"),
    *("image_size", "patch_size", "hidden_act", "layer_norm_eps", "projection_dim"),
)
LEFT_OUT = re.compile(r"\.rotary_emb\.inv_freq$|^model\.vision_tower\.")
LEFT_OUT_OF_TOWER = re.compile(
    r"\.position_ids$|^text_model\.|^(text|visual)_projection\.|^logit_scale$"  # the rest of a whole CLIP
)
TOWER, PROJECTED, LANGUAGE = "model.vision_tower.", "model.multi_modal_projector.", "model.language_model."


def plan(source: Path, published: dict[str, Any]) -> Conversion:
    """The conversion of the folder `source`, whose config.json is `published`."""
    tower = _tower_folder(source, published)
    vision = _vision_config(tower)
    text = llama_config(published, source / "config.json", published.get("rope_theta", ROTARY_BASE))
    processor = _processor(source, tower, vision, text.vocab_size)
    config = YiVLConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        image_token_index=processor.image_token_id,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=_layer(published, vision, source),
        vision_feature_select_strategy=STRATEGY,
        architectures=[YiVLForConditionalGeneration.__name__],
        dtype=text.dtype,
    )
    main, towers = {}, {}
    for name, shape in shapes_of(YiVLForConditionalGeneration, config).items():
        if name.startswith(TOWER):
            towers[name.replace(TOWER, "vision_model.", 1)] = renamed(name, shape)
        else:
            old = name.replace(PROJECTED, "model.mm_projector.", 1).replace(LANGUAGE, "model.", 1)
            main[old] = renamed(name, shape)
    sources = [Source(source, main, LEFT_OUT), Source(tower, towers, LEFT_OUT_OF_TOWER)]
    return Conversion(config, processor, sources)


def _tower_folder(source: Path, published: dict[str, Any]) -> Path:
    if (projector := published.get("mm_projector_type")) != PROJECTOR:
        raise UserError(f"{source} has mm_projector_type {projector!r}; Yi-VL's is {PROJECTOR!r}.")
    if (feature := published.get("mm_vision_select_feature", FEATURE)) != FEATURE:
        raise UserError(f"{source} has mm_vision_select_feature {feature!r}; Yi-VL's is {FEATURE!r}.")
    name = published["mm_vision_tower"]
    if not isinstance(name, str):
        raise UserError(f"{source / 'config.json'}: mm_vision_tower must be a folder's name, not {name!r}.")
    tower = inside(source, name)
    if not (tower / "config.json").is_file():
        raise UserError(
            f"{source} lacks its vision tower: there is no {name}/config.json inside it (mm_vision_tower). "
            "Yi-VL's tower was trained further, so the public CLIP cannot stand in."
        )
    return tower


def _vision_config(tower: Path) -> CLIPVisionConfig:
    """From the tower's config.json, which may be that of a whole CLIP."""
    found = read_config(tower / "config.json")
    found = found.get("vision_config", found)
    return CLIPVisionConfig(**{key: found[key] for key in CLIP if key in found})


def _layer(published: dict[str, Any], vision: CLIPVisionConfig, source: Path) -> int:
    """Which hidden state of the tower is projected: 0 is what enters the first layer, −1 what leaves the last."""
    layer = published.get("mm_vision_select_layer")
    if not isinstance(layer, int) or not -vision.num_hidden_layers - 1 <= layer <= vision.num_hidden_layers:
        raise UserError(
            f"{source} has mm_vision_select_layer {layer!r}, and its tower {vision.num_hidden_layers} layers."
        )
    return layer or -vision.num_hidden_layers - 1  # the same; transformers reads 0 as none


def _processor(source: Path, tower: Path, vision: CLIPVisionConfig, vocab_size: int) -> LlavaProcessor:
    """The published image processor and tokenizer, the image token among its entries."""
    tokenizer = published_tokenizer(source)
    check_vocabulary(tokenizer, vocab_size, source, besides=IMAGE_TOKEN)
    tokenizer.add_tokens([AddedToken(IMAGE_TOKEN, special=True, normalized=False)], special_tokens=True)
    settings = read_config(tower / "preprocessor_config.json")
    images = CLIPImageProcessor(
        **{key: value for key, value in settings.items() if not key.endswith("_type")}
    )
    side = dict(images.crop_size)
    if side != {"height": vision.image_size, "width": vision.image_size}:
        raise UserError(
            f"{tower}: preprocessor_config.json cuts pictures to {side['width']}×{side['height']} pixels, and "
            f"config.json's image_size is {vision.image_size}."
        )
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=STRATEGY,
        num_additional_image_tokens=1,  # the class token
        image_token=IMAGE_TOKEN,
    )
