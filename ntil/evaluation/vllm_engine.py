"""vLLM in the place of transformers' generate: the same questions, greedy, with the same ends and probabilities.

The trained model is written as one checkpoint, adapters merged, to a folder of its own, and vLLM reads that: nothing of a run's
folder reaches it but through this project's loading, and it runs no code of a checkpoint's.
"""

import copy
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import regex
import torch

from ntil.errors import UserError
from ntil.evaluation.engines import INSTALL, Engine
from ntil.evaluation.generate import Generated, Question, as_generated
from ntil.models import Adapter, Subject
from ntil.models.published import PublishedAdapter
from ntil.runs import processes

AT_ONCE = 1024  # questions that are handed over together; vLLM batches them as its memory allows


def vllm_engine(subject: Subject, pattern: str | None) -> Engine:
    """UserError where vLLM is missing or too old, or does not take the model."""
    try:
        from vllm import LLM, SamplingParams
        from vllm.sampling_params import StructuredOutputsParams
    except ImportError as error:
        raise UserError(
            f"evaluation.engine=vllm: {error}. {INSTALL['vllm']}; engine=hf needs nothing."
        ) from error
    adapter = _refuse_unfit(subject)
    before = regex.escape(adapter.before_answer)
    held = None if pattern is None else StructuredOutputsParams(regex=f"({before})?({pattern})")
    parameters = SamplingParams(
        temperature=0,
        max_tokens=subject.task.max_new_tokens,
        stop_token_ids=list(adapter.stop_ids),
        stop=[adapter.stop_text] if adapter.stop_text is not None else None,
        logprobs=0,  # of the token that was chosen
        structured_outputs=held,
    )
    with tempfile.TemporaryDirectory(prefix="ntil-vllm-") as folder:
        _save(subject, Path(folder))
        try:
            model = LLM(
                model=folder,
                trust_remote_code=False,
                generation_config="vllm",  # no sampling of the checkpoint's own
                logprobs_mode="raw_logprobs",  # the model's, before the pattern
                limit_mm_per_prompt={"image": 1} if adapter.vision is not None else {},
                seed=0,
            )
        except Exception as error:  # vLLM has classes of its own for what it does not know
            said = " ".join(str(error).split())[:300]
            raise UserError(
                f"evaluation.engine=vllm cannot load this model ({type(error).__name__}: {said}). engine=hf can."
            ) from error
    return Engine(partial(_prepared, adapter), partial(_answers, model, adapter, parameters), AT_ONCE)


def _refuse_unfit(subject: Subject) -> PublishedAdapter:
    if processes.count() > 1:
        raise UserError(
            f"evaluation.engine=vllm is one process, and this command has {processes.count()}; start it without torchrun, or set "
            "engine=hf."
        )
    if not isinstance(subject.adapter, PublishedAdapter):
        raise UserError("evaluation.engine=vllm answers for published families only; engine=hf for all.")
    if getattr(subject.model, "is_quantized", False):
        raise UserError(
            "evaluation.engine=vllm reads merged weights, and merging into 4-bit weights would round the adapters away. Write "
            "them whole (ntil export RUN --out DIR) and score that (trainer.max_steps=0, model.local_folder=DIR), or set engine=hf."
        )
    return subject.adapter


def _save(subject: Subject, folder: Path) -> None:
    """The model as one checkpoint with its processor, and off the GPU, which vLLM takes for itself."""
    model = subject.model.to("cpu")
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    model.save_pretrained(folder)
    subject.adapter.save_pretrained(folder)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _prepared(adapter: PublishedAdapter, question: Question) -> dict[str, Any]:
    """As vLLM takes it: tokens with the picture's mark once, which its own processor multiplies, and the picture."""
    ids, image = adapter.asked(question.prompt, question.image)
    prompt: dict[str, Any] = {"prompt_token_ids": ids}
    return prompt if image is None else {**prompt, "multi_modal_data": {"image": image}}


def _answers(model: Any, adapter: Adapter, parameters: Any, prompts: Sequence[Any]) -> list[Generated]:
    said = []
    for request in model.generate(list(prompts), sampling_params=parameters, use_tqdm=False):
        (answer,) = request.outputs
        ids = list(answer.token_ids)
        chosen = [math.exp(step[token].logprob) for token, step in zip(ids, answer.logprobs, strict=True)]
        said.append(as_generated(adapter, torch.tensor(ids, dtype=torch.long), chosen))
    return said
