"""evaluate.py and predict.py, started by torchrun: what one process writes, byte for byte."""

import shutil
from pathlib import Path

import pytest
from fixtures import run
from PIL import Image
from several import torchrun

from ntil.io import read_json


def evaluated(finished: Path, folder: Path, *asked: str) -> tuple[Path, Path]:
    """The folders of what one process and two have written."""
    one, two = folder / "one", folder / "two"
    ran = run("evaluate", f"run={finished}", f"output={one}", *asked)
    assert ran.code == 0, ran.err
    ended = torchrun("evaluate", f"run={finished}", f"output={two}", *asked)
    assert ended.code == 0, ended.said
    assert ended.said.count(f"written to {two}") == 1, ended.said
    return one, two


def same(one: Path, two: Path) -> None:
    assert (one / "predictions.jsonl").read_bytes() == (two / "predictions.jsonl").read_bytes()
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    first, second = (read_json(folder / "metrics.json") for folder in (one, two))
    assert first.pop("timing").keys() == second.pop("timing").keys()
    assert first == second


def test_seven_questions_on_two_processes(finished: Path, tmp_path: Path) -> None:
    """Three batches of one split and two of the other: 3, 3 and 1 questions, and 3 and 3."""
    one, two = evaluated(finished, tmp_path, "splits=[train,test]", "limit=7", "batch_size=3")
    same(one, two)
    counts = {name: split["count"] for name, split in read_json(two / "metrics.json")["splits"].items()}
    assert counts == {"train": 7, "test": 6}


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        ("splits=[test]", "limit=1"),
        ("splits=[test]", "batch_size=1", "workers=1"),
        ("splits=[val,heldout_faces]", "constrained=true", "reading=lenient"),
        ("splits=[test]", "decode=median", "candidates=3", "batch_size=6"),
        ("splits=[test]", "decode=sample", "batch_size=2", "workers=1"),
    ],
    ids=["nothing left for one", "workers", "constrained", "median", "sample"],
)
def test_other_shards(asked: tuple[str, ...], finished: Path, tmp_path: Path) -> None:
    same(*evaluated(finished, tmp_path, *asked))


@pytest.mark.slow
def test_a_mistake_is_said_once(finished: Path, tmp_path: Path) -> None:
    ended = torchrun("evaluate", f"run={finished}", "splits=[tset]", f"output={tmp_path / 'out'}", seconds=90)
    assert ended.code != 0
    assert ended.said.count("has no split 'tset'") == 1, ended.said
    assert not (tmp_path / "out").exists()
    broken = tmp_path / "broken"
    shutil.copytree(finished, broken)
    with (broken / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-9, 2)
        file.write(b"\x01")
    ended = torchrun("evaluate", f"run={broken}", seconds=90)
    assert ended.code != 0
    assert ended.said.count("is damaged") == 1, ended.said


@pytest.mark.slow
def test_one_process_without_memory_ends_all(finished: Path, tmp_path: Path) -> None:
    """It says so, and the other one does not wait for it."""
    script = tmp_path / "evaluate_without_memory.py"
    script.write_text(
        f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {str(Path(__file__).parents[2])!r}]
import torch
from fixtures import command
import ntil.evaluation
from ntil.runs import processes
module = sys.modules["ntil.evaluation.evaluate"]
plain = module.generate
def generate(*asked):
    if processes.rank() == 1:
        raise torch.OutOfMemoryError("CUDA out of memory.")
    return plain(*asked)
module.generate = generate
command("evaluate")()
"""
    )
    out = tmp_path / "out"
    ended = torchrun(
        str(script.with_suffix("")),
        f"run={finished}",
        "splits=[test]",
        "batch_size=2",
        f"output={out}",
        seconds=90,
    )
    assert ended.code != 0
    assert "process 1: memory ran out on 2 questions at once; 1 are tried" in ended.said
    assert ended.said.count("memory ran out on a single question") == 1, ended.said
    assert "exitcode  : 2" in ended.said
    assert not (out / "predictions.jsonl").exists()


@pytest.mark.slow
def test_pictures_are_shared_and_told_in_order(finished: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(7):
        Image.new("RGB", (32 + number, 32), (40 * number % 256, 9, 90)).save(pictures / f"{number}.png")
    (pictures / "3.png").write_bytes(b"torn")
    asked = [f"run={finished}", f"input={pictures}", "batch_size=2"]
    alone = run("predict", *asked, f"output={tmp_path / 'one.png'}")
    together = torchrun("predict", *asked, f"output={tmp_path / 'two.png'}")
    assert alone.code == 1
    assert together.code != 0  # a picture was left out
    assert together.said.count("skipped") == 1, together.said
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()

    def rows(said: str) -> list[str]:
        return [line for line in said.splitlines() if ".png" in line and ("│" in line or "┃" in line)]

    assert rows(together.said) == rows(alone.out)
    assert len(rows(alone.out)) == 6


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "size"), [(6, 2), (1, 4)], ids=["three batches", "one batch"])
def test_a_model_divided_among_the_processes(limit: int, size: int, finished: Path, tmp_path: Path) -> None:
    """FSDP2: each layer needs both, also when one has no question left or its answers have ended."""
    script = tmp_path / "evaluate_divided.py"
    script.write_text(
        f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {str(Path(__file__).parents[2])!r}]
from pathlib import Path
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from ntil.data.example import read_examples
from ntil.evaluation import score_examples
from ntil.evaluation.engines import is_divided
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.trained import load_trained
from ntil.io import read_json, write_jsonl
from ntil.runs import processes
processes.join()
run, out = Path({str(finished)!r}), Path({str(tmp_path / "divided.jsonl")!r})
subject = load_trained(run).on(Path(read_json(run / "provenance.json")["data"]["folder"]))
settings = EvaluationSettings(splits=None, optional_splits=[], pictures=False, batch_size={size}, limit=None)
examples = read_examples(subject.data, "test", {limit})
whole = score_examples(subject, examples, settings)
mesh = init_device_mesh("cpu", (2,))
for layer in subject.model.model.language_model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(subject.model, mesh=mesh)
assert is_divided(subject.model)
divided = score_examples(subject, examples, settings)
assert [row["text"] for row in divided.rows] == [row["text"] for row in whole.rows]
assert divided.metrics == whole.metrics
processes.by_first(lambda: write_jsonl(out, divided.rows))
processes.leave()
"""
    )
    ended = torchrun(str(script.with_suffix("")), seconds=120)
    assert ended.code == 0, ended.said
    assert len((tmp_path / "divided.jsonl").read_text().splitlines()) == limit
