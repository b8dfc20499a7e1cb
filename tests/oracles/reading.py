"""The numbers of a row of labels, read off the token texts with regular expressions.

Each token becomes one letter (d: digits, s: digits behind a space, o: ordinal, '.': point, x: anything else, or masked), so
that the rules of ntil/numbers/spans.py are patterns over letters:
    digits   o | [sd]d*
    decimal  o | [sd]d*(\\.d+)*, one number if it holds at most one point, otherwise its runs one by one
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

ORDINAL = re.compile(r"<loc([0-9]+)>")
NUMBER = re.compile(r" *([0-9]{1,18})")


@dataclass
class Piece:
    """A number token: where it stands and its digits ('7', '042'), or an ordinal's value."""

    position: int
    digits: str
    ordinal: int | None = None

    @property
    def width(self) -> int:
        return 1 if self.ordinal is not None else len(self.digits)

    @property
    def value(self) -> int:
        return int(self.digits) if self.ordinal is None else self.ordinal


@dataclass
class Number:
    pieces: list[Piece]
    fraction: int = 0  # digits behind the point

    @property
    def length(self) -> int:
        return sum(piece.width for piece in self.pieces)

    @property
    def lead(self) -> int:
        """Power of ten of the leading digit."""
        return self.length - 1 - self.fraction

    def rank(self, index: int) -> int:
        """Digits to the right of piece `index`."""
        return sum(piece.width for piece in self.pieces[index + 1 :])

    @property
    def value(self) -> Fraction:
        whole = sum(piece.value * 10 ** self.rank(i) for i, piece in enumerate(self.pieces))
        return Fraction(whole, 10**self.fraction)


def letter(text: str | None) -> str:
    if text is None:
        return "x"
    if NUMBER.fullmatch(text):
        return "s" if text[0] == " " else "d"
    return "o" if ORDINAL.fullmatch(text) else "." if text == "." else "x"


def is_operator(before: str) -> bool:
    """Whether a sign directly behind this token's text calculates."""
    return before[-1:].isalnum() or before[-1:] in (")", "]", "}")


def read_row(texts: Sequence[str], row: Sequence[int], number_format: str) -> list[Number]:
    """The numbers of one row of label ids over a vocabulary of token texts."""
    shown = [texts[label] if 0 <= label < len(texts) else None for label in row]
    letters = "".join(letter(text) for text in shown)
    numbers = []
    chain_pattern = r"o|[sd]d*(?:\.d+)*" if number_format == "decimal" else r"o|[sd]d*"
    for chain in re.finditer(chain_pattern, letters):
        points = chain[0].count(".")
        spans = (
            [chain.span()]
            if points <= 1
            else [m.span() for m in re.compile(r"[sd]d*").finditer(letters, *chain.span())]
        )
        for start, end in spans:
            pieces = [_piece(shown[t], t) for t in range(start, end) if letters[t] != "."]
            behind = [p for p in pieces if points == 1 and p.position > start + chain[0].index(".")]
            numbers.append(Number(pieces, sum(p.width for p in behind)))
    return numbers


def _piece(text: str, position: int) -> Piece:
    ordinal = ORDINAL.fullmatch(text)
    return Piece(position, "", int(ordinal[1])) if ordinal else Piece(position, text.strip(" "))
