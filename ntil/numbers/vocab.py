"""Which tokens of a vocabulary are numbers, and what they are worth.

A *number token* is one whose text is ASCII digits only, of any length; a leading space, or a mark of where a word begins or
ends (`##7`, `7@@`, `7</w>`), is dropped but remembered, because it starts a new number. An *ordinal token* (PaliGemma's `<loc0000>` … `<loc1023>`) is a whole number by itself.
Byte-fallback tokens (`<0x37>`), digits of other scripts and mixed tokens (`7th`) are not numbers.
"""

import copy
import re
import warnings
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntil.errors import UserError
from ntil.numbers.ordinals import ORDINALS, check_ordinals, ordinal_pattern, ordinal_value
from ntil.numbers.reach import digits_in, glued_digits, seen_share
from ntil.numbers.spelling import DIGITS, spelled, spelling_of

MAX_WIDTH = 18  # digits that an int64 holds; longer tokens are not number tokens
_MARK = re.compile(r"( +|.*[^\w)\]}+\-](?=[+\-]))?([+\-]|[eE][+\-]?)")
MARKS = {"-": 1, "+": 2, "e": 3, "e+": 4, "e-": 5}  # what signs and exponents are written with; E is e
_MARK_SIGNS = {1: -1, 2: 1, 3: 1, 4: 1, 5: -1}  # which sign each of them gives the number behind it

