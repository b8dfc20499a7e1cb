"""A run is a folder that says what was done, with what, and whether it was finished.

    config.yaml        resolved configuration            train.jsonl        a line for each logged step
    overrides.yaml     what was typed                    checkpoints/       to resume from
    provenance.json    commit, versions, host, data      model/             final weights (safetensors) and processor
    predictions.jsonl  a line for each evaluated item    metrics.json       scores by split
    COMPLETE           written last: its absence means the run is to be resumed
    earlier/           results under other evaluation settings, by number, with these settings

`Run.open` creates the folder, or resumes it when the configuration is the same, or refuses and names the keys that
differ. Settings of the evaluation alone (`evaluation.*`) may differ: what was trained is kept, and `Run.score_anew` puts
the earlier results aside. A lock keeps two processes from training the same run.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from ntil.errors import UserError
from ntil.io import read_json, write_json, write_text, writing
from ntil.nonfinite import finite
from ntil.runs import processes
from ntil.runs.names import check_folder_name
from ntil.runs.provenance import attempts, changed_since, provenance
from ntil.runs.sameness import EVALUATION, changes, check_same_data, check_same_processes
from ntil.runs.stored import read_stored_config, refuse_links_out

COMPLETE = "COMPLETE"
RESULTS = ("metrics.json", "predictions.jsonl", "predictions_*.png")


class Run:
    """An open run folder; see the module's docstring for its files."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = FileLock(self.folder.with_name(f".{self.folder.name}.lock"))

    @classmethod
    def open(cls, cfg: DictConfig, overrides: list[str] | None = None) -> "Run":
        """The run that `cfg` names (paths.outputs / experiment_name / name), locked by the command's first process.

        All of the command's processes call it, and the first one alone what changes the folder afterwards. UserError where the
        folder belongs to another configuration or another command.
        """
        for key in ("experiment_name", "name"):
            check_folder_name(key, str(cfg[key]))
        run = cls(Path(str(cfg.paths.outputs)) / str(cfg.experiment_name) / str(cfg.name))
        processes.by_first(lambda: run._begin(OmegaConf.to_container(cfg, resolve=True), overrides or []))
        return run

    def _begin(self, config: Any, overrides: list[str]) -> None:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        refuse_links_out(self.folder)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{self.folder} is being trained by another process; wait for it, or stop it."
            ) from None
        except OSError as error:
            raise UserError(f"cannot write {self.folder}: {error.strerror or error}.") from None
        if self.has_results:
            self._refuse_unknown()
            self._refuse_changes(config)
        else:  # nothing trained yet, so nothing is lost by starting over with these settings
            write_text(self.folder / "overrides.yaml", OmegaConf.to_yaml(overrides))
            write_text(self.config_path, OmegaConf.to_yaml(OmegaConf.create(config)))

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """A finished run, for evaluation and prediction."""
        run = cls(folder)
        if not run.config_path.exists():
            raise UserError(
                f"{folder} is not a run folder: it has no config.yaml. Runs live in outputs/<experiment>/."
            )
        refuse_links_out(run.folder)
        if not (run.folder / "model").exists():
            raise UserError(
                f"{folder} has no trained model yet; start its training command again to resume it."
            )
        return run

    @property
    def config_path(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def config(self) -> DictConfig:
        """The stored settings; UserError where the file is damaged or asks for more than plain values."""
        return OmegaConf.create(read_stored_config(self.config_path))

    @property
    def data(self) -> dict[str, Any]:
        """What provenance.json says of the data set: its folder, hash of records, counts by split."""
        data = self._provenance().get("data")
        if (
            not isinstance(data, dict)
            or not isinstance(data.get("folder"), str)
            or not isinstance(data.get("counts"), dict)
        ):
            raise UserError(
                f"{self.folder / 'provenance.json'} names no data set (data.folder, data.counts)."
            )
        return data

    @property
    def has_results(self) -> bool:
        """Whether something has been trained here."""
        return self.is_complete or (self.folder / "model").exists() or any(self.folder.glob("checkpoints/*"))

    @property
    def is_complete(self) -> bool:
        return (self.folder / COMPLETE).exists()

    def record_provenance(self, cfg: DictConfig, data: Mapping[str, Any], parameters: int) -> None:
        """Write provenance.json; `data` describes the data set (folder, hash of its records, counts).

        A run that is resumed must have the records that it began with, and while it is trained as many processes (UserError);
        where its code, packages, threads or device are others than at the start before, that is said.
        """
        self.refuse_other_data(data)
        earlier = self._provenance() if self.has_results else {}
        batch = cfg.trainer.batch_size * cfg.trainer.accumulation_steps
        if (made := attempts(earlier)) and not (self.folder / "model").exists():
            check_same_processes(self.folder, made[0].get("processes", 1), batch)
        now = provenance(seed=cfg.seed, data=dict(data), parameters=parameters, batch=batch, earlier=made)
        if changes := changed_since(earlier, now):
            print(
                f"{self.folder} goes on with what it was not begun with, so digits may differ from those of a run in one go:\n"
                + "\n".join(f"  {change}" for change in changes)
            )
        write_json(self.folder / "provenance.json", now)

    def refuse_other_data(self, data: Mapping[str, Any]) -> None:
        """UserError where something has been trained here, and on other records than `data` describes."""
        if self.has_results:
            check_same_data(self.folder, self._provenance().get("data"), data)

    def record_resumption(self, step: int) -> None:
        """Note in provenance.json which step the attempt that is running goes on from; 0 where it starts."""
        said = self._provenance()
        if made := attempts(said):
            made[-1]["from_step"] = step
            write_json(self.folder / "provenance.json", {**said, "attempts": made})

    def _provenance(self) -> dict[str, Any]:
        path = self.folder / "provenance.json"
        said = read_json(path) if path.exists() else {}
        if not isinstance(said, dict):
            raise UserError(
                f"{path} is no record of how the run was made; delete the run's folder to train again."
            )
        return said

    def complete(self, metrics: Mapping[str, Any], keep_checkpoints: bool = True) -> None:
        """Write metrics.json and then the completion marker; checkpoints are of no more use then."""
        write_json(self.folder / "metrics.json", finite(metrics))
        write_text(self.folder / COMPLETE, "")
        self.tidy(keep_checkpoints)
        self.close()

    def tidy(self, keep_checkpoints: bool) -> None:
        """Remove the checkpoints of a complete run; again where that was interrupted."""
        if not keep_checkpoints and self.is_complete and (self.folder / "model").exists():
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)

    def reopen(self) -> None:
        """Take the completion marker away: something has to be made again."""
        (self.folder / COMPLETE).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def score_anew(self, cfg: DictConfig, overrides: list[str] | None = None) -> None:
        """Take over the evaluation settings of `cfg`; results under others are put aside, not lost.

        Called once `cfg` has been checked, and before anything is scored. UserError where nothing trained is left.
        """
        config = OmegaConf.to_container(cfg, resolve=True)
        changed = [line for key, line in self._changes(config) if key == EVALUATION]
        if not changed:
            return
        if not (self.folder / "model").exists() and not any(self.folder.glob("checkpoints/*")):
            self.close()
            raise UserError(
                f"{self.folder} can't be scored with other settings: it has neither model/ nor a checkpoint any more. "
                "Give this run a name of its own (name=…), or delete that folder to train again."
            )
        self.reopen()  # first: what follows may be interrupted
        print(
            f"{self.folder} is kept as it was trained; what it is scored with changes:\n" + "\n".join(changed)
        )
        if there := [path for pattern in RESULTS for path in self.folder.glob(pattern)]:
            aside = self._new_folder()
            for path in (self.config_path, self.folder / "overrides.yaml"):
                if path.exists():
                    shutil.copy2(path, aside)
            for path in there:
                path.rename(aside / path.name)
            print(f"The earlier results are in {aside}.")
        write_text(self.folder / "overrides.yaml", OmegaConf.to_yaml(overrides or []))
        write_text(self.config_path, OmegaConf.to_yaml(OmegaConf.create(config)))

    def _new_folder(self) -> Path:
        """earlier/1, or the next number."""
        there = [int(path.name) for path in self.folder.glob("earlier/*") if path.name.isdecimal()]
        folder = self.folder / "earlier" / str(1 + max(there, default=0))
        folder.mkdir(parents=True)
        return folder

    def _refuse_unknown(self) -> None:
        if not self.config_path.exists():
            self.close()
            raise UserError(
                f"{self.folder} holds something trained and no config.yaml, so nobody knows with which settings. Put that "
                "file back, give this run a name of its own (name=…), or delete that folder."
            )

    def _refuse_changes(self, config: Any) -> None:
        changes = self._changes(config)
        if any(key != EVALUATION for key, _ in changes):
            self.close()
            raise UserError(
                f"{self.folder} holds a run with another configuration:\n"
                + "\n".join(line for _, line in changes)
                + "\nGive this run a name of its own (name=…), or delete that folder."
            )

    def _changes(self, config: Any) -> list[tuple[str, str]]:
        stored = OmegaConf.to_container(self.config)
        assert isinstance(stored, dict)
        return changes(stored, config)
