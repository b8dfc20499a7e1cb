"""NTIL, EMD and their sum with cross-entropy as loops over rows, numbers and digits; autograd gives the gradient.

Every term is spelt as the paper spells it, on real values: keep the numbers below about 15 digits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oracles.reading import NUMBER, ORDINAL, Number, Piece, is_operator, read_row


@dataclass
class Result:
    total: Tensor
    emd: Tensor
    relative: Tensor
    magnitude: Tensor
    digits: int
    numbers: int


def ntil(
    texts: Sequence[str],
    logits: Tensor,
    labels: Tensor,
    number_format: str = "digits",
    sigma: float = 0.2,
    alpha: float = 0.2,
    beta: float = 0.2,
    gamma: float = 1.0,
    tau: float = 0.1,
    epsilon: float = 1.0,
    construction: str = "straight_through",
    magnitude: str = "plain",
) -> Result:
    """γ·mean(w·EMD) + α·mean(L_rel) + β·mean(L_mag), without noise; logits [B, T, V] in float64, labels [B, T]."""
    nothing = logits.sum() * 0
    emd = relative = size = nothing
    all_digits = all_numbers = 0
    for row_logits, row in zip(logits, labels.tolist(), strict=True):
        numbers = read_row(texts, row, number_format)
        digits = sum(number.length for number in numbers)
        all_digits, all_numbers = all_digits + digits, all_numbers + len(numbers)
        for number in numbers:
            distance = number_distance if number_format == "decimal" else digit_distances
            emd = emd + distance(texts, row_logits, number, sigma) / digits / len(labels)
            X, Y = constructed(texts, row_logits, number, tau, construction), float(number.value)
            relative = relative + deviation(X, Y, epsilon) / len(numbers) / len(labels)
            if magnitude == "plain":
                size = size + log_ratio(X, Y) / len(numbers) / len(labels)
        if magnitude == "signed":
            deviations = signed_deviations(texts, row_logits, row, numbers, tau, construction)
            size = size + sum(deviations, nothing) / max(len(deviations), 1) / len(labels)
    total = gamma * emd + alpha * relative + beta * size
    return Result(total, emd, relative, size, all_digits, all_numbers)


def rivals(texts: Sequence[str], piece: Piece) -> list[tuple[int, int]]:
    """(id, value) of the tokens that compete with this one, in order of value: the same width, or all ordinals."""
    if piece.ordinal is not None:
        found = [(i, int(m[1])) for i, text in enumerate(texts) if (m := ORDINAL.fullmatch(text))]
    else:
        found = [
            (i, int(m[1]))
            for i, text in enumerate(texts)
            if (m := NUMBER.fullmatch(text)) and len(m[1]) == piece.width
        ]
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def token_probabilities(texts: Sequence[str], row_logits: Tensor, piece: Piece) -> list[tuple[int, Tensor]]:
    """(value, probability) of every competing token."""
    tokens = rivals(texts, piece)
    here = row_logits[piece.position]
    p = torch.softmax(torch.stack([here[i] for i, _ in tokens]), 0)
    return [(value, p[k]) for k, (_, value) in enumerate(tokens)]


def digit_marginals(texts: Sequence[str], row_logits: Tensor, piece: Piece) -> list[tuple[int, list[Tensor]]]:
    """For each digit of the token: the target, and the probability of every value it could take."""
    likely = token_probabilities(texts, row_logits, piece)
    zero = row_logits[0, 0] * 0
    if piece.ordinal is not None:
        return [(piece.ordinal, [p for _, p in likely])]
    return [
        (
            int(piece.digits[i]),
            [
                sum((p for value, p in likely if int(str(value).zfill(piece.width)[i]) == a), zero)
                for a in range(10)
            ],
        )
        for i in range(piece.width)
    ]


def digit_distances(texts: Sequence[str], row_logits: Tensor, number: Number, sigma: float) -> Tensor:
    """Σ_i (1+σ)^(n−i−1) · Σ_a |a − d_i|·p_i(a)."""
    marginals = [pair for piece in number.pieces for pair in digit_marginals(texts, row_logits, piece)]
    n = len(marginals)
    total = row_logits.sum() * 0
    for i, (digit, p) in enumerate(marginals):
        distance = sum(abs(a - digit) * p[a] for a in range(len(p)))
        total = total + (1 + sigma) ** (n - i - 1) * distance
    return total


def number_distance(texts: Sequence[str], row_logits: Tensor, number: Number, sigma: float) -> Tensor:
    """(1+σ)^(n−1) · E|X − Y| in units of the leading place, over all combinations of tokens."""
    joint, difference = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for index, piece in enumerate(number.pieces):  # each multiplies the combinations by its tokens
        likely = token_probabilities(texts, row_logits, piece)
        steps = [(value - piece.value) * 10.0 ** number.rank(index) for value, _ in likely]
        joint = (joint[:, None] * torch.stack([p for _, p in likely])).flatten()
        difference = (difference[:, None] + torch.tensor(steps, dtype=torch.float64)).flatten()
    n = number.length
    return (1 + sigma) ** (n - 1) * (joint * difference.abs()).sum() / 10.0 ** (n - 1)


def constructed(
    texts: Sequence[str], row_logits: Tensor, number: Number, tau: float, construction: str
) -> Tensor:
    """X: the number that the hard (or soft) choice at each token writes, with the soft choice's gradient."""
    X = row_logits.sum() * 0
    for index, piece in enumerate(number.pieces):
        tokens = rivals(texts, piece)
        here = row_logits[piece.position]
        z = [here[i] for i, _ in tokens]
        p = torch.softmax(torch.stack(z) / tau, 0)
        chosen = sum(p[k] * value for k, (_, value) in enumerate(tokens))
        if construction == "straight_through":
            best = max(range(len(z)), key=lambda k: z[k].item())
            chosen = tokens[best][1] + (chosen - chosen.detach())
        X = X + chosen * 10 ** number.rank(index)
    return X / 10**number.fraction


