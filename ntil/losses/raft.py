"""RAFT: squared error of the expected number (ICLR 2025)."""

from torch import Tensor

from ntil.losses.whole_number import WholeNumberLoss, by_number
from ntil.numbers import Spans


class RAFT(WholeNumberLoss):
    """(y − E[X])² with E[X] = Σ_i 10^place · E[digit i], in squared units of `scale`.

    RAFT's Σ_k k·p(k) runs over a grid of numbers, each scored as a text of its own. Over all numbers of the label's shape, and
    with digits that are independent, that sum is the one above, which one pass gives. For answers of one token the two are
    the same, the probabilities renormalised over the number tokens. Its minimum is not only at the truth: half 1 and half 3 count
    as a perfect 2, and a tens digit too high is made good by the units.

    Args:
        vocab: the number tokens of a tokenizer.
        number_format: as for `NTIL`.
        scale: "digits" or "value", see `WholeNumberLoss` (ours).

    Raises:
        ValueError: where scale is neither.

    The published weight is tuned on each task. Source: regression-aware fine-tuning, ICLR 2025.
    """

    names = ("raft",)

    def per_number(self, columns: list[Tensor], spans: Spans, scale: Tensor) -> Tensor:
        expected = self.by_token(columns, spans, lambda p, values: p @ values)
        return by_number(scale * (expected - spans.value), spans).square()
