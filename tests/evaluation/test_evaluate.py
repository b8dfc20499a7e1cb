"""predictions.jsonl and metrics.json tell one story, and odd answers break nothing."""

import math
import re
import shutil
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures import SMALL, in_folder, run
from omegaconf import OmegaConf
from PIL import Image

from ntil.data.example import Example, read_examples
from ntil.errors import UserError
from ntil.evaluation import evaluate, predict, score_examples, summary
from ntil.evaluation.draw import draw_predictions
from ntil.evaluation.generate import Generated, batches
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import Trained, load_trained
from ntil.io import read_json, read_jsonl, write_json
from ntil.nonfinite import finite, restored
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask, Reading

PLAIN: dict[str, Any] = {"splits": ["test"], "optional_splits": [], "limit": None, "pictures": False}
ODD = ["[/b]", "[red]", "$_$", "$", "a$^b^c$", "\\", "%s {x}", "", "\n\n", "^_" * 20, "[link=x]"]


@pytest.fixture(scope="module")
def trained(finished: Path) -> Trained:
    return load_trained(finished)


def test_metrics_are_the_means_of_the_predictions(finished: Path, small_data: Path) -> None:
    metrics = read_json(finished / "metrics.json")
    rows = list(read_jsonl(finished / "predictions.jsonl"))
    assert {row["split"] for row in rows} == set(metrics["splits"])
    for split, result in metrics["splits"].items():
        own = [row for row in rows if row["split"] == split]
        assert [row["id"] for row in own] == [e.id for e in read_examples(small_data, split)]
        assert len(own) == result["count"]
        for name, value in result["metrics"].items():
            scored = [row["scores"][name] for row in own if row["scores"][name] is not None]
            assert value == (pytest.approx(sum(scored) / len(scored)) if scored else None)


def test_each_prediction_can_be_scored_again(finished: Path, small_data: Path) -> None:
    task, examples = (
        ClockTask(),
        {e.id: e for s in ("test", "heldout_faces") for e in read_examples(small_data, s)},
    )
    for row in read_jsonl(finished / "predictions.jsonl"):
        parsed = task.parse(row["text"])
        assert row["parsed"] == (None if parsed is None else str(parsed))
        assert row["scores"] == task.score(parsed, examples[row["id"]])
        assert row["answer"] == task.answer(examples[row["id"]])
        assert row["meta"] == examples[row["id"]].meta


def test_tokens_have_probabilities(finished: Path) -> None:
    for row in read_jsonl(finished / "predictions.jsonl"):
        assert "".join(row["tokens"]) == row["text"]
        assert len(row["tokens"]) == len(row["probabilities"]) <= 8
        assert all(0 < p <= 1 for p in row["probabilities"])


def test_a_picture_of_each_split(finished: Path) -> None:
    for split in ("test", "heldout_faces"):
        with Image.open(finished / f"predictions_{split}.png") as drawn:
            assert min(drawn.size) > 400
            assert len(drawn.convert("RGB").getcolors(1 << 20) or []) > 50


def test_the_batch_size_changes_no_answer(trained: Trained, small_data: Path) -> None:
    examples = read_examples(small_data, "test")
    one, many = (
        score_examples(trained.on(small_data), examples, EvaluationSettings(batch_size=size, **PLAIN))
        for size in (1, 4)
    )
    assert [row["text"] for row in one.rows] == [row["text"] for row in many.rows]
    assert one.metrics == many.metrics


def settings(**changes: Any) -> Any:
    plain = {"splits": ["test"], "optional_splits": [], "batch_size": 4, "limit": 2, "pictures": False}
    return OmegaConf.create({**plain, **changes})


