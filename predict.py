"""Ask a trained run about your own pictures, or in text alone.

python predict.py run=outputs/runs/clock-tiny-ntil-seed0 input=photo.png
python predict.py run=outputs/runs/arithmetic-tiny-ntil-seed0 query=12+34= decode=median
torchrun --nproc-per-node 8 predict.py run=… input=photos       on eight GPUs
"""

import ntil  # noqa: F401  (before what takes long to import: Ctrl-C is quiet from here on)

# isort: split
import sys
from pathlib import Path

from omegaconf import DictConfig

from ntil.errors import UserError
from ntil.evaluation.predict import find_pictures, predict
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import load_trained
from ntil.runs.cli import command, prepare_process
from ntil.settings import load_settings

DECODING = ("decode", "candidates", "mass", "seed")
UNSCORED = {"splits": None, "optional_splits": [], "pictures": True, "batch_size": None, "limit": None}


@command("predict")
def main(cfg: DictConfig) -> None:
    prepare_process(cfg.threads)
    if cfg.input is None and cfg.query is None:
        raise UserError("nothing to answer: give a picture (input=…), a question (query=…), or both.")
    settings = load_settings(
        EvaluationSettings, {**UNSCORED, **{name: cfg[name] for name in DECODING}}, "predict"
    )
    pictures = find_pictures(Path(cfg.input)) if cfg.input is not None else []
    query = None if cfg.query is None else str(cfg.query)
    trained = load_trained(cfg.run, cfg.trust_remote_code, cfg.base)
    failed = predict(trained, pictures, query, Path(cfg.output), cfg.batch_size, settings)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
