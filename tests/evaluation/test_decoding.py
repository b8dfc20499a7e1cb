"""Number-aware decoding: candidates against a walk of the whole tree, samples that nothing but seed and place decides, and commands."""

import itertools
import math
import shutil
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fixtures import REPOSITORY, SMALL, in_folder, losses, run
from model_configs import SEEING, picture, twin
from omegaconf import OmegaConf

from ntil.data.example import Example, read_examples
from ntil.errors import UserError
from ntil.evaluation import evaluate, score_examples
from ntil.evaluation.candidates import answer_with_candidates, encode_with_place, of_samples
from ntil.evaluation.decode import check_decoding, decided
from ntil.evaluation.evaluate import _transformers
from ntil.evaluation.generate import Candidates, Generated, Question, generate
from ntil.evaluation.settings import DECODINGS, EvaluationSettings
from ntil.evaluation.trained import Trained, load_trained
from ntil.io import read_json, read_jsonl
from ntil.metrics.clock import circular_gap
from ntil.models import load_model
from ntil.models.families import FAMILIES
from ntil.runs import processes
from ntil.settings import load_settings
from tasks.arithmetic import ArithmeticTask, Number
from tasks.clock import ClockTask

PLAIN: dict[str, Any] = {"splits": ["test"], "optional_splits": [], "limit": None, "pictures": False}
ONE_OR_TWO_DIGITS = "[0-9]{1,2}"


def asked(decode: str = "median", **changes: Any) -> EvaluationSettings:
    return load_settings(
        EvaluationSettings, {**PLAIN, "batch_size": None, "decode": decode, **changes}, "evaluation"
    )


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    """Untrained, with weights large enough that its answers differ in probability."""
    torch.manual_seed(1)
    model, adapter = load_model(OmegaConf.load(REPOSITORY / "conf" / "model" / "tiny.yaml"))
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(30)
    return model.eval(), adapter


def answers(
    tiny: tuple[Any, Any],
    questions: list[str],
    pattern: str | None,
    length: int,
    settings: EvaluationSettings,
) -> list[Generated]:
    model, adapter = tiny
    rows = [encode_with_place(adapter, Question(text, None, place)) for place, text in enumerate(questions)]
    return answer_with_candidates(model, adapter, rows, length, pattern, settings)


def step(tiny: tuple[Any, Any], question: str, text: str) -> torch.Tensor:
    """The model's log-probabilities [V] after `text`, from one forward without a cache."""
    model, adapter = tiny
    vocabulary = adapter.tokenizer.get_vocab()
    ids = [*adapter.encode(question, None, None)["input_ids"].tolist(), *(vocabulary[c] for c in text)]
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0, -1]
    return logits.double()


def tree(tiny: tuple[Any, Any], question: str) -> dict[str, float]:
    """The probability of each string of one or two digits, where each step is renormalised to what the pattern allows."""
    adapter = tiny[1]
    vocabulary = adapter.tokenizer.get_vocab()
    digits = [vocabulary[digit] for digit in "0123456789"]
    found = {}
    first = step(tiny, question, "")[digits].softmax(-1)
    for one, p_one in zip("0123456789", first.tolist(), strict=True):
        second = step(tiny, question, one)[[*digits, adapter.stop_ids[0]]].softmax(-1).tolist()
        found[one] = p_one * second[-1]
        for other, p_other in zip("0123456789", second[:-1], strict=True):
            found[one + other] = p_one * p_other
    return found


