"""Train a model on a task with a loss, evaluate it, and leave a run folder behind.

python train.py task=clock model=tiny loss=ntil              one run
python train.py -m loss=ce,emd,ntil seed=0,1,2               a sweep
python train.py --help                                       all choices
"""

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from transformers import set_seed

import data_prep
from ntil.data.example import read_manifest
from ntil.evaluation import evaluate
from ntil.models import load_model, logit_width
from ntil.numbers import NumberVocab
from ntil.runs import Run
from ntil.runs.cli import command, prepare_process, typed_overrides
from ntil.training import check_settings, fit


@command("train")
def main(cfg: DictConfig) -> None:
    check_settings(cfg)
    prepare_process(cfg.trainer.threads)
    run = Run.open(cfg, typed_overrides())
    if run.is_complete:
        print(f"{run.folder} is complete; delete the folder to run it again.")
        return
    print(f"run {run.folder}")
    task = instantiate(cfg.task)
    set_seed(cfg.seed)
    model, adapter = load_model(cfg.model)
    vocab = NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    loss = instantiate(cfg.loss, vocab=vocab)
    data = data_prep.ensure(OmegaConf.to_container(cfg.data, resolve=True), cfg.paths.data)
    run.record_provenance(cfg, {"folder": str(data), **read_manifest(data)}, model.num_parameters())
    fit(model, adapter, task, data, loss, cfg, run)
    metrics = evaluate(model, adapter, task, data, cfg.evaluation, run.folder)
    run.complete(metrics)


if __name__ == "__main__":
    main()
