"""The picture's curves: each loss for every prediction, as if each were evaluated alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from ntil.explain.curves import candidates, curves, per_prediction
from ntil.explain.report import evaluate
from ntil.explain.tokens import Answer
from ntil.losses import CrossEntropy
from ntil.numbers import NumberVocab


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


CONF = Path(__file__).resolve().parents[2] / "conf"
SETTINGS = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))


def number_loss(name, vocab):
    """What conf/loss/<name>.yaml adds to cross-entropy, without noise."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF / "loss"), version_base="1.3"):
        number = compose(name).get("number")
    loss = CrossEntropy() if number is None else instantiate(number)(vocab)
    if hasattr(loss, "noise_scale"):
        loss.noise_scale = 0.0
    return loss


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "label", ["0.98", "345", "12 and 7", "-5.3e2", "no number", "1.2.3, 45"], ids=lambda text: text or "empty"
)
def test_samples_of_one_batch_cost_what_each_costs_alone(name, label):
    """Losses that couple positions, such as those on a whole number, see one sample at a time."""
    characters = [*"0123456789.-+,e nadoumbr"]
    vocab = NumberVocab.from_texts(characters)
    loss = number_loss(name, vocab)
    row = torch.tensor([characters.index(c) for c in label])
    labels = torch.stack([row, row, row.flip(0), row, torch.full_like(row, -100)])
    labels[3, 0] = -100
    logits = 4 * torch.randn(
        (*labels.shape, len(characters)), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    whole = loss.parts if isinstance(loss, CrossEntropy) else loss
    alone = torch.stack([whole(logits[i : i + 1], labels[i : i + 1]).total for i in range(len(labels))])
    torch.testing.assert_close(loss.of_samples(logits, labels), alone, rtol=1e-12, atol=1e-14)


def test_there_are_settings():
    assert len(SETTINGS) >= 19


def test_a_thousand_predictions_are_one_call(report):
    made = report("345", "344")
    shown = candidates(made)
    for contestant in made.contestants:
        calls = []

        def counted(logits, labels, calls=calls, whole=contestant.of_samples):
            calls.append(len(logits))
            return whole(logits, labels)

        one = replace(contestant, of_samples=counted)
        assert len(per_prediction(one, made.alphabet.logits(shown.ids), made.labels())) == 1000
        assert calls == [1000], contestant.name


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
