"""Write a trained run's model as one checkpoint that needs nothing of ours: adapters merged, processor beside it.

    ntil export outputs/runs/clock-llava15-ntil-seed0 --out /models/llava15-clocks
    python train.py model=llava15 model.local_folder=/models/llava15-clocks

Merged weights are computed and kept in the precision of the frozen ones (model.tuning.dtype).
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError
from ntil.io import atomic_folder
from ntil.models.load import load_model


def export(run: Path, out: Path) -> None:
    """The model of the run's folder into the new folder `out`, whole or not at all."""
    if not (run / "config.yaml").is_file() or not (run / "model").is_dir():
        raise UserError(f"{run} is not the folder of a trained run: it needs config.yaml and model/.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    config = OmegaConf.load(run / "config.yaml")
    assert isinstance(config, DictConfig)
    if "tuning" in config.model:
        config.model.tuning.quantize = "none"  # merging into 4-bit weights would round the adapters away
    model, adapter = load_model(config.model, folder=run / "model")
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    with atomic_folder(out) as temporary:
        model.save_pretrained(temporary)
        adapter.save_pretrained(temporary)
