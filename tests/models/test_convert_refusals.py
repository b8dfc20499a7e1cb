"""What is wrong with a published checkpoint is said with the file and the weight, and nothing is left behind."""

import json
import os
from pathlib import Path
from typing import Any

import published_layouts as layouts
import pytest
import torch
from safetensors.torch import load_file, save_file

from ntil.commands import main
from ntil.errors import UserError
from ntil.models.convert import convert


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "published"


def refusal(source: Path, family: str | None = None) -> str:
    """The complaint; no folder and no temporary file may remain."""
    with pytest.raises(UserError) as caught:
        convert(source, source.parent / "new", family)
    assert not list(source.parent.glob("*new*")), "nothing is left behind"
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"hidden_size": 5120}, None),
        ({"num_hidden_layers": 40}, None),
        ({}, "max_position_embeddings"),
    ],
)
def test_baichuans_13b(changes: dict[str, Any], gone: str | None, source: Path) -> None:
    source.mkdir()
    config = {**layouts.BAICHUAN2, "vocab_size": 125_696, **changes}
    config.pop(gone or "", None)
    (source / "config.json").write_text(json.dumps(config))
    text = refusal(source)
    assert "13B" in text
    assert "ALiBi" in text


def test_baichuans_first_generation(source: Path) -> None:
    layouts.baichuan2(source, vocab_size=64_000)
    assert "first generation" in refusal(source)


def test_quantised_weights(source: Path) -> None:
    config, weights = layouts.baichuan2(source)
    weights["model.layers.1.mlp.up_proj.weight"] = weights["model.layers.1.mlp.up_proj.weight"].to(torch.int8)
    layouts.write_weights(source, weights, "bin")
    text = refusal(source)
    assert "model.layers.1.mlp.up_proj.weight is torch.int8" in text
    (source / "config.json").write_text(json.dumps({**config, "quantization_config": {"bits": 4}}))
    assert "quantised" in refusal(source)


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
@pytest.mark.parametrize("harm", ["lacks", "misshaped", "extra", "cut", "shard gone"])
def test_weights_that_are_not_the_published_ones(harm: str, kind: str, source: Path) -> None:
    _, weights = layouts.baichuan2(source, kind, shards=2)
    name = "model.layers.1.self_attn.W_pack.weight"
    stem = "model" if kind == "safetensors" else "pytorch_model"
    second = source / f"{stem}-00002-of-00002.{kind}"
    read: Any = load_file if kind == "safetensors" else torch.load
    write: Any = save_file if kind == "safetensors" else torch.save
    if harm == "cut":
        second.write_bytes(second.read_bytes()[:-2000])
    elif harm == "shard gone":
        second.unlink()
    else:
        holder = next(file for file in sorted(source.glob(f"*.{kind}")) if name in read(file))
        content = dict(read(holder))
        if harm == "lacks":
            del content[name]
        elif harm == "misshaped":
            content[name] = weights[name][:-1].clone()
        else:
            content["model.layers.9.mlp.up_proj.weight"] = torch.zeros(3, 3)
        write(content, holder)
    text = refusal(source)
    assert {
        "lacks": f"lacks 1 weights ({name})",
        "misshaped": f"{name} is [95, 32], and by config.json it must be [96, 32]",
        "extra": "holds model.layers.9.mlp.up_proj.weight, which",
        "cut": f"{second} cannot be read",
        "shard gone": f"lacks {second.name}",
    }[harm] in text


def test_a_weight_that_stands_twice(source: Path) -> None:
    layouts.baichuan2(source, "safetensors", shards=2)
    one, two = sorted(source.glob("*.safetensors"))
    double = next(iter(load_file(one)))
    save_file({**load_file(two), double: load_file(one)[double]}, two)
    assert f"holds {double} a second time" in refusal(source)


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("where", ["main", "tower"])
def test_a_pickle_that_is_more_than_tensors(where: str, source: Path) -> None:
    trace = source.parent / "trace"
    _, weights, tower = layouts.yivl(source)
    folder, content = (source, weights) if where == "main" else (source / layouts.TOWER_NAME, tower)
    torch.save({**content, "evil": Evil(trace)}, folder / "pytorch_model.bin")
    assert "holds more than tensors, and is not opened" in refusal(source)
    assert not trace.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists(), "read carelessly it would have run"


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {3: torch.ones(2)}])
def test_a_bin_file_without_named_tensors(content: Any, source: Path) -> None:
    layouts.baichuan2(source)
    torch.save(content, source / "pytorch_model.bin")
    assert "tensor" in refusal(source)


