"""The config folder is the registry: every file in it composes, instantiates, and says how to use it."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fixtures import REPOSITORY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data_prep.registry import request
from ntil.data.task import Task
from ntil.losses import CrossEntropy, WithCrossEntropy
from ntil.models.tiny_processor import character_tokenizer
from ntil.numbers import NumberVocab
from ntil.runs.cli import _run_name, quoted
from ntil.settings import load_settings
from ntil.training import check_settings
from ntil.training.settings import TrainerSettings

CONF = REPOSITORY / "conf"
FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))
WITH_HEADER = [name for name in FILES if not name.startswith("hydra/")]
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
COMMANDS = ("train", "evaluate", "predict")


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture(autouse=True)
def composer() -> Iterator[None]:
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(*overrides: str, config: str = "train") -> DictConfig:
    return compose(config, overrides=list(overrides), return_hydra_config=config == "train")


def batch() -> tuple[NumberVocab, torch.Tensor, torch.Tensor]:
    """A vocabulary of characters, logits [2, 5, V] and the labels of "3:25" and "12:0"."""
    tokenizer = character_tokenizer()
    vocab = NumberVocab.from_tokenizer(tokenizer, vocab_size=len(tokenizer))
    labels = [
        [*tokenizer(text).input_ids, end] for text, end in (("3:25", tokenizer.eos_token_id), ("12:0", -100))
    ]
    torch.manual_seed(0)
    return vocab, torch.randn(2, 5, len(tokenizer), requires_grad=True), torch.tensor(labels)


@pytest.mark.parametrize("name", choices("loss"))
def test_every_loss_is_finite_and_connected(name: str) -> None:
    vocab, logits, labels = batch()
    cfg = composed(f"loss={name}")
    loss = instantiate(cfg.loss, vocab=vocab)
    assert isinstance(loss, CrossEntropy | WithCrossEntropy)
    parts = loss.parts(logits, labels)
    parts.total.backward()
    assert torch.isfinite(parts.total)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad != 0).any()
    if "number" in cfg.loss and cfg.loss.number is not None:
        # One that replaces cross-entropy on numbers may cost less than the others' mean cross-entropy.
        assert parts.total > parts.ce or not cfg.loss.ce_on_digits, "the number loss adds nothing"
        assert parts.number > 0


def test_the_losses_differ() -> None:
    vocab, logits, labels = batch()
    gradients = {}
    for name in choices("loss"):
        torch.manual_seed(1)
        loss = instantiate(composed(f"loss={name}").loss, vocab=vocab)
        (gradients[name],) = torch.autograd.grad(loss(logits, labels), logits)
    for one, other in itertools.combinations(gradients, 2):
        assert not torch.allclose(gradients[one], gradients[other]), f"{one} and {other}"


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_composes(group: str) -> None:
    assert choices(group)
    for choice in choices(group):
        chosen = composed(f"{group}={choice}").hydra.runtime.choices
        assert choice in {value for key, value in chosen.items() if key.split("@")[0].strip("/") == group}


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_preset_names_its_own_experiment_and_real_choices(name: str) -> None:
    cfg = composed(f"experiment={name}")
    assert cfg.experiment_name == name
    check_settings(cfg)
    for key, values in (cfg.hydra.sweeper.params or {}).items():
        if key in GROUPS:
            assert {value.strip() for value in str(values).split(",")} <= set(choices(key))
    task = instantiate(cfg.task)
    table = cfg.table
    swept = cfg.hydra.sweeper.params.get(table.rows)
    axis = (
        cfg.hydra.runtime.choices[table.rows] if swept is None else swept
    )  # or a choice that all runs share
    assert table.baseline in str(axis).split(",")
    assert set(table.metrics) <= set(task.metrics)
    assert set(table.splits) <= {*(cfg.evaluation.splits or ["test"]), *cfg.evaluation.optional_splits}
    if table.get("published") is not None:
        assert table.published in OmegaConf.load(CONF / "published.yaml")


@pytest.mark.parametrize("name", choices("task"))
def test_every_task_is_a_task(name: str) -> None:
    task = instantiate(composed(f"task={name}").task)
    assert isinstance(task, Task)
    assert task.name == name
    assert task.headline in task.metrics


@pytest.mark.parametrize("name", choices("trainer"))
def test_every_trainer_fits_the_schema(name: str) -> None:
    load_settings(TrainerSettings, composed(f"trainer={name}").trainer, "trainer")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_compose(command: str) -> None:
    assert composed(config=command) is not None


@pytest.mark.parametrize("name", WITH_HEADER)
def test_every_file_opens_with_a_comment(name: str) -> None:
    lines = [
        line for line in (CONF / name).read_text(encoding="utf-8").splitlines() if "@package" not in line
    ]
    assert lines[0].startswith("# "), "the first line says what the file is for"
    if name != "published.yaml":
        assert re.match(r"# (python (-m )?[\w.]+|ntil \w+) ", lines[0]), f"no command: {lines[0]}"


def commands_in(name: str) -> Iterator[tuple[str, list[str]]]:
    """(entry point, its arguments) of each command in a file's comments or help text."""
    text = (CONF / name).read_text(encoding="utf-8")
    for found in re.finditer(
        r"python (?:-m )?([\w.]+)((?: +(?:-m|--?\w+|[a-z_]+=\"[^\"]*\"|[^\s#()…,]+=[^\s#()]*|[a-z_]+)(?=\s|\)|$))+)",
        text,
    ):
        typed = re.split(r"\s{2,}[a-zA-Z]", found[2].strip() + "  ")[0]
        yield found[1], [quoted(word) for word in shlex.split(typed)]


