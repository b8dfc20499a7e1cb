"""The shell around train.py, evaluate.py and predict.py: Hydra, with errors that teach."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
import torch
import transformers
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from joblib.externals.loky.process_executor import TerminatedWorkerError
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ntil.checkout import CONF, ROOT
from ntil.errors import UserError, at_a_terminal, complain, did_you_mean, system_refusals_named
from ntil.io import file_name
from ntil.runs import processes
from ntil.runs.names import LONGEST_NAME, check_folder_name
from ntil.runs.overrides import parse_override
from ntil.runs.processes import available_threads

_RUN_NAME_SKIPS = (
    "task",
    "model",
    "loss",
    "seed",
    "experiment",
    "logger",
    "name",
    "experiment_name",
    "launcher",
    "jobs",
    "evaluation",
)
_RUN_NAME_SKIPPED_GROUPS = ("paths.", "logger.", "hydra", "evaluation.")

ATTEMPTS = 3  # at a sweep whose processes are killed
SECOND_THOUGHTS = (
    10.0  # seconds in which the launcher ends the processes whose first one has made the same mistake
)
# Settings whose value may hold signs of Hydra's grammar.
FREE_TEXT = (
    "query",
    "run",
    "input",
    "output",
    "data_folder",
)


def command(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Decorate a `main(cfg)`: composes conf/<config_name>.yaml with the command line, runs it, prints user errors.

    Exit codes: 0 done, 2 a mistake that the user can mend (one message, no traceback), 130 interrupted; anything else
    is a bug and keeps its traceback.
    """

    def decorate(main: Callable[[DictConfig], None]) -> Callable[[], None]:
        mistakes: list[str] = []  # of the jobs of one command

        def job(cfg: DictConfig) -> None:
            try:
                with system_refusals_named(), loading_workers_named():
                    main(cfg)
                    processes.leave()
            except UserError as error:
                if {"n_jobs", "submitit_folder"} & set(HydraConfig.get().launcher):
                    raise  # another process: the launcher carries it home
                mistakes.append(str(error))  # the other runs of a sweep go on
                complain(_of_this_process(error))

        def start() -> None:
            with at_a_terminal():
                run()

        def run() -> None:
            mistakes.clear()
            sys.argv[1:] = [quoted(word) for word in sys.argv[1:]]
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing, so that we can explain
            # Jobs in processes of their own, in whatever folder they start, import this checkout.
            os.environ["PYTHONPATH"] = os.pathsep.join(
                filter(None, dict.fromkeys([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]))
            )
            register_resolvers()
            try:
                _check_names(sys.argv[1:])
                _check_processes(sys.argv[1:])
                start_jobs = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(
                    job
                )
                with system_refusals_named():  # Hydra makes folders, too
                    again_after_killed_workers(start_jobs)
                if mistakes:
                    sys.exit(2)
            except UserError as error:
                _fail(str(error))
            except (HydraException, OmegaConfBaseException) as error:
                _fail(explain(error, config_name))
            except KeyboardInterrupt:
                print("\nInterrupted. The same command resumes.", file=sys.stderr)
                sys.exit(130)

        return start

    return decorate


@contextmanager
def loading_workers_named() -> Iterator[None]:
    """A process of the data loader that was killed is a message, and so is a mistake that it met; the other runs of a
    sweep go on.
    """
    try:
        yield
    except UserError as error:
        if "Original Traceback" not in str(error):  # torch's way to carry it here
            raise
        raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise UserError(
            f"a process that loads data has died, often for want of memory: {reason} The same command resumes."
        ) from None


def again_after_killed_workers(sweep: Callable[[], object]) -> None:
    """Run a sweep; where one of joblib's processes is killed, which takes the others along, run it again.

    What is complete is skipped then, and what was broken off resumes. After ATTEMPTS of them it is a UserError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            sweep()
            return
        except TerminatedWorkerError as error:
            reason = str(error).strip().partition("\n")[0]
            killed = f"a process of the sweep was killed, often for want of memory ({reason})"
            if attempt == ATTEMPTS:
                raise UserError(
                    f"{killed}, {ATTEMPTS} times. Fewer at once need less memory (hydra.launcher.n_jobs=1), and "
                    "`python -m experiments.launch` keeps one run's end from the others."
                ) from None
            print(f"{killed}; the sweep goes on.", file=sys.stderr)
            GlobalHydra.instance().clear()


def register_resolvers() -> None:
    """Make ${run_name:…} of the configs known to OmegaConf."""
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def prepare_process(threads: int | None) -> None:
    """CPU threads of this process (null: OMP_NUM_THREADS, or the cores divided among the jobs), quiet libraries, its own
    device, and the other processes of the command, of which only the first one speaks.
    """
    processes.join()
    torch.set_num_threads(threads or available_threads(jobs_side_by_side()))
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not processes.is_first():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (for the rest of this process)


def remove_empty_output() -> None:
    """Take back the folder that Hydra makes for every job, where nothing was written to it."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def typed_overrides() -> list[str]:
    """The overrides of the job that is running."""
    return list(HydraConfig.get().overrides.task)