def deviation(X: Tensor, Y: float, epsilon: float) -> Tensor:
    """L_rel = |X−Y| / (max(X,Y) + ε), 0 where X = Y."""
    if X.item() == Y:
        return X * 0
    return (X - Y) / (X + epsilon) if X.item() > Y else (Y - X) / (Y + epsilon)


def log_ratio(X: Tensor, Y: float) -> Tensor:
    """L_mag = log((max(X,Y)+1) / (min(X,Y)+1))."""
    if X.item() == Y:
        return X * 0
    return torch.log(X + 1) - math.log(Y + 1) if X.item() > Y else math.log(Y + 1) - torch.log(X + 1)


MARKS = {"-": -1, "e-": -1, "+": 1, "e": 1, "e+": 1}


def signed_deviations(
    texts: Sequence[str],
    row_logits: Tensor,
    row: list[int],
    numbers: list[Number],
    tau: float,
    construction: str,
) -> list[Tensor]:
    """|f(X) − f(Y)| of each number that is no exponent: f = sign·log(1 + size·10^exponent)."""
    shown = [texts[label] if 0 <= label < len(texts) else "?" for label in row]
    values: list[tuple[Tensor, Tensor, Tensor, float]] = []  # (sign, size) of X, of Y
    exponents: list[tuple[Tensor, Tensor]] = []  # of X, of Y
    was_exponent = False
    for before, number in zip([None, *numbers], numbers, strict=False):
        start = number.pieces[0].position
        back = ["", "", "", *shown[:start]][-3:]
        gap = "".join(shown[before.pieces[-1].position + 1 : start]).lower() if before else "?"
        tight = not shown[start].startswith(" ") and not shown[start].startswith("<")
        joined = tight and gap in ("e", "e-", "e+") and start - before.pieces[-1].position <= 3
        is_exponent = joined and not was_exponent
        mark = back[2].strip(" (=").lower()
        alone = back[2].lower() == mark
        is_sign = tight and mark in ("-", "+") and (is_exponent or not alone or not is_operator(back[1]))
        is_sign = is_sign or (is_exponent and mark in ("e-", "e+"))
        slot = start - 1 if is_sign else start
        sign = said_sign(texts, row_logits[slot], tau, construction)
        X = constructed(texts, row_logits, number, tau, construction)
        right = torch.tensor(float(MARKS[mark] if is_sign else 1), dtype=torch.float64)
        if is_exponent:
            exponents[-1] = (sign * X, right * float(number.value))
        else:
            values.append((sign, X, right, float(number.value)))
            exponents.append((X * 0, right * 0))
        was_exponent = joined
    return [
        (sign * torch.log1p(X * 10**eX) - right * torch.log1p(Y * 10**eY)).abs()
        for (sign, X, right, Y), (eX, eY) in zip(values, exponents, strict=True)
    ]


def said_sign(texts: Sequence[str], here: Tensor, tau: float, construction: str) -> Tensor:
    """The sign that the tokens say here: minus signs −1, plus signs and all numbers 1."""
    signs = {
        i: MARKS[text.strip(" (=").lower()]
        for i, text in enumerate(texts)
        if text.strip(" (=").lower() in MARKS
    }
    signs |= {i: 1 for i, text in enumerate(texts) if NUMBER.fullmatch(text) or ORDINAL.fullmatch(text)}
    z = [here[i] for i in signs]
    p = torch.softmax(torch.stack(z) / tau, 0)
    soft = sum(p[k] * sign for k, sign in enumerate(signs.values()))
    if construction == "soft":
        return soft
    best = max(range(len(z)), key=lambda k: z[k].item())
    return list(signs.values())[best] + (soft - soft.detach())


def cross_entropy(logits: Tensor, labels: Tensor, skip: set[tuple[int, int]] = frozenset()) -> Tensor:
    """Mean −log p(label) over the labels that are not masked, `skip` (row, position) left out."""
    losses = [
        -torch.log_softmax(logits[b, t], 0)[label]
        for b, row in enumerate(labels.tolist())
        for t, label in enumerate(row)
        if label >= 0 and (b, t) not in skip
    ]
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def with_cross_entropy(
    texts: Sequence[str],
    logits: Tensor,
    labels: Tensor,
    weight: float = 0.3,
    balance: str = "ce_ratio",
    ce_on_digits: bool = True,
    **options: object,
) -> tuple[Tensor, Tensor, Tensor]:
    """(total, CE, L) with total = CE + λ·sg[CE/(L + 1e-10)]·L, or CE + λ·L."""
    L = ntil(texts, logits, labels, **options).total
    number_format = str(options.get("number_format", "digits"))
    at_numbers = {
        (b, piece.position)
        for b, row in enumerate(labels.tolist())
        for number in read_row(texts, row, number_format)
        for piece in number.pieces
    }
    ce = cross_entropy(logits, labels, frozenset() if ce_on_digits else at_numbers)
    ratio = ce.item() / (L.item() + 1e-10) if balance == "ce_ratio" else 1.0
    return ce + weight * ratio * L, ce, L
