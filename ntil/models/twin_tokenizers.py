"""Tokenizers of a few hundred tokens that treat digits as the published ones do, for twins.

    digits      byte-level, a digit a token                                                Qwen, SmolLM2
    triples     byte-level, 1 to 3 digits a token from the left: 2024 is 202 4, 007 one    Llama 3
    prefixed    SentencePiece-like: `▁` before a text's first word or number, then a
                digit a token                                                              LLaMA 2, Baichuan
    plain       the same without that `▁`                                                  Yi, Gemma

Words are spelled character by character. Special tokens have their families' names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ntil.errors import UserError, did_you_mean

KINDS = ("digits", "triples", "prefixed", "plain")  # the lines above, in this order
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # ids 0, 1, 2 of several families


@dataclass(frozen=True, kw_only=True)
class TwinTokenizer:
    """What a small tokenizer needs to be a family's.

    Args:
        kind: how it splits text: "digits", "triples", "prefixed" or "plain".
        special: the family's special tokens, in the order of their ids. SentencePiece's begin with them.
        roles: which of them begin, end, pad and stand for what cannot be spelled: "bos", "eos", "pad", "unk". "eos" there must be.
        named: attributes of the tokenizer that hold a token, such as {"image_token": "<image>"}.
    """

    kind: str
    special: Sequence[str]
    roles: Mapping[str, str]
    named: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(
                f"a twin's tokenizer is of the kind {', '.join(KINDS)}, not {self.kind!r}.{did_you_mean(self.kind, KINDS)}"
            )
        if "eos" not in self.roles:
            raise UserError("a twin's tokenizer needs roles={'eos': …}: the token that ends a text.")
        needed = [*self.roles.values(), *self.named.values()]
        needed += ["<unk>"] if self.kind in ("prefixed", "plain") else []
        if lost := [token for token in needed if token not in self.special]:
            raise UserError(
                f"a twin's tokenizer has no special token {', '.join(lost)}: name it in `special`."
            )


def twin_tokenizer(spec: TwinTokenizer, folder: str | None) -> PreTrainedTokenizerFast:
    """The tokenizer of `folder` (its tokenizer.json), else a small one with the family's digits and special tokens."""
    if folder is not None:
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"model.twin.tokenizer_folder={folder} holds no tokenizer.json.")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the only type that `tokenizers` raises
            raise UserError(f"{path} is not a tokenizer: {error}.") from None
    elif spec.kind in ("digits", "triples"):
        tokenizer = _byte_level(spec.kind)
    else:
        tokenizer = _sentence_piece(spec.kind, spec.special)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in spec.special]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{role}_token": token for role, token in spec.roles.items()},
        extra_special_tokens=dict(spec.named),
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


def _sentence_piece(kind: str, special: Sequence[str]) -> Tokenizer:
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
