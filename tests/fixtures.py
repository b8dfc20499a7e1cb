"""What the tests of the pipeline share: a data set of a few small clocks, and the three commands run in this process."""

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from ntil.io import read_json, read_jsonl, write_json, write_jsonl

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = [
    "data.size=64",
    "data.splits={train: 32, val: 4, test: 6, heldout_faces: 4}",
    "trainer.max_steps=3",
    "trainer.batch_size=8",
    "trainer.eval_steps=0",
    "trainer.log_steps=1",
    "evaluation.pictures=false",
]


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@cache
def command(name: str) -> Any:
    """The `main` of train.py, evaluate.py or predict.py."""
    if str(REPOSITORY) not in sys.path:
        sys.path.append(str(REPOSITORY))
    spec = importlib.util.spec_from_file_location(f"command_{name}", REPOSITORY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.main


def run(name: str, *arguments: str) -> Ran:
    """Run a command as a shell would; an exception that is no SystemExit would be its traceback, and is raised."""
    from hydra.core.global_hydra import GlobalHydra

    out, err = io.StringIO(), io.StringIO()
    main, code = command(name), 0
    before, threads = sys.argv, torch.get_num_threads()
    sys.argv = [f"{name}.py", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
        torch.set_num_threads(threads)
        GlobalHydra.instance().clear()
    return Ran(code, out.getvalue(), err.getvalue())


def in_folder(folder: Path) -> list[str]:
    """Overrides that keep data and outputs inside `folder`."""
    return [f"paths.data={folder / 'data'}", f"paths.outputs={folder / 'outputs'}"]


def losses(folder: Path, key: str = "loss") -> dict[int, Any]:
    """Step → the logged value, for the rows of train.jsonl that have it."""
    return {row["step"]: row[key] for row in read_jsonl(folder / "train.jsonl") if key in row}


def write_data_set(root: Path, records: list[dict[str, Any]]) -> Path:
    """A data set with these records and no pictures."""
    write_jsonl(root / "records.jsonl", records)
    counts: dict[str, int] = {}
    for record in records:
        counts[str(record.get("split"))] = counts.get(str(record.get("split")), 0) + 1
    write_json(root / "manifest.json", {"counts": counts})
    return root


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the whole session shares; its data/ is built by the first run."""
    folder = tmp_path_factory.getbasetemp() / "workplace"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def finished(workplace: Path) -> Path:
    """The folder of a complete NTIL run of three steps."""
    ran = run(
        "train",
        *SMALL,
        *in_folder(workplace),
        "name=finished",
        "evaluation.pictures=true",
        "trainer.eval_steps=2",
    )
    assert ran.code == 0, ran.err
    return workplace / "outputs" / "runs" / "finished"


@pytest.fixture(scope="session")
def small_data(finished: Path) -> Path:
    """The folder of the small data set."""
    return Path(read_json(finished / "provenance.json")["data"]["folder"])  # others may lie beside it


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a command writes to the working folder lands in the test's own."""
    monkeypatch.chdir(tmp_path)
    return
