import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from run_factory import exact, realistic, write_run

import experiments.plot.figures
from experiments.compare.labels import LOOKS, colours
from experiments.compare.spec import TableSpec
from experiments.plot.curves import mean_curve, spread
from experiments.plot.panels import along_panels, training_panels, validation_panels
from experiments.plots import main
from experiments.results.collect import collect
from experiments.results.rows import MetricRow
from experiments.results.store import Store


def digests(results: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (results / "figures").iterdir()
    }


def test_figures_come_from_results_alone_and_are_the_same_each_time(
    outputs: Path, results: Path, conf: Path
) -> None:
    import shutil

    realistic(outputs, "demo", {"ce": 0.6, "ntil": 0.8}, seeds=2, items=10)
    collect(outputs, results)
    shutil.rmtree(outputs)
    assert main(["demo", "--results", str(results)], conf) == 0
    before = digests(results)
    assert set(before) == {f"demo_{kind}.svg" for kind in ("errors", "validation", "training")}
    assert main(["--results", str(results)], conf) == 0
    assert digests(results) == before
    svg = (results / "figures" / "demo_training.svg").read_text()
    assert "<dc:date>" not in svg
    assert LOOKS["ntil"][1].lower() in svg.lower()


def test_figures_of_a_group_that_was_divided_are_removed(outputs: Path, results: Path, conf: Path) -> None:
    realistic(outputs, "demo", {"ce": 0.6, "ntil": 0.8}, seeds=2, items=10)
    collect(outputs, results)
    assert main(["demo", "--results", str(results)], conf) == 0
    (results / "figures" / "demo_too_training.svg").write_text("of another experiment")
    realistic(outputs, "demo", {"ce": 0.6, "ntil": 0.8}, seeds=2, items=10, model="tiny_gemma")
    collect(outputs, results)
    assert main(["demo", "--results", str(results)], conf) == 0
    assert {path.stem for path in (results / "figures").glob("*.svg")} == {
        "demo_errors",
        "demo_too_training",
        *(
            f"demo_{kind}-model={model}"
            for kind in ("validation", "training")
            for model in ("tiny", "tiny_gemma")
        ),
    }


