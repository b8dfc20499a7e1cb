"""What a stored run says about itself, read without trusting it: a run folder may come from anyone.

    read_stored_yaml(path)         plain values; size, depth and aliases are bounded, no tag builds an object
    read_stored_config(path)       config.yaml: settings by name, resolved
    build_stored_task(config, …)   its task, if that is one of the project's own
    stored_data(folder)            its data set, if that is still the same

Trusted are the command line, conf/ and tasks/. So a task of a stored run is a class that a module in tasks/ defines or
that a file in conf/task/ names by `_target_`, and it gets plain values alone: nothing nested is built, called or resolved.
"""

import importlib
import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader  # what wrote the file; it reads 1e-3 as a number

from ntil.checkout import ROOT
from ntil.data.example import changed_content, read_manifest
from ntil.data.task import Task
from ntil.errors import UNEXPECTED, UserError, did_you_mean
from ntil.io import read_json, read_text

LARGEST = 256 * 1024  # bytes of a file; train.py writes about 3,000
DEEPEST = 50  # levels of nesting
MOST_TOKENS = 100_000  # of an answer
VALUES_DEEPEST = 8  # of a task's setting


def read_stored_yaml(path: str | Path) -> Any:
    """The plain values of a YAML file; UserError names the file and what is wrong with it."""
    path = Path(path)
    text = _bounded_text(path)
    try:
        _refuse_bombs(text, path)
        return yaml.load(text, Loader=get_yaml_loader())
    except RecursionError:
        raise UserError(f"{path} is nested too deeply.") from None
    except (yaml.YAMLError, *UNEXPECTED) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None


def _bounded_text(path: Path) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # read_text says what is wrong
    if size > LARGEST:
        raise UserError(f"{path} has {size:,} bytes; settings of a run have {LARGEST:,} at most.")
    return read_text(path)


