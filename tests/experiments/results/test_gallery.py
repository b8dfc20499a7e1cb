"""Thumbnails of predictions: chosen, drawn, kept and removed."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from run_factory import exact, write_run

from experiments.results.collect import collect
from experiments.results.gallery import SIDE, choose, shown_runs
from experiments.results.store import Store
from ntil.io import read_json, write_json


@pytest.fixture
def trained(finished: Path, outputs: Path) -> Path:
    folder = outputs / "demo" / "trained"
    shutil.copytree(finished, folder)
    return folder


def test_the_worst_and_some_random_ones() -> None:
    errors = [float(place % 50) for place in range(100)]
    chosen = choose(errors)
    assert [place for place, kinds in chosen.items() if "worst" in kinds] == [49, 99, 48, 98, 47, 97]
    assert sum("random" in kinds for kinds in chosen.values()) == 6
    again = choose([0.0] * 100)  # the same random ones, so that two losses are seen on the same items
    assert {place for place in again if "random" in again[place]} == {
        place for place in chosen if "random" in chosen[place]
    }
    assert choose([1.0]) == {0: ("worst", "random")}


def test_the_first_run_of_each_loss(outputs: Path, results: Path) -> None:
    for loss in ("ce", "emd", "ntil"):
        for seed in (0, 1):
            write_run(outputs, exact(1), loss=loss, seed=seed, name=f"{loss}{seed}")
    collect(outputs, results)
    assert shown_runs(Store(results).runs()) == {"ce": "ce0", "ntil": "ntil0"}


def test_thumbnails_are_drawn_and_the_same_each_time(trained: Path, outputs: Path, results: Path) -> None:
    collect(outputs, results)
    rows = Store(results).gallery("demo")
    assert {(row.run, row.loss, row.split) for row in rows} == {("trained", "ntil", "test")}
    assert len(rows) == 6
    files = {row.picture: (results / "gallery" / row.picture).read_bytes() for row in rows}
    for name in files:
        assert max(Image.open(results / "gallery" / name).size) == SIDE
    collect(outputs, results)
    assert {name: (results / "gallery" / name).read_bytes() for name in files} == files


def test_a_gallery_stays_without_its_run_and_loses_what_is_no_longer_shown(
    trained: Path, outputs: Path, results: Path
) -> None:
    collect(outputs, results)
    rows = Store(results).gallery("demo")
    stray = results / "gallery" / "demo" / "other" / "test-000000.jpg"
    stray.parent.mkdir()
    stray.write_bytes(b"")
    shutil.rmtree(trained)
    write_run(outputs, exact(1, 0), loss="emd")
    collect(outputs, results)
    assert Store(results).gallery("demo") == rows
    assert not stray.parent.exists()


def test_data_that_is_gone_is_said_and_everything_else_collected(
    trained: Path, outputs: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = read_json(trained / "provenance.json")
    made["data"]["folder"] = str(outputs / "nowhere")
    write_json(trained / "provenance.json", made)
    assert collect(outputs, results) == 0
    assert "no gallery of demo/trained:" in capsys.readouterr().out
    assert Store(results).gallery("demo") == []
    assert Store(results).runs("demo")


def test_a_picture_outside_the_gallery_is_refused(trained: Path, outputs: Path, results: Path) -> None:
    from experiments.report.pictures import pictures
    from ntil.errors import UserError

    collect(outputs, results)
    (row, *_) = Store(results).gallery("demo")
    with pytest.raises(UserError, match="leaves its folder"):
        list(pictures(Store(results), "demo", [row._replace(picture="../../secret")], results))
