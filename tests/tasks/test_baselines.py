"""Baselines are fitted to training alone, and scored as a model's answers are."""

import random
from pathlib import Path

import pytest

from ntil.data.example import Example
from ntil.errors import UserError
from ntil.io import read_json, write_json, write_jsonl
from tasks import baselines


def built(folder: Path, builder: str, config: dict[str, object], examples: list[Example]) -> Path:
    counts = {split: sum(one.split == split for one in examples) for split in ("train", "test")}
    write_jsonl(folder / "records.jsonl", (one.to_record() for one in examples))
    write_json(folder / "manifest.json", {"builder": builder, "config": config, "counts": counts})
    return folder


def rows() -> list[Example]:
    """y = 3x, and 100 more for red."""
    draw = random.Random(0)
    made = []
    for number in range(120):
        x, kind = draw.randint(1, 50), draw.choice(["red", "blue"])
        target = {"value": str(3 * x + 100 * (kind == "red")), "low": "3", "high": "250"}
        split = "train" if number < 90 else "test"
        said = "unknown" if number == 5 else str(x)
        made.append(Example(str(number), split, target, query=f"x {said}, hair colour {kind}"))
    return made


def windows() -> list[Example]:
    """A season of four that repeats; the naive forecast is always off."""
    series = [10, 20, 40, 30] * 10
    made = []
    for origin in range(8, 37):
        target = {
            "values": [str(v) for v in series[origin : origin + 4]],
            "low": "10",
            "high": "40",
            "naive_error": 1.0,
        }
        split = "train" if origin < 24 else "test"
        query = ",".join(map(str, series[origin - 8 : origin]))
        made.append(Example(str(origin), split, target, meta={"origin": origin}, query=query))
    return made


def test_rows_are_told_apart() -> None:
    columns = ["x", "hair colour", "x y"]
    assert baselines.told(columns, "x 3, hair colour dark, red, x y 1") == {
        "x": "3",
        "hair colour": "dark, red",
        "x y": "1",
    }


def test_a_series_is_whole_again() -> None:
    assert baselines.stitched(windows()) == dict(enumerate([10.0, 20.0, 40.0, 30.0] * 10))


def test_of_rows(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="pip install scikit-learn")
    folder = built(tmp_path, "table", {"columns": {"a": "x", "b": "hair colour"}}, rows())
    assert baselines.main([str(folder)]) == 0
    found = read_json(folder / baselines.FILE)["splits"]["test"]
    assert found["mean"]["r2"] < 0.1
    assert found["ridge"]["r2"] > 0.95
    assert found["gradient boosting"]["r2"] > 0.8
    assert found["ridge"]["parsed"] == 1


def test_of_series(tmp_path: Path) -> None:
    pytest.importorskip("statsmodels", reason="pip install statsmodels")
    folder = built(tmp_path, "series", {"period": 4, "horizon": 4, "digits": 2, "places": 0}, windows())
    found = baselines.baselines(folder)["test"]
    assert found["seasonal naive"]["mae"] == 0
    assert found["naive"]["mae"] == pytest.approx(14, abs=3)
    assert (found["ets"]["mae"] or 0) < 0.5


def test_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = built(tmp_path, "clock", {}, rows())
    assert baselines.main([str(folder)]) == 2
    assert "is a set of 'clock'; baselines are of rows of a table" in capsys.readouterr().err

    def gone(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", gone)
    with pytest.raises(UserError, match="sklearn is missing: pip install scikit-learn statsmodels"):
        baselines.of_rows(["x", "hair colour"], rows()[:90], rows()[90:])
