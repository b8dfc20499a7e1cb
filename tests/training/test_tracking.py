"""W&B without a key, a network, or at all: the training goes on, offline, and says so."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fixtures
import pytest
from fixtures import SMALL, in_folder, run
from omegaconf import OmegaConf

from ntil.errors import UserError
from ntil.training import tracking

workplace, finished, in_tmp_path = fixtures.workplace, fixtures.finished, fixtures.in_tmp_path


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a key nor a network; a question at the terminal would be an error."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # a port that nobody listens to
    monkeypatch.setattr(tracking, "PATIENCE", 3)
    monkeypatch.setattr(sys, "stdin", None)
    yield
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.finish()


def train(workplace: Path, tmp_path: Path, *words: str) -> Any:
    places = [*in_folder(workplace)[:1], f"paths.outputs={tmp_path / 'outputs'}"]
    return run("train", *SMALL, *places, "logger=wandb", "name=here", *words)


def folders(tmp_path: Path) -> list[str]:
    """wandb's own folders of runs."""
    runs = tmp_path / "outputs" / "runs" / "here" / "wandb"
    return sorted(path.name for path in runs.glob("*run-*") if path.is_dir())


def test_no_key(finished: Path, workplace: Path, tmp_path: Path) -> None:
    ran = train(workplace, tmp_path)
    assert ran.code == 0, ran.err
    assert ran.err.count("W&B has no key") == 1
    assert "wandb sync" in ran.err
    (first,) = folders(tmp_path)
    assert first.startswith("offline-run-")
    outside = {path.name for path in tmp_path.iterdir()} - {"outputs", ".config", ".cache", ".local"}
    assert "wandb" not in outside


def test_a_key_and_no_network(finished: Path, workplace: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    ran = train(workplace, tmp_path)
    assert ran.code == 0, ran.err
    assert ran.err.count("W&B does not take the run") == 1
    assert [name.startswith("offline-run-") for name in folders(tmp_path)].count(True) == 1


def test_a_resumed_run_keeps_its_id(finished: Path, workplace: Path, tmp_path: Path) -> None:
    assert train(workplace, tmp_path, "logger.mode=offline", "trainer.save_steps=1").code == 0
    folder = tmp_path / "outputs" / "runs" / "here"
    stored = (folder / "wandb" / "run_id").read_text().strip()
    for path in ("COMPLETE", "model", "checkpoints/checkpoint-3"):
        shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink(missing_ok=True)
    if not (folder / "checkpoints").exists():
        pytest.skip("checkpoints of a complete run are removed")
    assert train(workplace, tmp_path, "logger.mode=offline", "trainer.save_steps=1").code == 0
    assert (folder / "wandb" / "run_id").read_text().strip() == stored
    assert all(name.endswith(stored) for name in folders(tmp_path))


def test_wandb_is_not_there(
    finished: Path, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb", None)
        ran = train(workplace, tmp_path)
    assert ran.code == 0, ran.err
    assert ran.err.count("W&B cannot be used") == 1
    assert (tmp_path / "outputs" / "runs" / "here" / "COMPLETE").exists()


@pytest.mark.parametrize("mode", ["banana", "ofline", "Online", "", "null", "3", "[a]"])
def test_a_wrong_mode_is_refused_before_training(workplace: Path, tmp_path: Path, mode: str) -> None:
    ran = train(workplace, tmp_path, f"logger.mode={mode}")
    assert ran.code == 2
    assert ran.err.count("error:") == 1
    assert "logger.mode must be online, offline or disabled" in ran.err
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.parametrize("project", ["", "a/b", "x" * 200, None, "a\nb", "a:b"])
def test_a_wrong_project(project: Any) -> None:
    with pytest.raises(UserError, match=r"logger\.project"):
        tracking.check_logger(OmegaConf.create({"name": "wandb", "mode": "offline", "project": project}))


@pytest.mark.parametrize("content", ["", "../../x", "a b", "x" * 500, "\x00"])
def test_a_damaged_id_is_made_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / tracking.RUN_ID
    path.parent.mkdir()
    path.write_text(content)
    fresh = tracking._run_id(tmp_path)
    assert len(fresh) == 16
    assert tracking._run_id(tmp_path) == fresh
