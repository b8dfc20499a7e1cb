"""docs/add_an_experiment.md, followed to the letter: one file, and it is listed, checked and can be launched."""

from pathlib import Path

from newcomers import blocks, checkout, run


def test_an_experiment_is_one_file(tmp_path: Path) -> None:
    place = checkout(tmp_path / "checkout", "experiments")
    (preset,) = blocks("add_an_experiment.md", "yaml")
    (place / "conf/experiment/few_clocks.yaml").write_text(preset, encoding="utf-8")
    said = run(place, "-m", "experiments.launch", "few_clocks", "--list")
    for loss in ("ce", "ntil"):
        for seed in (0, 1, 2):
            assert f"clock-tiny-{loss}-seed{seed}" in said
    small = ["data.size=64", "data.splits={train: 64, val: 4, test: 6}", "trainer.eval_examples=4"]
    said = run(place, "train.py", "experiment=few_clocks", "loss=ce", "trainer.dry_run=true", *small)
    assert "parameters" in said
    listed = run(
        place, "-c", "from experiments.run.presets import table_spec; print(table_spec('few_clocks'))"
    )
    assert "Clock reading from 500 pictures" in listed
