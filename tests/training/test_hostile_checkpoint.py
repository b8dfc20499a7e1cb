"""Going on with a run folder from someone else: nothing it holds is run, nothing is written outside, one message that names it."""

import os
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures import in_folder, run
from hostile_runs import CALL, CONFIGS, RAN, TARGETS, Change, node
from safetensors.torch import load_file, save_file
from test_resume import STEPS, as_broken_off, same_end, uninterrupted
from transformers.trainer_pt_utils import safe_globals

from ntil.checksums import seal
from ntil.io import read_json, write_json
from ntil.training.resume import WHOLE

__all__ = ["uninterrupted"]


class Evil:
    """What runs where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {RAN}",)


def pickle_in(name: str) -> Change:
    return lambda checkpoint: torch.save({"state": Evil()}, checkpoint / name)


def states(name: str, change: Callable[[Any], object]) -> Change:
    """A change of what torch saved."""

    def spoil(checkpoint: Path) -> None:
        with safe_globals():
            content = torch.load(checkpoint / name, weights_only=True)
        change(content)
        torch.save(content, checkpoint / name)

    return spoil


def state(**values: Any) -> Change:
    def spoil(checkpoint: Path) -> None:
        path = checkpoint / "trainer_state.json"
        write_json(path, read_json(path) | values)

    return spoil


def only_pickled_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "other_model.safetensors")
    torch.save(Evil(), checkpoint / "pytorch_model.bin")


def an_adapter_below(checkpoint: Path) -> None:
    (checkpoint / "evil").mkdir()
    torch.save(Evil(), checkpoint / "evil" / "adapter_model.bin")


def elsewhere(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-1.safetensors")
    name = "../../../finished/model/model.safetensors"
    write_json(checkpoint / "model.safetensors.index.json", {"weight_map": {"lm_head.weight": name}})


def other_weights(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    save_file({f"x.{name}": value for name, value in weights.items()}, checkpoint / "model.safetensors")


def other_shapes(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    save_file({name: torch.zeros(3) for name in weights}, checkpoint / "model.safetensors")


def compressed(checkpoint: Path) -> None:
    import zipfile

    with zipfile.ZipFile(checkpoint / "optimizer.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * 10**7)


def group(**values: Any) -> Change:
    return states("optimizer.pt", lambda content: content["param_groups"][0].update(values))


def averages(value: Any) -> Change:
    return states("optimizer.pt", lambda content: content["state"][0].update(exp_avg=value))


def schedule(**values: Any) -> Change:
    return states("scheduler.pt", lambda content: content.update(values))


CHECKPOINTS: dict[str, tuple[Change, str]] = {
    **{
        f"a pickle in {name}": (pickle_in(name), name)
        for name in (
            "optimizer.pt",
            "scheduler.pt",
            "rng_state.pth",
            "scaler.pt",
            "more.pt",
            "rng_state_1.pth",
        )
    },
    **{
        f"a pickle as {name}": (pickle_in(name), f"{name} is of no kind")
        for name in ("pytorch_model.bin", "adapter_model.bin", "x.pkl", "pytorch_model_fsdp.bin")
    },
    "only pickled weights": (only_pickled_weights, "pytorch_model.bin is of no kind"),
    "an adapter below": (an_adapter_below, "evil is a folder"),
    "weights elsewhere": (elsewhere, "names weights elsewhere"),
    "other weights": (other_weights, "weights are not this model's"),
    "other shapes": (other_shapes, "size mismatch"),
    "another optimiser": (lambda folder: torch.save([1], folder / "optimizer.pt"), "another optimiser"),
    "another schedule": (lambda folder: torch.save([1], folder / "scheduler.pt"), "no state of a schedule"),
    "another random state": (
        lambda folder: torch.save([1], folder / "rng_state.pth"),
        "cannot be gone on from",
    ),
    "no groups": (states("optimizer.pt", lambda c: c.update(param_groups=[])), "another optimiser"),
    "groups of numbers": (
        states("optimizer.pt", lambda c: c.update(param_groups=[1] * len(c["param_groups"]))),
        "holds no settings",
    ),
    "another eps": (group(eps=1.0), "eps is '1.0'"),
    "betas of words": (group(betas="x"), "betas"),
    "a rate of words": (group(lr="x"), "lr is 'x'"),
    "other averages": (averages(torch.zeros(3)), "another shape"),
    "averages of words": (averages("x"), "another shape"),
    "averages of more": (states("optimizer.pt", lambda c: c["state"].update({10**6: {}})), "other weights"),
    "an endless tensor": (averages(torch.zeros(1).expand(10**12)), "larger than its content"),
    "a sparse tensor": (averages(torch.zeros(2, 2).to_sparse()), "optimizer.pt"),
    "a function": (states("optimizer.pt", lambda c: c.update(x=OrderedDict)), "no plain value"),
    "compressed": (compressed, "compressed"),
    "a schedule without methods": (schedule(step=3), "own 'step'"),
    "a schedule of other rates": (schedule(base_lrs=[1e9]), "base_lrs"),
    "a function's values": (schedule(lr_lambdas=[{"func": 3}]), "lr_lambdas"),
    "a late schedule": (schedule(last_epoch=10**9), "last_epoch"),
    "an infinite step": (state(global_step=1e300), "global_step"),
    "another step": (state(global_step=2), "global_step is 2"),
    "a word of a step": (state(global_step="4"), "global_step"),
    "an unknown key": (state(evil=1), "'evil'"),
    "a log of words": (state(log_history="x"), "log_history"),
    "callbacks of lists": (state(stateful_callbacks=[1]), "stateful_callbacks"),
    "a best checkpoint elsewhere": (state(best_model_checkpoint="/etc"), "best_model_checkpoint"),
    "an epoch of lists": (state(epoch=[1]), "epoch"),
}


def outside(folder: Path) -> dict[str, bytes]:
    """The runs beside it, and what lies in the working folder."""
    roots = [*(path for path in folder.parent.iterdir() if path != folder and path.is_dir()), Path.cwd()]
    return {str(path): path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}


def refused(workplace: Path, folder: Path, word: str) -> None:
    before = outside(folder)
    ran = run("train", *STEPS, *in_folder(workplace), f"name={folder.name}")
    assert ran.code == 2, ran.out
    assert ran.err.count("error: ") == 1
    assert word in ran.err
    assert "Traceback" not in ran.err
    assert outside(folder) == before
    assert not (folder / "model").exists() or (folder / "model").is_symlink()
    assert not list(Path.cwd().rglob(RAN))
    shutil.rmtree(folder)


@pytest.mark.parametrize("sums", ["matching", pytest.param("empty", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_no_checkpoint_runs(name: str, sums: str, workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-checkpoint", last=4)
    checkpoint = folder / "checkpoints" / "checkpoint-4"
    change, word = CHECKPOINTS[name]
    change(checkpoint)
    (checkpoint / WHOLE).write_text("")
    if sums == "matching":
        seal(checkpoint, WHOLE)
    refused(workplace, folder, word)


def test_nothing_reads_the_pickled_arguments(workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-arguments", last=4)
    torch.save(Evil(), folder / "checkpoints" / "checkpoint-4" / "training_args.bin")
    seal(folder / "checkpoints" / "checkpoint-4", WHOLE)
    ran = run("train", *STEPS, *in_folder(workplace), f"name={folder.name}")
    assert ran.code == 0, ran.err
    assert "resuming at step 4" in ran.err
    same_end(folder, uninterrupted)
    assert not list(Path.cwd().rglob(RAN))


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_bare_pickle_does_not_run(file: str, workplace: Path, uninterrupted: Path) -> None:
    """No file of torch.save at all: refused as such, or passed over as damage."""
    folder = as_broken_off(uninterrupted, f"bare-{file}", last=4)
    checkpoint = folder / "checkpoints" / "checkpoint-4"
    (checkpoint / file).write_bytes(f"cos\nsystem\n(S'touch {RAN}'\ntR.".encode())
    seal(checkpoint, WHOLE)
    ran = run("train", *STEPS, *in_folder(workplace), f"name={folder.name}")
    assert file in ran.out + ran.err
    assert "Traceback" not in ran.err
    assert not list(Path.cwd().rglob(RAN))


@pytest.mark.parametrize("name", CONFIGS)
def test_no_configuration_runs(name: str, workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-config", last=4)
    change, word = CONFIGS[name]
    change(folder)
    refused(workplace, folder, word)


@pytest.mark.parametrize(
    ("part", "target"),
    [*(("task", target) for target in TARGETS), ("loss", CALL), ("model", CALL), ("trainer", CALL)],
    ids=lambda value: value if isinstance(value, str) else value["_target_"],
)
def test_no_target_runs(part: str, target: dict[str, Any], workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-target", last=4)
    node(part, target)(folder)
    refused(workplace, folder, f"  {part}.")


def to(target: str) -> Change:
    def link(folder: Path) -> None:
        place = Path.cwd() / "link-target"
        if (folder / target).exists():
            shutil.move(folder / target, place)
        else:
            place.mkdir()
        (folder / target).symlink_to(place)

    return link


@pytest.mark.parametrize(
    "target",
    [
        "checkpoints",
        "checkpoints/checkpoint-4",
        "checkpoints/checkpoint-4/optimizer.pt",
        "checkpoints/checkpoint-6",
        "model",
        "train.jsonl",
        "earlier",
    ],
)
def test_no_link_is_followed(target: str, workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-link", last=4)
    to(target)(folder)
    refused(workplace, folder, "is a link out")


LINES = {
    "no object": b"[1]\n",
    "no step": b'{"loss": 1}\n',
    "a word of a step": b'{"step": "1"}\n',
    "true": b'{"step": true}\n',
    "deep": b"[" * 50_000 + b"\n",
    "digits": b'{"step": ' + b"9" * 10_000 + b"}\n",
    "no text": b"\xff\xfe\n",
}


@pytest.mark.parametrize("name", LINES)
def test_a_strange_log_is_one_message(name: str, workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-log", last=4)
    (folder / "train.jsonl").write_bytes(LINES[name])
    refused(workplace, folder, "train.jsonl")


@pytest.mark.parametrize(
    "content", ["[]", '{"train_seconds": "x"}', '{"train_seconds": 1e400, "steps": 1}', "{"]
)
def test_a_strange_time_is_one_message(content: str, workplace: Path, uninterrupted: Path) -> None:
    folder = as_broken_off(uninterrupted, "hostile-time", last=4)
    (folder / "timing.json").write_text(content)
    refused(workplace, folder, "timing.json")


@pytest.mark.parametrize("made", [[], {"data": 3}, {"data": {"folder": 1, "counts": [1]}}, {}])
def test_a_complete_run_with_strange_provenance_is_one_message(
    made: Any, workplace: Path, uninterrupted: Path
) -> None:
    folder = uninterrupted.with_name("hostile-provenance")
    shutil.copytree(uninterrupted, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("name: uninterrupted", f"name: {folder.name}"))
    write_json(folder / "provenance.json", made)
    ran = run("train", *STEPS, *in_folder(workplace), f"name={folder.name}", "evaluation.limit=2")
    assert ran.code == 2
    assert ran.err.count("error: ") == 1
    assert "provenance.json" in ran.err
    shutil.rmtree(folder)


def test_what_a_resume_says_of_its_beginning_is_no_escape_sequence(
    workplace: Path, uninterrupted: Path
) -> None:
    folder = as_broken_off(uninterrupted, "hostile-words", last=4)
    said = read_json(folder / "provenance.json")
    for attempt in (said, *said["attempts"]):
        attempt["python"] = "\x1b[31m" * 1000
        attempt["packages"]["torch"] = "\x1b]0;x\x07"
    write_json(folder / "provenance.json", said)
    ran = run("train", *STEPS, *in_folder(workplace), f"name={folder.name}")
    assert ran.code == 0, ran.err
    assert "digits may differ" in ran.out
    assert "\x1b" not in ran.out
    assert len(ran.out) < 5000
