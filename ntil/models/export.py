"""Write a trained run's model as one checkpoint that needs nothing of ours: adapters merged, processor beside it.

    ntil export outputs/runs/clock-llava15-ntil-seed0 --out /models/llava15-clocks
    python train.py model=llava15 model.local_folder=/models/llava15-clocks

Merged weights are computed and kept in the precision of the frozen ones (model.tuning.dtype).
"""

from pathlib import Path

from ntil.errors import UserError
from ntil.io import atomic_folder
from ntil.models.stored import load_stored_model
from ntil.runs.stored import read_stored_config, refuse_links_out


def export(run: Path, out: Path, trust_remote_code: bool = False, base: str | None = None) -> None:
    """The model of the run's folder into the new folder `out`, whole or not at all.

    trust_remote_code, base: as for `load_stored_model`.
    """
    if not (run / "config.yaml").is_file() or not (run / "model").is_dir():
        raise UserError(f"{run} is not the folder of a trained run: it needs config.yaml and model/.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    refuse_links_out(run)
    model, adapter = load_stored_model(
        read_stored_config(run / "config.yaml"),
        run / "model",
        trust_remote_code=trust_remote_code,
        base=base,
        for_export=True,  # merging into 4-bit weights would round the adapters away
    )
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    with atomic_folder(out) as temporary:
        model.save_pretrained(temporary)
        adapter.save_pretrained(temporary)
