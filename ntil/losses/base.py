"""What every number loss shares: its result, its vocabulary tables, how it reads the logits and how it is reduced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ntil.losses.functional import (
    computing_dtype,
    full_precision,
    gather_columns,
    gather_with_normaliser,
    without_masked,
)
from ntil.losses.inputs import check_reduction, checked_label_weights, checked_labels
from ntil.numbers import NumberVocab, Spans, number_spans
from ntil.numbers.spans import NumberFormat
from ntil.numbers.vocab import TokenGroup, VocabTables

RULED_OUT = -1e6  # stands for a logit of −inf: its probability is 0 all the same, and 0·∞ never arises
# Names that a log line or `LossParts` has for something else.
TAKEN = {"ce", "number", "total", "terms", "digits", "numbers"} | {
    "loss",
    "step",
    "epoch",
    "grad_norm",
    "learning_rate",
    "not_finite",
}


@dataclass
class LossParts:
    """A loss and what it is made of. Scalars keep their graph; `parts.emd` is short for `parts.terms["emd"]`."""

    total: Tensor  # []; [B, T] with reduction="none"
    terms: Mapping[str, Tensor] = field(default_factory=dict)  # as total, before their weights
    digits: Tensor | None = None  # [] number of supervised digits in the batch
    numbers: Tensor | None = None  # [] number of supervised numbers in the batch

    def __getattr__(self, name: str) -> Tensor:
        terms: Mapping[str, Tensor] = self.__dict__.get("terms", {})
        if name in terms:
            return terms[name]
        raise AttributeError(f"this loss has no part {name!r}; it has total, {', '.join(terms)}")


class Term(NamedTuple):
    """A part of a loss before it is reduced: what each item costs, and how many items an entry stands for.

    Entries are indexed by position, or where `by_number`, by the number of the row (as `Spans.length` is).
    """

    values: Tensor  # [B, T]; 0 where there is no item
    counts: Tensor  # [B, T]; what a mean divides by, summed up
    by_number: bool = False
    weight: float = 1.0  # of this term in the loss


class NumberLoss(nn.Module):
    """Base of the losses on number tokens. A subclass implements `terms`, from the number tokens' logits alone.

        loss(logits, labels).total      # logits [B, T, V] aligned with labels [B, T]

    Args:
        vocab: the number tokens of a tokenizer.
        number_format: as for `NTIL`.
        reads_marks: whether `terms` gets the logits of signs and exponents behind those of the number tokens.

    Called with:
        logits: [B, T, V] in any floating dtype, *already aligned* with the labels: row t predicts label t. V may exceed
            the vocabulary's size (padded models), not fall short of it.
        labels: [B, T]; those below 0 (such as -100) are ignored, whatever the logits hold there.
        label_weights: [B, T] how much each label counts; a number has the weight of its first token. A weighted mean is
            Σ w·x / Σ w over the items that the mean runs over, so weights of 1 change nothing and doubling them all
            neither.
        reduction: "mean" as the loss defines it; "sum" of all items; "none" leaves [B, T], what is due to a whole number
            standing at its first token, so that its sum is the "sum".

    Returns:
        LossParts: the total and each term, with graph.

    Raises:
        ValueError: an unknown number format, or a term whose name is taken.
    """

    names: tuple[str, ...]  # of the terms, in the order of LossParts
    mean_over = "items"  # "samples": the mean of each sample's items, then over the samples, an empty one counting as 0
    # Whether the loss depends on the logits of other tokens, through their log Σ exp.
    needs_normaliser = False

    def __init__(
        self, vocab: NumberVocab, number_format: NumberFormat = "digits", reads_marks: bool = False
    ) -> None:
        super().__init__()
        if number_format not in ("digits", "decimal"):
            raise ValueError(f"number_format must be 'digits' or 'decimal', not {number_format!r}.")
        if not hasattr(self, "names"):
            raise ValueError(f"{type(self).__name__} must say what its terms are called: names = ('…',).")
        if taken := TAKEN.intersection(self.names):
            raise ValueError(
                f"{type(self).__name__} calls a term {' and '.join(sorted(map(repr, taken)))}, which logs and parts use for something else."
            )
        self.number_format: NumberFormat = number_format
        self.vocab = vocab
        # With `reads_marks`, `terms` gets the logits of vocab.mark_ids behind those of the groups.
        self.reads_marks = reads_marks
        self._sizes = [len(group.token_ids) for group in vocab.groups]
        self._sizes += [len(vocab.mark_ids)] if reads_marks else []
        columns = torch.cat(
            [*(group.token_ids for group in vocab.groups), *([vocab.mark_ids] if reads_marks else [])]
        )
        self.columns = nn.Buffer(columns, persistent=False)
        # Consecutive ids (most vocabularies have 0–9 in a row) are read as a slice, which is faster than an index.
        first = int(columns[0])
        self._first = first if columns.tolist() == list(range(first, first + len(columns))) else None
        self._needed = int(columns.max()) + 1
        self.mark_signs = nn.Buffer(vocab.mark_signs, persistent=False)
        for name, table in vocab.tables._asdict().items():
            self.register_buffer(f"_{name}", table, persistent=False)
        for i, group in enumerate(vocab.groups):
            self.register_buffer(f"_values_{i}", group.values, persistent=False)
            self.register_buffer(f"_digits_{i}", group.digits, persistent=False)

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> LossParts:
        labels = checked_labels(logits, labels)
        label_weights = checked_label_weights(label_weights, labels, logits)
        with full_precision(logits.device):
            columns, normaliser = self.read(logits, labels)
            return self.parts(
                columns, self.spans(labels), normaliser, label_weights=label_weights, reduction=reduction
            )

    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[B] what each sample costs as a batch of its own: all of them in one pass, from logits and labels as `forward`'s."""
        labels = checked_labels(logits, labels)
        with full_precision(logits.device):
            columns, normaliser = self.read(logits, labels)
            found = self.terms(columns, self.spans(labels), normaliser).values()
            means = [term.weight * sample_means(term.values, term.counts) for term in found]
            return torch.stack([mean.to(columns[0].dtype) for mean in means]).sum(0)

    def terms(self, columns: list[Tensor], spans: Spans, normaliser: Tensor | None) -> dict[str, Term]:
        """The loss's terms from the logits [B, T, K] of each token group (see `groups`) and the labels' numbers.

        normaliser: log Σ exp of all V logits [B, T], for a class with `needs_normaliser`; None for the others. A name
        that is left out is a term that is switched off.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement terms(columns, spans, normaliser)")

    def parts(
        self,
        columns: list[Tensor],
        spans: Spans,
        normaliser: Tensor | None = None,
        *,
        label_weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> LossParts:
        """The reduced loss, from what `terms` takes."""
        check_reduction(reduction)
        found = self.terms(columns, spans, normaliser)
        if unnamed := [name for name in found if name not in self.names]:
            raise ValueError(
                f"{type(self).__name__}.terms returns {', '.join(map(repr, unnamed))}, which {type(self).__name__}.names "
                f"{self.names} lacks: it would be trained on and logged nowhere."
            )
        reduced = {
            name: self._reduced(term, spans, label_weights, reduction).to(columns[0].dtype)
            for name, term in found.items()
        }
        total = torch.stack([found[name].weight * value for name, value in reduced.items()]).sum(0)
        off = torch.zeros_like(total)
        named = {name: reduced.get(name, off) for name in self.names}
        return LossParts(total, named, spans.width.sum(), (spans.length > 0).sum())

    def _reduced(self, term: Term, spans: Spans, label_weights: Tensor | None, reduction: str) -> Tensor:
        values, counts = term.values, term.counts
        if label_weights is not None:
            share = label_weights.to(values.dtype)
            if term.by_number:
                share = torch.zeros_like(values).scatter_add(
                    -1, spans.number, torch.where(spans.is_first, share, 0.0)
                )
            values, counts = values * share, counts * share
        if reduction == "sum":
            return values.sum()
        if reduction == "none":
            return (
                torch.where(spans.is_first, values.gather(-1, spans.number), 0.0)
                if term.by_number
                else values
            )
        if self.mean_over == "samples":
            return sample_means(values, counts).sum() / max(values.shape[0], 1)
        return values.sum() / _divisor(counts.sum())

    def spans(self, labels: Tensor) -> Spans:
        """The numbers in labels [B, T]."""
        self._follow(labels.device)
        return number_spans(labels, self.tables(), self.number_format)

    def tables(self) -> VocabTables:
        """The vocabulary's tables on this loss's device."""
        return VocabTables(*(getattr(self, f"_{name}") for name in VocabTables._fields))

    def read(self, logits: Tensor, labels: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """What `terms` needs of the logits: those of the number tokens, and the normaliser where the loss depends on it."""
        if not self.needs_normaliser:
            return self.number_logits(logits, labels), None
        self.check_width(logits.shape[-1])
        self._follow(logits.device)
        columns, normaliser = gather_with_normaliser(logits, self.columns, labels >= 0)
        return self.split(columns), normaliser

    def number_logits(self, logits: Tensor, labels: Tensor) -> list[Tensor]:
        """[B, T, K] for each token group, in float32 (float64 logits stay so), 0 where a label is masked."""
        self.check_width(logits.shape[-1])
        self._follow(logits.device)
        return self.split(without_masked(gather_columns(logits, self.columns, self._first), labels >= 0))

    def split(self, columns: Tensor) -> list[Tensor]:
        """[B, T, all number tokens] → [B, T, K] for each group, in the computing dtype; −inf becomes very unlikely."""
        return list(
            columns.to(computing_dtype(columns.dtype)).clamp(min=RULED_OUT).split(self._sizes, dim=-1)
        )

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

    def check_width(self, width: int) -> None:
        if width < self._needed:
            raise ValueError(
                f"the logits are {width} wide, but the vocabulary has number tokens up to id "
                f"{self._needed - 1}; was the NumberVocab built from another tokenizer?"
            )


def sample_means(values: Tensor, counts: Tensor) -> Tensor:
    """[B, T] values and what each counts → [B] the mean of each sample's items, 0 where it has none."""
    return values.sum(-1) / _divisor(counts.sum(-1))


def _divisor(count: Tensor) -> Tensor:
    """1 where there is nothing to divide by: the sum is 0 there."""
    return torch.where(count > 0, count, torch.ones_like(count))
