"""The model of a stored run, whose folder may come from anyone: looked at before transformers reads it.

    load_stored_model(config, folder)    the model and adapter of a run's settings and its model/

Weights are safetensors, and bound what is built: config.json may not ask for more than they hold. Nothing is fetched but the
base weights of adapters, from a hub repository that conf/model/ names. No code runs but transformers' and this project's,
unless `trust_remote_code` was typed; adapter_config.json, which can name other models and modules, is not read at all.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from transformers import PreTrainedModel

from ntil.checkout import CONF
from ntil.errors import UNEXPECTED, UserError
from ntil.models.adapters import Adapter
from ntil.models.families import family_of
from ntil.models.folder import ATTENTION, LARGEST_SIDE, MOST_LAYERS, TRUST, check_model_folder
from ntil.models.load import load_model, model_settings
from ntil.models.settings import ModelSettings
from ntil.models.tiny import TinyForConditionalGeneration
from ntil.models.tuning import ADAPTER_CONFIG

LARGEST_TWIN = 100_000_000  # parameters of its decoder
BROKEN = (
    *UNEXPECTED,
    OSError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
    OmegaConfBaseException,
)


def load_stored_model(
    config: Mapping[str, Any],
    folder: Path,
    *,
    trust_remote_code: bool = False,
    base: str | None = None,
    for_export: bool = False,
) -> tuple[PreTrainedModel, Adapter]:
    """The model that a run's settings and its model/ describe. UserError where they do not fit or ask for more.

    trust_remote_code, base (a folder with the base weights of adapters): what this command's user typed; what the run
    says of the first does not count. for_export: frozen weights are not quantised, as adapters are merged into them.
    """
    try:
        cfg = _settings(config, folder.parent / "config.yaml", trust_remote_code, base)
        if for_export and "tuning" in cfg:
            cfg.tuning.quantize = "none"
        if cfg.family == "tiny" or not (folder / ADAPTER_CONFIG).exists():
            check_model_folder(folder, _model_class(str(cfg.family)), trust_remote_code)
        elif cfg.local_folder is not None and base is None:
            check_model_folder(Path(cfg.local_folder), _model_class(str(cfg.family)), trust_remote_code)
        return load_model(cfg, folder=folder)
    except UserError:
        raise
    except BROKEN as error:
        raise UserError(f"{folder} holds no model that could be loaded: {_said(error)}") from error


def _settings(config: Mapping[str, Any], where: Path, trusted: bool, base: str | None) -> DictConfig:
    node = config.get("model")
    if not isinstance(node, Mapping) or not isinstance(node.get("family"), str):
        raise UserError(f"{where} names no model (model.family).")
    cfg = OmegaConf.create(dict(node))
    if node["family"] == "tiny":
        return cfg
    settings = model_settings(cfg)
    if settings.trust_remote_code and not trusted:
        raise UserError(
            f"{where} says model.trust_remote_code=true: the run was trained with code from its checkpoint. That is not run on "
            f"a folder's word; {TRUST}."
        )
    if settings.attention not in ATTENTION:
        raise UserError(
            f"{where}: model.attention is {settings.attention[:80]!r}; of a stored run it is {', '.join(ATTENTION)}."
        )
    _check_sizes(settings, where)
    if base is not None:
        settings = replace(settings, local_folder=base)
    elif settings.local_folder is None and settings.twin is None and settings.hub_id not in _known_hub_ids():
        raise UserError(
            f"{where}: model.hub_id {settings.hub_id[:80]!r} is in no file of conf/model/, so nothing is fetched from there; "
            "name a folder with these weights (base=DIR, in the export --base DIR)."
        )
    cfg.local_folder, cfg.trust_remote_code = settings.local_folder, trusted
    return cfg


def _check_sizes(settings: ModelSettings, where: Path) -> None:
    for name in ("min_pixels", "max_pixels"):
        if (getattr(settings, name) or 0) > LARGEST_SIDE**2:
            raise UserError(f"{where}: model.{name} is more than {LARGEST_SIDE**2:,}.")
    if (twin := settings.twin) is None:
        return
    weights = twin.layers * twin.hidden_size * (4 * twin.hidden_size + 3 * twin.intermediate_size)
    if weights > LARGEST_TWIN or max(twin.layers, twin.heads) > MOST_LAYERS or twin.image_size > LARGEST_SIDE:
        raise UserError(
            f"{where}: model.twin describes a decoder of about {weights:.1e} parameters, {twin.layers} layers, {twin.heads} heads "
            f"and pictures of {twin.image_size} pixels a side; a twin is small ({LARGEST_TWIN:,} parameters, {MOST_LAYERS} layers, "
            f"{LARGEST_SIDE} pixels at most)."
        )


def _known_hub_ids() -> set[str]:
    found = (OmegaConf.to_container(OmegaConf.load(path)) for path in (CONF / "model").glob("*.yaml"))
    return {str(node["hub_id"]) for node in found if isinstance(node, dict) and "hub_id" in node}


def _model_class(family: str) -> Any:
    return TinyForConditionalGeneration if family == "tiny" else family_of(family).model_class


def _said(error: Exception) -> str:
    text = " ".join((str(error).strip() or "no reason given").split())
    return f"{type(error).__name__}: {text[:300]}"
