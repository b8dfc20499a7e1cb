"""evaluation.engine=vllm against a stand-in of vLLM's API, which answers with transformers. vLLM itself is not run here."""

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from fixtures import write_data_set
from model_configs import composed, model_config, picture, twin
from PIL import Image
from safetensors import safe_open

from ntil.errors import UserError
from ntil.evaluation import evaluate, generate
from ntil.evaluation.generate import Question
from ntil.evaluation.settings import EvaluationSettings
from ntil.evaluation.stored import stored_evaluation
from ntil.evaluation.vllm_engine import vllm_engine
from ntil.io import read_jsonl
from ntil.models import Subject, load_model
from ntil.models.families import family_of
from ntil.models.tuning import tune
from ntil.settings import load_settings
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask


class FakeLLM:
    """`vllm.LLM` as far as it is used: reads a folder, answers prompts of tokens greedily, and tells logprobs of raw logits."""

    made: ClassVar[list["FakeLLM"]] = []
    model_class: Any = None

    def __init__(self, model: str, **options: Any) -> None:
        self.folder, self.options, self.prompts = Path(model), options, []
        self.files = sorted(path.name for path in self.folder.iterdir())
        with safe_open(self.folder / "model.safetensors", "pt") as file:
            self.weights = list(file.keys())
        self.model = self.model_class.from_pretrained(model, dtype=torch.float32).eval()
        FakeLLM.made.append(self)

    @torch.no_grad()
    def generate(self, prompts: list[dict[str, Any]], *, sampling_params: Any, use_tqdm: bool) -> list[Any]:
        assert sampling_params.temperature == 0
        assert sampling_params.logprobs == 0
        self.prompts += prompts
        return [self._one(prompt, sampling_params) for prompt in prompts]

    def _one(self, prompt: dict[str, Any], asked: Any) -> Any:
        ids, written, logprobs = list(prompt["prompt_token_ids"]), [], []
        while len(written) < asked.max_tokens and not (written and written[-1] in asked.stop_token_ids):
            scores = self.model(input_ids=torch.tensor([ids + written])).logits[0, -1].float()
            token = int(scores.argmax())
            chosen = SimpleNamespace(logprob=float(scores.log_softmax(-1)[token]), rank=1)
            written.append(token)
            logprobs.append({token: chosen})
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=written, logprobs=logprobs)])


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeLLM]]:
    module, parameters = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    module.__spec__ = ModuleSpec("vllm", None)
    module.LLM, module.SamplingParams = FakeLLM, lambda **given: SimpleNamespace(**given)  # type: ignore[attr-defined]
    parameters.StructuredOutputsParams = lambda **given: SimpleNamespace(**given)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", parameters)
    FakeLLM.made.clear()
    yield FakeLLM
    FakeLLM.made.clear()


SUMS = [Question(f"{a}+{b}=", None) for a, b in ((1, 2), (12, 345), (7, 70))]


