"""The values that table, words and picture share: every term of every loss, for the target and each prediction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import torch

from ntil.errors import UserError
from ntil.explain.lineup import CE, Contestant, line_up
from ntil.explain.tokens import Alphabet, Answer, Tokens, check_same_shape
from ntil.losses import LossParts

MOST = 8  # predictions side by side
TIE = 1e-6  # values nearer than this are the same to a reader


@dataclass(frozen=True)
class Report:
    """answers[0] is the target; parts[name] holds a loss's parts for each answer."""

    tokens: Tokens
    alphabet: Alphabet
    answers: list[Answer]
    contestants: list[Contestant]
    sure: float
    parts: dict[str, list[LossParts]] = field(default_factory=dict)

    @property
    def target(self) -> Answer:
        return self.answers[0]

    @property
    def wrong(self) -> list[Answer]:
        return self.answers[1:]

    def totals(self, name: str) -> list[float]:
        return [float(parts.total) for parts in self.parts[name]]

    def term(self, name: str, key: str) -> list[float]:
        return [float(parts.terms[key]) for parts in self.parts[name]]

    def labels(self) -> torch.Tensor:
        return torch.tensor([self.alphabet.ids(self.target.ids)])

    def wrong_tokens(self) -> list[int]:
        """How many tokens of each answer differ from the target's."""
        pairs = (zip(self.target.ids, answer.ids, strict=True) for answer in self.answers)
        return [sum(right != written for right, written in pair) for pair in pairs]

    @property
    def token_kind(self) -> str:
        """ "digit" where every wrong token stands for a single one, otherwise "token"."""
        width = self.tokens.vocab.width
        pairs = (pair for answer in self.wrong for pair in zip(self.target.ids, answer.ids, strict=True))
        return "digit" if all(width[a] == 1 for a, b in pairs if a != b) else "token"

    def errors(self) -> list[Fraction] | None:
        """|value − target| of each answer; None where a text is not one number."""
        values = [answer.value for answer in self.answers]
        right = values[0]
        if right is None:
            return None
        known = [abs(value - right) for value in values if value is not None]
        return known if len(known) == len(values) else None

    def favours(self, values: Sequence[float]) -> list[Answer]:
        """The wrong answers with the lowest value; several where they tie. Values are in the order of the answers."""
        if not self.wrong:
            return []
        lowest = min(values[1:])
        within = TIE * max(1.0, lowest)
        return [a for a, value in zip(self.wrong, values[1:], strict=True) if value - lowest <= within]

    def nearest(self) -> list[Answer]:
        """The wrong answers nearest to the target by value; none where that is unknown, or the same for all."""
        errors = self.errors()
        if errors is None or len(self.wrong) < 2:
            return []
        nearest = [a for a, error in zip(self.wrong, errors[1:], strict=True) if error == min(errors[1:])]
        return nearest if len(nearest) < len(self.wrong) else []

    def verdict(self, values: Sequence[float]) -> str:
        """ "right" where the wrong answers that cost least are nearest by value, "wrong" where not, "tie" where all cost
        the same; "" where there is nothing to judge."""
        favourites, nearest = self.favours(values), self.nearest()
        if not nearest:
            return ""
        if len(favourites) == len(self.wrong):
            return "tie"
        return "right" if all(a in nearest for a in favourites) else "wrong"


def make_report(target: str, predictions: Sequence[str], tokens: Tokens, sure: float) -> Report:
    """Read the texts and evaluate all losses; UserError where they cannot be compared."""
    right = tokens.answer(target)
    spans = tokens.spans(right.ids, "decimal")
    if not bool(spans.is_number.any()):
        raise UserError(f"the target {target!r} holds no number token; write digits, such as 0.98 or 345.")
    answers = [right, *(tokens.answer(text) for text in dict.fromkeys(predictions) if text != target)]
    if len(answers) > 1 + MOST:
        raise UserError(
            f"{len(answers) - 1} predictions are too many to read side by side; give at most {MOST}."
        )
    for answer in answers[1:]:
        check_same_shape(right, answer, tokens.vocab)
    alphabet = Alphabet(tokens.vocab, [answer.ids for answer in answers], sure)
    has_point = bool((spans.place < 0).any())
    has_wide = bool((spans.width > 1).any())
    contestants = line_up(alphabet.vocab, has_point, has_wide)
    report = Report(tokens, alphabet, answers, contestants, sure)
    for contestant in contestants:
        report.parts[contestant.name] = [evaluate(report, contestant, answer) for answer in answers]
    return report


def evaluate(report: Report, contestant: Contestant, answer: Answer) -> LossParts:
    """One loss on one answer, written by a model that is `sure` of each of its tokens."""
    written = torch.tensor([report.alphabet.ids(answer.ids)])
    with torch.no_grad():
        return contestant.parts(report.alphabet.logits(written), report.labels())


__all__ = ["CE", "Report", "evaluate", "make_report"]
