"""The losses on whole numbers and their digits as enumerations: every number that the label's tokens could be is looked at."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oracles.ntil_loops import constructed, deviation, digit_marginals, log_ratio, rivals
from oracles.reading import Number, read_row

PerNumber = Callable[[Sequence[str], Tensor, Number], Tensor]


def averaged(
    texts: Sequence[str], logits: Tensor, labels: Tensor, number_format: str, per_number: PerNumber
) -> Tensor:
    """Mean of per_number(texts, the row's logits [T, V], number) over the batch's numbers."""
    losses = [
        per_number(texts, row_logits, number)
        for row_logits, row in zip(logits, labels.tolist(), strict=True)
        for number in read_row(texts, row, number_format)
    ]
    return sum(losses) / len(losses) if losses else logits.sum() * 0


def distribution(texts: Sequence[str], row_logits: Tensor, number: Number) -> tuple[Tensor, Tensor]:
    """(values, their probabilities) of all combinations of tokens, each token by itself; in units of the last digit."""
    chances, values = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    for index, piece in enumerate(number.pieces):  # each multiplies the combinations by its tokens
        tokens = rivals(texts, piece)
        p = torch.softmax(torch.stack([row_logits[piece.position][i] for i, _ in tokens]), 0)
        worth = torch.tensor([v * 10 ** number.rank(index) for _, v in tokens])
        chances, values = (chances[:, None] * p).flatten(), (values[:, None] + worth).flatten()
    different, which = values.unique(return_inverse=True)
    return different.double(), torch.zeros(len(different), dtype=torch.float64).index_add(0, which, chances)


def target(number: Number) -> int:
    """In units of the last digit."""
    return sum(piece.value * 10 ** number.rank(i) for i, piece in enumerate(number.pieces))


def unit(number: Number, scale: str) -> float:
    """What |X − y| counts in, in units of the last digit."""
    leading = 10.0 ** (number.length - 1)
    return leading if scale == "digits" else max(target(number), 1, 1e-3 * leading)


def crps(scale: str) -> PerNumber:
    def loss(texts: Sequence[str], row_logits: Tensor, number: Number) -> Tensor:
        (values, p), y = distribution(texts, row_logits, number), target(number)
        to_target = (p * (values - y).abs()).sum()
        between = p @ (values[:, None] - values).abs() @ p
        return (to_target - between / 2) / unit(number, scale)

    return loss


def raft(scale: str) -> PerNumber:
    def loss(texts: Sequence[str], row_logits: Tensor, number: Number) -> Tensor:
        values, p = distribution(texts, row_logits, number)
        return (((p * values).sum() - target(number)) / unit(number, scale)) ** 2

    return loss


def sequence_smoothing(
    texts: Sequence[str], logits: Tensor, labels: Tensor, temperature: float, number_format: str
) -> Tensor:
    """Σ Q·KL over the label's prefixes, q summed over all numbers of as many digits; the mean runs over the tokens."""
    losses = []
    for row_logits, row in zip(logits, labels.tolist(), strict=True):
        for number in read_row(texts, row, number_format):
            losses += _smoothed(texts, row_logits, number, temperature)
    return sum(losses) / len(losses) if losses else logits.sum() * 0


def _smoothed(texts: Sequence[str], row_logits: Tensor, number: Number, temperature: float) -> list[Tensor]:
    y, n = target(number), number.length
    width = max(temperature * y, 0.01)
    base = len(rivals(texts, number.pieces[0])) if number.pieces[0].ordinal is not None else 10
    weights = {other: math.exp(-abs(other - y) / width) for other in range(base**n)}
    reached, losses = 1.0, []
    for index, piece in enumerate(number.pieces):
        behind, width_of = 10 ** number.rank(index), base**piece.width
        prefix = y // behind // width_of
        tokens = rivals(texts, piece)
        open_to = [
            sum(weights[(prefix * width_of + v) * behind + rest] for rest in range(behind)) for _, v in tokens
        ]
        q = [share / sum(open_to) for share in open_to]
        z = torch.stack([row_logits[piece.position][i] for i, _ in tokens])
        log_p = torch.log_softmax(z, 0)
        losses.append(reached * sum(x * (math.log(x) - log_p[j]) for j, x in enumerate(q) if x > 0))
        reached *= sum(x for x, (_, v) in zip(q, tokens, strict=True) if v == piece.value)
    return losses


def ntil_aligned(
    texts: Sequence[str],
    logits: Tensor,
    labels: Tensor,
    sigma: float = 0.2,
    alpha: float = 0.2,
    beta: float = 0.2,
    gamma: float = 1.0,
    tau: float = 0.1,
    epsilon: float = 1.0,
    construction: str = "straight_through",
) -> Tensor:
    total = logits.sum() * 0
    for row_logits, row in zip(logits, labels.tolist(), strict=True):
        numbers = read_row(texts, row, "decimal")
        digits = sum(number.length for number in numbers)
        for number in numbers:
            place, trust, emd = number.lead, 1.0, logits.sum() * 0
            for piece in number.pieces:
                for digit, p in digit_marginals(texts, row_logits, piece):
                    distance = sum(abs(a - digit) * p[a] for a in range(len(p)))
                    emd = emd + (1 + sigma) ** place * trust * distance
                    trust = min(trust, p[digit].item() / max(x.item() for x in p))
                    place -= 1
            X, Y = constructed(texts, row_logits, number, tau, construction), float(number.value)
            whole = alpha * deviation(X, Y, epsilon) + beta * log_ratio(X, Y)
            total = total + (gamma * emd / digits + whole / len(numbers)) / len(labels)
    return total


def label_smoothing(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Cross-entropy to (1 − ε)·onehot + ε/V, over the labels that are not masked."""
    losses = []
    for row_logits, row in zip(logits, labels.tolist(), strict=True):
        for z, label in zip(row_logits, row, strict=True):
            if label >= 0:
                log_p, V = torch.log_softmax(z, 0), len(z)
                target = [(1 - epsilon) * (v == label) + epsilon / V for v in range(V)]
                losses.append(-sum(target[v] * log_p[v] for v in range(V)))
    return sum(losses) / len(losses) if losses else logits.sum() * 0
