"""Number-aware losses for autoregressive models.

vocab = ntil.NumberVocab.from_tokenizer(tokenizer, vocab_size=model.config.vocab_size)
loss = ntil.WithCrossEntropy(ntil.NTIL(vocab))
"""

from ntil import startup  # noqa: F401  (before torch: Ctrl-C is quiet from here on)

# isort: split
from ntil import integrations
from ntil.losses import EMD, NTIL, CrossEntropy, LossParts, NumberLoss, WithCrossEntropy
from ntil.numbers import NumberVocab

__version__ = "0.1.0"
__all__ = [
    "EMD",
    "NTIL",
    "CrossEntropy",
    "LossParts",
    "NumberLoss",
    "NumberVocab",
    "WithCrossEntropy",
    "integrations",
]
