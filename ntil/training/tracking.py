"""Weights & Biases beside train.jsonl: never a reason for a training to stop, and never a question at the terminal."""

import importlib
import os
import re
import secrets
import sys
from pathlib import Path
from types import ModuleType

import requests
from omegaconf import DictConfig

from ntil.errors import UserError, did_you_mean
from ntil.escape import terminal
from ntil.io import read_text, write_text
from ntil.runs import Run

MODES = ("online", "offline", "disabled")
PATIENCE = 20  # seconds for the service to answer
RUN_ID = "wandb/run_id"  # in the run's folder: a resumed run goes on under the same id


def check_logger(cfg: DictConfig) -> None:
    """Refuse what `logger` (conf/logger/*.yaml) cannot be, before anything is built."""
    if cfg.name != "wandb":
        return
    if cfg.mode not in MODES:
        near = did_you_mean(str(cfg.mode), MODES)
        raise UserError(
            f"logger.mode must be {', '.join(MODES[:-1])} or {MODES[-1]}, not {cfg.mode!r}.{near}"
        )
    if not isinstance(cfg.project, str) or not re.fullmatch(r"[^/\\#?%:\x00-\x1f]{1,128}", cfg.project):
        raise UserError(
            f"logger.project must be a name of 1 to 128 letters without / \\ # ? % :, not {cfg.project!r}."
        )


def start_wandb(cfg: DictConfig, run: Run) -> bool:
    """Begin (or go on with) the run's W&B run where the logger asks for one; False where there is none.

    Without a key, or where the service doesn't answer, it is an offline one, and a warning says how to send it later. Its
    files lie in the run's folder.
    """
    if cfg.logger.name != "wandb":
        return False
    try:
        wandb = importlib.import_module("wandb")
    except Exception as error:  # noqa: BLE001  (it is another's code, broken in any way)
        _warn(
            f"W&B cannot be used ({type(error).__name__}: {error}); pip install wandb. train.jsonl has all of it."
        )
        return False
    os.environ.update(WANDB_DIR=str(run.folder), WANDB_SILENT="true", WANDB_PROJECT=cfg.logger.project)
    mode = cfg.logger.mode
    if mode == "online" and not _has_key(wandb):
        mode = "offline"
        _warn(f"W&B has no key (wandb login, or WANDB_API_KEY): {_sent_later(run.folder)}")
    for attempt in dict.fromkeys((mode, "offline")):
        try:
            _init(wandb, cfg, run.folder, attempt)
        except Exception as error:  # noqa: BLE001  (no network, a wrong key, a full disk)
            reason = " ".join(str(error).split()) or type(error).__name__
            if attempt == "online":
                _warn(f"W&B does not take the run ({reason}): {_sent_later(run.folder)}")
                continue
            _warn(f"W&B cannot be used ({reason}); train.jsonl has all of it.")
            return False
        return True
    return False


def _init(wandb: ModuleType, cfg: DictConfig, folder: Path, mode: str) -> None:
    if wandb.run is not None:  # of the run before in a sweep
        wandb.finish()
    settings = wandb.Settings(silent=True, init_timeout=PATIENCE, login_timeout=PATIENCE)
    wandb.init(
        project=cfg.logger.project,
        name=cfg.name,
        id=_run_id(folder),
        resume="allow",
        mode=mode,
        dir=str(folder),
        settings=settings,
    )


def _has_key(wandb: ModuleType) -> bool:
    """As wandb finds it, but without its question to the user."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    base = os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url
    return requests.utils.get_netrc_auth(base) is not None


def _run_id(folder: Path) -> str:
    path = folder / RUN_ID
    stored = read_text(path).strip() if path.is_file() else ""
    if re.fullmatch(r"[a-z0-9]{8,32}", stored):
        return stored
    fresh = secrets.token_hex(8)
    write_text(path, fresh + "\n")
    return fresh


def _sent_later(folder: Path) -> str:
    return f"training goes on offline; `wandb sync {folder}/wandb/offline-run-*` sends it later."


def _warn(text: str) -> None:
    print(terminal(f"warning: {text}"), file=sys.stderr)
