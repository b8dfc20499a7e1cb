"""How many of a text's digits stand in number tokens, and what a tokenizer does with the others."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ntil.errors import UserError
from ntil.numbers.spelling import added_ids, token_ids

# Numbers as texts write them: signs, points, units, dates, versions, letters on either side.
SAMPLE = (
    *(
        "-1 -2 -5 -10",
        "1. 2. 5. 10.",
        "1, 2, 3",
        "(3)",
        "[7]",
        "4% 50%",
        "$5 $20",
        "6th 21st",
        "x7 a1 b2",
        "8:09",
    ),
    *(
        "0.98 1.5 3.14",
        "1,234.5",
        "2024-01-05",
        "1/2 3/4",
        "3x + 2y",
        "v1.2.3",
        "#9",
        "10km 5mm",
        "1e-5",
        "F-16",
    ),
    *("a=1;b=2", "<3", "2+2=4", "'90s", "1-0", "No.1", "1st 2nd", "007"),
)
MOST = 200  # tokens that are tried
SHOWN = 5  # examples in the message


def digits_in(text: str) -> int:
    """ASCII digits."""
    return sum(c.isascii() and c.isdecimal() for c in text)


def seen_share(tokenizer: Any, texts: str | Iterable[str], shown: Tensor) -> float:
    """The share of the texts' digits that stand in number tokens; shown [V]: digits of each number token, 0 for the others."""
    seen = written = 0
    for text in [texts] if isinstance(texts, str) else texts:
        ids = None if tokenizer is None else token_ids(tokenizer, text)
        if ids is None:
            raise UserError(
                "coverage() needs a tokenizer that encodes: this vocabulary keeps none (it comes from token texts, is a copy, "
                "or the tokenizer is gone). Pass it: coverage(texts, tokenizer)."
            )
        known = torch.tensor([i for i in ids if i < len(shown)], dtype=torch.int64)
        digits = digits_in(text)
        # A tokenizer may turn other characters into digits, as ² into 2.
        seen += min(int(shown[known].sum()), digits)
        written += digits
    return seen / written if written else 1.0


def glued_digits(tokenizer: Any, texts: Mapping[int, str], shown: Tensor) -> str:
    """A message where the tokenizer writes digits in one token with other characters; '' where it does not."""
    added = set(added_ids(tokenizer))
    mixed = [
        (i, text)
        for i, text in texts.items()
        if i < len(shown) and not shown[i] and i not in added and re.search("[0-9]", text)
    ]
    if not mixed or token_ids(tokenizer, "0") is None:
        return ""
    mixed.sort(key=lambda pair: (len(pair[1].strip()), pair[1]))
    used = {i for text in SAMPLE for i in token_ids(tokenizer, text) or []}
    for _, text in mixed[:MOST]:  # most vocabularies hold some that no text comes to
        used.update(token_ids(tokenizer, text.strip()) or [])
    found = [text.strip() for i, text in mixed if i in used]
    if not found:
        return ""
    examples = ", ".join(repr(text) for text in dict.fromkeys(found[:SHOWN]))
    return (
        f"This tokenizer writes digits in one token with other characters, as in {examples}. A number loss sees only digits in "
        f"tokens of their own, {seen_share(tokenizer, SAMPLE, shown):.0%} of those in a sample of common notations, and the rest "
        "is left to cross-entropy; vocab.coverage(texts) says how many it sees in your texts."
    )