def choices_of(value: str) -> list[str]:
    return [value] if value.startswith("'") else value.split(",")


@pytest.mark.parametrize("name", FILES)
def test_commands_in_comments_name_what_exists(name: str) -> None:
    for entry, arguments in commands_in(name):
        stem = entry.removesuffix(".py")
        if stem not in COMMANDS:
            assert (REPOSITORY / entry.split(".")[0] / "__init__.py").exists(), entry
            continue
        sweep = [
            word.split("=", 1)
            for word in arguments
            if "=" in word and "hydra" not in word and "…" not in word
        ]
        for one in itertools.product(*([f"{k}={value}" for value in choices_of(v)] for k, v in sweep)):
            composed(*one, config=stem)


def test_the_comment_check_finds_commands() -> None:
    found = [argument for name in FILES for entry, arguments in commands_in(name) for argument in arguments]
    assert {"loss=ntil", "model=tiny", "task=clock", "loss=ce,emd,ntil", "experiment=clock_demo"} <= set(
        found
    )


def test_headers_show_their_own_choice() -> None:
    """`loss/ntil.yaml` says `loss=ntil`, not another file's command."""
    for group in set(GROUPS) - {"data", "trainer", "evaluation"}:
        for choice in choices(group):
            head = (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8").split("\n\n")[0]
            assert re.search(rf"{group}={choice}\b|launch {choice}\b", head), f"{group}/{choice}"


def test_slurm_jobs_resume_after_their_time_limit() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    launcher = composed("hydra/launcher=slurm", "hydra.launcher.partition=gpu").hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.partition, launcher.gpus_per_node) == ("gpu", 1)
    assert launcher.max_num_timeout > 0


def test_no_path_is_written_into_a_config() -> None:
    for name in FILES:
        text = (CONF / name).read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w=])/(home|root|work|tmp|Users|mnt)/", text), name
    assert Path(composed().paths.data).is_absolute() is False


DEBUG = choices("debug")


@pytest.mark.parametrize("name", DEBUG)
@pytest.mark.parametrize("data", choices("data"))
def test_debugging_makes_every_data_set_tiny(name: str, data: str) -> None:
    cfg = composed(f"debug={name}", f"data={data}")
    values = OmegaConf.to_container(cfg.data, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    made = request({key: "." if value == "???" else value for key, value in values.items()}).config
    splits = getattr(made, "splits", None)
    if isinstance(splits, dict):
        assert max(splits.values()) <= cfg.data.at_most <= 512
        assert min(splits.values()) >= 1
    assert cfg.trainer.train_examples <= 512  # of sets that are read from files, and so built whole
    assert cfg.evaluation.limit <= 64


@pytest.mark.parametrize("name", DEBUG)
@pytest.mark.parametrize("model", ["tiny", "qwen2vl_tiny", "smollm2_tiny"])
def test_a_debugging_run_is_like_no_other(name: str, model: str) -> None:
    cfg = composed("experiment=clock_table", f"debug={name}", f"model={model}", "logger=none")
    check_settings(cfg)
    assert cfg.experiment_name == "debug"
    assert cfg.table is None
    assert "${now:" in OmegaConf.to_container(cfg, resolve=False)["name"]
    assert cfg.trainer.max_steps <= 300
    assert cfg.trainer.accumulation_steps == 1
    assert composed(f"debug={name}").logger.name == "none"


def test_without_it_nothing_is_cut() -> None:
    cfg = composed()
    assert "at_most" not in cfg.data
    assert "one_batch" not in cfg.trainer
