"""Figures of differences: each setting has a line, each point of a swept one its interval."""

from pathlib import Path

import matplotlib.axes
import pytest
from run_factory import exact, write_run

from experiments.compare.comparison import compare
from experiments.compare.pairing import Column
from experiments.compare.settings import Setting
from experiments.compare.spec import TableSpec
from experiments.compare.statistics import Difference, Summary
from experiments.plot.intervals import draw_gain, draw_settings
from experiments.plot.style import Abscissa
from experiments.results.collect import collect
from experiments.results.rows import MetricRow
from experiments.results.store import Store

SIZES = (250, 1000)
Drawn = list[tuple[list[float], list[float]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """(xs, ys) of whatever is drawn as a line or a point."""
    found: Drawn = []
    plot = matplotlib.axes.Axes.plot

    def record(self: matplotlib.axes.Axes, x: object, y: object, *words: object, **options: object) -> object:
        found.append(tuple([*value] if isinstance(value, list | tuple) else [value] for value in (x, y)))  # type: ignore[arg-type]
        return plot(self, x, y, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(matplotlib.axes.Axes, "plot", record)
    return found


def setting(low: float, mean: float, high: float, *, better: str = "higher", unit: str = "share") -> Setting:
    column = Column("test", MetricRow("clock", "exact", "exact", unit, better, 3, None))
    difference = Difference(mean, low, high, seeds=3, items=10, verdict="not distinguishable")
    pairs = {pair: {column: difference} for pair in (("ntil", "ce"), ("ntil", "emd"), ("emd", "ce"))}
    return Setting(
        "demo",
        "A demonstration",
        "",
        column,
        dict.fromkeys(("ce", "emd", "ntil"), Summary(0.5, 0.1, 3)),
        pairs,
    )


def test_a_line_for_each_setting_and_the_better_side_is_the_right(tmp_path: Path, drawn: Drawn) -> None:
    found = [
        setting(-0.1, 0.2, 0.3),
        setting(-0.3, -0.2, 0.1, better="lower"),
        setting(0, 1, 9, unit="minutes"),
    ]
    paths = draw_settings(tmp_path / "overview", found)
    assert [path.name for path in paths] == ["overview.svg"]
    assert paths[0].read_text().startswith("<svg")
    intervals = [xs for xs, _ in drawn if len(xs) == 2]
    assert intervals == [[-0.1, 0.3]] * 4  # EMD and NTIL in each; minutes have no place on an axis of shares
    assert [xs for xs, _ in drawn if len(xs) == 1] == [[0.2]] * 4


def test_wide_intervals_end_in_arrows(tmp_path: Path, drawn: Drawn) -> None:
    draw_settings(
        tmp_path / "overview",
        [*[setting(-0.1, 0.0, 0.1)] * 8, setting(-3.0, 0.0, 0.05), setting(-3.0, -2.0, 0.0)],
    )
    ends = [xs for xs, _ in drawn if len(xs) == 2]
    assert ends[-4:] == [[-0.1, 0.05]] * 2 + [[-0.1, 0.0]] * 2
    points = [xs for xs, _ in drawn if len(xs) == 1]
    assert points[-6:] == [[-0.1], [0.0], [-0.1], [0.0], [-0.1], [-0.1]]  # a mean outside has its arrow alone


def test_an_interval_beyond_the_axis_is_an_arrow_alone(tmp_path: Path, drawn: Drawn) -> None:
    draw_settings(tmp_path / "overview", [*[setting(-0.1, 0.0, 0.1)] * 8, setting(0.5, 0.6, 0.7)])
    points = [xs for xs, _ in drawn if len(xs) == 1]
    assert points[-3:] == [[0.0], [0.1], [0.1]]  # once for each loss, at the right edge


def test_no_figure_of_nothing(tmp_path: Path) -> None:
    assert draw_settings(tmp_path / "overview", []) == []
    assert not list(tmp_path.iterdir())


def collected(outputs: Path, results: Path, sizes: tuple[int, ...] = SIZES) -> Store:
    """NTIL is right on two of ten items more than CE with 250 examples, on one more with 1,000."""
    for size in sizes:
        for loss, right in (("ce", 3), ("ntil", 5 if size == SIZES[0] else 4)):
            for seed in range(2):
                scores = exact(*(float(index < right) for index in range(10)))
                write_run(outputs, scores, loss=loss, seed=seed, overrides=[f"trainer.train_examples={size}"])
    collect(outputs, results)
    return Store(results)


TABLE = {
    "rows": "loss",
    "baseline": "ce",
    "splits": ["test"],
    "metrics": ["exact"],
    "along": "trainer.train_examples",
}


def test_differences_over_the_swept_setting(
    outputs: Path, results: Path, tmp_path: Path, drawn: Drawn
) -> None:
    table = compare("demo", TableSpec.parse("demo", TABLE), collected(outputs, results))
    paths = draw_gain(tmp_path / "gain", table, Abscissa("training examples", SIZES))
    assert [path.name for path in paths] == ["gain.svg"]
    points = [(x, y) for (x, *more), (y, *_) in drawn if not more]
    assert points == [(250.0, pytest.approx(0.2)), (1000.0, pytest.approx(0.1))]


def test_without_a_second_value_there_is_no_curve(outputs: Path, results: Path, tmp_path: Path) -> None:
    table = compare("demo", TableSpec.parse("demo", TABLE), collected(outputs, results, SIZES[:1]))
    assert draw_gain(tmp_path / "gain", table, Abscissa("training examples", SIZES[:1])) == []
