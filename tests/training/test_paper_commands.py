"""docs/paper_commands.md: fifteen rows, each a command that composes and whose training can be estimated."""

import re
import shlex

import pytest
from model_configs import composed

from ntil.training.anatomy import Anatomy
from ntil.training.memory import Plan, Tokens
from ntil.training.paper_commands import (
    PAGE,
    PEAK,
    USED,
    command,
    estimate,
    page,
    read_rows,
    training_seconds,
)

ROWS = read_rows()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    monkeypatch.setattr("ntil.models.checkpoint.try_to_load_from_cache", lambda *_, **__: None)


def test_the_paper_has_fifteen_rows() -> None:
    assert len(ROWS) == 15
    assert len({(row.table, row.model) for row in ROWS}) == 15


def test_the_page_is_what_its_command_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(ROWS)


def test_every_command_composes() -> None:
    typed = re.findall(r"^python train.py -m (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(typed) == 15
    for line in typed:
        words = shlex.split(line)
        losses = next(word for word in words if word.startswith("loss=")).removeprefix("loss=").split(",")
        for loss in losses:
            cfg = composed(*(word for word in words if not word.startswith("loss=")), f"loss={loss}")
            assert cfg.model.twin is None
            assert cfg.loss._target_


def test_an_estimate_is_of_the_row() -> None:
    row = next(row for row in ROWS if row.model == "LLaVA-1.5 7B")
    tokens, training, answering, hours, batch = estimate(row)
    assert tokens.longest > 576
    assert 14 < training < 24
    assert answering <= 64
    assert hours > 0
    assert command(row, batch).endswith(f"evaluation.batch_size={batch}")


def test_time_is_the_arithmetic_that_the_page_states() -> None:
    anatomy = Anatomy(parameters=10**9, tower_parameters=0, stacks=(), logit_width=1)
    tokens, plan = Tokens(100.0, 120, 5), Plan(4, 16, "bf16", method="lora", gradient_checkpointing=True)
    by_hand = 10 * 64 * 100 * 1e9 * 6 / (PEAK * USED)
    assert training_seconds(anatomy, plan, tokens, steps=10) == pytest.approx(by_hand)
