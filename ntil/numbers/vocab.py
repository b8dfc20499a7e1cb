"""Which tokens of a vocabulary are numbers, and what they are worth.

A *number token* is one whose text is ASCII digits only, of any length; a leading space is dropped but remembered,
because it starts a new number. An *ordinal token* (PaliGemma's `<loc0000>` … `<loc1023>`) is a whole number by itself.
Byte-fallback tokens (`<0x37>`), digits of other scripts and mixed tokens (`7th`) are not numbers.
"""

import re
import weakref
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntil.errors import UserError

_DIGITS = re.compile(r"( *)([0-9]+)")
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SPACES = str.maketrans({"Ġ": " ", "▁": " "})  # byte-level and SentencePiece marks of a leading space
MAX_WIDTH = 18  # digits that an int64 holds; longer tokens are not number tokens
ORDINALS = r"<loc([0-9]+)>"  # PaliGemma's coordinate bins
_MARK = re.compile(r"( +|.*[^\w)\]}+\-](?=[+\-]))?([+\-]|[eE][+\-]?)")
MARKS = {"-": 1, "+": 2, "e": 3, "e+": 4, "e-": 5}  # what signs and exponents are written with; E is e
_MARK_SIGNS = {1: -1, 2: 1, 3: 1, 4: 1, 5: -1}  # which sign each of them gives the number behind it

_cache: "weakref.WeakKeyDictionary[Any, dict[tuple[int, int | None, str | None], NumberVocab]]" = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True, eq=False)
class TokenGroup:
    """Tokens that compete at one kind of position: all with `width` digits, or one ordinal set.

    token_ids [K] vocabulary ids in order of value; values [K] what they are worth; digits [K, width] their digits in
    base `base`, leading digit first.
    """

    width: int
    base: int
    token_ids: Tensor
    values: Tensor
    digits: Tensor
    is_plain: (
        bool  # one token for each digit, in order: the softmax over tokens is the distribution over digits
    )


class VocabTables(NamedTuple):
    """What each of the V vocabulary entries is; a loss keeps these as buffers on its device."""

    width: Tensor  # [V] digits in the token; 0 where it is not a number token
    value: Tensor  # [V] its integer value; 0 where it is not a number token
    group: Tensor  # [V] index into `NumberVocab.groups`; -1 where it is not a number token
    starts: Tensor  # [V] True where the token always begins a number: it carries a space, or is an ordinal
    ends: Tensor  # [V] True where the token always ends a number: an ordinal
    is_point: Tensor  # [V] True for tokens that are exactly "."
    mark: Tensor  # [V] a value of MARKS, 0 for other tokens; `starts`: with a space or bracket before it, as in ` -` and `(-`
    binds: Tensor  # [V] True where a sign directly behind the token is an operator: it ends in a word or a bracket