def scored(trained: Trained, data: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    return evaluate(trained.on(data), settings(**changes), folder, report=lambda _: None)


def test_splits_limits_and_pictures_are_heeded(trained: Trained, small_data: Path, tmp_path: Path) -> None:
    result = scored(trained, small_data, tmp_path, splits=["val"], optional_splits=["test", "nowhere"])
    assert {name: split["count"] for name, split in result["splits"].items()} == {"val": 2, "test": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]


@pytest.mark.parametrize(
    "changes", [{"splits": ["tset"]}, {"splits": ["test", "vall"]}, {"limt": 3}, {"limit": 0}]
)
def test_mistakes_are_refused(
    changes: dict[str, Any], trained: Trained, small_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        scored(trained, small_data, tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_model_is_scored_and_not_a_crash(
    trained: Trained, small_data: Path, tmp_path: Path
) -> None:
    weights = trained.model.get_output_embeddings().weight
    before = weights.detach().clone()
    try:
        with torch.no_grad():
            weights.fill_(float("nan"))
        result = scored(trained, small_data, tmp_path)
    finally:
        with torch.no_grad():
            weights.copy_(before)
    assert result["splits"]["test"]["metrics"]["exact"] == 0


def row(text: str) -> dict[str, Any]:
    example = Example("x", "test", {"hour": 3, "minute": 25})
    return {"text": text, "answer": "3:25", "scores": ClockTask().score(ClockTask().parse(text), example)}


@pytest.mark.filterwarnings("error::UserWarning")
def test_odd_answers_are_drawn(small_data: Path, tmp_path: Path) -> None:
    examples = read_examples(small_data, "train")[: len(ODD)]
    draw_predictions(ClockTask(), small_data, examples, [row(text) for text in ODD], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_odd_answers_and_names_are_printed_as_they_are(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = iter(ODD)
    names = [f"{i}[b]$_$.png" for i in range(len(ODD))]
    for name in names:
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    (tmp_path / "bad[b].png").write_text("")

    def said(_model: Any, _adapter: Any, questions: list[Any], _tokens: int) -> list[Generated]:
        chosen = [next(texts) for _ in questions]
        return [Generated(text, list(text), [0.5] * len(text)) for text in chosen]

    monkeypatch.setattr(predict, "generate", said)
    monkeypatch.setenv("COLUMNS", "400")
    failed = predict.predict(trained, predict.find_pictures(tmp_path), None, tmp_path / "out[b]" / "a.png", 4)
    assert [path.name for path in failed] == ["bad[b].png"]
    out = re.sub(r"\s+", "", capsys.readouterr().out)
    for shown in (*names, "bad[b].png", "out[b]", "[/b]", "[red]"):
        assert shown in out


def always(_model: Any, _adapter: Any, questions: list[Any], _tokens: int) -> list[Generated]:
    return [Generated("3:25", list("3:25"), [0.9] * 4) for _ in questions]


def photos(folder: Path, count: int) -> list[Path]:
    for number in range(count):
        Image.new("RGB", (16, 16 + number)).save(folder / f"{number:03d}.png")
    return predict.find_pictures(folder)


def test_no_more_than_a_batch_of_pictures_is_held(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = most = 0

    def let_go() -> None:
        nonlocal held
        held -= 1

    def opened(path: Path) -> Image.Image:
        nonlocal held, most
        image = Image.open(path).convert("RGB")
        weakref.finalize(image, let_go)
        held += 1
        most = max(most, held)
        return image

    monkeypatch.setattr(predict, "generate", always)
    monkeypatch.setattr(predict, "open_image", opened)
    assert predict.predict(trained, photos(tmp_path, 12), None, tmp_path / "drawn.png", 3) == []
    assert most == 3


@pytest.mark.parametrize(("count", "drawn"), [(5, 5), (6, 6), (9, 6)])
def test_the_drawing_is_capped_and_the_table_is_not(
    count: int,
    drawn: int,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(predict, "generate", always)
    monkeypatch.setattr(predict, "COLUMNS", 3)
    monkeypatch.setattr(predict, "ROWS", 2)
    sizes = []
    monkeypatch.setattr(predict, "_draw", lambda shown, path: sizes.append(len(shown)))
    assert predict.predict(trained, photos(tmp_path, count), None, tmp_path / "d.png", 4) == []
    out = capsys.readouterr().out
    assert sizes == [drawn]
    assert all(f"{number:03d}.png" in out for number in range(count))
    assert (f"(the first {drawn} of {count})" in out) == (count > drawn)


def test_a_picture_that_cannot_be_drawn_is_answered_all_the_same(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Choosy(ClockTask):
        def draw(self, image: Image.Image, parsed: Any, example: Example | None) -> Image.Image:
            return image if image.height != 17 else image.resize((0, 1 // 0))

    monkeypatch.setattr(predict, "generate", always)
    choosy = replace(trained, task=Choosy("Time?"))
    failed = predict.predict(choosy, photos(tmp_path, 3), None, tmp_path / "drawn.png", 2)
    assert [path.name for path in failed] == ["001.png"]
    out = " ".join(capsys.readouterr().out.split())
    assert "not drawn" in out
    assert "ZeroDivisionError" in out
    assert out.count("3:25") == 3
    assert (tmp_path / "drawn.png").exists()


def test_a_question_that_cannot_be_spelled_is_refused(trained: Trained, tmp_path: Path) -> None:
    asking = replace(trained, task=ClockTask("Wie spät?"))
    with pytest.raises(UserError, match="cannot spell 'ä'"):
        predict.predict(asking, photos(tmp_path, 1), None, tmp_path / "drawn.png", 1)


def test_readings_of_real_answers_are_parsed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "generate", lambda *_: [Generated("3:25", list("3:25"), [0.9] * 4)])
    (answered,) = predict.answer(trained, [predict.Asked("a.png", Image.new("RGB", (8, 8)))], None)
    assert answered.parsed == Reading(3, 25)


def test_a_summary_says_what_is_missing() -> None:
    task = ClockTask()
    line = summary(task, dict.fromkeys(task.metrics) | {"exact": 0.5})
    assert line.startswith("exact 0.500")
    assert line.count("–") == len(task.metrics) - 1


def test_batches_cover_everything_once() -> None:
    for count in (0, 1, 4, 5, 9):
        assert [i for span in batches(count, 4) for i in span] == list(range(count))


class DrawsNothing(ClockTask):
    def draw(self, image: Image.Image, parsed: Any, example: Example | None) -> Image.Image:
        raise ZeroDivisionError("no such hand")


def test_what_cannot_be_drawn_costs_no_evaluation(trained: Trained, small_data: Path, tmp_path: Path) -> None:
    settings = OmegaConf.merge(trained.config["evaluation"], {"pictures": True})
    said: list[str] = []
    metrics = evaluate(replace(trained, task=DrawsNothing()).on(small_data), settings, tmp_path, said.append)
    assert metrics["splits"]["test"]["count"] == 6
    assert len(list(read_jsonl(tmp_path / "predictions.jsonl"))) == 10
    assert any("could not be drawn: ZeroDivisionError: no such hand" in line for line in said)


@pytest.mark.parametrize(
    "query", ["two\nlines", "\x00\x1b[31m", "漢字 हिन्दी 🙂 \u202e", "$\\frac{1}$", "\r\t", "x" * 9000]
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_questions_of_any_script_are_drawn(query: str, tmp_path: Path) -> None:
    task = ArithmeticTask()
    examples = [Example("a", "test", {"answer": "1"}, query=query)]
    rows = [{"answer": "1", "text": query, "scores": task.score(None, examples[0])}]
    said: list[str] = []
    draw_predictions(task, tmp_path, examples, rows, tmp_path / "p.png", said.append)
    assert said == []
    assert Image.open(tmp_path / "p.png").size[0] > 100


def test_the_reading_is_recorded_and_reads_other_ways_to_write(
    trained: Trained, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(model: Any, adapter: Any, questions: list[Any], *rest: Any) -> list[Generated]:
        return [Generated("It is **15:07** now.", [], []) for _ in questions]

    monkeypatch.setattr(sys.modules["ntil.evaluation.evaluate"], "generate", said)
    config = OmegaConf.merge(trained.config["evaluation"], {"pictures": True})
    for reading, parsed in (("strict", None), ("lenient", "3:07")):
        settings = OmegaConf.merge(config, {"reading": reading})
        folder = tmp_path / reading
        folder.mkdir()
        metrics = evaluate(trained.on(small_data), settings, folder)
        assert metrics["reading"] == reading
        assert metrics["splits"]["test"]["metrics"]["parsed"] == (parsed is not None)
        for row in read_jsonl(folder / "predictions.jsonl"):
            assert (row["reading"], row["parsed"]) == (reading, parsed)
    drawn = [(tmp_path / reading / "predictions_test.png").read_bytes() for reading in ("strict", "lenient")]
    assert drawn[0] != drawn[1]
    with pytest.raises(UserError, match=r"evaluation\.reading must be strict or lenient, not 'lenien'"):
        evaluate(trained.on(small_data), OmegaConf.merge(config, {"reading": "lenien"}), tmp_path)


def test_another_reading_has_a_folder_of_its_own(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    before = (copy / "metrics.json").read_bytes()
    ran = run("evaluate", f"run={copy}", "reading=lenient", "splits=[test]")
    assert ran.code == 0, ran.err
    assert read_json(copy / "evaluation-test-readinglenient" / "metrics.json")["reading"] == "lenient"
    assert (copy / "metrics.json").read_bytes() == before


def test_what_changes_no_result_scores_nothing_anew(finished: Path, workplace: Path) -> None:
    """How many at once and who decodes the pictures; and what earlier versions did not write down."""
    older = finished.with_name("of_an_older_version")
    shutil.copytree(finished, older)
    config = OmegaConf.load(older / "config.yaml")
    config.name = "of_an_older_version"
    config.evaluation.batch_size = 128
    for key in ("engine", "workers"):
        del config.evaluation[key]
    OmegaConf.save(config, older / "config.yaml")
    before = (older / "metrics.json").read_bytes()
    asked = [*SMALL, *in_folder(workplace), "trainer.eval_steps=2", "evaluation.pictures=true"]
    for changes in ([], ["evaluation.batch_size=3", "evaluation.workers=2"]):
        for name in ("of_an_older_version", "finished"):
            ran = run("train", *asked, f"name={name}", *changes)
            assert ran.code == 0, ran.err
            assert "is complete" in ran.out
    assert (older / "metrics.json").read_bytes() == before
    assert not (older / "earlier").exists()
    shutil.rmtree(older)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_score_that_is_not_finite_is_shown_as_such(
    bad: float, trained: Trained, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ClockTask.score
    examples = read_examples(small_data, "test")

    def score(self: ClockTask, parsed: Any, example: Example) -> dict[str, float | None]:
        scores = plain(self, parsed, example)
        return scores | ({"exact": bad} if example.id == examples[1].id else {})

    monkeypatch.setattr(ClockTask, "score", score)
    said: list[str] = []
    metrics = evaluate(trained.on(small_data), settings(limit=None), tmp_path, said.append)
    assert f"exact {bad}" in said[0]
    write_json(tmp_path / "metrics.json", finite(metrics))
    again = restored(read_json(tmp_path / "metrics.json"))["splits"]["test"]["metrics"]["exact"]
    assert again == bad or (math.isnan(bad) and math.isnan(again))
    rows = map(restored, read_jsonl(tmp_path / "predictions.jsonl"))
    assert repr(bad) in repr([row["scores"]["exact"] for row in rows])
