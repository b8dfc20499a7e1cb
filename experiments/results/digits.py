"""Which digits of an answer are wrong, and how sure the model was of each: read off a line of predictions.jsonl.

    answer 12:45, written 12:40   →  one wrong digit, the minute's units
    answer −46,   written 146     →  two wrong places: the sign, and a hundred that is too much

The k-th number written stands for the k-th of the answer. Places are `ntil.metrics.numbers.places`: aligned at the point,
the sign a place of its own; a place that only one of the two numbers has is wrong.

A token's digits are compared with what the answer has equally far from the same number's *first* digit instead: the
model writes from the left, and its probability is that of the next token after what it has written.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import inf
from typing import Any, NamedTuple

from ntil.metrics.numbers import places
from ntil.numbers.text import NumberText, find_numbers

_POWERS = {-2: "hundredths", -1: "tenths", 0: "units", 1: "tens", 2: "hundreds", 3: "thousands"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NUMBER_TOKEN = re.compile(r"(?:<loc)?([0-9]+)>?")
_LEADS_TO_MINUS = re.compile(r"(?:^|[^\w)\]])[-−]$")


class Token(NamedTuple):
    """A token of digits: the probability it was written with, and whether its digits are the answer's."""

    probability: float
    right: bool


class Place(NamedTuple):
    """A digit of the answer, or its minus sign; `order` puts names from the left to the right."""

    name: str
    right: bool
    order: tuple[int, float]


def has_digits(row: Mapping[str, Any]) -> bool:
    return bool(find_numbers(row["answer"]))


def number_tokens(row: Mapping[str, Any]) -> Iterator[Token]:
    """The tokens of digits in the order they were written; those of a diverged model (no probability) are left out."""
    text: str = row["text"]
    written, wanted = find_numbers(text), find_numbers(row["answer"])
    cursor = 0
    for token, probability in zip(row.get("tokens", ()), row.get("probabilities", ()), strict=True):
        piece = token.strip()
        match = _NUMBER_TOKEN.fullmatch(piece)
        if match is None:  # decoded alone, a token may look unlike itself in the text: then it moves nothing
            start = len(text) - len(text[cursor:].lstrip())
            cursor = start + len(piece) if text.startswith(piece, start) else cursor
            continue
        start = text.find(match[1], cursor)
        if start < 0:
            continue
        cursor = start + len(match[1])
        if probability is not None:
            yield Token(probability, _stands_there(match[1], start, written, wanted))


def _stands_there(
    digits: str, start: int, written: Sequence[NumberText], wanted: Sequence[NumberText]
) -> bool:
    for ours, theirs in zip(written, wanted, strict=False):
        if ours.start <= start < ours.end:
            offset = start - ours.start
            return theirs.text[offset : offset + len(digits)] == digits
    return False


def answer_places(row: Mapping[str, Any], names: Sequence[str] = ()) -> Iterator[Place]:
    """Each digit of the answer, and the sign of a negative number; `names`: of the task's numbers (Task.number_names)."""
    written, wanted = _signed(row["text"]), _signed(row["answer"])
    named = len(names) == len(wanted)
    for index, truth in enumerate(wanted):
        found = places(written[index]) if index < len(written) else {}
        for place, digit in places(truth).items():
            if (place, digit) != ("sign", "+"):
                name = f"{names[index]} {place_name(place)}" if named else place_name(place)
                order = (index if named else 0, -inf if isinstance(place, str) else -place)
                yield Place(name, found.get(place) == digit, order)


def wrong_places(row: Mapping[str, Any]) -> int | None:
    """Places at which the written numbers and the answer's differ; None where no number was written."""
    written, wanted = _signed(row["text"]), _signed(row["answer"])
    if not written:
        return None
    count = 0
    for one, other in zip_longest(written, wanted):
        ours, theirs = (places(text) if text else {} for text in (one, other))
        signs = {"sign"} if not (one and other) else set()  # of a number that is missing or too many
        count += sum(ours.get(place) != theirs.get(place) for place in (ours.keys() | theirs.keys()) - signs)
    return count


def place_name(place: int | str) -> str:
    """2 → hundreds, −1 → tenths, 5 → 10⁵."""
    return place if isinstance(place, str) else _POWERS.get(place, f"10{str(place).translate(_RAISED)}")


def _signed(text: str) -> list[str]:
    """The numbers of a text with their minus signs: −46 → ["-46"], 3-4 → ["3", "4"]."""
    return [
        ("-" if _LEADS_TO_MINUS.search(text[: found.start]) else "") + found.text
        for found in find_numbers(text)
    ]
