"""What an experiment preset asks for: its grid of runs, each with its folder, and its table.

A preset is conf/experiment/<name>.yaml. Its grid stands in `hydra.sweeper.params`, so that Hydra's own `-m` finds it
too; any of Hydra's sweep syntax works (`ce,ntil`, `range(0,5)`, `choice(…)`, `glob(*)`). Later words win: overrides
typed after the preset's name replace the grid's axis of the same name.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntil.checkout import CONF
from ntil.errors import UserError, did_you_mean
from ntil.runs import cli
from ntil.runs.run import COMPLETE
from ntil.runs.sameness import FREE_KEYS, differences
from ntil.runs.stored import read_stored_config

CONFIG_NAME = "train"


@dataclass(frozen=True)
class PlannedRun:
    """One point of the grid: what to type and where it will live."""

    name: str
    folder: Path
    overrides: tuple[str, ...]
    steps: int | None  # trainer.max_steps, where the configuration says it
    config: dict[str, Any]  # resolved

    @property
    def is_done(self) -> bool:
        """Complete, and with the settings that we would start it with; train.py judges whatever else there is."""
        if not (self.folder / COMPLETE).exists():
            return False
        try:
            stored = read_stored_config(self.folder / "config.yaml")
        except UserError:  # an unreadable file is train.py's to explain
            return False
        return all(key.split(".")[0] in FREE_KEYS for key, _, _ in differences(stored, self.config))


def preset_names(conf: Path = CONF) -> list[str]:
    return sorted(path.stem for path in (conf / "experiment").glob("*.yaml"))


def table_spec(name: str, conf: Path = CONF) -> dict[str, Any] | None:
    """The preset's `table:` node, None where there is no preset of that name or it asks for no table."""
    table = _preset(name, conf).get("table")
    if table is not None and not isinstance(table, dict):
        raise UserError(f"experiment {name}: `table` must be a mapping (rows, baseline, …), found {table!r}.")
    return table


def grid_values(name: str, key: str, conf: Path = CONF) -> list[str]:
    """The values that the preset's grid gives to `key`, in its order; [] where it does not sweep over it."""
    params = ((_preset(name, conf).get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    if key not in params:
        return []
    override = OverridesParser.create().parse_override(f"{key}={params[key]}")
    return _values(name, override)


def _preset(name: str, conf: Path) -> dict[Any, Any]:
    path = conf / "experiment" / f"{name}.yaml"
    preset = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    return preset if isinstance(preset, dict) else {}


def expand(name: str, extra: Sequence[str] = (), conf: Path = CONF) -> list[PlannedRun]:
    """The runs of a preset, in the grid's order; UserError where it cannot be composed."""
    names = preset_names(conf)
    if name not in names:
        raise UserError(
            f"there is no experiment {name!r}.{did_you_mean(name, names)} conf/experiment has: {', '.join(names) or '–'}."
        )
    with _hydra(conf):
        try:
            runs = [_plan(overrides) for overrides in _grid(name, extra)]
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"experiment {name!r}: {cli.explain(error, CONFIG_NAME)}") from error
    _refuse_shared_folders(runs)
    return runs


@contextmanager
def _hydra(conf: Path) -> Iterator[None]:
    cli.register_resolvers()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            yield
    finally:
        HydraConfig.instance().cfg = None


def _grid(name: str, extra: Sequence[str]) -> list[list[str]]:
    """One list of overrides for each run: the product of the axes, the last one fastest, as Hydra's own sweeper has it."""
    experiment = f"experiment={name}"
    preset = hydra.compose(CONFIG_NAME, [experiment], return_hydra_config=True)
    axes = [f"{key}={value}" for key, value in (preset.hydra.sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    words: dict[str, list[str]] = {}
    for override in parser.parse_overrides([experiment, *axes, *extra]):
        key = override.get_key_element()
        words[key] = [
            f"{key}={value}" for value in _values(name, override)
        ]  # a later word replaces an earlier one
    return [list(point) for point in itertools.product(*words.values())]


def _values(name: str, override: Override) -> list[str]:
    """What an override gives to its key: one value, or each of a sweep's."""
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise UserError(
            f"experiment {name!r}: {override.input_line!r} is no list of values to run one by one; write them out."
        )
    return [str(value) for value in override.sweep_string_iterator()]


def _plan(overrides: list[str]) -> PlannedRun:
    config = hydra.compose(CONFIG_NAME, overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)  # run_name and ${hydra:…} read it
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    folder = Path(resolved["paths"]["outputs"]) / resolved["experiment_name"] / resolved["name"]
    steps = _max_steps(config)
    return PlannedRun(str(resolved["name"]), folder, tuple(overrides), steps, dict(resolved))  # type: ignore[arg-type]


def _max_steps(config: DictConfig) -> int | None:
    steps = OmegaConf.select(config, "trainer.max_steps")
    return int(steps) if isinstance(steps, int | float) and steps > 0 else None


def _refuse_shared_folders(runs: list[PlannedRun]) -> None:
    first: dict[Path, PlannedRun] = {}
    for run in runs:
        twin = first.setdefault(run.folder, run)
        if twin is not run:
            raise UserError(
                f"two runs of the grid share the folder {run.folder}: `{' '.join(twin.overrides)}` and "
                f"`{' '.join(run.overrides)}`. Give them names of their own (name=…), or drop the repeated value."
            )
