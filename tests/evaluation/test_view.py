"""The page of predictions: chosen, filtered, escaped, and readable without a server."""

import re
import shutil
from pathlib import Path

import pytest
from html_tags import Tags

from ntil.commands import main
from ntil.evaluation.view.cards import choose, read_view
from ntil.evaluation.view.page import render
from ntil.io import read_jsonl, write_jsonl


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    return folder


def test_the_page_shows_every_kind_of_each_split(run: Path) -> None:
    assert main(["view", str(run), "--count", "2"]) == 0
    tags = Tags((run / "view.html").read_text())
    cards = tags.seen["article"]
    for split in ("test", "heldout_faces"):
        for kind in ("worst", "best", "random"):
            chosen = [
                c for c in cards if c["data-split"] == split and kind in str(c["data-kinds"]).split("␟")
            ]
            assert len(chosen) == 2
    assert len(tags.seen["img"]) == len(cards)
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in tags.seen["img"])
    assert {select["name"] for select in tags.seen["select"]} >= {"split", "kinds"}
    assert "a constant answer" in tags.text


def test_nothing_is_loaded_from_elsewhere(run: Path) -> None:
    page = render(read_view(run, 1))
    assert not re.search(r"https?://|src=\"(?!data:)|@import", page)


def test_hostile_answers_stay_text(run: Path) -> None:
    rows = list(read_jsonl(run / "predictions.jsonl"))
    evil = "</div><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
    for row in rows:
        row.update(text=evil, tokens=[evil], probabilities=[None])
    write_jsonl(run / "predictions.jsonl", rows)
    tags = Tags(render(read_view(run, 3)))
    assert len(tags.seen["script"]) == 1  # the page's own
    assert evil in tags.text
    assert not any("onerror" in image for image in tags.seen["img"])


def test_choosing() -> None:
    assert choose([0.0, 3.0, 1.0, 2.0], 1) == {1: ("worst",), 0: ("best",)} | {
        place: kinds for place, kinds in choose([0.0, 3.0, 1.0, 2.0], 1).items()
    }
    everything = choose([1.0, 2.0], 5)
    assert everything == {1: ("worst", "best", "random"), 0: ("worst", "best", "random")}
    assert list(everything) == [1, 0]


def test_mistakes_are_explained(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(tmp_path)]) == 2
    assert main(["view", str(run), "--count", "0"]) == 2
    assert main(["view", str(run), "--data", str(tmp_path / "gone")]) == 2
    (run / "metrics.json").unlink()
    assert main(["view", str(run)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("error: ") == 4
    assert "has not been evaluated yet" in errors
    assert "Traceback" not in errors