@pytest.mark.parametrize("name", ["../elsewhere", "/", "vit/../../elsewhere", "link"])
def test_a_tower_outside_the_folder(name: str, source: Path) -> None:
    """Complete, and still not read."""
    layouts.yivl(source, mm_vision_tower=name)
    (source / "vit").mkdir(exist_ok=True)
    (source / layouts.TOWER_NAME).rename(source.parent / "elsewhere")
    (source / "link").symlink_to("../elsewhere")
    assert "leaves its folder" in refusal(source)


@pytest.mark.parametrize(
    "file", ["../weights.safetensors", "/etc/passwd", "sub/weights.safetensors", "weights.bin"]
)
def test_shards_outside_the_folder(file: str, source: Path) -> None:
    layouts.baichuan2(source, "safetensors", shards=2)
    index = source / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["lm_head.weight"] = file
    index.write_text(json.dumps(content))
    assert f"names {file!r}, which is not" in refusal(source)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mm_projector_type": "mlp2x_gelu"}, "mm_projector_type 'mlp2x_gelu'"),
        ({"mm_vision_select_layer": -5}, "mm_vision_select_layer -5"),
        ({"mm_vision_select_layer": None}, "mm_vision_select_layer None"),
        ({"mm_vision_select_feature": "cls_patch"}, "mm_vision_select_feature 'cls_patch'"),
        ({"mm_vision_tower": "openai/clip-vit-large"}, "lacks its vision tower"),
        ({"mm_vision_tower": 3}, "must be a folder's name"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling"),
        ({"num_attention_heads": 5}, "no model of yivl can be built"),
        ({"torch_dtype": "float31"}, "no model of yivl can be built"),
        ({"num_attention_heads": "six"}, "no model of yivl can be built"),
        ({"vocab_size": 300}, "its embedding has 300 rows"),
    ],
)
def test_settings_of_yivl(changes: dict[str, Any], words: str, source: Path) -> None:
    layouts.yivl(source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, **changes}))
    assert words in refusal(source)


def test_pictures_and_tower_of_two_sizes(source: Path) -> None:
    layouts.yivl(source)
    pictures = {**layouts.PICTURES, "crop_size": {"height": 42, "width": 42}}
    (source / layouts.TOWER_NAME / "preprocessor_config.json").write_text(json.dumps(pictures))
    assert "42×42 pixels" in refusal(source)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vit/clip-448/config.json"])
@pytest.mark.parametrize("content", ["{", "[]", None])
def test_files_that_are_broken_or_gone(name: str, content: str | None, source: Path) -> None:
    layouts.yivl(source)
    if content is None:
        (source / name).unlink()
    else:
        (source / name).write_text(content)
    assert Path(name).name in refusal(source)


def test_other_layouts_and_families(source: Path) -> None:
    layouts.baichuan2(source)
    assert "layout of baichuan2, not of yivl" in refusal(source, "yivl")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    assert "model_type 'llama'" in refusal(source)


def test_what_was_converted_is_not_converted_again(source: Path) -> None:
    layouts.yivl(source)
    convert(source, source.parent / "once")
    assert "load as they are" in refusal(source.parent / "once")


def test_the_command(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.baichuan2(source)
    assert main(["convert", str(source), "--out", str(source)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["convert", str(source.parent), "--out", str(source.parent / "x")]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["convert", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for words in ("hf download", "--family", "model.local_folder=", "docs/converting.md"):
        assert words in text


def test_a_disk_that_is_full(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.baichuan2(source)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ntil.models.convert.shards.save_file", full)
    assert "No space left" in refusal(source)