def _refuse_bombs(text: str, path: Path) -> None:
    """Before anything is built: an alias makes ten lines a billion values, and what is nested is read recursively."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{path} holds an alias (*{event.anchor}); a run's settings have none.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise UserError(f"{path} is nested more than {DEEPEST} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def read_stored_config(path: str | Path) -> dict[str, Any]:
    """The settings of a run; UserError where they are none, or hold an interpolation: train.py writes resolved ones."""
    config = read_stored_yaml(path)
    if not isinstance(config, dict):
        raise UserError(f"{path} holds no settings.")
    for key, value in _leaves(config):
        if not isinstance(key, str):
            raise UserError(f"{path}: the setting {key!r} has no name of letters.")
        if isinstance(value, str) and ("${" in value or value == "???"):
            raise UserError(f"{path}: {key} is {value[:80]!r}; a stored run has values, not ${{…}} or ???.")
    return config


def refuse_links_out(folder: str | Path) -> None:
    """UserError where something in a run's folder is a link that leads out of it, or no plain file: what is written to
    the run stays there, and nothing is read that would never end.
    """
    root = Path(folder).resolve()
    for here, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(here, name)
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                raise UserError(
                    f"{path} is a link out of the run's folder; put what it leads to in its place."
                )
            if not path.is_symlink() and not path.is_file() and not path.is_dir():
                raise UserError(f"{path} is no plain file; a run has no pipes, sockets or devices.")


def _leaves(value: Any, key: Any = "") -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield name, None
            yield from _leaves(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, key)
    else:
        yield key, value


def build_stored_task(
    config: Mapping[str, Any], where: str | Path = "config.yaml", root: Path = ROOT
) -> Task:
    """The task of `config`, as read_stored_config gives it; UserError where it is not one of the project's own.

    where: the file to name in a message; root: the checkout whose tasks/ and conf/task/ are trusted.
    """
    node = config.get("task")
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{where} names no task (task._target_).")
    cls = _task_class(node["_target_"], where, root)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    for key, value in settings.items():
        _refuse_calls(key, value, where)
    return _construct(cls, settings, where)


def _task_class(target: Any, where: str | Path, root: Path) -> type[Task]:
    known = known_targets(root)
    if not isinstance(target, str) or target not in known:
        near = did_you_mean(target, known) if isinstance(target, str) else ""
        raise UserError(
            f"{where}: task._target_ is {str(target)[:80]!r}, which is no task of this project; it is not run.{near} "
            "A task of yours needs a file in conf/task/ that names it."
        )
    module, _, name = target.rpartition(".")
    found = getattr(importlib.import_module(module), name, None)
    if not (inspect.isclass(found) and issubclass(found, Task) and not inspect.isabstract(found)):
        raise UserError(f"{where}: task._target_ {target!r} is no task that could be built.")
    return found


def known_targets(root: Path) -> set[str]:
    """`tasks.<module>.<class>` for each class that a file in tasks/ defines, and what conf/task/ names."""
    found = set()
    for path in sorted((root / "tasks").glob("*.py")):
        if path.stem != "__init__":
            module = importlib.import_module(f"tasks.{path.stem}")
            if Path(str(module.__file__)).resolve() == path.resolve():  # not another `tasks` on the path
                found |= {
                    f"{module.__name__}.{name}"
                    for name, value in vars(module).items()
                    if inspect.isclass(value)
                    and issubclass(value, Task)
                    and value.__module__ == module.__name__
                    and name[0] != "_"
                }
    for path in sorted((root / "conf" / "task").glob("*.yaml")):
        named = read_stored_yaml(path)
        if isinstance(named, dict) and isinstance(named.get("_target_"), str):
            found.add(named["_target_"])
    return found


def _refuse_calls(key: Any, value: Any, where: str | Path, depth: int = 0) -> None:
    """Only plain values, and no key that means something to whoever builds objects from settings."""
    if str(key).startswith("_"):
        raise UserError(
            f"{where}: task holds the key {str(key)[:80]!r}; only plain settings are read from a stored run."
        )
    if depth > VALUES_DEEPEST:
        raise UserError(f"{where}: task is nested more than {VALUES_DEEPEST} levels deep.")
    if isinstance(value, Mapping):
        for name, child in value.items():
            _refuse_calls(name, child, where, depth + 1)
    elif isinstance(value, list):
        for child in value:
            _refuse_calls(key, child, where, depth + 1)
    elif not isinstance(value, str | int | float | bool | None):
        raise UserError(f"{where}: task.{key} is of the type {type(value).__name__}; expected a plain value.")


def _construct(cls: type[Task], settings: dict[str, Any], where: str | Path) -> Task:
    known = inspect.signature(cls).parameters
    for key, value in settings.items():
        if key not in known:
            near, names = did_you_mean(str(key), known), ", ".join(known)
            raise UserError(f"{where}: the task {cls.name} has no setting {key!r}.{near} It has: {names}.")
        wanted = known[key].annotation
        if wanted in (str, int, bool) and type(value) is not wanted:
            raise UserError(f"{where}: task.{key} is {value!r}; expected {wanted.__name__}.")
    tokens = settings.get("max_new_tokens", 1)
    if not isinstance(tokens, int) or not 1 <= tokens <= MOST_TOKENS:
        raise UserError(f"{where}: task.max_new_tokens is {tokens!r}; expected 1 to {MOST_TOKENS:,}.")
    try:
        return cls(**settings)
    except UNEXPECTED as error:
        raise UserError(f"{where}: the task {cls.name} cannot be built so: {error}.") from None


def stored_data(folder: str | Path, moved_to: str | Path | None = None) -> Path:
    """The data set that the run in `folder` was made with; `moved_to`: where it is now.

    UserError where provenance.json does not name it, or its records are no longer the same; names both hashes.
    """
    path = Path(folder) / "provenance.json"
    made = read_json(path)
    data = made.get("data") if isinstance(made, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("folder"), str):
        raise UserError(f"{path} names no data set (data.folder).")
    root = Path(moved_to or data["folder"])
    if change := changed_content(data, read_manifest(root)):
        what, had, has = change
        raise UserError(
            f"{root} is not what {path} says the run was made with: its {what} have the hash {has}, the run's had {had}."
        )
    return root
