"""The page of all results: complete, escaped, light, the same bytes each time."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from html_tags import Tags
from run_factory import exact, realistic, write_run

from experiments.plot.figures import plots
from experiments.plot.style import slim
from experiments.report.__main__ import main
from experiments.report.scores import sort_value
from experiments.results.collect import collect
from ntil.checkout import ROOT

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


@pytest.fixture
def page(outputs: Path, results: Path, conf: Path) -> str:
    realistic(outputs, "demo", {"ce": 0.6, "ntil": 0.8}, seeds=2, items=40)
    collect(outputs, results)
    plots(results, [], conf)
    assert main(["--results", str(results)], conf) == 0
    return (results / "index.html").read_text()


def test_the_page_holds_table_figures_and_runs(page: str) -> None:
    tags = Tags(page)
    for words in ("A demonstration", "Scores on test", "Difference", "better", "How to read this"):
        assert words in page, words
    assert len([row for row in tags.seen["details"] if "run" in str(row.get("class")).split()]) == 4
    assert re.search(r"0\.\d{3} ± 0\.\d{3} \(2\)", tags.text)
    images = tags.seen["img"]
    assert len(images) == 3  # errors, validation, training
    assert [image["src"] for image in images] == [
        f"figures/demo_{kind}.svg" for kind in ("validation", "training", "errors")
    ]


def test_every_link_has_its_target_and_no_id_stands_twice(page: str) -> None:
    tags = Tags(page)
    ids = tags.ids()
    assert len(ids) == len(set(ids))
    links = [str(link["href"]) for link in tags.seen["a"]]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    (head,) = re.findall(
        r'<a href="(#row/demo/1)" title="seed 0: 0.\d{3}, seed 1: 0.\d{3}" class="best">', page
    )
    assert head[1:] in ids


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    assert not re.search(r'src="(?:[a-z]+:|/)|<link|@import|url\(', page)
    assert not re.search(r"https?://", page)


def test_the_committed_page_is_light_and_its_pictures_are_there() -> None:
    page = ROOT / "results" / "index.html"
    assert page.stat().st_size < 2_000_000
    tags = Tags(page.read_text(encoding="utf-8"))
    images = tags.seen["img"]
    assert images
    for image in images:
        assert image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
        assert image["loading"] == "lazy"
    links = {str(image["src"]) for image in images}
    links |= {str(link["href"]) for link in tags.seen["a"] if not str(link["href"]).startswith("#")}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "results"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert {f"results/{unquote(link)}" for link in links} <= set(listed)


def test_the_same_bytes_each_time(page: str, results: Path, conf: Path) -> None:
    assert main(["--results", str(results), "--output", str(results / "again.html")], conf) == 0
    assert (results / "again.html").read_text() == page


def test_a_missing_value_has_no_sort_key(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(None, None))
    collect(outputs, results)
    assert main(["--results", str(results)], conf) == 0
    assert "<td>–</td>" in (results / "index.html").read_text()


def test_hostile_names_stay_text(outputs: Path, results: Path, conf: Path) -> None:
    write_run(outputs, exact(1, 0), name="run<b>", overrides=[f"x={EVIL}"])
    write_run(outputs, exact(1, 0), loss="ntil", overrides=[f"y={EVIL}"])
    collect(outputs, results)
    path = conf / "experiment" / "demo.yaml"
    preset = yaml.safe_load(path.read_text())
    preset["table"]["title"] = EVIL
    path.write_text(yaml.safe_dump(preset))
    assert main(["--results", str(results)], conf) == 0
    tags = Tags((results / "index.html").read_text())
    assert len(tags.seen["script"]) == 1
    assert all("onerror" not in image for image in tags.seen.get("img", []))
    assert EVIL in tags.text


def test_mistakes_are_one_message(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--results", str(results)], conf) == 2
    assert "has no runs" in capsys.readouterr().err
    write_run(outputs, exact(1))
    collect(outputs, results)
    assert main(["dmeo", "--results", str(results)], conf) == 2
    assert "Did you mean 'demo'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.952 ± 0.004 (2)", 0.952),
        ("−0.012 [−0.033, +0.008] worse", -0.012),
        ("8,230", 8230),
        ("–", None),
        ("", None),
    ],
)
def test_cells_are_sorted_by_their_first_number(text: str, value: float | None) -> None:
    assert sort_value(text) == value


def test_slim_figures_lose_no_more_than_comments_and_digits() -> None:
    svg = """<?xml version="1.0"?>
<svg viewBox="0 0 10 20"><metadata>when</metadata><!-- why -->
 <path d="M 1.23456 2
 L 3.5 -0.999" transform="scale(0.015625)"/></svg>"""
    assert (
        slim(svg)
        == '<svg viewBox="0 0 10 20"><path d="M 1.23 2 L 3.5 -0.99" transform="scale(0.015625)"/></svg>\n'
    )
