"""The picture's curves: each loss for every prediction, as if each were evaluated alone."""

import pytest
import torch
from torch import nn

from ntil.explain.curves import candidates, curves, per_prediction
from ntil.explain.lineup import Contestant
from ntil.explain.report import evaluate
from ntil.explain.tokens import Answer
from ntil.losses import LossParts


@pytest.mark.parametrize(
    ("target", "count", "first", "last"),
    [
        ("7", 10, 0, 9),
        ("50", 100, 0, 99),
        ("0.98", 1000, 0, 9.99),
        ("-5.3", 100, -9.9, 0),
        ("345", 1000, 0, 999),
        ("5 %", 10, 0, 9),
    ],
)
def test_all_predictions_of_the_targets_shape(report, target, count, first, last):
    shown = candidates(report(target))
    assert len(shown.ids) == len(shown.values) == len(set(shown.values)) == count
    assert shown.values == sorted(shown.values)
    assert shown.values[0] == first
    assert shown.values[-1] == last
    assert shown.every == 1


@pytest.mark.parametrize(
    "texts", [("50", "49"), ("0.98", "1.01"), ("-5", "+5"), ("345", "344"), ("2024", "2023")], ids=str
)
def test_curves_equal_one_by_one_evaluation(report, wide, texts, monkeypatch):
    monkeypatch.setattr("ntil.explain.curves.MAX_LOGITS", 2**20)
    made = report(*texts, tokenizer=wide if texts[0] == "2024" else None)
    shown = candidates(made)
    logits = made.alphabet.logits(shown.ids)
    found = dict((contestant.name, curve) for contestant, curve in curves(made, shown))
    assert found.keys() == made.parts.keys()
    for contestant in made.contestants:
        for i in torch.randint(len(logits), (7,), generator=torch.Generator().manual_seed(0)).tolist():
            with torch.no_grad():
                alone = contestant.parts(logits[i : i + 1], made.labels()).total
            assert found[contestant.name][i] == pytest.approx(float(alone), rel=1e-9, abs=1e-12), (
                contestant.name
            )


def test_curves_pass_through_the_tables_values(report):
    made = report("0.98", "1.01", "1.98")
    shown = candidates(made)
    for contestant, curve in curves(made, shown):
        for answer, total in zip(made.answers, made.totals(contestant.name), strict=True):
            assert curve[shown.values.index(float(answer.value))] == pytest.approx(total, abs=1e-12)


def test_the_curves_do_not_fall_back_to_plain_calls(report, monkeypatch):
    """A thousand predictions cost a few calls of each loss."""
    made = report("345", "344")
    shown = candidates(made)
    calls = []

    def counted(parts):
        return lambda logits, labels: (calls.append(len(logits)), parts(logits, labels))[1]

    for contestant in made.contestants:
        one = Contestant(contestant.name, "", counted(contestant.parts))
        calls.clear()
        assert len(per_prediction(one, made.alphabet.logits(shown.ids), made.labels())) == 1000
        assert len(calls) < 10, contestant.name


class Odd(nn.Module):
    """A loss that cannot be replayed: `how` says why."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, logits, labels):
        top = logits.argmax(-1).double()
        total = top.mean()
        if self.how == "reads back" and total.item() > 4:
            total = total * 10
        if self.how == "branches on a number" and logits.argmax() % 2:
            total = total + 5
        if self.how == "writes into a constant":
            buffer = torch.zeros_like(labels, dtype=torch.float64)
            buffer += top
            total = buffer.mean()
        if self.how == "hides the values":
            total = torch.tensor(top.numpy().mean())
        return LossParts(total)


@pytest.mark.parametrize(
    "how", ["reads back", "branches on a number", "writes into a constant", "hides the values"]
)
def test_a_loss_that_cannot_be_replayed_is_called_one_by_one(report, how):
    made = report("50", "49")
    shown = candidates(made)
    logits = made.alphabet.logits(shown.ids)
    loss = Odd(how)
    found = per_prediction(Contestant("odd", "", loss), logits, made.labels())
    expected = torch.stack([loss(one[None], made.labels()).total for one in logits])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("12345", "at most 4 digits"),
        ("12:34", "as one number"),
        ("1.2.3", "as one number"),
        ("1,234", "as one number"),
    ],
)
def test_why_there_is_no_picture(report, target, reason):
    assert reason in candidates(report(target))


def test_a_large_vocabulary_is_thinned_out(report, wide, monkeypatch):
    monkeypatch.setattr("ntil.explain.curves.MAX_LOGITS", 2**21)
    made = report("2024", "2023", tokenizer=wide)
    shown = candidates(made)
    assert shown.every > 1
    assert shown.every % 2
    assert shown.every % 5
    assert len(shown.values) == -(-10_000 // shown.every)
    assert {int(value) % 10 for value in shown.values} == set(range(10))


def test_ordinals(report, wide):
    made = report("<loc0003>", "<loc0009>", tokenizer=wide)
    shown = candidates(made)
    assert shown.values == list(range(16))
    found = {contestant.name: curve for contestant, curve in curves(made, shown)}
    assert found["NTIL"][3] == min(found["NTIL"])
    assert found["NTIL"][9] > found["NTIL"][4]


def test_evaluate_needs_no_text(report):
    made = report("50", "49")
    ids = made.answers[1].ids
    again = evaluate(made, made.contestants[1], Answer("", ids, (), None))
    assert float(again.total) == made.totals("NTIL")[1]
