"""A training that leaves the finite numbers never ends as a complete one, and says which records did it."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures import SMALL, Ran, in_folder, losses, run
from safetensors.torch import load_file

from experiments.results.folder import read_run
from ntil.io import read_json, read_jsonl
from ntil.losses import CrossEntropy, LossParts
from ntil.training.divergence import MOST_IN_A_ROW, SKIPPED, not_finite
from ntil.training.resume import last_whole_checkpoint
from tasks.clock import ClockTask

STEPS = ["loss=ce", "trainer.max_steps=6", "trainer.save_steps=2", "evaluation.limit=1"]


def spoilt(at: set[int], spoil: Callable[[torch.Tensor], torch.Tensor]) -> type[CrossEntropy]:
    """Cross-entropy whose value is spoilt at these calls (from 1), one call for each step."""

    class Spoilt(CrossEntropy):
        calls = 0

        def parts(self, logits: torch.Tensor, labels: torch.Tensor) -> LossParts:
            type(self).calls += 1
            ce = super().parts(logits, labels).total
            ce = spoil(ce) if type(self).calls in at else ce
            return LossParts(ce, {"ce": ce})

    return Spoilt


def overflowing_gradient(ce: torch.Tensor) -> torch.Tensor:
    """The same value, with an infinite derivative."""
    return ce + torch.sqrt(ce * 0)


@pytest.fixture
def train(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Ran, Path]]:
    def start(
        name: str, at: set[int], spoil: Callable[[torch.Tensor], torch.Tensor], *words: str
    ) -> tuple[Ran, Path]:
        monkeypatch.setattr("ntil.losses.CrossEntropy", spoilt(at, spoil))
        ran = run("train", *SMALL, *in_folder(workplace), *STEPS, *words, f"name={name}")
        return ran, workplace / "outputs" / "runs" / name

    return start


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda ce: ce * math.nan, "the loss is nan"),
        (lambda ce: ce * math.inf, "the loss is inf"),
        (overflowing_gradient, "the norm of the gradient nan"),
    ],
    ids=["nan", "inf", "gradient"],
)
def test_it_stops_before_the_weights_change(
    spoil: Any, said: str, train: Any, request: pytest.FixtureRequest
) -> None:
    ran, folder = train(f"stops-{request.node.callspec.id}", {4}, spoil)
    assert ran.code == 2
    assert "training diverged at step 4" in ran.err
    assert said in ran.err
    row = list(read_jsonl(folder / "train.jsonl"))[-1]
    assert row["step"] == 4
    assert row["not_finite"]
    assert len(row[SKIPPED]) == 8
    assert all(record in ran.err for record in row[SKIPPED])
    good = folder / "checkpoints" / "checkpoint-2"
    assert f"The last good checkpoint is {good}" in ran.err
    assert last_whole_checkpoint(folder / "checkpoints") == good
    assert not (folder / "COMPLETE").exists()
    assert not (folder / "model").exists()
    assert ran.err.count("error:") == 1


def test_the_same_command_diverges_again_or_goes_on_once_the_cause_is_gone(train: Any) -> None:
    """The step is taken anew: what was logged of it is forgotten."""
    train("again-diverged", {4}, lambda ce: ce * math.nan)
    ran, folder = train("again-diverged", {2}, lambda ce: ce * math.nan)  # the second call after step 2
    assert ran.code == 2
    assert "an earlier attempt diverged at step 4" in ran.out
    assert "It goes on after step 2" in ran.out
    assert "diverged at step 4" in ran.err
    ran, folder = train("again-diverged", set(), lambda ce: ce)
    assert ran.code == 0, ran.err
    _, other = train("never", set(), lambda ce: ce)
    one, two = (load_file(path / "model" / "model.safetensors") for path in (folder, other))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(folder) == losses(other)


def test_skipping_leaves_the_step_out(train: Any) -> None:
    ran, folder = train("skips", {3}, lambda ce: ce * math.nan, "trainer.on_divergence=skip")
    assert ran.code == 0, ran.err
    assert read_json(folder / "metrics.json")["skipped_steps"] == 1
    rows = list(read_jsonl(folder / "train.jsonl"))
    assert [row["step"] for row in rows if SKIPPED in row] == [3]
    logged = {row["step"]: row["loss"] for row in rows if SKIPPED not in row and "loss" in row}
    assert logged[3] is None, "there was no other step in its mean"
    assert all(math.isfinite(logged[step]) for step in (1, 2, 4, 5, 6))
    weights = load_file(folder / "model" / "model.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_a_skipped_step_changes_no_weights(train: Any) -> None:
    """All steps from the third on are left out: the weights are those of the second's checkpoint."""
    ran, folder = train(
        "skips-rest",
        {3, 4, 5, 6},
        overflowing_gradient,
        "trainer.on_divergence=skip",
        "trainer.keep_checkpoints=9",
        "trainer.keep_when_complete=true",
    )
    assert ran.code == 0, ran.err
    one, other = (load_file(folder / "checkpoints" / f"checkpoint-{n}" / "model.safetensors") for n in (2, 6))
    moved = {name for name in one if not torch.equal(one[name], other[name])}
    assert all(
        name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in moved
    )  # which the forward itself moves


