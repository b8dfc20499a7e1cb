"""Tokens that are a whole number by themselves, such as coordinate bins, found by a regular expression."""

import re
from collections.abc import Sequence

from ntil.errors import UserError

ORDINALS = r"<loc([0-9]+)>"  # PaliGemma's coordinate bins


def ordinal_pattern(ordinals: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(ordinals)
    except re.error as error:
        raise UserError(f"The ordinals pattern {ordinals!r} is no regular expression: {error}.") from None
    if pattern.groups != 1:
        raise UserError(
            f"The ordinals pattern {ordinals!r} has {pattern.groups} groups; it needs one, around the value, as {ORDINALS!r} has."
        )
    return pattern


def ordinal_value(match: re.Match[str], text: str) -> int:
    if match[1] is None or not (match[1].isascii() and match[1].isdecimal()):
        raise UserError(
            f"The ordinals pattern {match.re.pattern!r} reads {match[1]!r} as the value of the token {text!r}, which is no whole number."
        )
    return int(match[1])


def check_ordinals(values: Sequence[int]) -> None:
    if sorted(values) != list(range(len(values))):
        raise UserError(
            f"The ordinal tokens number {len(values)} but do not cover 0 … {len(values) - 1} once each; pass a "
            "narrower `ordinals` pattern, or ordinals=None to leave them out."
        )
