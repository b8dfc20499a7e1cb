from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from run_factory import write_run

from experiments.claims import main
from experiments.compare.statistics import Difference
from experiments.results.collect import collect
from experiments.results.store import Store
from experiments.write.claims import PAGE, page, read_claims, verdict
from ntil.checkout import ROOT
from ntil.errors import UserError

RESULTS = ROOT / "results"
CLAIM: dict[str, Any] = {
    "claim": "NTIL is better",
    "published": "81 → 85 %",
    "compare": {
        "experiment": "demo",
        "split": "test",
        "metric": "exact",
        "row": "ntil",
        "baseline": "ce",
        "expect": "better",
    },
}


def found(*words: str) -> list[Difference]:
    return [Difference(0.1, 0.0, 0.2, 3, 10, word) for word in words]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| NTIL")]


@pytest.fixture
def store(outputs: Path, results: Path) -> Store:
    """CE right on 10 of 40 items, NTIL on 30; two seeds."""
    for seed in (0, 1):
        for loss, right in (("ce", 10), ("ntil", 30)):
            scores = [{"exact": float(index < right)} for index in range(40)]
            write_run(outputs, {"test": scores}, loss=loss, seed=seed)
    collect(outputs, results)
    return Store(results)


def test_a_claim_stands_beside_its_result(store: Store, conf: Path) -> None:
    text = page([CLAIM], store, conf)
    (line,) = lines(text)
    assert "`make table NAME=demo`" in line
    assert "NTIL − CE: +0.500 [+0.3" in line
    assert "2 seeds" in line
    assert line.endswith("| holds |")
    assert "Of 1 claims 1 hold here, 0 have not been tested yet." in text


@pytest.mark.parametrize(("expect", "said"), [("worse", "reversed"), ("the same", "reversed")])
def test_the_other_way_round_is_said(store: Store, conf: Path, expect: str, said: str) -> None:
    claim = {**CLAIM, "compare": {**CLAIM["compare"], "expect": expect}}
    assert lines(page([claim], store, conf))[0].endswith(f"| {said} |")


def test_what_was_not_run_is_no_result(results: Path, conf: Path, store: Store) -> None:
    claim = {**CLAIM, "compare": {**CLAIM["compare"], "row": "emd"}}
    assert lines(page([claim], store, conf))[0].endswith("| – | not run yet |")


@pytest.mark.parametrize(
    ("words", "expect", "said"),
    [
        (["better", "better"], "better", "holds"),
        (["better", "not distinguishable"], "better", "holds for 1 of 2"),
        (["not distinguishable"], "better", "not seen"),
        (["worse", "worse"], "better", "reversed"),
        (["worse", "not distinguishable"], "better", "reversed for 1 of 2"),
        (["worse", "better"], "better", "holds for 1 of 2"),
        (["not distinguishable"], "the same", "holds"),
        (["better"], "the same", "reversed"),
    ],
)
def test_verdicts(words: Sequence[str], expect: str, said: str) -> None:
    assert verdict(found(*words), expect) == said


@pytest.mark.parametrize(
    ("change", "message"),
    [({"experiment": "demmo"}, "'demmo'"), ({"expect": "great"}, "expects 'great'")],
)
def test_mistakes_are_explained(store: Store, conf: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        page([{**CLAIM, "compare": {**CLAIM["compare"], **change}}], store, conf)


def test_a_claim_compares_or_states(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text("- {claim: a, published: b}\n")
    with pytest.raises(UserError, match="compare or fact"):
        read_claims(tmp_path)


def test_the_committed_page_is_what_the_results_say(tmp_path: Path) -> None:
    out = tmp_path / "paper_index.md"
    assert main(["--results", str(RESULTS), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
