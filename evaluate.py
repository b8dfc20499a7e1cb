"""Score a trained run again, from its saved weights.

python evaluate.py run=outputs/runs/clock-tiny-ntil-seed0
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

import data_prep
from ntil.data.example import read_manifest
from ntil.evaluation import evaluate
from ntil.evaluation.trained import Trained, load_trained
from ntil.io import finite, write_json
from ntil.runs import Run
from ntil.runs.cli import command, prepare_process
from ntil.runs.run import check_same_data

OWN = (
    "limit",
    "batch_size",
    "constrained",
    "reading",
)  # settings of an evaluation that may differ from the run's


@command("evaluate")
def main(cfg: DictConfig) -> None:
    prepare_process(cfg.threads)
    trained = load_trained(cfg.run)
    data = Path(cfg.data_folder) if cfg.data_folder else own_data(trained)
    changes = {name: cfg[name] for name in ("splits", *OWN) if cfg[name] is not None}
    if cfg.splits is not None:
        changes["optional_splits"] = []
    settings = OmegaConf.merge(trained.config.evaluation, changes)
    folder = Path(cfg.output) if cfg.output else trained.folder
    if (changes or cfg.data_folder) and not cfg.output:  # never over the run's own results
        extra = [data.name] if cfg.data_folder else []
        extra += [f"{name}{cfg[name]}" for name in OWN if name in changes]
        folder = folder / "-".join(["evaluation", *(settings.splits or ()), *extra])
    metrics = evaluate(trained.model, trained.adapter, trained.task, data, settings, folder)
    if folder != trained.folder:
        write_json(folder / "metrics.json", finite(metrics))
    print(f"written to {folder}")


def own_data(trained: Trained) -> Path:
    """The set that the run was made with; UserError where its records are others now."""
    config = trained.config
    data = data_prep.ensure(OmegaConf.to_container(config.data, resolve=True), config.paths.data)
    check_same_data(trained.folder, Run(trained.folder).data, {"folder": str(data), **read_manifest(data)})
    return data


if __name__ == "__main__":
    main()
