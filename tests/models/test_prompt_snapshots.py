"""Each family's prompt and labels with its real tokenizer, token for token, against stored snapshots.

A picture's tokens are stored as <token>×count. After a change that is meant: NTIL_WRITE_SNAPSHOTS=1 pytest <this file>, and
read the difference.
"""

import itertools
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from model_configs import READING, SEEING, adapter_with, picture
from transformers import PreTrainedTokenizerFast

from ntil.data.dataset import IGNORED
from ntil.models.published import PublishedAdapter
from ntil.training.dry_run import marked

SNAPSHOTS = Path(__file__).with_name("prompt_snapshots")
TOKENIZERS = {  # family → the folder of its tokenizer
    **{"qwen2vl": "qwen2_5", "llava15": "llama2", "paligemma": "gemma", "yivl": "yi"},
    **{"baichuan2": "baichuan2", "qwen2_5": "qwen2_5", "llama3": "llama3", "yi": "yi"},
}
BOXES = {
    "qwen2vl": "<|box_start|>(412,388),(587,612)<|box_end|>",
    "paligemma": "<loc0397><loc0422><loc0626><loc0600>",
    "llava15": "[0.41, 0.39, 0.59, 0.61]",
    "yivl": "[0.41, 0.39, 0.59, 0.61]",
}
SEEN = [("What time is it?", "3:25"), ("Where is the red ring?", None)]  # None: the family's box
READ = [("12+34=", "46"), ("What is 2024.5 - 2037?", "-12.5"), ("007 × 3", "21")]
LARGE = pytest.mark.slow  # seconds to read
EVERY = pytest.mark.parametrize(
    "family", [pytest.param(f, marks=() if t in ("llama2", "yi") else LARGE) for f, t in TOKENIZERS.items()]
)
Folder = Callable[[str], Path]


@cache
def adapter_in(family: str, folder: Path) -> PublishedAdapter:
    return adapter_with(family, str(folder))


def samples(family: str) -> list[tuple[str, str]]:
    return [(q, a or BOXES[family]) for q, a in (SEEN if family in SEEING else READ)]


def runs(ids: list[int]) -> str:
    """[5, 7, 7, 7] → "5 7×3"."""
    found = [(token, len(list(group))) for token, group in itertools.groupby(ids)]
    return " ".join(str(token) if count == 1 else f"{token}×{count}" for token, count in found)


def test_every_family_with_a_tokenizer_at_hand_has_a_snapshot() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.json")} == set(TOKENIZERS)
    assert set(SEEING) | set(READING) == set(TOKENIZERS) | {"minicpm3", "smollm2"}, (
        "none of theirs is at hand"
    )


@EVERY
def test_prompts_and_labels_are_as_stored(family: str, tokenizer_folder: Folder) -> None:
    adapter = adapter_in(family, tokenizer_folder(TOKENIZERS[family]))
    found = []
    for question, answer in samples(family):
        row = adapter.encode(question, picture(family), answer)
        labels = row["labels"][row["labels"] != IGNORED].tolist()
        prompt = row["input_ids"][: -len(labels)].tolist()
        found.append(
            {
                "question": question,
                "answer": answer,
                "text": marked(adapter, row),
                "prompt_ids": runs(prompt),
                "labels": " | ".join(adapter.tokenizer.convert_ids_to_tokens(labels)),
                "label_ids": runs(labels),
            }
        )
    path = SNAPSHOTS / f"{family}.json"
    if os.environ.get("NTIL_WRITE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))


@EVERY
def test_the_answer_is_tokenised_as_in_the_whole_text(family: str, tokenizer_folder: Folder) -> None:
    """Prompt and answer are tokenised apart; the whole text in one piece has the same tokens."""
    adapter = adapter_in(family, tokenizer_folder(TOKENIZERS[family]))
    for question, answer in samples(family):
        ids = adapter.encode(question, picture(family), answer)["input_ids"].tolist()
        text = adapter.prompt.text.replace("{question}", question).replace(
            "{image}", adapter.prompt.image or ""
        )
        if family == "paligemma":
            text = text.replace("<image>", "<image><bos>") + "\n"
        text += adapter.prompt.answer.replace("{answer}", answer)
        if adapter.processor is not None:
            token = adapter.processor.image_token
            text = text.replace(token, token * ids.count(adapter.processor.image_token_id))
        begin = adapter._begin
        assert ids == begin + adapter.tokenizer(text, add_special_tokens=False)["input_ids"]


@EVERY
def test_labels_decode_to_the_answer(family: str, tokenizer_folder: Folder) -> None:
    adapter = adapter_in(family, tokenizer_folder(TOKENIZERS[family]))
    for question, answer in samples(family):
        labels = adapter.encode(question, picture(family), answer)["labels"]
        assert adapter.decode(labels[labels != IGNORED]) == answer


@LARGE
@pytest.mark.parametrize("family", ["qwen2_5", "llama3"])
def test_the_prompt_is_the_published_chat_template(family: str, tokenizer_folder: Folder) -> None:
    folder = tokenizer_folder(family)
    template = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    published = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token="<|begin_of_text|>" if family == "llama3" else None,
        chat_template=template,
    )
    messages = [{"role": "user", "content": "12+34="}]
    rendered = published.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    adapter = adapter_in(family, folder)
    assert adapter.prompt.text.replace("{question}", "12+34=") == rendered
    expected = published(rendered, add_special_tokens=False)["input_ids"]
    assert adapter.encode("12+34=", None, None)["input_ids"].tolist() == expected


@LARGE
def test_qwens_marks_have_the_published_ids(tokenizer_folder: Folder) -> None:
    adapter = adapter_in("qwen2vl", tokenizer_folder("qwen2_5"))
    row = adapter.encode("Where?", picture("qwen2vl"), BOXES["qwen2vl"])
    assert (row["input_ids"] == 151655).sum() == 4
    assert row["labels"][-1] == 151645
    assert torch.equal(row["mm_token_type_ids"], (row["input_ids"] == 151655).long())