def test_metrics_over_a_swept_setting(outputs: Path, results: Path, conf: Path) -> None:
    for loss, better in (("ce", 0), ("ntil", 1)):
        for size in (1000, 250):
            for seed in (0, 1):
                scores = exact(*[1.0] * (size // 250 + better + seed), *[0.0] * 5)
                words = [f"trainer.train_examples={size}"]
                write_run(outputs, scores, loss=loss, seed=seed, overrides=words)
    collect(outputs, results)
    path = conf / "experiment" / "demo.yaml"
    table = {"rows": "loss", "baseline": "ce", "splits": ["test"], "metrics": ["exact"]}
    path.write_text(yaml.safe_dump({"table": {**table, "along": "trainer.train_examples"}}))
    assert main(["demo", "--results", str(results)], conf) == 0
    assert set(digests(results)) == {f"demo_{kind}.svg" for kind in ("along", "gain")}
    spec = TableSpec.parse("demo", {**table, "along": "trainer.train_examples"})
    (panel,), ticks = along_panels(spec, "trainer.train_examples", Store(results).runs("demo"), {})
    assert ticks == [250, 1000]
    assert panel.lines["ntil"] == [[(250, 2 / 7), (1000, 5 / 10)], [(250, 3 / 8), (1000, 6 / 11)]]


def test_panels() -> None:
    curves = {
        ("a", "ce"): [(1, 2.0)],
        ("b", "ce"): [(1, 1.0)],
        ("b", "emd"): [(1, 0.5)],
        ("b", "mine"): [(1, 0.2)],
        ("other", "not_theirs"): [(1, 0.2)],
        **{("b", key): [(1, 9.0)] for key in ("loss", "number", "grad_norm", "learning_rate")},
        ("a", "val/exact"): [(1, 0.1)],
        ("a", "val/hour"): [(1, 0.1)],
        ("a", "val/gap"): [(1, 3.0)],
    }
    runs = {"ce": ["a"], "ntil": ["b"]}
    training = training_panels(runs, curves)
    assert [(panel.title, list(panel.lines)) for panel in training] == [
        ("training cross-entropy", ["ce", "ntil"]),
        ("training digit EMD", ["ntil"]),
        ("training mine", ["ntil"]),
    ]
    metrics = {
        "gap": MetricRow("clock", "gap", "gap, plain", "minutes", "lower", 2, None),
        "exact": MetricRow("clock", "exact", "exact", "share", "higher", 3, None),
    }
    titles = [panel.title for panel in validation_panels(runs, curves, metrics, ["gap", "unlogged", "exact"])]
    assert titles == ["validation: gap, plain [minutes] ↓", "validation: exact ↑"]
    assert len(validation_panels(runs, curves, {}, [])) == 2


def test_mean_over_the_steps_that_all_seeds_have() -> None:
    assert mean_curve([[(10, 1.0), (20, 2.0), (30, 5.0)], [(10, 3.0), (20, 6.0)]]) == [(10, 2.0), (20, 4.0)]


def test_a_term_of_a_new_loss_is_collected_and_drawn(
    outputs: Path, results: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = [{"step": step, "loss": 3.0, "ce": 2.0, "mine": 0.5 * step} for step in (1, 2)]
    write_run(outputs, exact(1), loss="mine", curves=logged)
    collect(outputs, results)
    drawn = []
    draw = experiments.plot.figures.draw
    monkeypatch.setattr(
        experiments.plot.figures,
        "draw",
        lambda stem, panels, *rest: drawn.extend(panels) or draw(stem, panels, *rest),
    )
    assert main(["--results", str(results)], conf) == 0
    assert [(panel.title, panel.lines) for panel in drawn if "mine" in panel.title] == [
        ("training mine", {"mine": [[(1, 0.5), (2, 1.0)]]})
    ]


def test_values_that_an_axis_cannot_show_do_no_harm(outputs: Path, results: Path, conf: Path) -> None:
    logged = [
        {"step": 1, "ce": float("nan"), "relative": 0.0},
        {"step": 2, "ce": 1.0, "relative": 0.0, "emd": 0.0},
    ]
    write_run(
        outputs, exact(1), loss="ntil", curves=[*logged, {"step": 3, "ce": 2.0, "relative": 0.1, "emd": 0.0}]
    )
    collect(outputs, results)
    assert main(["--results", str(results)], conf) == 0
    assert (results / "figures" / "demo_training.svg").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.0, 1.0], [0.0, 1.0]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.9, 0.5, 0.52], [0.9, 0.46, 0.56]),
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.2]),  # not below the panel
        ([1.0, 0.99], [1.0, 0.9]),  # nor above
    ],
)
def test_spread_by_hand(heights: list[float], expected: list[float]) -> None:
    assert spread(heights, 0.1, 0.0, 1.0) == pytest.approx(expected)


def test_spread_keeps_the_order_and_the_gap() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        heights = random.random(8).tolist()
        placed = np.array(spread(heights, 0.1, 0.0, 1.0))
        assert (np.argsort(placed) == np.argsort(heights)).all()
        assert np.diff(np.sort(placed)).min() > 0.1 - 1e-6
        assert placed.min() > -1e-6
        assert placed.max() < 1 + 1e-6


def test_a_loss_keeps_its_colour_and_no_two_share_one() -> None:
    assert colours(["mine", "ntil"])["ntil"] == colours(["ntil", "ce"])["ntil"]
    shown = colours(
        [
            "ce",
            "emd",
            "ntil",
            "ntil_decimal",
            "ntl_was",
            "ntl_mse",
            "gaussian_ce",
            "dist2",
            "smmd",
            "del",
            "mine",
        ]
    )
    assert len(set(shown.values())) == len(shown)


def test_mistakes_are_one_message(
    outputs: Path, results: Path, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--results", str(results)], conf) == 2
    assert "holds no curves" in capsys.readouterr().err
    write_run(outputs, exact(1))
    collect(outputs, results)
    assert main(["dmeo", "--results", str(results)], conf) == 2
    assert "Did you mean 'demo'?" in capsys.readouterr().err