@pytest.mark.parametrize("family", ["qwen2_5", "llama3", "yi"])
def test_it_answers_as_transformers_do(
    family: str, vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, adapter = twin(family)
    monkeypatch.setattr(FakeLLM, "model_class", family_of(family).model_class)
    subject = Subject(model, adapter, ArithmeticTask(max_new_tokens=5), Path("."))
    engine = vllm_engine(subject, None)
    said = engine.answer([engine.prepare(question) for question in SUMS])
    expected = [generate(model, adapter, [question], 5)[0] for question in SUMS]
    assert [(one.text, one.tokens) for one in said] == [(one.text, one.tokens) for one in expected]
    for one, other in zip(said, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1.01e-4)
    (made,) = vllm.made
    assert made.options["trust_remote_code"] is False
    assert made.options["logprobs_mode"] == "raw_logprobs"
    assert "config.json" in made.files
    assert not made.folder.exists(), "what it was loaded from is cleared away"


@pytest.mark.parametrize("workers", [0, 1])
def test_an_evaluation_through_it(
    workers: int, vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = [
        {"id": str(i), "split": "test", "target": {"answer": "3"}, "query": question.prompt}
        for i, question in enumerate(SUMS)
    ]
    data = write_data_set(tmp_path / "data", records)
    model, adapter = twin("qwen2_5")
    monkeypatch.setattr(FakeLLM, "model_class", family_of("qwen2_5").model_class)
    subject = Subject(model, adapter, ArithmeticTask(max_new_tokens=5), data)
    texts = {}
    for engine in ("hf", "vllm"):
        asked = composed(
            f"evaluation.engine={engine}",
            "evaluation.pictures=false",
            "evaluation.batch_size=1",
            f"evaluation.workers={workers}",
        ).evaluation
        evaluate(subject, asked, tmp_path / engine)
        rows = list(read_jsonl(tmp_path / engine / "predictions.jsonl"))
        texts[engine] = [(row["id"], row["text"], row["tokens"]) for row in rows]
    assert texts["hf"] == texts["vllm"]
    assert len(vllm.made[0].prompts) == 3


def test_adapters_are_merged_in_a_copy(vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch) -> None:
    config = model_config("qwen2_5_tiny", "model/tuning=lora", "model.tuning.gradient_checkpointing=false")
    model, adapter = load_model(config)
    if not hasattr(model, "peft_config"):
        model = tune(model, config.tuning, family_of("qwen2_5"))
    generator = torch.Generator().manual_seed(0)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            weights.data = torch.randn(weights.shape, generator=generator) / 4
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    monkeypatch.setattr(FakeLLM, "model_class", family_of("qwen2_5").model_class)
    engine = vllm_engine(Subject(model, adapter, ArithmeticTask(max_new_tokens=5), Path(".")), None)
    said = engine.answer([engine.prepare(question) for question in SUMS])
    assert [one.text for one in said] == [generate(model, adapter, [q], 5)[0].text for q in SUMS]
    assert not any("lora" in name for name in vllm.made[0].weights)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_picture_goes_with_one_mark_and_as_the_family_pads_it(
    vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, adapter = twin("llava15")
    monkeypatch.setattr(FakeLLM, "model_class", family_of("llava15").model_class)
    engine = vllm_engine(Subject(model, adapter, ClockTask(), Path(".")), ClockTask.answer_pattern)
    wide = picture("llava15", size=(64, 40))
    prompt = engine.prepare(Question("Time?", wide))
    ids = prompt["prompt_token_ids"]
    assert ids.count(adapter.processor.image_token_id) == 1
    whole = adapter.encode("Time?", wide, None)["input_ids"].tolist()
    mark = adapter.processor.image_token_id
    assert [i for i in ids if i != mark] == [i for i in whole if i != mark]
    sent: Image.Image = prompt["multi_modal_data"]["image"]
    assert sent.size == (64, 64)
    assert vllm.made[0].options["limit_mm_per_prompt"] == {"image": 1}


def test_decoding_is_held_to_the_pattern_and_ends_as_the_family_s(
    vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(FakeLLM, "model_class", family_of("yivl").model_class)
    monkeypatch.setattr(
        FakeLLM,
        "generate",
        lambda self, prompts, sampling_params, use_tqdm: seen.append(sampling_params) or [],
    )
    model, adapter = twin("yivl")
    vllm_engine(Subject(model, adapter, ClockTask(), Path(".")), r"[0-9]+").answer([])
    (asked,) = seen
    assert asked.structured_outputs.regex.endswith("([0-9]+)")
    assert asked.stop_token_ids == list(adapter.stop_ids)
    assert asked.stop == ([adapter.stop_text] if adapter.stop_text else None)
    assert asked.max_tokens == ClockTask().max_new_tokens


def test_a_missing_package_is_said_before_anything_is_trained() -> None:
    with pytest.raises(
        UserError, match=r"evaluation: engine=vllm needs the package vllm: pip install 'vllm>=0\.11'"
    ):
        load_settings(EvaluationSettings, composed("evaluation.engine=vllm").evaluation, "evaluation")
    with pytest.raises(UserError, match=r"evaluation\.engine must be hf or vllm, not 'vlm'"):
        load_settings(EvaluationSettings, composed("evaluation.engine=vlm").evaluation, "evaluation")


def test_what_it_cannot_load_is_said(
    vllm: type[FakeLLM], monkeypatch: pytest.MonkeyPatch, finished: Path, small_data: Path, tmp_path: Path
) -> None:
    from ntil.evaluation.trained import load_trained

    subject = load_trained(finished).on(small_data)
    asked = composed("evaluation.engine=vllm", "evaluation.pictures=false").evaluation
    with pytest.raises(UserError, match="published families only; engine=hf"):
        evaluate(subject, asked, tmp_path)

    def unknown(self: Any, **_: Any) -> None:
        raise ValueError("Model architectures ['Odd'] are not supported for now.")

    monkeypatch.setattr(FakeLLM, "__init__", unknown)
    model, adapter = twin("llama3")
    with pytest.raises(UserError, match=r"cannot load this model \(ValueError: Model architectures"):
        vllm_engine(Subject(model, adapter, ArithmeticTask(), Path(".")), None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="is one process, and this command has 2"):
        vllm_engine(Subject(model, adapter, ArithmeticTask(), Path(".")), None)


def test_a_stored_run_chooses_no_engine_and_few_processes(vllm: type[FakeLLM], tmp_path: Path) -> None:
    stored = {"splits": None, "optional_splits": [], "batch_size": None, "limit": None, "pictures": False}
    said = stored_evaluation({"evaluation": {**stored, "engine": "vllm"}}, tmp_path, {})
    assert said.engine == "hf"
    typed = stored_evaluation({"evaluation": {**stored, "engine": "hf"}}, tmp_path, {"engine": "vllm"})
    assert typed.engine == "vllm"
    with pytest.raises(UserError, match=r"evaluation\.workers is 1,000,000; .* at most 64 processes"):
        stored_evaluation({"evaluation": {**stored, "workers": 10**6}}, tmp_path, {})
    assert (
        stored_evaluation({"evaluation": {**stored, "workers": 10**6}}, tmp_path, {"workers": 65}).workers
        == 65
    )