def test_a_wide_search_finds_the_whole_tree(tiny: tuple[Any, Any]) -> None:
    questions = ["1+2=", "31+4="]
    said = answers(tiny, questions, ONE_OR_TWO_DIGITS, 4, asked(candidates=128))
    for question, one in zip(questions, said, strict=True):
        found, truth = one.candidates, tree(tiny, question)
        assert found is not None
        assert not found.sampled
        assert found.mass == pytest.approx(1, abs=1e-4)
        assert found.weights.keys() == truth.keys()
        for text, weight in found.weights.items():
            assert weight == pytest.approx(truth[text], rel=1e-3)
        assert list(found.weights.values()) == sorted(found.weights.values(), reverse=True)
        assert one.text == max(truth, key=lambda text: truth[text])
        assert max(truth.values()) > 3 * min(truth.values()), "a tree whose leaves are told apart"


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_a_narrow_search_says_what_it_has_seen(count: int, tiny: tuple[Any, Any]) -> None:
    (one,) = answers(tiny, ["1+2="], ONE_OR_TWO_DIGITS, 4, asked("beam", candidates=count))
    truth, found = tree(tiny, "1+2="), one.candidates
    assert found is not None
    assert found.mass is not None
    assert 1 <= len(found.weights) <= count
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.mass == pytest.approx(sum(truth[text] for text in found.weights), rel=1e-3)
    for text, weight in found.weights.items():
        assert weight * found.mass == pytest.approx(truth[text], rel=1e-3)


def test_one_token_without_a_pattern_is_the_softmax(tiny: tuple[Any, Any]) -> None:
    (one,) = answers(tiny, ["7+8="], None, 1, asked("beam", candidates=6))
    best = step(tiny, "7+8=", "").softmax(-1).topk(6)
    texts = [tiny[1].decode(token[None]) for token in best.indices]
    assert one.candidates is not None
    expected: Counter[str] = Counter()
    for text, p in zip(texts, best.values.tolist(), strict=True):
        expected[text] += p
    assert one.candidates.mass == pytest.approx(best.values.sum().item(), rel=1e-4)
    for text, weight in one.candidates.weights.items():
        assert weight * one.candidates.mass == pytest.approx(expected[text], rel=1e-3)


def test_the_best_candidate_keeps_its_own_probabilities(tiny: tuple[Any, Any]) -> None:
    """Before the pattern, as greedy answers do; for one beam's worth of certainty they are the greedy ones."""
    model, adapter = tiny
    (one,) = answers(tiny, ["1+2="], ONE_OR_TWO_DIGITS, 4, asked(candidates=64))
    assert one.tokens == list(one.text)
    text = ""
    for token, p in zip(one.tokens, one.probabilities, strict=True):
        vocabulary = adapter.tokenizer.get_vocab()
        assert p == pytest.approx(step(tiny, "1+2=", text).softmax(-1)[vocabulary[token]].item(), abs=1e-4)
        text += token
    (greedy,) = generate(model, adapter, [Question("1+2=", None)], 4, ONE_OR_TWO_DIGITS)
    if greedy.text == one.text:
        assert greedy == one._replace(candidates=None)


