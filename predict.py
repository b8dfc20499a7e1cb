"""Read your own pictures with a trained run.

python predict.py run=outputs/runs/clock-tiny-ntil-seed0 input=photo.png
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

from ntil.evaluation.predict import find_pictures, predict
from ntil.evaluation.trained import load_trained
from ntil.runs.cli import command, prepare_process


@command("predict")
def main(cfg: DictConfig) -> None:
    prepare_process(cfg.threads)
    pictures = find_pictures(Path(cfg.input))
    trained = load_trained(cfg.run)
    failed = predict(trained, pictures, Path(cfg.output), cfg.batch_size)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
