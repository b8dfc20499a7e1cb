"""A small Hydra configuration like the real one, with a preset `demo` of two losses and two seeds."""

from pathlib import Path

import fixtures
import pytest

from experiments.run.presets import PlannedRun, expand

workplace, finished, small_data = fixtures.workplace, fixtures.finished, fixtures.small_data

TRAIN = """
defaults:
  - _self_
  - task: clock
  - model: tiny
  - loss: ce
  - experiment: null
seed: 0
experiment_name: runs
name: ${{run_name:${{choices.task}},${{choices.model}},${{choices.loss}},${{seed}}}}
choices:
  task: ${{hydra:runtime.choices.task}}
  model: ${{hydra:runtime.choices.model}}
  loss: ${{hydra:runtime.choices.loss}}
paths:
  outputs: {outputs}
  data: {outputs}/../data
trainer:
  max_steps: 10
table: null
"""
DEMO = """# @package _global_
# python -m experiments.launch demo
experiment_name: demo
trainer:
  max_steps: 20
hydra:
  sweeper:
    params: {loss: "ce,ntil", seed: "range(0,2)"}
table:
  title: A demonstration
  rows: loss
  baseline: ce
  splits: [test]
  metrics: [exact]
  published: null
"""
PUBLISHED = """
paper:
  task: clock
  source: A paper
  status: printed
  note: A note.
  metrics: {exact: {printed_as: "Acc %", scale: 0.01}}
  beside: Big 2B
  rows:
    - {model: Big 2B, row: ce, exact: 81.3}
    - {model: Big 2B, row: ntil, exact: 85.3}
    - {model: Bigger 7B, row: ce, exact: null}
"""


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def write_conf(root: Path, outputs: Path) -> Path:
    """conf/ with train.yaml, the groups and the preset `demo`; runs go to `outputs`."""
    files = {
        "train.yaml": TRAIN.format(outputs=outputs),
        "task/clock.yaml": "{}",
        "model/tiny.yaml": "{}",
        "experiment/demo.yaml": DEMO,
        "published.yaml": PUBLISHED,
        **{f"loss/{loss}.yaml": "weight: 1" for loss in ("ce", "emd", "ntil")},
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def conf(tmp_path: Path, outputs: Path) -> Path:
    return write_conf(tmp_path / "conf", outputs)


@pytest.fixture(scope="session")
def lasting_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like `conf`, once for all tests (composing takes time); who uses it empties ../outputs."""
    root = tmp_path_factory.mktemp("lasting")
    return write_conf(root / "conf", root / "outputs")


@pytest.fixture(scope="session")
def lasting_runs(lasting_conf: Path) -> dict[str, PlannedRun]:
    """The runs of `demo` in lasting_conf, by name."""
    return {run.name: run for run in expand("demo", (), lasting_conf)}
