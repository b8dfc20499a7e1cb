"""Train a model on a task with a loss, evaluate it, and leave a run folder behind.

python train.py task=clock model=tiny loss=ntil              one run
python train.py -m loss=ce,emd,ntil seed=0,1,2               a sweep
python train.py model=llava15 trainer.dry_run=true           what would be trained, and would it fit
python train.py --help                                       all choices
"""

import ntil  # noqa: F401  (before what takes long to import: Ctrl-C is quiet from here on)

# isort: split
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, set_seed

import data_prep
from ntil.checksums import damage
from ntil.data.example import read_manifest
from ntil.data.task import Task
from ntil.evaluation import evaluate, is_scored_like
from ntil.models import Adapter, load_model, logit_width
from ntil.numbers import NumberVocab
from ntil.runs import Run
from ntil.runs.cli import command, prepare_process, remove_empty_output, typed_overrides
from ntil.training import check_before_training, check_settings, count_skipped, fit, fitting_report


@command("train")
def main(cfg: DictConfig) -> None:
    check_settings(cfg)
    prepare_process(cfg.trainer.threads)
    if cfg.trainer.dry_run:
        try:
            print(dry_run(cfg))
        finally:
            remove_empty_output()
        return
    run = Run.open(cfg, typed_overrides())
    if run.is_complete and is_scored_like(run, cfg.evaluation) and not damage(run.folder / "model"):
        run.tidy(cfg.trainer.keep_when_complete)
        print(f"{run.folder} is complete; delete the folder to run it again.")
        return
    print(f"run {run.folder}")
    task, model, adapter = build(cfg)
    vocab = NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    loss = instantiate(cfg.loss, vocab=vocab)
    data = build_data(cfg)
    print("\n".join(check_before_training(model, adapter, task, data, cfg)))
    used = {"folder": str(data), **read_manifest(data)}
    run.refuse_other_data(used)
    run.score_anew(cfg, typed_overrides())  # where only evaluation.* has changed
    run.record_provenance(cfg, used, model.num_parameters())
    fit(model, adapter, task, data, loss, cfg, run)
    metrics = evaluate(model, adapter, task, data, cfg.evaluation, run.folder)
    if skipped := count_skipped(run.folder / "train.jsonl"):
        metrics["skipped_steps"] = skipped
    run.complete(metrics, cfg.trainer.keep_when_complete)


def build(cfg: DictConfig) -> tuple[Task, PreTrainedModel, Adapter]:
    """The task, and the model as the seed and the settings make it."""
    task = instantiate(cfg.task)
    set_seed(cfg.seed)
    return task, *load_model(cfg.model)


def build_data(cfg: DictConfig) -> Path:
    """The folder of the finished data set."""
    return data_prep.ensure(OmegaConf.to_container(cfg.data, resolve=True), cfg.paths.data)


def dry_run(cfg: DictConfig) -> str:
    """What would be trained, after the same checks; nothing is written."""
    task, model, adapter = build(cfg)
    data = build_data(cfg)
    checked = check_before_training(model, adapter, task, data, cfg)
    return "\n".join([*checked, "", fitting_report(model, adapter, task, data, cfg)])


if __name__ == "__main__":
    main()
