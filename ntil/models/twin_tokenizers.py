"""Tokenizers of a few hundred tokens that treat digits as the published ones do, for twins.

    Qwen, SmolLM2      byte-level, a digit a token
    Llama-3            byte-level, 1 to 3 digits a token from the left: 2024 is 202 4, 007 one token
    LLaMA-2, Baichuan  SentencePiece-like: `▁` before the first word or number of a text, then a digit a token
    Yi, Gemma          the same without that `▁`

Words are spelled character by character. Special tokens have their families' names.
"""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ntil.errors import UserError

CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN_MARKS = [
    *(f"<|{what}_{end}|>" for what in ("object_ref", "box", "quad", "vision") for end in ("start", "end")),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
]
LLAMA3_MARKS = [
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
]

# For each family: how it splits digits, its special tokens in order of id, and which of them begin, end and pad.
_QWEN = ("digits", [*CHATML, *QWEN_MARKS], {"eos": "<|im_end|>", "pad": "<|endoftext|>"})
_LLAMA2 = ["<unk>", "<s>", "</s>"]
_YI = ["<unk>", "<|startoftext|>", "<|endoftext|>"]
_YI_ROLES = {"unk": "<unk>", "bos": "<|startoftext|>", "eos": "<|endoftext|>", "pad": "<unk>"}
FAMILIES: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "qwen2vl": _QWEN,
    "qwen2_5": _QWEN,
    "smollm2": ("digits", CHATML, {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|im_end|>"}),
    "llama3": (
        "triples",
        LLAMA3_MARKS,
        {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "pad": "<|end_of_text|>"},
    ),
    "llava15": (
        "prefixed",
        [*_LLAMA2, "<image>", "<pad>"],
        {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"},
    ),
    "baichuan2": ("prefixed", _LLAMA2, {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<unk>"}),
    "minicpm3": (
        "prefixed",
        [*_LLAMA2, "<|im_start|>", "<|im_end|>"],
        {"unk": "<unk>", "bos": "<s>", "eos": "<|im_end|>", "pad": "<unk>"},
    ),
    "yi": ("plain", _YI, _YI_ROLES),
    "yivl": ("plain", [*_YI, "<image_placeholder>"], _YI_ROLES),
    "paligemma": (
        "plain",
        ["<pad>", "<eos>", "<bos>", "<unk>"],
        {"unk": "<unk>", "bos": "<bos>", "eos": "<eos>", "pad": "<pad>"},
    ),
}


def twin_tokenizer(family: str, folder: str | None) -> PreTrainedTokenizerFast:
    """The tokenizer of `folder` (its tokenizer.json), else a small one with the family's digits and special tokens."""
    kind, special, roles = FAMILIES[family]
    if folder is not None:
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"model.twin.tokenizer_folder={folder} holds no tokenizer.json.")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the only type that `tokenizers` raises
            raise UserError(f"{path} is not a tokenizer: {error}.") from None
    else:
        tokenizer = _byte_level(kind) if kind in ("digits", "triples") else _sentence_piece(kind, special)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    image = {"image_token": "<image>"} if "<image>" in special else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{role}_token": token for role, token in roles.items()},
        extra_special_tokens=image,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _byte_level(kind: str) -> Tokenizer:
    """Every byte a token; with "triples" also all numbers of two and three digits."""
    entries = sorted(pre_tokenizers.ByteLevel.alphabet())
    splits: list[Any] = [pre_tokenizers.Digits(individual_digits=True)]
    if kind == "triples":
        entries += [f"{number:0{width}d}" for width in (2, 3) for number in range(10**width)]
        splits = [pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated")]
    # As Llama-3's: a piece that is an entry is taken whole, before any merging.
    tokenizer = Tokenizer(models.BPE({entry: i for i, entry in enumerate(entries)}, [], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentence_piece(kind: str, special: list[str]) -> Tokenizer:
    """Every printable ASCII character a token, other characters by their bytes; spaces are `▁`."""
    entries = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    tokenizer = Tokenizer(
        models.BPE({entry: i for i, entry in enumerate(entries)}, [], unk_token="<unk>", byte_fallback=True)
    )
    spaces: list[Any] = [normalizers.Replace(" ", "▁")]
    ends: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "prefixed":
        spaces.insert(0, normalizers.Prepend("▁"))
        ends.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(spaces)
    tokenizer.decoder = decoders.Sequence(ends)
    return tokenizer
