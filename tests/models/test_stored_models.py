"""The model of a run from someone else: what is trusted only when it is typed, and what a run of adapters may ask for."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from model_configs import model_config
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from ntil.errors import UserError
from ntil.io import read_json, write_json
from ntil.models import load_model
from ntil.models.folder import weight_shapes
from ntil.models.stored import load_stored_model
from ntil.training.fit import load_weights, save_model

FULL, LORA, EXACT = "model/tuning=full", "model/tuning=lora", "model.tuning.dtype=float32"
CODE = """
from pathlib import Path
from transformers import LlavaProcessor
Path("RAN").touch()
class Mine(LlavaProcessor):
    pass
"""


def stored(folder: Path, name: str, *overrides: str) -> tuple[dict[str, Any], Path]:
    """The configuration and the model/ of a run of that model, untrained."""
    cfg = model_config(name, EXACT, *overrides)
    model, adapter = load_model(cfg)
    save_model(model, adapter, folder / "model")
    return {"model": OmegaConf.to_container(cfg, resolve=True)}, folder / "model"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Path]]:
    """A run of all weights, and one of adapters."""
    root = tmp_path_factory.mktemp("kept")
    return {
        "full": stored(root / "full", "llava15_tiny", FULL),
        "lora": stored(root / "lora", "llava15_tiny", LORA),
    }


@pytest.fixture(params=["full", "lora"])
def either(
    request: pytest.FixtureRequest, kept: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path
) -> tuple[dict[str, Any], Path]:
    return copied(kept[request.param], tmp_path)


@pytest.fixture
def full(kept: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path) -> tuple[dict[str, Any], Path]:
    return copied(kept["full"], tmp_path)


@pytest.fixture
def lora(kept: dict[str, tuple[dict[str, Any], Path]], tmp_path: Path) -> tuple[dict[str, Any], Path]:
    return copied(kept["lora"], tmp_path)


def copied(run: tuple[dict[str, Any], Path], to: Path) -> tuple[dict[str, Any], Path]:
    config, folder = run
    shutil.copytree(folder, to / "run" / "model")
    return json.loads(json.dumps(config)), to / "run" / "model"


def change(path: Path, **values: Any) -> None:
    write_json(path, (read_json(path) if path.exists() else {}) | values)


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Puts code into a folder, named by its processor's settings; what transformers copies of it stays in the test's."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))

    def put(folder: Path) -> None:
        (folder / "mine.py").write_text(CODE)
        change(folder / "processor_config.json", auto_map={"AutoProcessor": "mine.Mine"})

    return put


def test_code_runs_only_when_it_is_typed(full: tuple[dict[str, Any], Path], code: Any) -> None:
    config, folder = full
    code(folder)
    with pytest.raises(UserError, match=r"processor_config\.json names code to run.*trust_remote_code=true"):
        load_stored_model(config, folder)
    assert not Path("RAN").exists()
    config["model"]["trust_remote_code"] = True  # the run's own word
    with pytest.raises(UserError, match="trained with code from its checkpoint"):
        load_stored_model(config, folder)
    assert not Path("RAN").exists()
    _, adapter = load_stored_model(config, folder, trust_remote_code=True)
    assert Path("RAN").exists()
    assert type(getattr(adapter, "processor", None)).__name__ == "Mine"


def test_a_run_that_was_trained_with_code_says_so(either: tuple[dict[str, Any], Path]) -> None:
    config, folder = either
    config["model"]["trust_remote_code"] = True
    with pytest.raises(UserError, match=r"trained with code .*--trust-remote-code"):
        load_stored_model(config, folder)
    load_stored_model(config, folder, trust_remote_code=True)


def test_base_weights_from_a_folder(lora: tuple[dict[str, Any], Path], code: Any, tmp_path: Path) -> None:
    config, folder = lora
    cfg = model_config("llava15_tiny", EXACT, FULL)
    save_model(*load_model(cfg), tmp_path / "base")
    published = config["model"] | {"twin": None, "hub_id": "someone/else"}
    with pytest.raises(UserError, match=r"'someone/else' is in no file of conf/model/.*base=DIR"):
        load_stored_model({"model": published}, folder)
    expected, _ = load_stored_model(config, folder)
    model, _ = load_stored_model({"model": published}, folder, base=str(tmp_path / "base"))
    weights = model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in expected.state_dict().items())
    local = published | {"local_folder": str(tmp_path / "base")}
    load_stored_model({"model": local}, folder)
    code(tmp_path / "base")  # the run's word for a folder is not the user's
    with pytest.raises(UserError, match=r"base/processor_config\.json names code"):
        load_stored_model({"model": local}, folder)
    assert not Path("RAN").exists()


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_base_that_is_none_is_said(folder: str, lora: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    config, model = lora
    (tmp_path / "empty").mkdir()
    published = config["model"] | {"twin": None}
    with pytest.raises(UserError, match=folder):
        load_stored_model({"model": published}, model, base=str(tmp_path / folder))
    with pytest.raises(UserError, match=folder):
        load_stored_model({"model": published | {"local_folder": str(tmp_path / folder)}}, model)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"attention": "someone/kernel"}, "model.attention is 'someone/kernel'"),
        ({"attention": "paged|sdpa"}, "model.attention"),
        ({"min_pixels": 10**12}, "model.min_pixels is more"),
        ({"max_pixels": 10**12}, "model.max_pixels is more"),
        ({"max_pixels": 1e400}, "model.max_pixels must be"),
        ({"twin": {"hidden_size": 10**6}}, "a twin is small"),
        ({"twin": {"intermediate_size": 10**9}}, "a twin is small"),
        ({"twin": {"layers": 10**6}}, "a twin is small"),
        ({"twin": {"heads": 10**6}}, "a twin is small"),
        ({"twin": {"image_size": 10**6}}, "a twin is small"),
        ({"twin": {"tokenizer_folder": "../../nowhere"}}, "nowhere"),
        ({"twin": "x"}, "model.twin must be a group"),
        ({"name": ["x"]}, "model.name must be a word"),
        ({"evil": 1}, "no setting 'evil'"),
        ({"_target_": "os.system"}, "no setting '_target_'"),
        ({"tuning": {"targets": ["(a+)+$"]}}, "no linear layer"),
        ({"tuning": {"rank": 10**9}}, "rank"),
        ({"tuning": {"method": "eval"}}, "model.tuning.method"),
        ({"tuning": {"quantize": "4bit"}}, "quanti"),
        ({"prompt": {"text": "{image}{question}{0.__class__}{question}"}}, "must hold {question} once"),
        ({"prompt": {"stop_tokens": []}}, "answers would have no end"),
    ],
    ids=str,
)
def test_a_run_may_not_ask_for_more(
    values: dict[str, Any], word: str, lora: tuple[dict[str, Any], Path]
) -> None:
    config, folder = lora
    for key, value in values.items():
        old = config["model"].get(key)
        config["model"][key] = old | value if isinstance(value, dict) and isinstance(old, dict) else value
    with pytest.raises(UserError) as caught:
        load_stored_model(config, folder)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"base_model_name_or_path": "someone/else", "revision": "evil"},
        {"auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"}},
        {"peft_type": "XLORA", "adapters": {"0": "someone/else"}},
        {"megatron_core": "evil", "megatron_config": {"a": 1}},
        {"init_lora_weights": "eva", "modules_to_save": ["lm_head"], "r": 10**9, "target_modules": "(a+)+$"},
        {"runtime_config": {"ephemeral_gpu_offload": True}, "layer_replication": [[0, 10**9]]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_nothing_reads_the_adapters_settings(
    values: dict[str, Any], lora: tuple[dict[str, Any], Path]
) -> None:
    config, folder = lora
    expected = load_stored_model(config, folder)[0].state_dict()
    change(folder / "adapter_config.json", **values)
    (folder / "evil.py").write_text("import pathlib\npathlib.Path('RAN').touch()\n")
    found = load_stored_model(config, folder)[0].state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    (folder / "adapter_config.json").write_text("[" * 100_000)
    load_stored_model(config, folder)
    assert not Path("RAN").exists()


def other_rank(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: (w[:2] if ".lora_A." in name else w[:, :2]).contiguous() for name, w in weights.items()}


def more(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return weights | {"base_model.model.lm_head.weight": torch.zeros(384, 64)}


def fewer(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(list(weights.items())[2:])


def wider(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([w, w], 1) if ".lora_A." in name else w for name, w in weights.items()}


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (other_rank, "adapters of rank 2"),
        (more, "which is no adapter"),
        (fewer, "lacks 2 adapters"),
        (wider, "size mismatch"),
        (lambda weights: {}, "rank none"),
    ],
    ids=["other rank", "more", "fewer", "wider", "none"],
)
def test_adapters_fit_or_are_refused(spoil: Any, word: str, lora: tuple[dict[str, Any], Path]) -> None:
    config, folder = lora
    path = folder / "adapter_model.safetensors"
    save_file(spoil(load_file(path)), path)
    with pytest.raises(UserError) as caught:
        load_stored_model(config, folder)
    assert word in str(caught.value)
    model, _ = load_model(OmegaConf.create(config["model"]))
    with pytest.raises(UserError):  # and where a run is gone on with
        load_weights(model, folder)


def test_pickled_adapters_are_not_read(lora: tuple[dict[str, Any], Path]) -> None:
    config, folder = lora
    (folder / "adapter_model.safetensors").rename(folder / "x")
    (folder / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
    with pytest.raises(UserError, match=r"has no adapter_model\.safetensors"):
        load_stored_model(config, folder)
    assert not Path("RAN").exists()


def sharded(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder.parent / "x.safetensors")
    keys = load_file(folder.parent / "x.safetensors")
    write_json(
        folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": dict.fromkeys(keys, name)}
    )


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("../x.safetensors", "names weights elsewhere: '../x.safetensors'"),
        ("/x.safetensors", "names weights elsewhere"),
        ("a/b.safetensors", "names weights elsewhere"),
        ("..", "leaves its folder"),
        ("a\0b", "null character"),
        ("", "holds no model"),
        (3, "holds no model"),
    ],
)
def test_shards_are_beside_their_index(name: Any, word: str, full: tuple[dict[str, Any], Path]) -> None:
    config, folder = full
    sharded(folder, name)
    with pytest.raises(UserError) as caught:
        load_stored_model(config, folder)
    assert word in str(caught.value)


def test_shards_that_are_there_are_read(full: tuple[dict[str, Any], Path]) -> None:
    config, folder = full
    sharded(folder, "model-00001-of-00001.safetensors")
    (folder.parent / "x.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    assert weight_shapes(folder)
    load_stored_model(config, folder)


@pytest.mark.parametrize(
    ("file", "values", "word"),
    [
        ("config.json", {"backbone": "someone/else"}, "backbone"),
        ("config.json", {"vision_config": {"use_pretrained_backbone": True}}, "backbone"),
        ("config.json", {"vision_config": {"use_timm_backbone": True}}, "backbone"),
        ("config.json", {"text_config": {"model_type": "evil"}}, "'evil' is no part"),
        (
            "config.json",
            {"text_config": {"model_type": "llama", "hidden_size": 10**8}},
            "describes a model of",
        ),
        ("config.json", {"attn_implementation": "someone/kernel"}, "someone/kernel"),
        ("generation_config.json", {"auto_map": {"x": "evil.Evil"}}, "generation_config.json names code"),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["a.B", "a.C"]}},
            "tokenizer_config.json names",
        ),
        ("processor_config.json", {"image_processor": {"size": {"height": 10**6}}}, "size.height"),
        ("processor_config.json", {"image_processor": {"size": {"longest_edge": 10**12}}}, "longest_edge"),
        ("processor_config.json", {"chat_template": {"../x": "x"}}, "chat_template is no text"),
        ("x.json", {"a": {"b": [{"auto_map": 1}]}}, "x.json names code"),
    ],
)
def test_a_models_files_ask_for_nothing_else(
    file: str, values: dict[str, Any], word: str, full: tuple[dict[str, Any], Path]
) -> None:
    config, folder = full
    change(folder / file, **values)
    with pytest.raises(UserError) as caught:
        load_stored_model(config, folder)
    assert word in str(caught.value)
