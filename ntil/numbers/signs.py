"""The signs and exponents that the labels write around numbers, for losses that look at them.

Rules (each is tested in tests/numbers/test_signs.py):
- `-` or `+` directly before a number is its sign, unless it stands directly behind a word, a number or a closing bracket
  and carries no space: `7-5`, `x-5` and `2020-01-05` have no signs, `(-5`, `= -5` and `3 -5` do. A token may hold what
  stands before the sign too (`(-`, `=-`).
- number, `e` or `E`, optional sign, number: the second is the exponent of the first. In a chain (`2e3e4`) only the
  first one is. Nothing in it carries a space. Tokens such as `e-` are both at once.
- A masked label is no sign.
"""

import torch
from torch import Tensor

from ntil.numbers.spans import Signs, Spans
from ntil.numbers.vocab import MARKS, VocabTables


def find_signs(labels: Tensor, spans: Spans, tables: VocabTables) -> Signs:
    """The signs and exponents in `labels` [B, T], whose numbers are `spans`."""
    known = (labels >= 0) & (labels < tables.width.shape[0])
    ids = torch.where(known, labels, 0).long()
    mark = torch.where(known, tables.mark[ids], 0)
    spaced = known & tables.starts[ids]
    ends = spans.is_number & (spans.rank == 0)
    tight = spans.is_first & ~spaced  # numbers that something may stand directly before

    signed = tight & ((_back(mark, 1) == MARKS["-"]) | (_back(mark, 1) == MARKS["+"]))
    merged = (_back(mark, 1) == MARKS["e-"]) | (_back(mark, 1) == MARKS["e+"])
    after_e = tight & ((_back(mark, 1) == MARKS["e"]) | merged) & _back(ends, 2)
    after_sign = signed & ~_back(spaced, 1) & (_back(mark, 2) == MARKS["e"]) & _back(ends, 3)
    is_exponent = _by_number(after_e | after_sign, spans)
    is_exponent = is_exponent & ~_back(is_exponent, 1)  # 2e3e4: 4 is an exponent of nothing
    here = spans.is_first & is_exponent.gather(-1, spans.number)

    operator = ~_back(spaced, 1) & _back(known & tables.binds[ids], 2)
    explicit = (signed & (~operator | here)) | (merged & here)
    minus = (_back(mark, 1) == MARKS["-"]) | (_back(mark, 1) == MARKS["e-"])
    return Signs(_by_number(explicit & minus, spans), is_exponent, explicit)


def _back(values: Tensor, by: int) -> Tensor:
    """What stood `by` places to the left; 0 (False) at the first ones."""
    return torch.cat([torch.zeros_like(values[..., :by]), values[..., :-by]], dim=-1)[..., : values.shape[-1]]


def _by_number(at_first: Tensor, spans: Spans) -> Tensor:
    """[B, T] flags at numbers' first tokens → the same by number."""
    found = torch.zeros_like(spans.number).scatter_add(-1, spans.number, (at_first & spans.is_first).long())
    return found > 0
