"""What all tests share: one thread, hypothesis without deadlines, and real tokenizers where they are at hand."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
settings.register_profile(
    "ntil",
    parent=settings.default,
    deadline=None,  # time is not what these tests are about
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ntil")

REPOSITORY = Path(__file__).resolve().parents[1]


def _tokenizer_file(family: str) -> Path | None:
    """<family>/tokenizer.json in ../shared/tokenizers, else in the folder that NTIL_TOKENIZERS names."""
    folders = [REPOSITORY.parent / "shared" / "tokenizers"]
    if os.environ.get("NTIL_TOKENIZERS"):
        folders.append(Path(os.environ["NTIL_TOKENIZERS"]))
    files = (folder / family / "tokenizer.json" for folder in folders)
    return next((file for file in files if file.is_file()), None)


@cache
def _load_tokenizer(file: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(file))


@pytest.fixture(scope="session")
def tokenizer_folder() -> Callable[[str], Path]:
    """tokenizer_folder("llama3"): where the family's tokenizer.json is; skips the test where it is not at hand."""

    def find(family: str) -> Path:
        file = _tokenizer_file(family)
        if file is None:
            pytest.skip(
                f"no tokenizer.json of {family}: set NTIL_TOKENIZERS to a folder that holds {family}/"
            )
        return file.parent

    return find


@pytest.fixture(scope="session")
def real_tokenizer(tokenizer_folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """real_tokenizer("llama3"): the family's tokenizer; skips the test where its file is not at hand."""

    def load(family: str) -> Any:
        pytest.importorskip("transformers")
        return _load_tokenizer(tokenizer_folder(family) / "tokenizer.json")

    return load
