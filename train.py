"""Train a model on a task with a loss, evaluate it, and leave a run folder behind.

python train.py task=clock model=tiny loss=ntil              one run
python train.py -m loss=ce,emd,ntil seed=0,1,2               a sweep
python train.py model=llava15 trainer.dry_run=true           what would be trained, and would it fit
python train.py --help                                       all choices
"""

import ntil  # noqa: F401  (before what takes long to import: Ctrl-C is quiet from here on)

# isort: split
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from transformers import set_seed

import data_prep
from ntil.checksums import damage
from ntil.data.example import read_manifest
from ntil.evaluation import evaluate, is_scored_like
from ntil.losses import CrossEntropy, WithCrossEntropy
from ntil.models import Adapter, Subject, load_model, logit_width
from ntil.models.outline import outline_model
from ntil.numbers import NumberVocab
from ntil.runs import Run
from ntil.runs.cli import command, prepare_process, remove_empty_output, typed_overrides
from ntil.runs.processes import by_first, is_first
from ntil.training import check_before_training, check_settings, count_skipped, fit, fitting_report


@command("train")
def main(cfg: DictConfig) -> None:
    prepare_process(cfg.trainer.threads)
    check_settings(cfg)
    if cfg.trainer.dry_run:
        dry_run(cfg)
        return
    run = Run.open(cfg, typed_overrides())
    if by_first(lambda: is_done(run, cfg)):
        return
    print(f"run {run.folder}")
    subject, loss = build(cfg)
    by_first(lambda: begin(run, subject, cfg))
    subject = fit(subject, loss, cfg, run)
    metrics = evaluate(subject, cfg.evaluation, run.folder)
    by_first(lambda: end(run, metrics, cfg))


def is_done(run: Run, cfg: DictConfig) -> bool:
    """Whether nothing is left to do, which is said."""
    if not run.is_complete or not is_scored_like(run, cfg.evaluation) or damage(run.folder / "model"):
        return False
    run.tidy(cfg.trainer.keep_when_complete)
    print(f"{run.folder} is complete; delete the folder to run it again.")
    return True


def begin(run: Run, subject: Subject, cfg: DictConfig) -> None:
    """What can go wrong goes wrong here; then the run's folder says what it is made with."""
    print("\n".join(check_before_training(subject, cfg)))
    used = {"folder": str(subject.data), **read_manifest(subject.data)}
    run.refuse_other_data(used)
    run.score_anew(cfg, typed_overrides())  # where only evaluation.* has changed
    run.record_provenance(cfg, used, subject.model.num_parameters())


def end(run: Run, metrics: dict[str, Any], cfg: DictConfig) -> None:
    if skipped := count_skipped(run.folder / "train.jsonl"):
        metrics["skipped_steps"] = skipped
    run.complete(metrics, cfg.trainer.keep_when_complete)


def build(
    cfg: DictConfig, made: tuple[Any, Adapter] | None = None
) -> tuple[Subject, CrossEntropy | WithCrossEntropy]:
    """The task, the model as the seed and the settings make it, the loss on its vocabulary, and the finished data set.

    made: the model and its adapter, where they are there already.
    """
    task = instantiate(cfg.task)
    set_seed(cfg.seed)
    model, adapter = made or load_model(cfg.model)
    vocab = NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    loss = instantiate(cfg.loss, vocab=vocab)
    settings = OmegaConf.to_container(cfg.data, resolve=True)
    data = by_first(lambda: data_prep.ensure(settings, cfg.paths.data))
    return Subject(model, adapter, task, data), loss


def dry_run(cfg: DictConfig) -> None:
    """Print what would be trained, after the same checks; nothing is written but the data set."""
    outline = outline_model(cfg.model)  # without weights
    try:
        subject, _ = build(cfg, (outline.model, outline.adapter))
        checked = check_before_training(subject, cfg, counted=outline.counted)
        print("\n".join([*checked, "", fitting_report(subject, cfg, outline)]))
    finally:
        if is_first():
            remove_empty_output()


if __name__ == "__main__":
    main()
