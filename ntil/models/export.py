"""Write a trained run's model as one checkpoint that needs nothing of ours: adapters merged, processor beside it.

    python -m ntil.models.export outputs/runs/clock-llava15-ntil-seed0 --out /models/llava15-clocks
    python train.py model=llava15 model.local_folder=/models/llava15-clocks

Merged weights are computed and kept in the precision of the frozen ones (model.tuning.dtype).
"""

import argparse
from pathlib import Path

from transformers.utils import logging

from ntil.errors import UserError, guard, run_command
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


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ntil.models.export", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="a run's folder, as train.py leaves it")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; it must not exist")
    parser.add_argument("--base", help="a folder with the base weights of the run's adapters")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that the model's own files name"
    )
    chosen = parser.parse_args(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    def run() -> int:
        export(chosen.run, chosen.out, chosen.trust_remote_code, chosen.base)
        print(f"written to {chosen.out}")
        return 0

    return guard(run)


if __name__ == "__main__":
    run_command(main)
