"""What someone else may have done to a run's folder, by name: (the change, words of the message that names this fault)."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Change = Callable[[Path], None]
EVIL = "import pathlib\npathlib.Path('RAN').touch()\nclass Evil: pass\n"
RAN = "RAN"  # the file that each of them would make in the working folder
CALL = {"_target_": "os.system", "command": f"touch {RAN}"}
TARGETS: list[dict[str, Any]] = [
    CALL,
    {"_target_": "builtins.exec", "_args_": [f"open('{RAN}', 'w')"]},
    {"_target_": "builtins.eval", "_args_": [f"open('{RAN}', 'w')"]},
    {"_target_": "subprocess.run", "args": ["touch", RAN]},
    {"_target_": "subprocess.Popen", "args": f"touch {RAN}", "shell": True},
    {"_target_": "pathlib.Path.touch", "_args_": [RAN]},
    {"_target_": "hydra.utils.get_method", "path": "os.system"},
    {"_target_": "hydra.utils.call", "config": CALL},
    {"_target_": "hydra.utils.instantiate", "config": CALL},
    {"_target_": "os.system", "_partial_": True},
    {"_target_": "evil.Evil"},
    {"_target_": "tasks.clock.ClockTask", "question": CALL},
    {"_target_": "tasks.clock.ClockTask", "question": [CALL]},
    {"_target_": "tasks.clock.ClockTask", "_args_": [CALL]},
    {"_target_": "tasks.clock.ClockTask", "_partial_": True},
]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def set_config(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = yaml.safe_load((run / "config.yaml").read_text())
    change(content)
    (run / "config.yaml").write_text(yaml.safe_dump(content))


def node(name: str, value: Any) -> Change:
    """A part of the configuration, replaced."""
    return lambda run: set_config(run, lambda config: config.update({name: value}))


def within(name: str, **values: Any) -> Change:
    """Some settings of a part of the configuration."""
    return lambda run: set_config(run, lambda config: config[name].update(values))


def text(content: str) -> Change:
    """All of config.yaml."""

    def change(run: Path) -> None:
        (run / "config.yaml").write_text(content)

    return change


def in_json(name: str, **values: Any) -> Change:
    """Some values of one of the model's files."""

    def change(run: Path) -> None:
        path = run / "model" / name
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | values))

    return change


def pickled(run: Path) -> None:
    (run / "model" / "model.safetensors").unlink()
    (run / "model" / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {RAN}'\ntR.".encode())


def linked(run: Path) -> None:
    shutil.move(run / "model", run.parent.parent / "elsewhere")
    (run / "model").symlink_to(run.parent.parent / "elsewhere")


def pipe(run: Path) -> None:
    os.mkfifo(run / "model" / "notes.txt")


def sharded(run: Path) -> None:
    weights = run / "model" / "model.safetensors"
    shutil.move(weights, run.parent.parent / "x.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../../../x.safetensors"}}
    (run / "model" / "model.safetensors.index.json").write_text(json.dumps(index))


CONFIGS: dict[str, tuple[Change, str]] = {  # no command reads past these
    "bomb": (text(BOMB), "alias"),
    "deep": (text("[" * 50_000), "nested"),
    "deep mappings": (text("{a: " * 200 + "1" + "}" * 200), "nested"),
    "huge": (text("a: " + "x" * 300_000), "bytes"),
    "null": (text("a: \0\n"), "not valid YAML"),
    "tag": (text(f"a: !!python/object/apply:os.system ['touch {RAN}']\n"), "python/object"),
    "environment": (node("model", {"family": "${oc.env:HOME}"}), "${oc.env:HOME}"),
    "a resolver": (node("model", {"family": f"${{eval:open('{RAN}','w')}}"}), "${eval"),
    "missing": (node("model", {"family": "???"}), "???"),
}
TASKS: dict[str, tuple[Change, str]] = {  # no concern of the export, which builds no task
    **{
        f"{number} {target['_target_']}": (
            node("task", target),
            "no task of this project" if "ClockTask" not in target["_target_"] else "only plain settings",
        )
        for number, target in enumerate(TARGETS)
    },
    "endless": (within("task", max_new_tokens=10**9), "max_new_tokens"),
    "no task": (node("task", None), "names no task"),
}
MODELS: dict[str, tuple[Change, str]] = {  # no concern of what reads the results alone
    "a list": (node("model", [1]), "names no model"),
    "a word": (node("model", "tiny"), "names no model"),
    "nothing": (node("model", {}), "names no model"),
    "no family": (node("model", {"family": 3}), "names no model"),
    "another family": (node("model", {"family": "../../x"}), "model lacks"),
    "half a family": (node("model", {"family": "llava15", "name": "x"}), "model lacks"),
    "auto_map": (
        in_json("config.json", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}),
        "auto_map",
    ),
    "tokenizer": (
        in_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}),
        "tokenizer_config.json names code",
    ),
    "kernel": (in_json("config.json", _attn_implementation="someone/kernel"), "someone/kernel"),
    "quantised": (
        in_json("config.json", quantization_config={"quant_method": "gptq"}),
        "quantization_config",
    ),
    "weights elsewhere": (
        in_json("config.json", transformers_weights="../../x.safetensors"),
        "transformers_weights",
    ),
    "shards elsewhere": (sharded, "../../../x.safetensors"),
    "another model": (in_json("config.json", model_type="llama"), "model_type is 'llama'"),
    "a strange part": (in_json("config.json", text_config={"model_type": "evil"}), "'evil' is no part"),
    "backbone": (in_json("config.json", backbone="resnet50"), "backbone"),
    "timm": (in_json("config.json", vision={"use_timm_backbone": True}), "backbone"),
    "adapters": (
        in_json("adapter_config.json", base_model_name_or_path="/x", peft_type="LORA"),
        "adapter_config.json",
    ),
    "wide": (in_json("config.json", text_config={"model_type": "llama", "hidden_size": 10**9}), "values"),
    "wide enough": (
        in_json("config.json", text_config={"model_type": "llama", "intermediate_size": 10**8}),
        "values, and the weights",
    ),
    "many layers": (
        in_json("config.json", text_config={"model_type": "llama", "num_hidden_layers": 10**9}),
        "num_hidden_layers",
    ),
    "labels": (in_json("config.json", num_labels=10**8), "num_labels"),
    "infinite": (in_json("config.json", rope_theta=float("inf")), "rope_theta"),
    "negative": (in_json("config.json", channels=[-1, 2]), "holds no model"),
    "a wrong type": (in_json("config.json", channels="x"), "holds no model"),
    "a large picture": (in_json("preprocessor_config.json", size=10**6), "size"),
    "templates": (
        in_json("tokenizer_config.json", chat_template=[{"name": "../../../x", "template": "x"}]),
        "chat_template",
    ),
    "pickled": (pickled, "has no model.safetensors"),
    "linked": (linked, "is a link out"),
    "pipe": (pipe, "is no plain file"),
}