def jobs_side_by_side() -> int:
    """How many jobs the launcher runs at once (joblib's n_jobs in a multirun, else 1)."""
    config = HydraConfig.get()
    if "MULTIRUN" not in str(config.mode):
        return 1
    jobs = int(config.launcher.get("n_jobs", 1) or 1)
    return jobs if jobs > 0 else available_threads()


def quoted(word: str) -> str:
    """`query=12+34=` (or a folder with = and , in its name) as Hydra's grammar wants it: query='12+34='."""
    key, _, value = word.partition("=")
    if key not in FREE_TEXT or not value or value[0] in "'\"" or value == "null":
        return word
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    return f"{key}='{escaped}'"


def _of_this_process(error: object) -> str:
    """What a process that is not the first one says, once the first one had time to say the same."""
    if processes.is_first():
        return str(error)
    time.sleep(SECOND_THOUGHTS)
    return f"process {processes.rank()} of {processes.count()}: {error}"


def _fail(message: str) -> None:
    complain(_of_this_process(message))
    sys.exit(2)


def _run_name(task: str, model: str, loss: str, seed: int, *, _root_: DictConfig) -> str:
    """<task>-<model>-<loss>-seed<n>, plus every further override that concerns the training.

    What a file name cannot hold becomes `_`, and what is too long is cut; such a name ends in a hash of all of it.
    """
    del _root_
    name = f"{task}-{model}-{loss}-seed{seed}"
    for override in sorted(typed_overrides() if HydraConfig.initialized() else []):
        key, value = parse_override(override)
        key = key.lstrip("~")
        if key.split("@")[0] not in _RUN_NAME_SKIPS and not key.startswith(_RUN_NAME_SKIPPED_GROUPS):
            key = key.replace("/", "_")  # of a config group
            name += f",~{key}" if override.startswith("~") else f",{key}={value}"
    return file_name(name, LONGEST_NAME, allowed=",")


def _check_names(words: list[str]) -> None:
    """Refuse names of folders before Hydra makes any."""
    for word in words:
        key, value = parse_override(word)
        if "=" in word and key in ("name", "experiment_name") and value != "null":
            check_folder_name(key, value.strip("'\""))


def _check_processes(words: list[str]) -> None:
    """A sweep starts its own processes."""
    if processes.count() > 1 and {"-m", "--multirun"} & set(words):
        raise UserError(
            f"{processes.count()} processes were started for one run, and -m asks for several. `python -m experiments.launch` runs "
            "an experiment's runs one to a device; or start torchrun once for each run."
        )


def explain(error: Exception, config_name: str) -> str:
    """Hydra's or OmegaConf's complaint with the nearest valid names."""
    text = str(error).split("\nfull_key")[0].strip()
    if isinstance(error, MissingMandatoryValue) and (found := re.search(r"full_key: (\S+)", str(error))):
        return f"{found[1]}=… is missing. `--help` shows how to give it."
    if isinstance(error, MissingConfigException) and (
        found := re.search(r"[Cc]ould not find '([^']+)'", text)
    ):
        group, _, choice = found[1].rpartition("/")
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        if group and choices:
            return f"{group} has no choice {choice!r}.{did_you_mean(choice, choices)} It has: {', '.join(choices)}."
    if found := re.search(r"[Cc]ould not override '([^']+)'", text) or re.search(r"[Kk]ey '([^']+)'", text):
        keys = _known_keys(config_name)
        return f"there is no setting {found[1]!r}.{did_you_mean(found[1], keys)} `--cfg job` prints all settings."
    return text


def _known_keys(config_name: str) -> list[str]:
    """Every dotted key of the default composition, and the config groups."""
    from hydra import compose

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(config_name)
    keys: list[str] = [path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"]

    def walk(node: DictConfig, prefix: str) -> None:
        for key in map(str, node):
            keys.append(f"{prefix}{key}")
            if isinstance(child := node._get_node(key), DictConfig):
                walk(child, f"{prefix}{key}.")

    walk(cfg, "")
    return keys
