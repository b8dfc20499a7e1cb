"""The trainer's schema: every key is known, every value makes sense, and TrainingArguments get what was asked."""

from pathlib import Path
from typing import Any

import pytest
from model_configs import model_config
from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError
from ntil.models.settings import ModelSettings
from ntil.settings import load_settings
from ntil.training.settings import TrainerSettings

DEFAULT = OmegaConf.load(Path(__file__).resolve().parents[2] / "conf" / "trainer" / "default.yaml")


def load(cfg: DictConfig) -> TrainerSettings:
    return load_settings(TrainerSettings, cfg, "trainer")


def changed(**values: Any) -> DictConfig:
    cfg = OmegaConf.merge(DEFAULT, {})
    assert isinstance(cfg, DictConfig)
    for key, value in values.items():
        cfg[key] = value
    return cfg


def test_unknown_keys_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'max_stps'.*Did you mean 'max_steps'"):
        load(changed(max_stps=3))


def test_missing_keys_are_named() -> None:
    cfg = changed()
    del cfg["max_steps"], cfg["precision"]
    with pytest.raises(UserError, match="lacks max_steps, precision"):
        load(cfg)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_steps", -1),
        ("max_steps", 1.5),
        ("max_steps", "abc"),
        ("max_steps", None),
        ("batch_size", 0),
        ("accumulation_steps", 0),
        ("log_steps", 0),
        ("save_steps", 0),
        ("eval_steps", -1),
        ("precision", "fp8"),
        ("learning_rate", "fast"),
        ("learning_rate", -1.0),
        ("warmup_share", 2),
        ("weight_decay", None),
        ("schedule", "nope"),
        ("threads", 0),
        ("loader_workers", -1),
        ("train_examples", 0),
        ("max_grad_norm", -1),
        ("cache_examples", "maybe"),
    ],
)
def test_bad_values_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=key):
        load(changed(**{key: value}))


def test_training_arguments_get_what_was_asked(tmp_path: Path) -> None:
    settings = load(changed(max_steps=50, warmup_share=0.1, precision="bf16", eval_steps=0))
    arguments = settings.training_arguments(tmp_path, seed=7, wandb=False, name="x")
    assert (arguments.seed, arguments.data_seed, arguments.max_steps, arguments.warmup_steps) == (7, 7, 50, 5)
    assert arguments.bf16
    assert not arguments.fp16
    assert arguments.eval_strategy == "no"
    assert arguments.report_to == []
    assert arguments.save_total_limit is not None
    assert arguments.save_total_limit >= 2
    assert arguments.logging_nan_inf_filter is False
    assert arguments.remove_unused_columns is False
    assert arguments.dataloader_drop_last


def test_a_setting_with_a_default_may_be_absent() -> None:
    """Runs of older versions have no such key."""
    cfg = changed()
    del cfg["dry_run"]
    assert load(cfg).dry_run is False


def test_groups_of_settings_are_checked_inside() -> None:
    def model(**tuning: Any) -> ModelSettings:
        cfg = model_config("llava15")
        for key, value in tuning.items():
            OmegaConf.update(cfg, f"tuning.{key}", value, force_add=True)
        return load_settings(ModelSettings, cfg, "model")

    assert model().tuning.rank == 16
    assert model().twin is None
    with pytest.raises(UserError, match=r"model\.tuning\.rank must be a whole number"):
        model(rank="many")
    with pytest.raises(UserError, match=r"model\.tuning has no setting 'rnk'. Did you mean 'rank'"):
        model(rnk=3)
    cfg = model_config("llava15")
    cfg.tuning = "lora"
    with pytest.raises(UserError, match=r"model\.tuning must be a group of settings, not 'lora'"):
        load_settings(ModelSettings, cfg, "model")
