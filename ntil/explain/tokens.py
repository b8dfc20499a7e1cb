"""From texts to the tokens that a model would write, and to the logits of a model that is sure of them."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ntil.errors import UserError
from ntil.numbers import NumberVocab, Spans, number_spans, parse_number
from ntil.numbers.spans import NumberFormat

CHARACTERS = "0123456789.-+,: e%()/"
_NEGATIVE = re.compile(r"\s*[-−]\s*[0-9]")


@dataclass(frozen=True)
class Answer:
    """A text as tokens, and its value where it is a number (`1,234.5`) or holds one (`5 %`)."""

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]  # the tokens' texts
    value: Fraction | None

    @property
    def as_tokens(self) -> str:
        return "·".join(self.pieces)


class Tokens:
    """A vocabulary with its encoder: text → ids, and its decoder: id → text."""

    def __init__(
        self, vocab: NumberVocab, encode: Callable[[str], Sequence[int]], decode: Callable[[int], str]
    ) -> None:
        self.vocab, self._encode, self._decode = vocab, encode, decode

    @classmethod
    def characters(cls) -> "Tokens":
        """Every character is a token, as in Qwen2.5, Gemma and Llama-2 where digits are concerned."""

        def encode(text: str) -> list[int]:
            if strange := [c for c in text if c not in CHARACTERS]:
                raise UserError(
                    f"{text!r} holds {strange[0]!r}. Without --tokenizer a text is made of digits and {CHARACTERS[10:]!r}."
                )
            return [CHARACTERS.index(c) for c in text]

        return cls(NumberVocab.from_texts([*CHARACTERS]), encode, lambda i: CHARACTERS[i])

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """From a tokenizer.json of the `tokenizers` library, or a folder that holds one."""
        from tokenizers import Tokenizer

        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            raise UserError(
                f"{file} does not exist. --tokenizer takes a tokenizer.json or a folder with one."
            )
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exceptions
            raise UserError(
                f"{file} is no tokenizer.json that the tokenizers library can read: {error}."
            ) from None
        return cls(
            NumberVocab.from_tokenizer(tokenizer),
            lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
            lambda i: tokenizer.decode([i], skip_special_tokens=False),
        )

    def answer(self, text: str) -> Answer:
        ids = tuple(self._encode(text))
        return Answer(text, ids, tuple(self._decode(i) for i in ids), self._value(text, ids))

    def spans(self, ids: Sequence[int], number_format: NumberFormat) -> Spans:
        return number_spans(torch.tensor([ids], dtype=torch.int64), self.vocab.tables, number_format)

    def numbers(self, ids: Sequence[int], number_format: NumberFormat) -> list[Fraction]:
        """The unsigned numbers that a loss with this format reads."""
        spans = self.spans(ids, number_format)
        base = {i: group.base for i, group in enumerate(self.vocab.groups)}
        found: dict[int, Fraction] = {}
        for t in spans.is_number[0].nonzero().flatten().tolist():
            radix = base[int(spans.group[0, t])]
            worth = int(spans.value[0, t]) * Fraction(radix) ** int(spans.place[0, t])
            number = int(spans.number[0, t])
            found[number] = found.get(number, Fraction(0)) + worth
        return list(found.values())

    def _value(self, text: str, ids: Sequence[int]) -> Fraction | None:
        if (value := parse_number(text)) is not None:
            return value
        numbers = self.numbers(ids, "decimal")
        if len(numbers) != 1:
            return None
        return -numbers[0] if _NEGATIVE.match(text) else numbers[0]


class Alphabet:
    """The tokens of a vocabulary that matter here: its number tokens and those of the texts. One more entry stands for
    all others, whose logits are equal, so every softmax is that of the whole vocabulary at a fraction of the cost.
    """

    def __init__(self, full: NumberVocab, texts: Iterable[Sequence[int]], sure: float) -> None:
        if not 1 / full.size < sure < 1:
            raise UserError(
                f"--sure {sure:g} is out of range: it is the probability of each written token, more than 1/{full.size} "
                f"(all {full.size} tokens alike) and less than 1."
            )
        numbers = torch.cat([group.token_ids for group in full.groups]).tolist()
        kept = sorted({*numbers, *itertools.chain.from_iterable(texts)})
        others = full.size - len(kept)
        names = [_name(full, i) for i in kept] + [""] * (others > 0)
        opens, closes = (
            {k for k, i in enumerate(kept) if table[i]} for table in (full.tables.opens, full.tables.closes)
        )
        self.vocab = NumberVocab(enumerate(names), len(names), opens=opens, closes=closes)
        self._index = {token: i for i, token in enumerate(kept)}
        self._idle = torch.zeros(len(names), dtype=torch.float64)
        if others:
            self._idle[-1] = math.log(others)
        self._written = math.log(sure / (1 - sure) * (full.size - 1))

    @property
    def size(self) -> int:
        return len(self._idle)

    def ids(self, ids: Sequence[int]) -> list[int]:
        return [self._index[i] for i in ids]

    def logits(self, written: Tensor) -> Tensor:
        """Ids [P, T] → logits [P, T, K]: `sure` at the written token, the rest shared evenly by all other tokens."""
        idle = self._idle.expand(*written.shape, -1)
        return idle.scatter(-1, written.unsqueeze(-1), self._written)


def _name(vocab: NumberVocab, token: int) -> str:
    """A text that NumberVocab reads as this token; '' for what is no number."""
    width, value = int(vocab.width[token]), int(vocab.value[token])
    if not width:
        return "." if vocab.tables.is_point[token] else ""
    if vocab.groups[int(vocab.tables.group[token])].base != 10:
        return f"<loc{value}>"
    return f"{' ' if vocab.tables.starts[token] else ''}{value:0{width}d}"


def check_same_shape(target: Answer, answer: Answer, vocab: NumberVocab) -> None:
    """UserError where token-by-token losses cannot compare the two, with what to write instead."""
    if len(target.ids) != len(answer.ids):
        raise UserError(
            f"{answer.text!r} is {_count(answer)} and the target {target.text!r} is {_count(target)}. In training the "
            f"target is given token by token, so losses compare texts of as many tokens. {_advice(target, answer)}"
        )
    tables = vocab.tables
    for t, (right, written) in enumerate(zip(target.ids, answer.ids, strict=True)):
        if tables.group[right] != tables.group[written]:
            raise UserError(
                f"token {t + 1} is {target.pieces[t]!r} in the target {target.text!r} ({target.as_tokens}) and "
                f"{answer.pieces[t]!r} in {answer.text!r} ({answer.as_tokens}). A number loss compares a token with those "
                f"of the same kind: as many digits, or none. {_advice(target, answer)}"
            )


def _count(answer: Answer) -> str:
    return f"{len(answer.ids)} token{'s' * (len(answer.ids) != 1)} ({answer.as_tokens or 'nothing'})"


def _advice(target: Answer, answer: Answer) -> str:
    if target.text.lstrip("+-−") == answer.text or target.text == answer.text.lstrip("+-−"):
        unsigned = target.text.lstrip("+-−")
        return f"The sign is a token of its own and stays with cross-entropy: compare '-{unsigned}' with '+{unsigned}'."
    if target.text.isdecimal() and answer.text.isdecimal() and len(answer.text) < len(target.text):
        return f"Pad with zeros: {answer.text.zfill(len(target.text))!r}."
    return "Write as many digits, with the point in the same place."
