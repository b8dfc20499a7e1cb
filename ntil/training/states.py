"""The files of a checkpoint, looked at before a run goes on from them: its folder may come from anyone.

    check_checkpoint(folder)            its files are of the kinds that training writes, and hold tensors and plain values
    check_states(folder, optimizer, …)  its optimiser and schedule have this run's settings and sizes
    check_logs(folder)                  the run's train.jsonl and timing.json can be gone on with
    going_on_from(folder)               around what reads a checkpoint: whatever is raised names the folder

Sums that match (ntil/checksums.py) say that nothing was damaged; who changes a file can write its sum as well.
"""

import dataclasses
import json
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import TrainerState
from transformers.trainer_pt_utils import safe_globals

from ntil.errors import UNEXPECTED, UserError
from ntil.io import PART, read_json, read_text, reading
from ntil.models.folder import INDEX, weight_shapes
from ntil.training.resume import WHOLE, step_of

OPTIMIZER, SCHEDULER, STATE = "optimizer.pt", "scheduler.pt", "trainer_state.json"
FSDP_OPTIMIZER, FSDP_WEIGHTS = "optimizer.bin", "pytorch_model_fsdp.bin"
LATEST = "latest"  # in which DeepSpeed names the folder of its states
KINDS = (".json", ".jinja", ".md", ".safetensors", ".pt", ".pth")  # .pt and .pth are read here first
NAMES = (WHOLE, "training_args.bin")  # the Trainer writes the second, and nothing reads it
LEVELS = 256  # of an average in eight bits
# What DeepSpeed's files hold beside tensors and plain values. It reads them without a restriction, so they are read here first.
OF_DEEPSPEED = (
    ("deepspeed.runtime.fp16.loss_scaler", "LossScaler"),
    ("deepspeed.runtime.fp16.loss_scaler", "DynamicLossScaler"),
    ("deepspeed.runtime.zero.config", "ZeroStageEnum"),
    ("deepspeed.utils.tensor_fragment", "fragment_address"),
)
DEEPEST = 20  # levels of what a file of states holds
# What a schedule has counted; all else in its state is a setting.
COUNTED = ("last_epoch", "_step_count", "_last_lr", "_is_initial", "_get_lr_called_within_step")
ADVICE = "If you know who made it, delete this checkpoint, and the run goes on from the one before; else train anew."
_CALLED = re.compile(r"GLOBAL ([\w.]+)")


def check_checkpoint(folder: Path, sharding: str = "none") -> None:
    """UserError where a checkpoint holds what no training of this project writes; names the file.

    sharding: the training's, which decides about the states that its engine writes.
    """
    divided = f"global_step{step_of(folder)}" if sharding.startswith("zero") else None
    states = (FSDP_OPTIMIZER, FSDP_WEIGHTS) if sharding == "fsdp" else ()
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name == divided:
            _check_divided(path)
        elif path.is_dir():
            raise UserError(f"{path} is a folder, and such a checkpoint has none. {ADVICE}")
        elif divided and path.name == LATEST:
            if read_text(path).strip() != divided:
                raise UserError(f"{path} does not name {divided}. {ADVICE}")
        elif path.suffix not in (*KINDS, PART) and path.name not in (*NAMES, *states):
            raise UserError(
                f"{path} is of no kind that a checkpoint has; weights are safetensors alone. {ADVICE}"
            )
        elif path.suffix in (".pt", ".pth") or path.name in states:
            read_plain(path)
    if (folder / INDEX).exists():
        with going_on_from(folder):
            weight_shapes(folder)
    _check_trainer_state(folder / STATE, step_of(folder))


def _check_divided(folder: Path) -> None:
    """The states of each process, as DeepSpeed writes them."""
    installed = find_spec("deepspeed") is not None  # else nothing of its own is read
    known = tuple(getattr(import_module(module), name) for module, name in OF_DEEPSPEED if installed)
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix != ".pt":
            raise UserError(f"{path} is no file of states. {ADVICE}")
        read_plain(path, known)


