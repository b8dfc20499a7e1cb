"""What the tests of the published families share: their configurations, adapters and a picture."""

import copy
from functools import cache
from typing import Any

import torch
from fixtures import REPOSITORY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from PIL import Image

from ntil.models.families import FAMILIES, family_of
from ntil.models.load import load_model, model_settings
from ntil.models.published import PublishedAdapter
from ntil.models.twin_tokenizers import twin_tokenizer
from ntil.models.twins import twin_processor
from ntil.runs.cli import register_resolvers

SEEING = tuple(name for name, family in FAMILIES.items() if family.vision is not None)
READING = tuple(name for name in FAMILIES if name not in SEEING)


def composed(*overrides: str) -> DictConfig:
    """The configuration of train.py with these overrides."""
    return copy.deepcopy(_composed(*overrides))


@cache
def _composed(*overrides: str) -> DictConfig:
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def model_config(name: str, *overrides: str) -> DictConfig:
    """The `model` part of it."""
    cfg: DictConfig = composed(f"model={name}", *overrides).model
    return cfg


@cache
def twin(family: str) -> tuple[Any, PublishedAdapter]:
    """The twin of a family, in eval mode. Tests must not change it."""
    model, adapter = load_model(model_config(f"{family}_tiny"))
    assert isinstance(adapter, PublishedAdapter)
    return model.eval(), adapter


def adapter_with(family: str, tokenizer_folder: str | None) -> PublishedAdapter:
    """The adapter of the twin with the tokenizer of that folder, without a model."""
    settings = model_settings(model_config(f"{family}_tiny"))
    assert settings.twin is not None
    spec = family_of(family)
    tokenizer = twin_tokenizer(spec.twin_tokenizer, tokenizer_folder)
    return PublishedAdapter(
        settings, spec, tokenizer, twin_processor(settings, settings.twin, spec, tokenizer)
    )


def picture(family: str, seed: int = 0, size: tuple[int, int] = (64, 64)) -> Image.Image | None:
    """Noise, for families that see."""
    if family not in SEEING:
        return None
    values = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.frombytes("RGB", size, values.to(torch.uint8).numpy().tobytes())
