"""NTIL: Numerical Token Integrity Loss (ACL 2025, arXiv 2505.13077).

    L = γ·mean(w·EMD) + α·mean(L_rel) + β·mean(L_mag)

Token level: the Earth Mover's Distance of each digit's distribution to the target digit, weighted (1+σ)^(n−i−1).
Sequence level: the number is rebuilt with a straight-through Gumbel-softmax, and its relative and order-of-magnitude
deviation penalised. Means are taken over a sample's digits (EMD) or numbers (the others), then over the samples.

All default values are those of the released code, not confirmed as the paper's.
"""

import torch
from torch import Tensor

from ntil.losses import functional as terms
from ntil.losses.base import NumberLoss, Term
from ntil.numbers import NumberVocab, Spans
from ntil.numbers.signs import find_signs
from ntil.numbers.spans import NumberFormat, Signs


class NTIL(NumberLoss):
    """The loss above on the number tokens of `vocab`; add cross-entropy with `WithCrossEntropy`.

        loss = NTIL(vocab, noise_scale=0.0)
        parts = loss(logits, labels)        # logits [B, T, V] aligned with labels [B, T]
        parts.total, parts.emd, parts.relative, parts.magnitude, parts.digits, parts.numbers

    Args:
        vocab: the number tokens of a tokenizer.
        sigma: growth of a digit's weight with each digit to its right (released-code default, as all below).
        alpha, beta, gamma: weights of the relative, the magnitude and the EMD term; 0 switches a term off.
        tau, noise_scale: temperature and Gumbel noise of the number construction; with noise_scale=0 the loss is deterministic.
        number_format: "digits" reproduces the released code, where a point ends a number. In "decimal" 0.98 is one number, and the EMD
            is that of the whole number instead of its digits one by one: E|X−Y| in units of the leading place, so that against
            0.98 the prediction 1.01 costs less than 1.98. Both agree where only the leading digit is wrong.
        epsilon: the ε of L_rel.
        construction: "straight_through" (published; exactly zero gradient of L_rel and L_mag once the digits are right) or "soft" (the
            expected value at temperature τ).
        magnitude: "plain" (published) or "signed" (ours), which lets L_mag see the sign and the exponent that the labels write: with
            −6.0e23 it is |f(X) − f(Y)|, f(x) = sign(x)·log(1+|x|), of the whole value, where the published term takes 6, 0 and 23
            for three numbers; the same where there is no sign and no exponent and the model writes none. Best with "decimal".

    Returns:
        `LossParts` with the terms emd, relative and magnitude before their weights, and counts of digits and numbers.

    Raises:
        ValueError: where a setting is out of range, or "signed" meets a vocabulary without a minus sign.

    Source: NTIL, ACL 2025 (arXiv 2505.13077); the defaults are the released code's.
    """

    names: tuple[str, ...] = ("emd", "relative", "magnitude")
    mean_over = "samples"

    def __init__(
        self,
        vocab: NumberVocab,
        sigma: float = 0.2,
        alpha: float = 0.2,
        beta: float = 0.2,
        gamma: float = 1.0,
        tau: float = 0.1,
        noise_scale: float = 0.01,
        number_format: NumberFormat = "digits",
        epsilon: float = 1.0,
        construction: str = "straight_through",
        magnitude: str = "plain",
    ) -> None:
        if magnitude not in ("plain", "signed"):
            raise ValueError(f"magnitude must be 'plain' or 'signed', not {magnitude!r}.")
        if magnitude == "signed" and not (vocab.mark_signs < 0).any():
            raise ValueError(
                "magnitude='signed' needs a token for the minus sign, and this vocabulary has none."
            )
        super().__init__(vocab, number_format, reads_marks=magnitude == "signed" and beta > 0)
        weights = {"sigma": sigma, "alpha": alpha, "beta": beta, "gamma": gamma, "noise_scale": noise_scale}
        for name, value in weights.items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}.")
        if not (alpha or beta or gamma):
            raise ValueError("alpha, beta and gamma are all 0: there is no loss left.")
        if not tau > 0 or not epsilon > 0:
            raise ValueError(f"tau and epsilon must be positive, got {tau} and {epsilon}.")
        if construction not in ("straight_through", "soft"):
            raise ValueError(f"construction must be 'straight_through' or 'soft', not {construction!r}.")
        self.sigma, self.alpha, self.beta, self.gamma = sigma, alpha, beta, gamma
        self.tau, self.noise_scale, self.epsilon = tau, noise_scale, epsilon
        self.construction, self.magnitude = construction, magnitude

    def extra_repr(self) -> str:
        return (
            f"sigma={self.sigma}, alpha={self.alpha}, beta={self.beta}, gamma={self.gamma}, tau={self.tau}, "
            f"noise_scale={self.noise_scale}, number_format={self.number_format!r}, magnitude={self.magnitude!r}, {self.vocab}"
        )

    def spans(self, labels: Tensor) -> Spans:
        spans = super().spans(labels)
        return spans._replace(signs=find_signs(labels, spans, self.tables())) if self.reads_marks else spans

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        found: dict[str, Term] = {}
        whole = (spans.length > 0).long()
        if self.gamma:
            by_number = self.number_format == "decimal"
            digits = spans.length if by_number else spans.width
            found["emd"] = Term(self._emd(columns, spans), digits, by_number, self.gamma)
        if self.alpha or self.beta:
            error, written, target, unit = self._construct(columns, spans)
            if self.alpha:
                relative = terms.relative_deviation(error, target, unit, self.epsilon)
                found["relative"] = Term(relative, whole, True, self.alpha)
            if self.reads_marks:
                assert spans.signs is not None
                signed = self._signed_magnitude(columns, spans, spans.signs, written, target)
                found["magnitude"] = Term(signed, whole & ~spans.signs.exponent, True, self.beta)
            elif self.beta:
                magnitude = terms.magnitude_deviation(error, written, target, unit)
                found["magnitude"] = Term(magnitude, whole, True, self.beta)
        return found

    def _emd(self, columns: list[Tensor], spans: Spans) -> Tensor:
        """[B, T] weighted EMD, to be summed: by token in `digits` format, by number in `decimal`."""
        if self.number_format == "decimal":
            return self._number_emd(columns, spans)
        emd = torch.zeros_like(spans.width, dtype=terms.wide_dtype(spans.width.device))
        for i, (group, values, digits) in enumerate(self.groups()):
            inner = torch.arange(group.width - 1, -1, -1, device=emd.device)
            distance = terms.digit_emd(self._marginals(columns[i], i), label_digits(spans, values, digits))
            weighted = distance * terms.position_weight(inner, self.sigma)
            emd = torch.where(spans.group == i, weighted.sum(-1), emd)
        return emd * terms.position_weight(spans.rank, self.sigma)

    def _number_emd(self, columns: list[Tensor], spans: Spans) -> Tensor:
        """[B, T] by number: (1+σ)^(n−1)·E|X−Y| in units of the leading place."""
        scale = terms.leading_scale(spans)
        off = terms.TokenOff(*[torch.zeros_like(scale)] * 4)
        for i, (_, values, _) in enumerate(self.groups()):
            here = spans.group == i
            found = terms.token_off(columns[i].softmax(-1), values, spans.value)
            off = terms.TokenOff(*(torch.where(here, new, old) for new, old in zip(found, off, strict=True)))
        emd = terms.number_emd(off, spans.is_first, spans.number, scale)
        return emd * terms.position_weight(spans.length - 1, self.sigma)

    def _signed_magnitude(
        self, columns: list[Tensor], spans: Spans, signs: Signs, written: Tensor, target: Tensor
    ) -> Tensor:
        """[B, T] by number |f(X) − f(Y)| of the values with their signs and exponents; 0 at exponents."""
        # What the model says at a token of its sign: a digit says plus. A number without a sign has it at its first digit.
        numbers, marks = torch.cat(columns[:-1], -1), columns[-1]
        values = torch.cat([torch.ones_like(numbers[0, 0], dtype=torch.int64), self.mark_signs])
        said = terms.constructed_value(
            torch.cat([numbers, marks], -1),
            values,
            self.tau,
            self.noise_scale,
            self.construction == "straight_through",
        )
        said = torch.where(signs.explicit, torch.cat([said[..., :1], said[..., :-1]], -1), said)
        sign = torch.zeros_like(written).scatter_add(-1, spans.number, torch.where(spans.is_first, said, 0.0))
        right = torch.where(signs.negative, -1.0, 1.0).to(sign.dtype)

        def signed_log(sign: Tensor, size: Tensor) -> Tensor:
            power = torch.where(signs.exponent, sign * size * terms.power_of_ten(spans.lead), 0.0)
            power = spans.lead + torch.cat([power[..., 1:], torch.zeros_like(power[..., :1])], -1)
            return sign * terms.log_magnitude(size, power)

        deviation = (signed_log(sign, written) - signed_log(right, target)).abs()
        return torch.where((spans.length > 0) & ~signs.exponent, deviation, 0.0)

    def _marginals(self, logits: Tensor, index: int) -> Tensor:
        """[B, T, K] → [B, T, w, base]: the distribution of each digit of the tokens of one group."""
        group, _, digits = self.groups()[index]
        probabilities = logits.softmax(-1)
        return (
            probabilities.unsqueeze(-2)
            if group.is_plain
            else terms.digit_marginals(probabilities, digits, group.base)
        )

    def _construct(self, columns: list[Tensor], spans: Spans) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(X−Y, X, Y, 1), each [B, T] by number, in units of the number's leading place."""
        predicted = torch.zeros_like(spans.value, dtype=terms.wide_dtype(spans.value.device))
        for i, (_, values, _) in enumerate(self.groups()):
            value = terms.constructed_value(
                columns[i], values, self.tau, self.noise_scale, self.construction == "straight_through"
            )
            predicted = predicted + torch.where(spans.group == i, value, 0.0)
        scale = terms.leading_scale(spans)
        empty = torch.zeros_like(scale)
        error = empty.scatter_add(-1, spans.number, scale * (predicted - spans.value))
        target = empty.scatter_add(-1, spans.number, scale * spans.value)
        written = empty.scatter_add(-1, spans.number, scale * predicted)
        return error, written, target, terms.power_of_ten(-spans.lead)


def label_digits(spans: Spans, values: Tensor, digits: Tensor) -> Tensor:
    """[B, T, w] the label's digits where it is one of the tokens worth values [K], with digits [K, w]; else some in range."""
    # Looked up, not divided out: inductor's vectorised integer division stops at lanes that are padding.
    index = torch.searchsorted(values, spans.value).clamp(max=len(values) - 1)
    return digits[index]
