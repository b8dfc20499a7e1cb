from pathlib import Path

import pytest

from experiments.run.presets import expand, grid_values, table_spec
from ntil.checkout import CONF
from ntil.errors import UserError


def names(conf: Path, *extra: str) -> list[str]:
    return [run.name for run in expand("demo", extra, conf)]


def test_the_grid_is_the_product_of_its_axes(conf: Path, outputs: Path) -> None:
    runs = expand("demo", (), conf)
    assert [run.name for run in runs] == [
        f"clock-tiny-{loss}-seed{seed}" for loss in ("ce", "ntil") for seed in (0, 1)
    ]
    assert runs[3].overrides == ("experiment=demo", "loss=ntil", "seed=1")
    assert runs[3].folder == outputs / "demo" / "clock-tiny-ntil-seed1"
    assert runs[3].config["choices"] == {"task": "clock", "model": "tiny", "loss": "ntil"}
    assert {run.steps for run in runs} == {20}


def test_typed_overrides_replace_an_axis(conf: Path) -> None:
    assert names(conf, "loss=emd", "seed=4,7") == ["clock-tiny-emd-seed4", "clock-tiny-emd-seed7"]


@pytest.mark.parametrize(
    ("sweep", "losses"),
    [
        ("loss=choice(emd,ce)", ["emd", "ce"]),
        ("loss=glob(*,exclude=n*)", ["ce", "emd"]),
        ("loss='ntil'", ["ntil"]),
    ],
)
def test_any_sweep_syntax_of_hydra_works(conf: Path, sweep: str, losses: list[str]) -> None:
    assert names(conf, sweep, "seed=0") == [f"clock-tiny-{loss}-seed0" for loss in losses]


def test_other_settings_get_a_folder_of_their_own(conf: Path) -> None:
    (run,) = expand("demo", ("loss=ce", "seed=0", "trainer.max_steps=5"), conf)
    assert run.name == "clock-tiny-ce-seed0,trainer.max_steps=5"
    assert run.steps == 5


def test_runs_that_would_share_a_folder_are_refused(conf: Path) -> None:
    with pytest.raises(UserError, match=r"share the folder .*demo/mine"):
        expand("demo", ("name=mine",), conf)


def test_an_unknown_experiment_names_its_neighbours(conf: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment 'dmo'. Did you mean 'demo'\?"):
        expand("dmo", (), conf)


def test_an_unknown_setting_is_named(conf: Path) -> None:
    with pytest.raises(UserError, match=r"'trainer\.max_step'"):
        expand("demo", ("trainer.max_step=5",), conf)


def test_a_run_is_done_only_with_the_same_settings(conf: Path) -> None:
    import yaml

    run = expand("demo", (), conf)[0]
    run.folder.mkdir(parents=True)
    stored = run.config | {"paths": {"outputs": "elsewhere"}}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored))
    assert not run.is_done
    (run.folder / "COMPLETE").touch()
    assert run.is_done
    (run.folder / "config.yaml").write_text(yaml.safe_dump(stored | {"trainer": {"max_steps": 19}}))
    assert not run.is_done
    (run.folder / "config.yaml").write_text("a: [")
    assert not run.is_done


def test_grid_values_and_table(conf: Path) -> None:
    assert grid_values("demo", "loss", conf) == ["ce", "ntil"]
    assert grid_values("demo", "seed", conf) == ["0", "1"]
    assert grid_values("demo", "model", conf) == []
    assert (table_spec("demo", conf) or {})["baseline"] == "ce"
    assert table_spec("nothing", conf) is None


def test_every_preset_with_a_grid_composes_into_runs_of_its_own_folder() -> None:
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        if "sweeper" in path.read_text():
            runs = expand(path.stem)
            assert len(runs) > 1 or runs[0].steps is None, path  # untrained: one run says it
            assert {run.folder.parent.name for run in runs} == {path.stem}, path
