"""From label ids to numbers, for a whole batch at once and without reading anything back to the host.

Rules (each is tested in tests/numbers/test_spans.py):
- A number is a maximal run of number tokens in one row. A masked label, any other token, a token that carries a
  space (`7`, ` 8`) and an ordinal token end the run before them. So does a token that begins a word, or stands behind one
  that ends it, in vocabularies with such marks: `20`, `##24` is 2024, and `20`, `24` are two numbers.
- `digits` format: nothing else joins. `0.98` is the numbers 0 and 98, as in the released code.
- `decimal` format: run, point, run is one number with place values …10¹ 10⁰ 10⁻¹…. A chain with two or more points
  (`1.2.3`: a version, a date) is no decimal: its runs are numbers of their own.
- Signs, thousands separators and exponents are ordinary tokens: `-1,234e5` is the numbers 1, 234 and 5.
- Leading zeros count as digits: `007` has three.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ntil.numbers.vocab import VocabTables

NumberFormat = Literal["digits", "decimal"]


class Signs(NamedTuple):
    """The signs and exponents around the numbers of `Spans`; `ntil.numbers.signs` finds them."""

    negative: Tensor  # [B, T] by number: True behind a minus
    exponent: Tensor  # [B, T] by number: True where it is the exponent of the number before it
    explicit: Tensor  # [B, T] by position: True at a number's first token where the token before is its sign


class Spans(NamedTuple):
    """The numbers in labels [B, T]. Entries at positions that are no number token are 0 (or False)."""

    width: Tensor  # [B, T] digits in the token
    value: Tensor  # [B, T] its value
    group: Tensor  # [B, T] its token group; -1 where it is no number token
    number: Tensor  # [B, T] which number of the row it belongs to: 0, 1, …
    rank: Tensor  # [B, T] digits of the same number to the right of this token
    place: Tensor  # [B, T] power of ten of the token's last digit; negative behind a decimal point
    length: (
        Tensor  # [B, T] digits in the number, indexed by `number` and not by position; 0 where there is none
    )
    lead: Tensor  # [B, T] power of ten of the number's leading digit, indexed by `number`
    signs: Signs | None = None  # only for losses that ask for them

    @property
    def is_number(self) -> Tensor:
        """[B, T] True at number tokens."""
        return self.width > 0

    @property
    def is_first(self) -> Tensor:
        """[B, T] True at the first token of a number."""
        return self.is_number & (self.rank + self.width == self.length.gather(-1, self.number))


def number_spans(labels: Tensor, tables: VocabTables, number_format: NumberFormat = "digits") -> Spans:
    """Find the numbers in `labels` [B, T]; negative labels are masked."""
    known = (labels >= 0) & (labels < tables.width.shape[0])
    ids = torch.where(known, labels, 0).long()
    w = torch.where(known, tables.width[ids], 0)
    digits = w > 0
    fresh = digits & tables.starts[ids]  # begins a number whatever stands before it
    last = digits & tables.ends[ids]  # ends it whatever comes after
    # Words side by side, by their marks; a point or a sign between two of them says nothing of a space.
    apart = digits & _before(digits) & (tables.opens[ids] | _before(tables.closes[ids]))
    member, is_joint = digits, None
    if number_format == "decimal":
        is_joint = _decimal_points(digits, fresh, last, apart, known & tables.is_point[ids])
        member = digits | is_joint
    begins = member & (~_before(member) | fresh | apart | _before(last))
    number = torch.where(member, begins.cumsum(-1) - 1, 0)

    seen = w.cumsum(-1)  # digits up to and including this token
    end = _per_number(torch.where(digits, seen, 0), number)  # digits seen at the number's last token
    fraction = torch.zeros_like(end)  # digits behind the point
    if is_joint is not None:
        at_point = _per_number(torch.where(is_joint, seen, 0), number)
        fraction = torch.where(at_point > 0, end - at_point, 0)
    length = torch.zeros_like(w).scatter_add(-1, number, w)
    rank = torch.where(digits, end.gather(-1, number) - seen, 0)
    place = torch.where(digits, rank - fraction.gather(-1, number), 0)
    return Spans(
        width=w,
        value=torch.where(digits, tables.value[ids], 0),
        group=torch.where(digits, tables.group[ids], -1),
        number=torch.where(digits, number, 0),
        rank=rank,
        place=place,
        length=length,
        lead=torch.where(length > 0, length - 1 - fraction, 0),
    )


def _decimal_points(digits: Tensor, fresh: Tensor, last: Tensor, apart: Tensor, points: Tensor) -> Tensor:
    """[B, T] True at points that join the runs on both sides into a decimal: the only point of their chain."""
    joint = points & _before(digits & ~last) & _after(digits & ~fresh)
    chained = digits | joint
    begins = chained & (~_before(chained) | fresh | apart | _before(last))
    chain = torch.where(chained, begins.cumsum(-1) - 1, 0)
    points_in_chain = torch.zeros_like(chain).scatter_add(-1, chain, joint.to(chain.dtype))
    return joint & (points_in_chain.gather(-1, chain) == 1)


def _per_number(values: Tensor, number: Tensor) -> Tensor:
    """[B, T] the largest of the (non-negative) values of each number, indexed by number."""
    return torch.zeros_like(values).scatter_reduce(-1, number, values, reduce="amax")


def _before(mask: Tensor) -> Tensor:
    """What stood one position to the left; False (or 0) at the first."""
    return torch.cat([torch.zeros_like(mask[..., :1]), mask[..., :-1]], dim=-1)


def _after(mask: Tensor) -> Tensor:
    """What stands one position to the right; False (or 0) at the last."""
    return torch.cat([mask[..., 1:], torch.zeros_like(mask[..., :1])], dim=-1)
