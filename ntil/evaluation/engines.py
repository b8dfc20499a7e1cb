"""What answers: transformers (`hf`), or vLLM where it is asked for and installed.

prepared = engine.prepare(question)     tokens and pixels, in whichever process loads the data
said = engine.answer([prepared, …])     in the process that has the model
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from ntil.errors import UserError
from ntil.evaluation.generate import Encoded, Generated, Question
from ntil.models import Adapter

ENGINES = ("hf", "vllm")
INSTALL = {"vllm": "pip install 'vllm>=0.11'"}
AT_ONCE, AT_ONCE_LARGE = 128, 16  # questions
LARGE = 1_000_000_000  # parameters, from which on the cache of a batch takes gigabytes


@dataclass(frozen=True)
class Engine:
    """How questions are answered.

    Args:
        prepare: a question → what `answer` takes of it; UserError where it is none for the model. May go to other processes.
        answer: of one batch, in its order.
        at_once: the size of a batch, where nobody asks for another.
        synced: every process must call `answer` equally often, at the same time.
        rows: of a batch that a question takes: as many as it has candidates.
    """

    prepare: Callable[[Question], Any]
    answer: Callable[[Sequence[Any]], list[Generated]]
    at_once: int
    synced: bool = False
    rows: int = 1


def check_engine(name: str) -> None:
    """UserError where the engine is not installed."""
    if name in INSTALL and find_spec(name) is None:
        raise UserError(f"engine={name} needs the package {name}: {INSTALL[name]}. engine=hf needs nothing.")


def encode(adapter: Adapter, question: Question) -> Encoded:
    return adapter.encode(question.prompt, question.image, None)


def at_once(model: Any) -> int:
    """Questions in a batch for a model of this size."""
    # ZeRO-3 leaves weights of size 0 where their parts are elsewhere, and says what they were.
    parameters = sum(int(getattr(weights, "ds_numel", weights.numel())) for weights in model.parameters())
    return AT_ONCE_LARGE if parameters >= LARGE else AT_ONCE


def is_divided(model: torch.nn.Module) -> bool:
    """Whether each process has a part of the weights (FSDP2, ZeRO-3), so that a forward needs all of them."""
    return any(isinstance(weights, DTensor) or hasattr(weights, "ds_id") for weights in model.parameters())