class NumberVocab:
    """The number tokens of a vocabulary of `size` entries: `width` [V], `value` [V], all `tables`, and the `groups` of
    tokens that compete with each other.

    Build it with `from_tokenizer`, or from token texts with `from_texts`. It never changes the tokenizer.
    """

    def __init__(self, texts: Iterable[tuple[int, str]], size: int, ordinals: str | None = ORDINALS) -> None:
        self.size = size
        self.tables = VocabTables(
            width=torch.zeros(size, dtype=torch.int64),
            value=torch.zeros(size, dtype=torch.int64),
            group=torch.full((size,), -1, dtype=torch.int64),
            starts=torch.zeros(size, dtype=torch.bool),
            ends=torch.zeros(size, dtype=torch.bool),
            is_point=torch.zeros(size, dtype=torch.bool),
            mark=torch.zeros(size, dtype=torch.int64),
            binds=torch.zeros(size, dtype=torch.bool),
        )
        numbers: dict[int, list[tuple[int, int]]] = defaultdict(list)  # width → (value, id)
        bins: list[tuple[int, int]] = []
        pattern = re.compile(ordinals) if ordinals else None
        for token_id, text in texts:
            if token_id >= size:
                if _DIGITS.fullmatch(text) or text == "." or (pattern and pattern.fullmatch(text)):
                    raise UserError(
                        f"Token {token_id} ({text!r}) lies outside a vocabulary of {size} entries. Pass the width of "
                        "the model's logits as vocab_size."
                    )
                continue
            self.tables.binds[token_id] = text[-1:].isalnum() or text[-1:] in (")", "]", "}")
            if (digits := _DIGITS.fullmatch(text)) and len(digits[2]) <= MAX_WIDTH:
                numbers[len(digits[2])].append((int(digits[2]), token_id))
                self.tables.starts[token_id] = bool(digits[1])
            elif pattern and (ordinal := pattern.fullmatch(text)):
                bins.append((int(ordinal[1]), token_id))
                self.tables.starts[token_id] = self.tables.ends[token_id] = True
            elif text == ".":
                self.tables.is_point[token_id] = True
            elif mark := _MARK.fullmatch(text):
                self.tables.mark[token_id] = MARKS[mark[2].lower()]
                self.tables.starts[token_id] = bool(mark[1])
        groups = [self._group(i, width, 10, numbers[width]) for i, width in enumerate(sorted(numbers))]
        if bins:
            self._check_bins(bins)
            groups.append(self._group(len(groups), 1, len(bins), bins))
        if not groups:
            raise UserError(
                "This vocabulary has no number tokens: no token's text is ASCII digits only. Number losses need at "
                "least the digits 0–9 as tokens of their own."
            )
        self.groups: tuple[TokenGroup, ...] = tuple(groups)
        self.mark_ids: Tensor = self.tables.mark.nonzero().flatten()  # [M] ids of the tokens in MARKS
        # [M] which sign they give to the number behind them, −1 or 1
        self.mark_signs: Tensor = torch.tensor([_MARK_SIGNS[int(m)] for m in self.tables.mark[self.mark_ids]])

    def _group(self, index: int, width: int, base: int, tokens: list[tuple[int, int]]) -> TokenGroup:
        values, token_ids = (torch.tensor(column) for column in zip(*sorted(tokens), strict=True))
        self.tables.width[token_ids] = width
        self.tables.value[token_ids] = values
        self.tables.group[token_ids] = index
        powers = torch.tensor([base**k for k in range(width - 1, -1, -1)])
        digits = values[:, None] // powers % base
        is_plain = width == 1 and values.tolist() == list(range(base))
        return TokenGroup(width, base, token_ids, values, digits, is_plain)

    @staticmethod
    def _check_bins(bins: Sequence[tuple[int, int]]) -> None:
        values = sorted(value for value, _ in bins)
        if values != list(range(len(values))):
            raise UserError(
                f"The ordinal tokens number {len(values)} but do not cover 0 … {len(values) - 1} once each; pass a "
                "narrower `ordinals` pattern, or ordinals=None to leave them out."
            )

    @property
    def width(self) -> Tensor:
        """[V] digits in the token; 0 where it is not a number token."""
        return self.tables.width

    @property
    def value(self) -> Tensor:
        """[V] the token's integer value; 0 where it is not a number token."""
        return self.tables.value

    @property
    def max_width(self) -> int:
        """Digits in the widest number token."""
        return max(group.width for group in self.groups)

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{len(g.token_ids)} × {g.width} digit{'s' * (g.width > 1)}"
            if g.base == 10
            else f"{g.base} ordinals"
            for g in self.groups
        )
        return f"NumberVocab({self.size} entries: {kinds})"

    @classmethod
    def from_texts(cls, texts: Sequence[str], vocab_size: int | None = None, **kwargs: Any) -> "NumberVocab":
        """From the tokens' texts in order of id; handy for tests and home-made vocabularies."""
        return cls(enumerate(texts), len(texts) if vocab_size is None else vocab_size, **kwargs)

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, vocab_size: int | None = None, ordinals: str | None = ORDINALS
    ) -> "NumberVocab":
        """Read a tokenizer's vocabulary once (the result is cached with the tokenizer).

        tokenizer: a transformers tokenizer, a `tokenizers.Tokenizer`, or a tiktoken encoding.
        vocab_size: the width of the model's logits, where it exceeds the tokenizer's (Qwen2.5: 151,936 against
            151,665). None: the tokenizer's own size.
        ordinals: regular expression of ordinal tokens with one group for the value; None for none.

        Raises UserError where there are no number tokens, or where one lies beyond `vocab_size`.
        """
        entries = tokenizer.n_vocab if hasattr(tokenizer, "n_vocab") else _entries(tokenizer)
        key = (entries, vocab_size, ordinals)
        try:
            known = _cache.setdefault(tokenizer, {})
        except TypeError:  # not weakly referable or not hashable: no caching
            known = {}
        if key not in known:
            texts = _token_texts(tokenizer)
            size = max(texts, default=-1) + 1 if vocab_size is None else vocab_size
            known[key] = cls(sorted(texts.items()), size, ordinals)
        return known[key]


def _entries(tokenizer: Any) -> int:
    """How many tokens there are, added ones included: it changes when the vocabulary does."""
    return len(tokenizer) if hasattr(tokenizer, "__len__") else len(tokenizer.get_vocab())


def _token_texts(tokenizer: Any) -> dict[int, str]:
    """Token id → its text, a leading space kept; '' for tokens that cannot be a number or a point."""
    if hasattr(tokenizer, "decode_single_token_bytes"):  # tiktoken
        special = set(getattr(tokenizer, "_special_tokens", {}).values())
        return {i: "" if i in special else _tiktoken_text(tokenizer, i) for i in range(tokenizer.n_vocab)}
    if not hasattr(tokenizer, "get_vocab"):
        raise UserError(
            f"Cannot read the vocabulary of a {type(tokenizer).__name__}: expected a transformers or tokenizers "
            "tokenizer, or a tiktoken encoding."
        )
    return {
        token_id: _plain_text(tokenizer, token, token_id) for token, token_id in tokenizer.get_vocab().items()
    }


def _tiktoken_text(encoding: Any, token_id: int) -> str:
    try:
        return str(encoding.decode_single_token_bytes(token_id).decode("ascii"))
    except (KeyError, UnicodeDecodeError):  # a hole in the vocabulary, or not ASCII: not a number
        return ""


def _plain_text(tokenizer: Any, token: str | bytes, token_id: int) -> str:
    text = token.decode("latin-1") if isinstance(token, bytes) else token
    if _BYTE.fullmatch(text):
        return ""
    text = text.translate(_SPACES)
    if not _DIGITS.fullmatch(text):
        return text
    # What the vocabulary's spelling suggests, decoding must confirm; it may drop the leading space.
    return text if tokenizer.decode([token_id]).strip() == text.strip() else ""