def read_plain(path: Path, known: tuple[type, ...] = ()) -> Any:
    """What torch.save wrote, mapped from the file: tensors and plain values, and objects of the classes `known`.

    UserError where it holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise UserError(f"{path} is compressed, as training writes no file. {ADVICE}")
        with safe_globals(), torch.serialization.safe_globals([*known]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        _refuse_others(content, path, set(), known)
    except pickle.UnpicklingError as error:
        called = _CALLED.search(str(error))
        what = f"would call {called[1]}" if called else "holds more than tensors and numbers"
        raise UserError(f"{path} {what}; it is not read. {ADVICE}") from None
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, *UNEXPECTED) as error:
        raise UserError(f"{path} is no file of torch.save: {_said(error)}. {ADVICE}") from None
    return content


def _refuse_others(
    value: Any, path: Path, seen: set[int], known: tuple[type, ...] = (), depth: int = 0
) -> None:
    """Only tensors, no larger than what is stored of them, and plain values."""
    if depth > DEEPEST:
        raise UserError(f"{path} is nested more than {DEEPEST} levels deep. {ADVICE}")
    if id(value) in seen:
        return
    if isinstance(value, torch.Tensor):
        if (
            value.layout != torch.strided
            or value.is_quantized
            or value.numel() * value.element_size() > (value.untyped_storage().nbytes())
        ):
            raise UserError(f"{path} holds a tensor that is larger than its content. {ADVICE}")
    elif isinstance(value, dict | list | tuple):
        seen.add(id(value))
        for child in (*value, *value.values()) if isinstance(value, dict) else value:
            _refuse_others(child, path, seen, known, depth + 1)
    elif not isinstance(value, (str, bytes, int, float, bool, np.ndarray, type(None), *known)):
        raise UserError(f"{path} holds a {type(value).__name__}, which is no plain value. {ADVICE}")


def check_states(folder: Path, model: Any, optimizer: Any, scheduler: Any) -> None:
    """UserError where the optimiser or schedule in `folder` is set otherwise than this run's, or of other weights.

    Loading would take the settings over from the file. DeepSpeed's optimiser has been read by then.
    """
    if (folder / OPTIMIZER).exists():
        shapes = [weight.shape for group in optimizer.param_groups for weight in group["params"]]
        _check_optimizer(folder / OPTIMIZER, optimizer, dict(enumerate(shapes)))
    elif (folder / FSDP_OPTIMIZER).exists():
        named = {name: weight.shape for name, weight in model.named_parameters() if weight.requires_grad}
        _check_optimizer(folder / FSDP_OPTIMIZER, optimizer, named)
    _check_scheduler(folder / SCHEDULER, scheduler, step_of(folder))


def _check_optimizer(path: Path, optimizer: Any, shapes: Mapping[Any, torch.Size]) -> None:
    """shapes: of the trained weights, by what the file calls them."""
    found, own = read_plain(path), optimizer.state_dict()
    groups = found.get("param_groups") if isinstance(found, dict) else None
    if not isinstance(groups, list) or len(groups) != len(own["param_groups"]):
        raise UserError(f"{path} is the state of another optimiser. {ADVICE}")
    for group, setting in zip(groups, own["param_groups"], strict=True):
        if not isinstance(group, dict):
            raise UserError(f"{path}: param_groups holds no settings. {ADVICE}")
        named = ("params",) if path.name == FSDP_OPTIMIZER else ()  # by name, not by number
        _same_settings(group, setting, ("lr", *named), path)
    adam = isinstance(getattr(optimizer, "optimizer", optimizer), torch.optim.AdamW)
    _check_averages(found.get("state"), shapes, path, whole=adam)


def _check_scheduler(path: Path, scheduler: Any, step: int) -> None:
    found, own = read_plain(path), scheduler.state_dict()
    if not isinstance(found, dict):
        raise UserError(f"{path} is no state of a schedule. {ADVICE}")
    _same_settings(found, own, COUNTED, path)
    kind = type(getattr(scheduler, "scheduler", scheduler))
    if strange := [
        key for key in found if not isinstance(key, str) or (key not in own and hasattr(kind, key))
    ]:
        raise UserError(f"{path} would replace the schedule's own {str(strange[0])[:80]!r}. {ADVICE}")
    if not 0 <= found["last_epoch"] <= step:  # fewer where fp16 left steps out
        raise UserError(f"{path}: last_epoch is {str(found.get('last_epoch'))[:80]}. {ADVICE}")


def _same_settings(
    found: Mapping[Any, Any], own: Mapping[str, Any], counted: tuple[str, ...], path: Path
) -> None:
    """What both have is equal; a counted value is of the same type. What other versions of torch add is passed over."""
    for key in own.keys() & found.keys():
        same = type(found[key]) is type(own[key]) and (key in counted or bool(found[key] == own[key]))
        if not same:
            raise UserError(
                f"{path}: {key} is {str(found[key])[:80]!r}, and this run's {own[key]!r}. {ADVICE}"
            )
    if lost := [
        key for key in counted if key in own and key not in found and not key.startswith(("_is", "_get"))
    ]:
        raise UserError(f"{path} has no {lost[0]}. {ADVICE}")


def _check_averages(state: Any, shapes: Mapping[Any, torch.Size], path: Path, whole: bool) -> None:
    """whole: there are only averages of the weights' own shapes; other optimisers factor and quantise them."""
    if not isinstance(state, dict) or not set(state) <= set(shapes):
        raise UserError(f"{path} has averages of other weights than this run's. {ADVICE}")
    for index, averages in state.items():
        for value in averages.values() if isinstance(averages, dict) else (averages,):
            if whole:
                fits = isinstance(value, torch.Tensor) and value.shape in (shapes[index], torch.Size([]))
            elif isinstance(value, torch.Tensor):
                fits = value.numel() <= max(shapes[index].numel(), LEVELS)
            else:
                fits = isinstance(value, int | float | str | None)
            if not fits:
                raise UserError(f"{path} has averages of another shape than this run's weights. {ADVICE}")