# What was read, by tokenizer and options. It holds no tokenizer, which could never be freed then; the vocabulary that is
# handed out does, and is found again as long as somebody has it.
_read: weakref.WeakKeyDictionary[Any, dict[Any, "NumberVocab"]] = weakref.WeakKeyDictionary()
_handed_out: weakref.WeakKeyDictionary[Any, weakref.WeakValueDictionary[Any, "NumberVocab"]] = (
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
    opens: Tensor  # [V] True where the token begins a word: no number goes on with it that has a digit directly before it
    closes: Tensor  # [V] True where the token ends a word: its number has no digit directly behind it
    binds: Tensor  # [V] True where a sign directly behind the token is an operator: it ends in a word or a bracket


class NumberVocab:
    """The number tokens of a vocabulary. Build it with `from_tokenizer`, or from token texts with `from_texts`.

        vocab = NumberVocab.from_tokenizer(tokenizer, vocab_size=model.config.vocab_size)

    It never changes the tokenizer.

    Args:
        texts: (id, text without marks, a leading space kept) of each token.
        size: V, the width of the model's logits.
        ordinals: pattern of the tokens that are whole numbers, such as `<loc0000>`; None for none.
        opens, closes: ids of tokens that begin or end a word.

    Attributes:
        width, value: [V] digits in a token (0 where it is no number token), and its integer value.
        tables: all that is known of the entries, [V] each.
        groups: the tokens that compete with each other, by width.

    Raises:
        UserError: a number token lies outside the vocabulary, or the ordinals are none of this tokenizer's.
    """

    def __init__(
        self,
        texts: Iterable[tuple[int, str]],
        size: int,
        ordinals: str | None = ORDINALS,
        opens: Collection[int] = (),
        closes: Collection[int] = (),
    ) -> None:
        self.size = size
        self._tokenizer: Any = None
        self._shown = torch.zeros(size, dtype=torch.int64)  # digits that a number token's text shows
        self.tables = VocabTables(
            width=torch.zeros(size, dtype=torch.int64),
            value=torch.zeros(size, dtype=torch.int64),
            group=torch.full((size,), -1, dtype=torch.int64),
            starts=torch.zeros(size, dtype=torch.bool),
            ends=torch.zeros(size, dtype=torch.bool),
            is_point=torch.zeros(size, dtype=torch.bool),
            mark=torch.zeros(size, dtype=torch.int64),
            opens=torch.zeros(size, dtype=torch.bool),
            closes=torch.zeros(size, dtype=torch.bool),
            binds=torch.zeros(size, dtype=torch.bool),
        )
        numbers: dict[int, list[tuple[int, int]]] = defaultdict(list)  # width → (value, id)
        bins: list[tuple[int, int]] = []
        pattern = ordinal_pattern(ordinals) if ordinals else None
        for token_id, text in texts:
            if token_id >= size:
                if DIGITS.fullmatch(text) or text == "." or (pattern and pattern.fullmatch(text)):
                    raise UserError(
                        f"Token {token_id} ({text!r}) lies outside a vocabulary of {size} entries. Pass the width of "
                        "the model's logits as vocab_size."
                    )
                continue
            self.tables.binds[token_id] = text[-1:].isalnum() or text[-1:] in (")", "]", "}")
            if (digits := DIGITS.fullmatch(text)) and len(digits[2]) <= MAX_WIDTH:
                numbers[len(digits[2])].append((int(digits[2]), token_id))
                self.tables.starts[token_id] = bool(digits[1])
                self.tables.opens[token_id] = token_id in opens
                self.tables.closes[token_id] = token_id in closes
                self._shown[token_id] = len(digits[2])
            elif pattern and (ordinal := pattern.fullmatch(text)):
                bins.append((ordinal_value(ordinal, text), token_id))
                self._shown[token_id] = digits_in(text)
                self.tables.starts[token_id] = self.tables.ends[token_id] = True
            elif text == ".":
                self.tables.is_point[token_id] = True
            elif mark := _MARK.fullmatch(text):
                self.tables.mark[token_id] = MARKS[mark[2].lower()]
                self.tables.starts[token_id] = bool(mark[1])
        if pattern and not bins and ordinals != ORDINALS:
            raise UserError(
                f"The ordinals pattern {ordinals!r} fits no token of this vocabulary: it has to match a token's whole text. "
                "Pass ordinals=None where there are none."
            )
        groups = [self._group(i, width, 10, numbers[width]) for i, width in enumerate(sorted(numbers))]
        if bins:
            check_ordinals([value for value, _ in bins])
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

    def coverage(self, texts: str | Iterable[str], tokenizer: Any = None) -> float:
        """The share of the texts' digits that a number loss sees, which are those in number tokens; 1.0 where there are none.

        The others (`-1` or `2.` as one token of T5's, digits as bytes or unknown tokens) are left to cross-entropy.
        tokenizer: needed where this vocabulary was made by `from_texts`, or was copied.

        Raises UserError without a tokenizer that encodes.
        """
        return seen_share(self._tokenizer if tokenizer is None else tokenizer, texts, self._shown)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tokenizer": None}  # copies and files of a loss hold no tokenizer

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
        """From the tokens' texts in order of id, with a leading space or the marks of `ntil.numbers.spelling`; handy for
        tests and home-made vocabularies."""
        found = spelled(dict(enumerate(texts)))
        size = len(texts) if vocab_size is None else vocab_size
        return cls(sorted(found.texts.items()), size, opens=found.opens, closes=found.closes, **kwargs)

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, vocab_size: int | None = None, ordinals: str | None = ORDINALS
    ) -> "NumberVocab":
        """Read a tokenizer's vocabulary once (the result is cached with the tokenizer).

        tokenizer: a transformers tokenizer, a `tokenizers.Tokenizer`, or a tiktoken encoding.
        vocab_size: the width of the model's logits, where it exceeds the tokenizer's (Qwen2.5: 151,936 against
            151,665). None: the tokenizer's own size.
        ordinals: regular expression of ordinal tokens, with one group for the value; None for none.

        Raises UserError where there are no number tokens, where one lies beyond `vocab_size`, and where `ordinals` fits no
        token. Warns, once for a tokenizer, where it writes digits in one token with other characters.
        """
        entries = tokenizer.n_vocab if hasattr(tokenizer, "n_vocab") else _entries(tokenizer)
        key = (entries, vocab_size, ordinals)
        try:
            read = _read.setdefault(tokenizer, {})
            handed_out = _handed_out.setdefault(tokenizer, weakref.WeakValueDictionary())
        except TypeError:  # not weakly referable or not hashable: no caching
            read, handed_out = {}, weakref.WeakValueDictionary()
        if key not in read:
            found = spelling_of(tokenizer)
            size = max(found.texts, default=-1) + 1 if vocab_size is None else vocab_size
            made = cls(sorted(found.texts.items()), size, ordinals, found.opens, found.closes)
            if not read and (glued := glued_digits(tokenizer, found.texts, made._shown)):
                warnings.warn(glued, stacklevel=2)
            read[key] = made
        vocab = handed_out.get(key)
        if vocab is None:
            vocab = copy.copy(read[key])
            vocab._tokenizer = tokenizer
            handed_out[key] = vocab
        return vocab


def _entries(tokenizer: Any) -> int:
    """How many tokens there are, added ones included: it changes when the vocabulary does."""
    return len(tokenizer) if hasattr(tokenizer, "__len__") else len(tokenizer.get_vocab())
