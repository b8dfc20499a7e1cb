"""The numbers behind table and picture: equal to plain calls of the losses, for whatever ntil.losses exports."""

import inspect
import math
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import ntil.losses
from ntil.errors import UserError
from ntil.explain.lineup import CE, line_up
from ntil.explain.rows import rows
from ntil.explain.tokens import CHARACTERS
from ntil.losses import NumberLoss, Term, WithCrossEntropy
from ntil.losses.discover import number_losses
from ntil.numbers import NumberVocab

SURE = 0.99999
EXPORTED = [
    name
    for name in ntil.losses.__all__
    if inspect.isclass(cls := getattr(ntil.losses, name))
    and issubclass(cls, NumberLoss)
    and cls is not NumberLoss
]


def sure_logits(ids, size):
    """[1, T, V] with probability SURE at the ids and the rest shared evenly, straight from the definition."""
    probabilities = torch.full((1, len(ids), size), (1 - SURE) / (size - 1), dtype=torch.float64)
    probabilities[0, torch.arange(len(ids)), torch.tensor(ids)] = SURE
    idle = math.log((1 - SURE) / (size - 1))
    return probabilities.log() - idle  # a token that was not written has logit 0


def character_ids(text):
    return [CHARACTERS.index(c) for c in text]


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize(
    "texts", [("0.98", "1.01", "1.98"), ("345", "344", "945"), ("-5", "+5", "-6")], ids=str
)
def test_values_equal_direct_calls(report, name, texts):
    made = report(*texts)
    vocab, cls = NumberVocab.from_texts([*CHARACTERS]), getattr(ntil.losses, name)
    options = {"noise_scale": 0.0} if "noise_scale" in inspect.signature(cls).parameters else {}
    labels = torch.tensor([character_ids(texts[0])])
    matches = [c for c in made.contestants if type(c.parts) is cls]
    assert matches, f"{name} does not appear"
    for contestant in matches:
        loss = (
            cls(vocab, number_format=contestant.number_format, **options)
            if len(matches) > 1
            else cls(vocab, **options)
        )
        for answer, parts in zip(made.answers, made.parts[contestant.name], strict=True):
            expected = loss(sure_logits(character_ids(answer.text), len(CHARACTERS)), labels)
            assert parts.terms.keys() == expected.terms.keys()
            torch.testing.assert_close(parts.total, expected.total)
            for key in expected.terms:
                torch.testing.assert_close(parts.terms[key], expected.terms[key])


def test_cross_entropy_equals_torch(report):
    made = report("345", "344", "999")
    for text, value in zip(["345", "344", "999"], made.totals(CE), strict=True):
        logits = sure_logits(character_ids(text), len(CHARACTERS))[0]
        assert value == pytest.approx(float(F.cross_entropy(logits, torch.tensor(character_ids("345")))))


def test_the_small_alphabet_stands_for_the_whole_vocabulary(report, wide):
    made = report("2024", "2023", "1024", tokenizer=wide)
    tokenizer = Tokenizer.from_file(str(wide))
    vocab = NumberVocab.from_tokenizer(tokenizer)
    assert made.alphabet.size < vocab.size
    assert [a.as_tokens for a in made.answers] == ["202·4", "202·3", "102·4"]
    labels = torch.tensor([tokenizer.encode("2024").ids])
    whole = {
        contestant.name: contestant.parts for contestant in line_up(vocab, has_point=False, has_wide=True)
    }
    assert whole.keys() == made.parts.keys()
    for i, answer in enumerate(made.answers):
        logits = sure_logits(answer.ids, vocab.size)
        for name, parts in whole.items():
            assert made.totals(name)[i] == pytest.approx(
                float(parts(logits, labels).total), rel=1e-9, abs=1e-9
            ), name


def test_the_motivating_example(report):
    """The figures of docs/losses.md, which are those of the released code in `digits` format."""
    made = report("0.98", "1.98", "1.01")
    expected = {
        ("NTIL", 1): (0.333, 0.250, 0.347, 0.453),
        ("NTIL", 2): (6.267, 0.740, 2.298, 6.874),
        ("NTIL decimal", 1): (0.480, 0.336, 0.409, 0.629),
        ("NTIL decimal", 2): (0.014, 0.015, 0.015, 0.020),
    }
    for (name, i), values in expected.items():
        parts = made.parts[name][i]
        found = [float(x) for x in (parts.emd, parts.relative, parts.magnitude, parts.total)]
        assert found == pytest.approx(values, abs=5.5e-4)
    assert made.verdict(made.totals("NTIL")) == "wrong"
    assert made.verdict(made.totals("NTIL decimal")) == "right"