def _check_trainer_state(path: Path, step: int) -> None:
    """Its values have the types of transformers' own, and it is of that step."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no state of a training. {ADVICE}")
    own = {field.name: field.default for field in dataclasses.fields(TrainerState)}
    for key, value in found.items():
        if key not in own:
            raise UserError(f"{path} holds {key[:80]!r}, which transformers does not know. {ADVICE}")
        if isinstance(own[key], bool):
            fits = isinstance(value, bool)
        elif isinstance(own[key], int | float):
            fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        elif key == "log_history":
            fits = isinstance(value, list) and all(isinstance(row, dict) for row in value)
        elif key == "stateful_callbacks":
            fits = isinstance(value, dict)
        else:  # the best checkpoint and trials, of which there are none
            fits = value is None or key == "train_batch_size"
        if not fits:
            raise UserError(f"{path}: {key} is {str(value)[:80]!r}. {ADVICE}")
    if found.get("global_step") != step:
        raise UserError(
            f"{path}: global_step is {found.get('global_step')}, and the folder says {step}. {ADVICE}"
        )


def check_logs(folder: Path) -> None:
    """UserError where the log of a run that is gone on with, or its time so far, is not as training writes them."""
    log, timing = folder / "train.jsonl", folder / "timing.json"
    if log.exists():
        with reading(log):
            text = log.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines()[: None if text.endswith("\n") else -1], start=1):
            row = _object(line)
            if line.strip() and not (isinstance(row, dict) and type(row.get("step")) is int):
                raise UserError(
                    f"{log}, line {number}, is no line of a training's log (a JSON object with a step). Delete the line."
                )
    if timing.exists():
        said = read_json(timing)
        for key in ("train_seconds", "steps"):
            value = said.get(key) if isinstance(said, dict) else None
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise UserError(
                    f"{timing}: {key} is {str(value)[:80]!r}; expected a number. Delete the file."
                )


@contextmanager
def going_on_from(folder: Path) -> Iterator[None]:
    """What is raised where weights, states or random state are read from `folder` becomes a UserError that names it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, OSError, *UNEXPECTED) as error:
        raise UserError(f"{folder} cannot be gone on from: {_said(error)}. {ADVICE}") from error


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except (RecursionError, ValueError):
        return None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300] or 'no reason given'}"
