"""Committed tables and page against results/; the repository's own are checked too."""

from pathlib import Path

import pytest
from run_factory import exact, write_run

from experiments.check import main
from experiments.overview import overview
from experiments.report.__main__ import report
from experiments.results.collect import collect
from experiments.results.store import Store
from experiments.write.tables import tables

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def made(outputs: Path, results: Path, conf: Path) -> Path:
    for loss in ("ce", "ntil"):
        write_run(outputs, exact(1, 0, 1), loss=loss)
    collect(outputs, results)
    tables(results, [], conf)
    overview(results, conf, results / "README.md")
    report(results, [], results / "index.html", conf)
    return results


def test_what_was_just_made_is_right_and_stays_as_it_is(
    made: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["--results", str(made)], conf) == 0
    assert "3 tables, overview and page are as" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (
            "tables/demo.md",
            "tables/demo.md differs in line 9: has '| CE | 0.668 ± – (1) |', should have '| CE | 0.667",
        ),
        ("tables/demo.tex", "tables/demo.tex differs"),
        ("tables/demo.csv", "tables/demo.csv differs"),
        ("index.html", "index.html differs"),
    ],
)
def test_an_edited_file_is_named(
    made: Path, conf: Path, capsys: pytest.CaptureFixture[str], name: str, fault: str
) -> None:
    path = made / name
    text = path.read_text()
    assert "0.66" in text
    path.write_text(text.replace("0.667", "0.668").replace("0.666667", "0.668"))
    capsys.readouterr()
    assert main(["--results", str(made)], conf) == 1
    said = capsys.readouterr().out
    assert fault in said
    assert said.count("differs") == 1


def test_changed_scores_missing_and_left_over_files(
    made: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "tables" / "gone.md").touch()
    (made / "index.html").unlink()
    store = Store(made)
    rows = [row._replace(value=0.1) for row in store.runs()]
    store.write_runs(rows, store.metrics(rows))
    capsys.readouterr()
    assert main(["--results", str(made)], conf) == 1
    said = capsys.readouterr().out
    for fault in ("demo.md differs", "demo.csv differs", "gone.md belongs to no", "index.html is missing"):
        assert fault in said
    assert main(["demo", "--results", str(made)], conf) == 1
    assert "gone.md" not in capsys.readouterr().out


def test_the_repository_s_own_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(REPOSITORY / "results")]) == 0, capsys.readouterr().out