def test_the_logged_mean_is_over_the_steps_that_count(train: Any) -> None:
    words = ("trainer.log_steps=3", "trainer.on_divergence=skip")
    _, all_steps = train("mean-each", {3}, lambda ce: ce * math.nan, "trainer.on_divergence=skip")
    _, together = train("mean-three", {3}, lambda ce: ce * math.nan, *words)
    each = losses(all_steps)
    rows = [row for row in read_jsonl(together / "train.jsonl") if SKIPPED not in row and "loss" in row]
    assert rows[0]["step"] == 3
    assert rows[0]["loss"] == pytest.approx((each[1] + each[2]) / 2, rel=1e-5)
    assert rows[0]["ce"] == pytest.approx((each[1] + each[2]) / 2, rel=1e-5)


def test_skipping_gives_up_where_every_step_diverges(train: Any) -> None:
    ran, folder = train(
        "hopeless",
        set(range(1, 99)),
        lambda ce: ce * math.nan,
        "trainer.on_divergence=skip",
        "trainer.max_steps=30",
        "trainer.save_steps=30",
    )
    assert ran.code == 2
    assert f"at step {MOST_IN_A_ROW}, {MOST_IN_A_ROW} steps in a row" in ran.err
    assert "There is no checkpoint from before" in ran.err
    assert not (folder / "COMPLETE").exists()


def test_weights_that_are_not_finite_are_no_checkpoint(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of finite gradient may overflow the weights themselves."""
    original = torch.optim.AdamW.step
    steps = []

    def step(self: torch.optim.AdamW, closure: Any = None) -> Any:
        result = original(self, closure)
        steps.append(1)
        if len(steps) == 4:
            self.param_groups[0]["params"][0].data.fill_(math.inf)
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    ran, folder = train("weights", set(), lambda ce: ce)
    assert ran.code == 2
    assert "after step 4 the weights" in ran.err
    assert re.search(r"Records of its batch: train-\d+(, train-\d+){7}\.", ran.err)
    assert last_whole_checkpoint(folder / "checkpoints") == folder / "checkpoints" / "checkpoint-2"


def test_an_unknown_way_is_refused(train: Any) -> None:
    ran, _ = train("unknown", set(), lambda ce: ce, "trainer.on_divergence=ignore")
    assert ran.code == 2
    assert "stop" in ran.err
    assert "skip" in ran.err


def test_the_first_weights_that_are_not_finite_are_named() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    assert not not_finite(model)
    model[1].bias.data[0] = math.nan
    assert not_finite(model) == "1.bias"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_told_from_one_that_is_missing(
    bad: float, train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ClockTask.score

    def score(self: ClockTask, parsed: Any, example: Any) -> dict[str, float | None]:
        first = example.id.endswith("000000")  # on which the task's contract is checked
        return original(self, parsed, example) | ({} if first else {"hour": bad})

    monkeypatch.setattr(ClockTask, "score", score)
    ran, folder = train(f"metric-{bad}", set(), lambda ce: ce, "evaluation.limit=2")
    assert ran.code == 0, ran.err
    label = ClockTask.metrics["hour"].label
    assert f"{label} {bad}" in ran.out
    metrics = read_json(folder / "metrics.json")
    assert metrics["splits"]["test"]["metrics"]["hour"] is None
    assert metrics["not_finite"]["/splits/test/metrics/hour"] == str(bad)
    row = list(read_jsonl(folder / "predictions.jsonl"))[1]
    assert (row["scores"]["hour"], row["not_finite"]["/scores/hour"]) == (None, str(bad))
    cells = {str(row.value) for row in read_run(folder).rows if row.metric == "hour"}
    assert str(bad) in cells
