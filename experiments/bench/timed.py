"""The losses that are compared, and the batches that they are compared on."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import ntil

FIRST_DIGIT = 100  # id of "0" in the bench's vocabulary
BASELINE = "F.cross_entropy"
FUSED = "CE + NTIL"
LOOPS = "NTIL as loops"
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Workload:
    """A batch: logits [batch, tokens, vocabulary] with this share of digits among the labels."""

    batch: int
    tokens: int
    vocabulary: int
    digit_share: float
    dtype: str
    threads: int

    @property
    def title(self) -> str:
        shape = f"B={self.batch} T={self.tokens} V={self.vocabulary}"
        return f"{shape}, {self.digit_share:.0%} digits, {self.dtype}, {self.threads} threads"

    def inputs(self, device: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(1000, self.vocabulary, (self.batch, self.tokens), generator=generator)
        digits = torch.rand(labels.shape, generator=generator) < self.digit_share
        values = torch.randint(FIRST_DIGIT, FIRST_DIGIT + 10, labels.shape, generator=generator)
        logits = torch.randn(self.batch, self.tokens, self.vocabulary, generator=generator)
        labels = torch.where(digits, values, labels)
        return logits.to(device, getattr(torch, self.dtype)), labels.to(device)


def texts(size: int) -> list[str]:
    """A vocabulary with one-character digits and a point."""
    names = [f"w{i}" for i in range(size)]
    names[FIRST_DIGIT : FIRST_DIGIT + 11] = [*"0123456789."]
    return names


def timed_losses(vocabulary: int, loops: bool = False) -> dict[str, Loss]:
    """Name → loss; `ntloss` where it is installed, the tests' oracle where asked for and in the checkout."""
    vocab = ntil.NumberVocab.from_texts(texts(vocabulary))
    number = {
        "EMD": ntil.EMD(vocab),
        "NTIL": ntil.NTIL(vocab),
        "NTIL decimal": ntil.NTIL(vocab, number_format="decimal"),
    }
    losses: dict[str, Loss] = {BASELINE: cross_entropy}
    losses |= {name: _total_of(loss) for name, loss in number.items()}
    losses[FUSED] = ntil.WithCrossEntropy(number["NTIL"])
    losses["CE + NTIL, logits overwritten"] = ntil.WithCrossEntropy(number["NTIL"], overwrite_logits=True)
    losses["CE + NTIL, not fused"] = ntil.WithCrossEntropy(number["NTIL"], fused=False)
    if (rival := _ntloss(vocabulary)) is not None:
        losses["ntloss"] = rival
        losses["F.cross_entropy + 0.3 ntloss"] = lambda z, y: cross_entropy(z, y) + 0.3 * rival(z, y)
    if loops and (oracle := _oracle(vocabulary)) is not None:
        losses[LOOPS] = oracle
    return losses


def _total_of(loss: ntil.NumberLoss) -> Loss:
    return lambda logits, labels: loss(logits, labels).total


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def _ntloss(size: int) -> Loss | None:
    try:
        from ntloss import NTLoss
    except ImportError:
        return None
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts(size))}, unk_token="w0"))
    return NTLoss(PreTrainedTokenizerFast(tokenizer_object=words), vocab_size=size)


def _oracle(size: int) -> Loss | None:
    """The slow, obvious NTIL that the tests compare with; None outside a checkout."""
    tests = Path(__file__).parents[2] / "tests"
    if not (tests / "oracles").is_dir():
        return None
    sys.path.insert(0, str(tests))
    try:
        from oracles.ntil_loops import ntil as loops  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tests))
    names = texts(size)
    return lambda logits, labels: loops(names, logits, labels).total
