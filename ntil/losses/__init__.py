"""Losses on the numbers of a label sequence, and their combination with cross-entropy."""

from collections.abc import Callable

from ntil.losses.base import LossParts, NumberLoss, Term
from ntil.losses.combine import WithCrossEntropy
from ntil.losses.cross_entropy import CrossEntropy
from ntil.losses.crps import CRPS
from ntil.losses.del_loss import DEL
from ntil.losses.dist2 import DIST2
from ntil.losses.emd import EMD
from ntil.losses.gaussian_ce import GaussianCE
from ntil.losses.label_smoothing import LabelSmoothing
from ntil.losses.ntil import NTIL
from ntil.losses.ntil_aligned import NTILAligned
from ntil.losses.ntl_mse import NTLMSE
from ntil.losses.ntl_number import NTLNumber
from ntil.losses.ntl_was import NTLWAS
from ntil.losses.raft import RAFT
from ntil.losses.rps import RPS
from ntil.losses.sequence_smoothing import SequenceSmoothing
from ntil.losses.smmd import SMMD
from ntil.numbers import NumberVocab

__all__ = [
    "CRPS",
    "DEL",
    "DIST2",
    "EMD",
    "NTIL",
    "NTLMSE",
    "NTLWAS",
    "RAFT",
    "RPS",
    "SMMD",
    "CrossEntropy",
    "GaussianCE",
    "LabelSmoothing",
    "LossParts",
    "NTILAligned",
    "NTLNumber",
    "NumberLoss",
    "SequenceSmoothing",
    "Term",
    "WithCrossEntropy",
    "build_loss",
]


def build_loss(
    vocab: NumberVocab,
    number: Callable[..., NumberLoss] | None = None,
    weight: float = 0.3,
    balance: str = "ce_ratio",
    ce_on_digits: bool = True,
    label_smoothing: float = 0.0,
) -> CrossEntropy | WithCrossEntropy:
    """What conf/loss/*.yaml instantiates: cross-entropy, with the number loss that `number(vocab)` makes, if any.

    label_smoothing: ε of `LabelSmoothing`, for cross-entropy alone; ValueError beside a number loss.
    """
    if number is not None and label_smoothing:
        raise ValueError(
            "label_smoothing is for cross-entropy alone (number: null); the number losses have none."
        )
    if number is None:
        return LabelSmoothing(label_smoothing) if label_smoothing else CrossEntropy()
    return WithCrossEntropy(number(vocab), weight=weight, balance=balance, ce_on_digits=ce_on_digits)
