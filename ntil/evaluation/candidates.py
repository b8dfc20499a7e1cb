"""The model's own distribution over answers to each question: by a wide beam search, or by samples.

    beams      the `candidates` most probable whole answers with their probabilities; what these sum to is the mass seen
    samples    `candidates` answers at temperature 1 with equal weights, where the mass seen is less than `mass`

An answer that `max_new_tokens` cuts counts as whole. Under a constraint each step is renormalised to what it allows, so
that these are probabilities of the constrained distribution. Samples depend on the seed and the question's place alone.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

from ntil.evaluation.engines import encode
from ntil.evaluation.generate import (
    Candidates,
    Encoded,
    Generated,
    Question,
    answering,
    batch_of,
    generate,
    held_and_ended,
)
from ntil.evaluation.settings import CENTRES, EvaluationSettings
from ntil.models.adapters import Adapter

PLACE = "place"  # of the question, beside its tokens
NEVER = -1e8  # log-probability below which transformers has had no answer to put there


def encode_with_place(adapter: Adapter, question: Question) -> Encoded:
    return {**encode(adapter, question), PLACE: torch.tensor(question.place)}


def answer_with_candidates(
    model: PreTrainedModel,
    adapter: Adapter,
    rows: Sequence[Encoded],
    max_new_tokens: int,
    pattern: str | None,
    settings: EvaluationSettings,
) -> list[Generated]:
    """Each question's most probable answer (for decode=sample: its sample), with its candidates.

    rows: as `encode_with_place` gives them. pattern: as for `generate`.
    """
    places = [int(row[PLACE]) for row in rows]
    rows = [{name: value for name, value in row.items() if name != PLACE} for row in rows]

    def drawn(which: Sequence[int], count: int) -> list[list[Generated]]:
        """`count` samples for each of these questions."""
        numbers = [uniform(settings.seed, places[i], count, max_new_tokens) for i in which]
        many = [rows[i] for i in which for _ in range(count)]
        choose = Drawn(torch.from_numpy(np.concatenate(numbers)))
        said = generate(model, adapter, many, max_new_tokens, pattern, choose=choose)
        return [said[start : start + count] for start in range(0, len(said), count)]

    if settings.decode == "sample":
        return [one._replace(candidates=of_samples([one])) for (one,) in drawn(range(len(rows)), 1)]
    found = beams(model, adapter, rows, max_new_tokens, pattern, settings.candidates)
    best = Forced(torch.stack([ids for ids, _ in found]))
    top = generate(model, adapter, rows, max_new_tokens, pattern, choose=best)
    said = [one._replace(candidates=candidates) for one, (_, candidates) in zip(top, found, strict=True)]
    unseen = [i for i, (_, candidates) in enumerate(found) if _mass(candidates) < settings.mass]
    if settings.decode in CENTRES and unseen:
        for i, samples in zip(unseen, drawn(unseen, settings.candidates), strict=True):
            said[i] = said[i]._replace(candidates=of_samples(samples, _mass(found[i][1])))
    return said


def beams(
    model: PreTrainedModel,
    adapter: Adapter,
    rows: Sequence[Encoded],
    max_new_tokens: int,
    pattern: str | None,
    count: int,
) -> list[tuple[Tensor, Candidates]]:
    """For each question the tokens [T] of its most probable answer, padded, and at most `count` candidates.

    A diverged model has none.
    """
    batch = batch_of(model, adapter, rows)
    asked = batch["input_ids"].shape[1]
    held, ends = held_and_ended(model, adapter, asked, pattern)
    with torch.no_grad(), answering(model):
        made: Any = model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=max(2, count),  # of one alone transformers makes no search
            num_return_sequences=max(2, count),
            length_penalty=0.0,  # the score of a sequence is its log-probability
            early_stopping=False,
            renormalize_logits=True,
            return_dict_in_generate=True,
            output_scores=True,
            pad_token_id=adapter.pad_token_id,
            eos_token_id=list(adapter.stop_ids),
            logits_processor=LogitsProcessorList(held),
            stopping_criteria=StoppingCriteriaList(ends),
        )
    sequences = made.sequences[:, asked:].cpu().unflatten(0, (len(rows), -1))
    scores = made.sequences_scores.double().cpu().unflatten(0, (len(rows), -1))
    return [_distinct(adapter, *of_question, count) for of_question in zip(sequences, scores, strict=True)]


def _distinct(adapter: Adapter, sequences: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Candidates]:
    """sequences [K, T] with scores [K], the highest first → as `beams`. Several spellings of a text add up."""
    sums: dict[str, float] = {}
    first: dict[str, Tensor] = {}
    whole = [(ids, float(score)) for ids, score in zip(sequences, scores, strict=True) if score > NEVER]
    for ids, score in whole[:count]:
        text = adapter.decode(ids)
        sums[text] = sums.get(text, 0.0) + math.exp(score)
        first.setdefault(text, ids)
    mass = sum(sums.values())
    if not mass > 0:
        return sequences[0], Candidates({}, 0.0, sampled=False)
    ordered = sorted(sums, key=lambda text: -sums[text])
    weights = {text: sums[text] / mass for text in ordered}
    return first[ordered[0]], Candidates(weights, min(1.0, mass), sampled=False)


def of_samples(samples: Sequence[Generated], mass: float | None = None) -> Candidates:
    """Equal weights; the most frequent text first, of several the one that came first. mass: that beams saw."""
    texts = [one.text for one in samples]
    ordered = sorted(dict.fromkeys(texts), key=lambda text: -texts.count(text))
    return Candidates({text: texts.count(text) / len(texts) for text in ordered}, mass, sampled=True)


def uniform(seed: int, place: int, count: int, steps: int) -> Any:
    """float64 [count, steps] in [0, 1), the same for a question wherever and with whomever it is answered."""
    return np.random.default_rng([seed, place]).random((count, steps))


class Forced(LogitsProcessor):
    """Leaves the given tokens [B, T], one column for each step; the last one where there are more steps."""

    def __init__(self, tokens: Tensor) -> None:
        self.tokens, self.step = tokens, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids [B, T], scores [B, V] → scores [B, V], −inf but for one of each row."""
        chosen = self._chosen(scores)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen.unsqueeze(-1), 0.0)

    def _chosen(self, scores: Tensor) -> Tensor:
        return self.tokens[:, min(self.step, self.tokens.shape[1] - 1)].to(scores.device)


class Drawn(Forced):
    """Leaves one token of each row, drawn from its distribution by a number of its own: samples at temperature 1.

    numbers: [B, steps] in [0, 1). Of a row of a diverged model the last token is left.
    """

    def _chosen(self, scores: Tensor) -> Tensor:
        below = scores.double().softmax(-1).cumsum(-1)
        number = self.tokens[:, self.step, None].to(below)
        token = torch.searchsorted(below, number * below[:, -1:], right=True).squeeze(-1)
        return token.clamp(max=scores.shape[-1] - 1)


def _mass(candidates: Candidates) -> float:
    return candidates.mass or 0.0