def test_samples_come_from_the_distribution(tiny: tuple[Any, Any]) -> None:
    truth = tree(tiny, "1+2=")
    count = 4000
    (one,) = answers(tiny, ["1+2="], ONE_OR_TWO_DIGITS, 4, asked(candidates=2, mass=1.0))
    assert one.candidates is not None
    assert one.candidates.sampled
    drawn: Counter[str] = Counter()
    for seed in range(4):
        settings = asked("sample", seed=seed)
        for said in answers(tiny, ["1+2="] * (count // 4), ONE_OR_TWO_DIGITS, 4, settings):
            drawn[said.text] += 1
    for text, p in truth.items():
        assert abs(drawn[text] - count * p) < 5 * math.sqrt(count * p * (1 - p)) + 1, text
    assert set(drawn) <= set(truth)


def test_samples_stand_in_where_too_little_is_seen(tiny: tuple[Any, Any]) -> None:
    settings = asked(candidates=8, mass=0.999)
    (one,) = answers(tiny, ["1+2="], None, 6, settings)
    assert one.candidates is not None
    assert one.candidates.sampled
    assert one.candidates.mass is not None
    assert one.candidates.mass < 0.999
    assert all(weight * 8 == round(weight * 8) for weight in one.candidates.weights.values())
    (beams,) = answers(tiny, ["1+2="], None, 6, asked(candidates=8, mass=0.0))
    assert beams.candidates is not None
    assert not beams.candidates.sampled
    assert (beams.text, beams.candidates.mass) == (one.text, one.candidates.mass)


@pytest.mark.parametrize("decode", ["sample", "median"])
def test_samples_depend_on_seed_and_place_alone(decode: str, tiny: tuple[Any, Any]) -> None:
    model, adapter = tiny
    questions = [f"{a}+{b}=" for a, b in itertools.product((1, 23, 456), (7, 89))]
    settings = asked(decode, candidates=6, mass=1.0)
    rows = [encode_with_place(adapter, Question(text, None, place)) for place, text in enumerate(questions)]

    def said(*parts: list[int]) -> dict[int, Generated]:
        found = {}
        for part in parts:
            found |= zip(
                part,
                answer_with_candidates(model, adapter, [rows[i] for i in part], 5, None, settings),
                strict=True,
            )
        return found

    whole = said(list(range(6)))
    torch.manual_seed(99)
    apart = said([5, 0], [3], [1, 2, 4])
    for place, one in whole.items():
        assert one.candidates is not None
        assert (one.candidates.mass is None) == (decode == "sample")
        assert one.candidates._replace(mass=None) == apart[place].candidates._replace(mass=None)  # type: ignore[union-attr]
        assert one.text == apart[place].text
    other = answers(tiny, questions, None, 5, asked(decode, candidates=6, mass=1.0, seed=1))
    assert [one.candidates for one in other] != [whole[place].candidates for place in range(6)]
    assert torch.initial_seed() == 99, "no global generator is touched"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_candidates(family: str) -> None:
    model, adapter = twin(family)
    questions = [
        Question(text, picture(family, place) if family in SEEING else None, place)
        for place, text in enumerate(("1", "12"))
    ]
    rows = [encode_with_place(adapter, question) for question in questions]
    pattern = ClockTask().answer_pattern
    for one in answer_with_candidates(model, adapter, rows, 9, pattern, asked(candidates=4)):
        assert one.candidates is not None
        assert ClockTask().parse(one.text) is not None
        assert all(ClockTask().parse(text) is not None for text in one.candidates.weights)
        assert sum(one.candidates.weights.values()) == pytest.approx(1)


def test_a_diverged_model_is_scored(tiny: tuple[Any, Any]) -> None:
    weights = tiny[0].get_output_embeddings().weight
    before = weights.detach().clone()
    try:
        with torch.no_grad():
            weights.fill_(float("nan"))
        for decode in ("beam", "sample", "median", "mean"):
            for one in answers(tiny, ["1+2=", "3+4="], None, 4, asked(decode, candidates=3)):
                assert decided(ArithmeticTask(), one, Example("a", "test", {}), decode, "strict")
    finally:
        with torch.no_grad():
            weights.copy_(before)


def candidates(**weights: float) -> Generated:
    return Generated("", [], [], Candidates({k.strip("_"): v for k, v in weights.items()}, 0.995, False))


def test_what_is_decided_by_hand() -> None:
    task, example = ArithmeticTask(), Example("a", "test", {"answer": "12"})
    said = candidates(x=0.4, _10=0.2, _12=0.15, _13=0.15, _99=0.1)._replace(text="x", tokens=["x"])
    beam = decided(task, said, example, "beam", "strict")
    assert (beam.said.text, beam.told["decode"]) == ("x", "beam")
    median = decided(task, said, example, "median", "strict")
    assert (median.said.text, median.said.tokens) == ("12", ["x"])
    told = median.told["distribution"]
    assert told["mass"] == 0.995
    assert told["distinct"] == 4
    assert told["unparsed"] == pytest.approx(0.4)
    assert told["interval_50"] == [10, 13]
    assert told["interval_90"] == [10, 99]
    # (2 + 1.8 + 1.95 + 9.9) / 0.6
    assert decided(task, said, example, "mean", "strict").said.text == "26"
    none = decided(task, candidates(x=0.6, y=0.4)._replace(text="x"), example, "median", "strict")
    assert none.said.text == "x"
    assert none.told["distribution"]["unparsed"] == 1
    assert "interval_50" not in none.told["distribution"]
    vanished = decided(task, candidates(x=1.0, _10=0.0)._replace(text="x"), example, "mean", "strict")
    assert (vanished.said.text, vanished.told["distribution"]["distinct"]) == ("x", 0), (
        "too improbable to count"
    )
    plain = Generated("12", ["1", "2"], [0.5, 0.5])
    assert decided(task, plain, example, "greedy", "strict") == (plain, {})
    both = of_samples([Generated("7", [], []), Generated("8", [], []), Generated("8", [], [])], 0.25)
    assert both == Candidates({"8": pytest.approx(2 / 3), "7": pytest.approx(1 / 3)}, 0.25, True)  # type: ignore[dict-item]


class NoMiddle(ArithmeticTask):
    def centre(self, parsed: Any, weights: Any, kind: Any) -> Any:
        return None


class NotWritten(ArithmeticTask):
    def centre(self, parsed: Any, weights: Any, kind: Any) -> Any:
        return Number("no number", Fraction(1))


@pytest.mark.parametrize("task", [NoMiddle(), NotWritten()])
def test_without_a_middle_the_most_probable_value_stands(task: ArithmeticTask) -> None:
    said = candidates(x=0.4, _10=0.2, _12=0.25, _13=0.15)._replace(text="x")
    found = decided(task, said, Example("a", "test", {"answer": "12"}), "median", "strict")
    assert found.said.text == "12"


def test_a_task_without_a_format_is_refused() -> None:
    task: Any = SimpleNamespace(name="free")
    check_decoding(task, "beam")
    with pytest.raises(
        UserError, match="decode=mean writes answers in the task's format, and task=free has none"
    ):
        check_decoding(task, "mean")


@pytest.fixture(scope="module")
def trained(finished: Path) -> Trained:
    return load_trained(finished)


@pytest.mark.parametrize("decode", ["beam", "sample", "median", "mean"])
def test_batches_change_no_answer(decode: str, trained: Trained, small_data: Path) -> None:
    examples = read_examples(small_data, "test")
    few, many = (
        score_examples(trained.on(small_data), examples, asked(decode, candidates=4, batch_size=size))
        for size in (1, 64)
    )
    for one, other in zip(few.rows, many.rows, strict=True):
        assert one["text"] == other["text"]
        assert one["distribution"]["weights"] == pytest.approx(other["distribution"]["weights"], abs=1e-3)
    assert few.metrics == many.metrics


@pytest.mark.parametrize("constrained", [False, True])
def test_a_run_is_scored_by_its_medians(constrained: bool, finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    before = (copy / "metrics.json").read_bytes()
    ran = run(
        "evaluate",
        f"run={copy}",
        "decode=median",
        "candidates=5",
        "splits=[test]",
        f"constrained={constrained}",
    )
    assert ran.code == 0, ran.err
    folder = copy / f"evaluation-test-constrained{constrained}-decodemedian-candidates5"
    assert (copy / "metrics.json").read_bytes() == before
    timing = read_json(folder / "metrics.json")["timing"]
    assert timing["decode"] == "median"
    assert 0 < timing["seconds_per_answer"] < timing["evaluate_seconds"]
    task = ClockTask()
    rows = list(read_jsonl(folder / "predictions.jsonl"))
    assert len(rows) == 6
    for row in rows:
        found = row["distribution"]
        assert row["decode"] == "median"
        assert len(row["tokens"]) == len(row["probabilities"])
        times = {text: time for text in found["weights"] if (time := task.parse(text)) is not None}
        assert found["distinct"] == len(set(times.values()))
        if not times:
            assert row["parsed"] is None
            continue
        risks = {
            text: sum(found["weights"][other] * circular_gap(*time, *times[other]) for other in times)
            for text, time in times.items()
        }
        answer = task.parse(row["text"])
        assert answer is not None
        assert risks[next(text for text in times if times[text] == answer)] == pytest.approx(
            min(risks.values())
        )
    if constrained:
        assert all(row["parsed"] is not None for row in rows)


def test_greedy_says_nothing_new(finished: Path) -> None:
    for row in read_jsonl(finished / "predictions.jsonl"):
        assert "decode" not in row
        assert "distribution" not in row
    assert read_json(finished / "metrics.json")["timing"]["decode"] == "greedy"


def test_predictions_come_with_an_interval(finished: Path, small_data: Path, tmp_path: Path) -> None:
    image = small_data / str(read_examples(small_data, "test")[0].image)
    for decode in DECODINGS:
        ran = run("predict", f"run={finished}", f"input={image}", f"decode={decode}", "candidates=3")
        assert ran.code == 0, ran.err
        assert ("90 %" in ran.out) == (decode != "greedy")
    assert (tmp_path / "predictions.png").exists()
    for wrong, message in (("decode=medain", "decode must be greedy or"), ("candidates=0", "at least 1")):
        ran = run("predict", f"run={finished}", f"input={image}", wrong)
        assert ran.code == 2
        assert message in ran.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decode": "medain"}, r"decode must be greedy or beam or .* not 'medain'\. Did you mean 'median'"),
        ({"decode": "median", "candidates": 0}, "candidates must be at least 1, not 0"),
        ({"decode": "median", "candidates": 2.5}, "candidates must be a whole number"),
        ({"decode": "median", "mass": 1.01}, "mass is a share .* not 1.01"),
        ({"decode": "median", "mass": -0.1}, "mass must be at least 0"),
        ({"decode": "median", "seed": -1}, "seed must be at least 0"),
    ],
)
def test_mistakes_are_refused(
    changes: dict[str, Any], message: str, trained: Trained, small_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(trained.on(small_data), {**PLAIN, "batch_size": None, **changes}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_vllm_is_greedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntil.evaluation.settings.check_engine", lambda name: None)
    with pytest.raises(UserError, match="engine=vllm answers greedily; decode=mean needs engine=hf"):
        asked("mean", engine="vllm")
    assert asked("greedy", engine="vllm").rows == 1


def test_a_divided_model_is_refused(
    trained: Trained, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "count", lambda: 2)
    subject = trained.on(small_data)
    with pytest.raises(UserError, match=r"decode=median needs the whole model .* divided among 2"):
        _transformers(subject, asked("median"), synced=True)
    assert _transformers(subject, asked("greedy"), synced=True).synced
    assert _transformers(subject, asked("median", candidates=7), synced=False).rows == 7


def test_older_runs_are_greedy_and_another_decoding_scores_anew(finished: Path, workplace: Path) -> None:
    older = finished.with_name("undecoded")
    shutil.copytree(finished, older)
    config = OmegaConf.load(older / "config.yaml")
    config.name = "undecoded"
    for key in ("decode", "candidates", "mass", "seed"):
        del config.evaluation[key]
    OmegaConf.save(config, older / "config.yaml")
    command = [
        *SMALL,
        *in_folder(workplace),
        "trainer.eval_steps=2",
        "evaluation.pictures=true",
        "name=undecoded",
    ]
    for changes in ([], ["evaluation.candidates=3", "evaluation.mass=0.5"]):
        ran = run("train", *command, *changes)
        assert ran.code == 0, ran.err
        assert "is complete" in ran.out
    assert not (older / "earlier").exists()
    ran = run("train", *command, "evaluation.decode=median", "evaluation.candidates=3")
    assert ran.code == 0, ran.err
    assert (older / "earlier").exists()
    assert read_json(older / "metrics.json")["timing"]["decode"] == "median"
    shutil.rmtree(older)


def test_validation_stays_greedy_while_training(finished: Path, workplace: Path) -> None:
    ran = run(
        "train",
        *SMALL,
        *in_folder(workplace),
        "name=medians",
        "trainer.eval_steps=2",
        "evaluation.decode=median",
        "evaluation.candidates=2",
    )
    assert ran.code == 0, ran.err
    folder = workplace / "outputs" / "runs" / "medians"
    assert read_json(folder / "metrics.json")["timing"]["decode"] == "median"
    here, there = losses(folder, "val/gap_circular_worst"), losses(finished, "val/gap_circular_worst")
    assert here == there
    assert here
