"""Score a trained run again, from its saved weights.

python evaluate.py run=outputs/runs/clock-tiny-ntil-seed0
torchrun --nproc-per-node 8 evaluate.py run=…       on eight GPUs
"""

import ntil  # noqa: F401  (before what takes long to import: Ctrl-C is quiet from here on)

# isort: split
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

import data_prep
from ntil.data.example import MANIFEST
from ntil.errors import UNEXPECTED, UserError
from ntil.evaluation import evaluate
from ntil.evaluation.stored import stored_evaluation
from ntil.evaluation.trained import Trained, load_trained
from ntil.io import file_name, inside, reading, write_json
from ntil.nonfinite import finite
from ntil.runs.cli import command, prepare_process
from ntil.runs.names import LONGEST_NAME
from ntil.runs.processes import by_first
from ntil.runs.stored import stored_data

# Settings of an evaluation that may differ from the run's.
OWN = (
    "limit",
    "batch_size",
    "constrained",
    "reading",
    "engine",
    "decode",
    "candidates",
    "mass",
    "seed",
)


@command("evaluate")
def main(cfg: DictConfig) -> None:
    prepare_process(cfg.threads)
    trained = load_trained(cfg.run, cfg.trust_remote_code, cfg.base)
    data = Path(cfg.data_folder) if cfg.data_folder else _own_data(trained, cfg.paths.data)
    typed = OmegaConf.to_container(cfg, resolve=True)
    changes = {name: typed[name] for name in ("splits", *OWN) if typed[name] is not None}
    if cfg.splits is not None:
        changes["optional_splits"] = []
    pace = {} if typed["workers"] is None else {"workers": typed["workers"]}  # which changes no result
    settings = stored_evaluation(trained.config, trained.folder / "config.yaml", {**changes, **pace})
    folder = Path(cfg.output) if cfg.output else trained.folder
    if (changes or cfg.data_folder) and not cfg.output:  # never over the run's own results
        extra = [data.name] if cfg.data_folder else []
        extra += [f"{name}{cfg[name]}" for name in OWN if name in changes]
        folder = folder / file_name("-".join(["evaluation", *(settings.splits or ()), *extra]), LONGEST_NAME)
    metrics = evaluate(trained.on(data), settings, folder)
    if folder != trained.folder:
        by_first(lambda: write_json(folder / "metrics.json", finite(metrics)))
    print(f"written to {folder}")


def _own_data(trained: Trained, root: str) -> Path:
    """The data set that the run was made with: where it was then, or built anew by the user in `root`.

    Nothing is built or written on the word of a run's folder.
    """
    path = trained.folder / "provenance.json"
    try:
        return stored_data(trained.folder)
    except UserError as error:
        if not isinstance(data := trained.config.get("data"), dict):
            raise
        try:
            name = data_prep.folder_name(data)
        except UNEXPECTED as wrong:
            raise UserError(
                f"{error} Nor does {trained.folder / 'config.yaml'} describe one: {wrong}."
            ) from None
        rebuilt = Path(root) / name
        inside(root, name)
        with reading(rebuilt):  # where the name is too long
            there = (rebuilt / MANIFEST).exists()
        if not there:
            raise UserError(
                f"{error} Nor is it in {rebuilt}. Name it (data_folder=…); the run's training command with "
                f"trainer.dry_run=true builds it ({path.with_name('overrides.yaml')} says what was typed)."
            ) from None
        return stored_data(trained.folder, moved_to=rebuilt)


if __name__ == "__main__":
    main()