def test_verdicts(report):
    made = report("345", "344", "945", "346")
    assert [a.text for a in made.nearest()] == ["344", "346"]
    assert [a.text for a in made.favours([0, 2, 3, 2])] == ["344", "346"]
    assert made.verdict([0, 2, 3, 2]) == "right"
    assert made.verdict([0, 3, 2, 3]) == "wrong"
    assert made.verdict([0, 2, 2, 3]) == "wrong"  # one of the two that cost least is far off
    assert made.verdict([0, 2, 2, 2 + 1e-9]) == "tie"
    assert report("345", "344", "346").verdict([0, 1, 2]) == ""  # both are 1 off
    assert report("345", "344").verdict([0, 1]) == ""


def test_values_of_texts(report, wide):
    made = report("-1.5", "+1.5", "-2.5")
    assert [str(a.value) for a in made.answers] == ["-3/2", "3/2", "-5/2"]
    assert [float(e) for e in made.errors()] == [0, 3, 1]
    assert made.wrong_tokens() == [0, 1, 1]
    assert report("12:34", "12:35").errors() is None
    assert [float(e) for e in report("1,234", "1,334").errors()] == [0, 100]
    assert report("<loc0003>", "<loc0005>", tokenizer=wide).errors() == [0, 2]


@pytest.mark.parametrize(
    ("module_says", "name", "about"),
    [
        ("Odd one: always seven (nowhere, arXiv 2505.13077).", "Odd one", "always seven (nowhere)"),
        ("Losses that are odd.", "Surprise", "Counts numbers, whatever is predicted"),
        (None, "Surprise", "Counts numbers, whatever is predicted"),
    ],
)
def test_a_new_loss_appears_by_itself(monkeypatch, report, module_says, name, about):
    class Surprise(NumberLoss):
        """Counts numbers, whatever is predicted."""

        names = ("one", "two")

        def terms(self, columns, spans, normaliser):
            cost = sum(c.sum(-1) for c in columns) * 0 + 7.0 * spans.is_number
            return {name: Term(cost, spans.width, weight=0.5) for name in self.names}

    Surprise.__module__ = "ntil.losses.surprise"
    monkeypatch.setitem(sys.modules, "ntil.losses.surprise", types.ModuleType("surprise", module_says))
    every = {**number_losses(), "Surprise": Surprise}
    monkeypatch.setattr("ntil.explain.lineup.number_losses", lambda: every)
    made = report("50", "49", "10")
    (contestant,) = [c for c in made.contestants if isinstance(c.parts, Surprise)]
    assert (contestant.name, contestant.about) == (name, about)
    assert made.totals(name) == [7.0, 7.0, 7.0]
    assert [row.name.strip(" =") for row in rows(made, contestant)] == ["one", "two", name]


def test_every_name_is_readable_and_unique():
    contestants = line_up(NumberVocab.from_texts([*CHARACTERS]), has_point=True, has_wide=False)
    names = [c.name for c in contestants]
    assert len(set(names)) == len(names)
    assert names[:3] == [CE, "NTIL", "NTIL decimal"]
    assert {"EMD", "NTL-WAS", "NTL-MSE", "SMMD", "DEL", "DEL digits"} <= set(names)
    assert all(c.about and "`" not in c.about for c in contestants)
    assert not any(isinstance(c.parts, WithCrossEntropy) for c in contestants)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("2024", "999"), "Pad with zeros: '0999'"),
        (("986", "98"), "as many digits"),
        (("2.5", "205"), "in the same place"),
        (("-5", "5"), "'-5' with '+5'"),
        (("5", "-5"), "'-5' with '+5'"),
        (("word", "5"), "no number token"),
        (("", "5"), "no number token"),
    ],
)
def test_what_cannot_be_compared(report, wide, texts, said):
    with pytest.raises(UserError, match=said.replace("+", r"\+")):
        report(*texts, tokenizer=wide)


def test_the_target_among_the_predictions_and_doubles_are_dropped(report):
    assert [a.text for a in report("50", "49", "50", "49").answers] == ["50", "49"]


@pytest.mark.slow
def test_llama3_where_it_is_at_hand(report, real_tokenizer, tmp_path):
    real_tokenizer("llama3").backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    made = report("2024", "2023", "1024", tokenizer=tmp_path)
    assert made.target.as_tokens == "202·4"
    assert made.totals(CE)[1] == pytest.approx(made.totals(CE)[2])
    assert made.verdict(made.totals("NTIL")) == "right"
