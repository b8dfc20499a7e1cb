"""Each loss for each of many predictions of a number, in one batch."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from ntil.explain.lineup import Contestant
from ntil.explain.report import Report
from ntil.explain.tokens import Tokens

MAX_DIGITS = 4  # of the target: its picture shows 10⁴ predictions
MAX_PREDICTIONS = 10**MAX_DIGITS
MAX_LOGITS = 2**22  # of all predictions together; beyond it, some are left out
CHUNK = 2**19  # logits evaluated at a time


class Candidates(NamedTuple):
    """Texts that differ from the target in the tokens of its number alone, in order of value."""

    ids: Tensor  # [P, T] in the alphabet of the report
    values: list[float]  # [P] signed
    every: int  # 1: all of them; n: every n-th


def candidates(report: Report) -> Candidates | str:
    """What the picture shows, or the reason why there is none."""
    target, tokens = report.target, report.tokens
    if target.value is None or len(tokens.numbers(target.ids, "decimal")) != 1:
        return f"the losses do not read {target.text!r} as one number, so there is no axis to draw it on"
    spans, tables = tokens.spans(target.ids, "decimal"), tokens.vocab.tables
    marks = torch.stack([tables.starts, tables.opens, tables.closes], -1)
    choices = []
    for t, token in enumerate(target.ids):
        group = tokens.vocab.groups[int(spans.group[0, t])] if spans.width[0, t] else None
        alike = (
            []
            if group is None
            else group.token_ids[(marks[group.token_ids] == marks[token]).all(-1)].tolist()
        )
        choices.append(alike or [token])
    digits = int(spans.width.sum())
    many = 1
    for choice in choices:
        many *= len(choice)
    if many > MAX_PREDICTIONS:
        return f"the picture shows all predictions, and {digits} digits have {many:,} (at most {MAX_DIGITS} digits)"
    sign = -1 if target.value < 0 else 1
    worth = [_worth(tokens, target.ids, t, choice) for t, choice in enumerate(choices)]
    valued = zip(itertools.product(*worth), itertools.product(*choices), strict=True)
    ordered = sorted((sign * sum(parts, Fraction(0)), ids) for parts, ids in valued)
    logits = many * len(target.ids) * report.alphabet.size
    every = next(
        n for n in itertools.count(1) if logits <= n * MAX_LOGITS and (n == 1 or math.gcd(n, 10) == 1)
    )
    kept = ordered[::every]  # n shares no factor with 10, so that all last digits are seen
    written = torch.tensor([report.alphabet.ids(ids) for _, ids in kept])
    return Candidates(written, [float(value) for value, _ in kept], every)


def _worth(tokens: Tokens, ids: tuple[int, ...], t: int, choice: list[int]) -> list[Fraction]:
    """What each token of `choice` adds to the number when it stands at position t."""
    spans = tokens.spans(ids, "decimal")
    place = Fraction(10) ** int(spans.place[0, t])
    return [int(tokens.vocab.value[i]) * place if spans.width[0, t] else Fraction(0) for i in choice]


def curves(report: Report, shown: Candidates) -> Iterator[tuple[Contestant, list[float]]]:
    """Each loss, and its total for each prediction alone."""
    logits = report.alphabet.logits(shown.ids)
    for contestant in report.contestants:
        yield contestant, per_prediction(contestant, logits, report.labels()).tolist()


def per_prediction(contestant: Contestant, logits: Tensor, label: Tensor) -> Tensor:
    """logits [P, T, V], label [1, T] → [P] totals, as if each prediction were a batch of its own."""
    step = max(1, CHUNK // logits[0].numel())
    with torch.no_grad():
        chunks = logits.split(step)
        return torch.cat([contestant.of_samples(chunk, label.expand(len(chunk), -1)) for chunk in chunks])
