"""What every number loss shares: its result, its vocabulary tables and how it reads the logits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ntil.losses.functional import computing_dtype, full_precision, gather_columns
from ntil.numbers import NumberVocab, Spans, number_spans
from ntil.numbers.spans import NumberFormat
from ntil.numbers.vocab import TokenGroup, VocabTables

RULED_OUT = -1e6  # stands for a logit of −inf: its probability is 0 all the same, and 0·∞ never arises


@dataclass
class LossParts:
    """A loss and what it is made of. Scalars keep their graph; `parts.emd` is short for `parts.terms["emd"]`."""

    total: Tensor  # []
    terms: Mapping[str, Tensor] = field(default_factory=dict)  # [] each, before their weights
    digits: Tensor | None = None  # [] number of supervised digits in the batch
    numbers: Tensor | None = None  # [] number of supervised numbers in the batch

    def __getattr__(self, name: str) -> Tensor:
        terms: Mapping[str, Tensor] = self.__dict__.get("terms", {})
        if name in terms:
            return terms[name]
        raise AttributeError(f"this loss has no part {name!r}; it has total, {', '.join(terms)}")


class NumberLoss(nn.Module):
    """Base of the losses on number tokens. A subclass implements `parts`, from the number tokens' logits alone.

        loss(logits, labels) -> LossParts

    logits [B, T, V] in any floating dtype, *already aligned* with labels [B, T] (row t of the logits predicts label t);
    labels below 0 (such as -100) are ignored. V may exceed the vocabulary's size (padded models), not fall short of it.
    """

    needs_normaliser = (
        False  # whether the loss depends on the logits of other tokens, through their log Σ exp
    )

    def __init__(self, vocab: NumberVocab, number_format: NumberFormat = "digits") -> None:
        super().__init__()
        if number_format not in ("digits", "decimal"):
            raise ValueError(f"number_format must be 'digits' or 'decimal', not {number_format!r}.")
        self.number_format: NumberFormat = number_format
        self.vocab = vocab
        columns = torch.cat([group.token_ids for group in vocab.groups])
        self.columns = nn.Buffer(columns, persistent=False)
        # Consecutive ids (most vocabularies have 0–9 in a row) are read as a slice, which is faster than an index.
        first = int(columns[0])
        self._first = first if columns.tolist() == list(range(first, first + len(columns))) else None
        self._needed = int(columns.max()) + 1
        for name, table in vocab.tables._asdict().items():
            self.register_buffer(f"_{name}", table, persistent=False)
        for i, group in enumerate(vocab.groups):
            self.register_buffer(f"_values_{i}", group.values, persistent=False)
            self.register_buffer(f"_digits_{i}", group.digits, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> LossParts:
        with full_precision(logits.device):
            columns = self.number_logits(logits, labels)
            normaliser = logits.to(columns[0].dtype).logsumexp(-1) if self.needs_normaliser else None
            return self.parts(columns, self.spans(labels), normaliser)

    def parts(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None = None) -> LossParts:
        """The loss from the logits [B, T, K] of each token group (see `groups`) and the labels' numbers.

        normaliser: log Σ exp of all V logits [B, T], for a class with `needs_normaliser`; None for the others.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement parts(columns, spans, normaliser)")

    def spans(self, labels: Tensor) -> Spans:
        """The numbers in labels [B, T]."""
        self._follow(labels.device)
        tables = VocabTables(*(getattr(self, f"_{name}") for name in VocabTables._fields))
        return number_spans(labels, tables, self.number_format)

    def number_logits(self, logits: Tensor, labels: Tensor) -> list[Tensor]:
        """[B, T, K] for each token group, in float32 (float64 logits stay so); checks shapes, follows the device."""
        self._check(logits, labels)
        self._follow(logits.device)
        return self.split(gather_columns(logits, self.columns, self._first))

    def split(self, columns: Tensor) -> list[Tensor]:
        """[B, T, all number tokens] → [B, T, K] for each group, in the computing dtype; −inf becomes very unlikely."""
        sizes = [len(group.token_ids) for group in self.vocab.groups]
        return list(columns.to(computing_dtype(columns.dtype)).clamp(min=RULED_OUT).split(sizes, dim=-1))

    def groups(self) -> list[tuple[TokenGroup, Tensor, Tensor]]:
        """(group, values [K], digits [K, width]) with the tensors on this loss's device."""
        return [
            (group, getattr(self, f"_values_{i}"), getattr(self, f"_digits_{i}"))
            for i, group in enumerate(self.vocab.groups)
        ]

    def _follow(self, device: torch.device) -> None:
        """Move the tables to where the data is; once, and nothing under torch.compile where they are there already."""
        if self.columns.device != device:
            self.to(device)

    def _check(self, logits: Tensor, labels: Tensor) -> None:
        if logits.ndim != 3 or labels.shape != logits.shape[:2]:
            raise ValueError(
                f"expected logits [B, T, V] and labels [B, T]; got {list(logits.shape)} and {list(labels.shape)}. "
                "A flat batch needs its rows back: numbers must not run from one sample into the next."
            )
        if not logits.is_floating_point():
            raise ValueError(f"logits must be floating point, not {logits.dtype}.")
        if logits.shape[-1] < self._needed:
            raise ValueError(
                f"the logits are {logits.shape[-1]} wide, but the vocabulary has number tokens up to id "
                f"{self._needed - 1}; was the NumberVocab built from another tokenizer?"
            )


def mean_per_sample(per_position: Tensor, count: Tensor) -> Tensor:
    """[B, T] and [B] → []: mean over each sample's `count` items, then over the samples; an empty sample counts 0."""
    return (per_position.sum(-1) / count.clamp(min=1)).sum() / max(count.shape[0], 1)
