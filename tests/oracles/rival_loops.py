"""The other number losses as loops over tokens and numbers, in the words of their papers; float64 logits [B, T, V]."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from oracles.ntil_loops import rivals as competitors
from oracles.reading import NUMBER, read_row

PerToken = Callable[[Tensor, Tensor, int, Tensor, list[bool]], Tensor]


def number_tokens(texts: Sequence[str], tokens: str) -> list[tuple[int, int]]:
    """(id, value) of the tokens that are digits only, the one-digit ones or all."""
    found = [(i, m[1]) for i, text in enumerate(texts) if (m := NUMBER.fullmatch(text))]
    return [(i, int(digits)) for i, digits in found if tokens == "all" or len(digits) == 1]


def average(texts: Sequence[str], logits: Tensor, labels: Tensor, tokens: str, per_token: PerToken) -> Tensor:
    """Mean over the batch of per_token(number tokens' logits, their values, the target value, all logits, hits).

    hits: which of the number tokens are spelt like the label.
    """
    known = dict(number_tokens(texts, tokens))
    ids, values = list(known), torch.tensor(list(known.values()), dtype=torch.float64)
    losses = [
        per_token(
            logits[b, t, ids],
            values,
            known[label],
            logits[b, t],
            [texts[i].strip() == texts[label].strip() for i in ids],
        )
        for b, row in enumerate(labels.tolist())
        for t, label in enumerate(row)
        if label in known
    ]
    return sum(losses) / len(losses) if losses else logits.sum() * 0


def _reweighed(loss: Tensor, z: Tensor, everything: Tensor, largest: float) -> Tensor:
    mass = z.exp().sum() / everything.exp().sum()
    return loss * mass + 1.01 * largest * (1 - mass)


def ntl_was(reweigh: bool, squash_factor: float | None = None) -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        p = z.softmax(0)
        apart = {abs(float(a) - float(b)) for a in values for b in values} - {0.0}
        near, far = min(apart), max(apart)

        def distance(d: float) -> float:
            if squash_factor is None or d == 0:
                return d
            return 1 + (d - near) * (squash_factor - 1) / (far - near)

        plain = sum(p[j] * distance(abs(float(v) - y)) for j, v in enumerate(values))
        return _reweighed(plain, z, everything, distance(far)) if reweigh else plain

    return loss


def rps() -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        p, total = z.softmax(0), z.sum() * 0
        for cut in sorted({float(v) for v in values}):
            below = sum((p[j] for j, v in enumerate(values) if v <= cut), z.sum() * 0)
            total = total + (below - float(y <= cut)) ** 2
        return total

    return loss


def ntl_mse(reweigh: bool) -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        p = z.softmax(0)
        plain = (sum(p[j] * float(v) for j, v in enumerate(values)) - y) ** 2
        largest = float(values.max() - values.min()) ** 2
        return _reweighed(plain, z, everything, largest) if reweigh else plain

    return loss


def gaussian_ce(sigma: float) -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        q = [math.exp(-((float(v) - y) ** 2) / (2 * sigma**2)) for v in values]
        log_p = z - everything.logsumexp(0)
        return -sum(q[j] / sum(q) * log_p[j] for j in range(len(q)))

    return loss


def dist2(tau: float) -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        q = [math.exp(-((float(v) - y) ** 2) / tau) for v in values]
        q = [x / sum(q) for x in q]
        p = z.softmax(0)
        return sum(x * (math.log(x) - p[j].log()) for j, x in enumerate(q) if x > 0)

    return loss


def smmd(s: float) -> PerToken:
    def loss(z: Tensor, values: Tensor, y: int, everything: Tensor, hits: list[bool]) -> Tensor:
        K = len(values)
        apart = sorted({abs(float(a - b)) for a in values for b in values} - {0.0})
        slope = 8 / (apart[-1] - apart[0]) if len(apart) > 1 else 0.0

        def distance(i: int, j: int) -> float:
            d = abs(float(values[i] - values[j]))
            return 1 + (d - apart[0]) * slope if d else 0.0

        kernel = [[math.exp(-(distance(i, j) ** 2) / (2 * s**2)) for j in range(K)] for i in range(K)]
        degree = [sum(row) for row in kernel]
        a = 1 / (2 * sum(degree) / K)
        p = z.softmax(0)
        r = [p[j] - hits[j] / sum(hits) for j in range(K)]
        smooth = sum(r[i] * kernel[i][j] * r[j] for i in range(K) for j in range(K))
        rough = sum(degree[i] * r[i] ** 2 for i in range(K)) - smooth
        return smooth + a * rough

    return loss


def _numbers(texts: Sequence[str], labels: Tensor, number_format: str) -> Iterator[tuple[int, object]]:
    for b, row in enumerate(labels.tolist()):
        for number in read_row(texts, row, number_format):
            yield b, number


def ntl_number(
    texts: Sequence[str], logits: Tensor, labels: Tensor, number_format: str, reweigh: bool = False
) -> Tensor:
    losses = []
    for b, number in _numbers(texts, labels, number_format):
        expected = 0.0
        for i, piece in enumerate(number.pieces):
            rivals = dict(competitors(texts, piece))
            p = logits[b, piece.position, list(rivals)].softmax(0)
            mean = sum(p[j] * value for j, value in enumerate(rivals.values()))
            expected = expected + mean * 10.0 ** (number.rank(i) - number.fraction)
        y = float(number.value)
        loss = (expected - y).abs() / (expected.abs() + y + torch.finfo(torch.float32).eps)
        if reweigh:
            at = logits[b, number.pieces[0].position]
            every = [i for i, _ in number_tokens(texts, "all")]
            if number.pieces[0].ordinal is not None:
                every = [i for i, _ in competitors(texts, number.pieces[0])]
            mass = at[every].exp().sum() / at.exp().sum()
            loss = loss * mass + 1.01 * (1 - mass)
        losses.append(loss)
    return sum(losses) / len(losses) if losses else logits.sum() * 0


def digit_weighted_bce(texts: Sequence[str], logits: Tensor, labels: Tensor, number_format: str) -> Tensor:
    """DEL."""
    losses = []
    for b, number in _numbers(texts, labels, number_format):
        for i, piece in enumerate(number.pieces):
            place = number.rank(i) - number.fraction
            weight = 2 * (place + 1) if place >= 0 else 1.02**place
            rivals = dict(competitors(texts, piece))
            z = logits[b, piece.position, list(rivals)]
            p = z.softmax(0)
            terms = [
                p[j] * (-z[j].sigmoid().log() if value == piece.value else -(-z[j]).sigmoid().log())
                for j, value in enumerate(rivals.values())
            ]
            losses.append(weight * sum(terms) / len(terms))
    return sum(losses) / len(losses) if losses else logits.sum() * 0
