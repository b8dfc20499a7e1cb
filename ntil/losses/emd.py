"""EMD: the Earth Mover's Distance on digits alone, NTIL's token-level term without position weights."""

from ntil.losses.ntil import NTIL
from ntil.numbers import NumberVocab
from ntil.numbers.spans import NumberFormat


class EMD(NTIL):
    """mean(w·EMD) with w = (1+σ)^rank; σ = 0 is the plain "EMD" baseline of the NTIL paper.

        loss = EMD(vocab)
        loss(logits, labels).total      # logits [B, T, V] aligned with labels [B, T]

    Args:
        vocab: the number tokens of a tokenizer.
        sigma: growth of a digit's weight with each digit to its right.
        number_format: as for `NTIL`.

    Source: NTIL, ACL 2025 (arXiv 2505.13077).
    """

    names = ("emd",)

    def __init__(
        self, vocab: NumberVocab, sigma: float = 0.0, number_format: NumberFormat = "digits"
    ) -> None:
        super().__init__(vocab, sigma=sigma, alpha=0.0, beta=0.0, number_format=number_format)
