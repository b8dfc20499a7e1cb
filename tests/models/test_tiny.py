"""`tiny`: small, saved without loss, blind to padding, and no more logits than asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures import REPOSITORY
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from ntil.checksums import SUMS
from ntil.data.dataset import collate
from ntil.errors import UserError
from ntil.evaluation.generate import Question, generate
from ntil.models import Adapter, load_model, logit_width
from ntil.training.weights import load_weights, save_model

CONFIG = OmegaConf.load(REPOSITORY / "conf" / "model" / "tiny.yaml")


def build(**changes: Any) -> tuple[Any, Adapter]:
    cfg = OmegaConf.merge(CONFIG, OmegaConf.create(changes))
    assert isinstance(cfg, DictConfig)
    torch.manual_seed(0)
    model, adapter = load_model(cfg)
    return model.eval(), adapter


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Adapter]:
    return build()


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    torch.manual_seed(seed)
    values = torch.randint(0, 256, (size[1], size[0], 3), dtype=torch.uint8)
    return Image.frombytes("RGB", size, values.numpy().tobytes())


def batch(adapter: Adapter, *rows: tuple[str, Image.Image | None, str | None]) -> dict[str, Any]:
    return collate([adapter.encode(*row) for row in rows], adapter.pad_token_id)


def logits(model: Any, inputs: dict[str, Any], **options: Any) -> torch.Tensor:
    inputs = {name: value for name, value in inputs.items() if name not in ("labels", "logits_to_keep")}
    with torch.no_grad():
        result: torch.Tensor = model(**inputs, **options).logits
    return result


def test_it_is_tiny(tiny: tuple[Any, Adapter]) -> None:
    assert tiny[0].num_parameters() < 1_000_000
    assert logit_width(tiny[0]) == len(tiny[1].tokenizer)


def test_saved_and_loaded_it_says_the_same(tiny: tuple[Any, Adapter], tmp_path: Path) -> None:
    model, adapter = tiny
    save_model(model, adapter, tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()} - {SUMS}
    assert {Path(name).suffix for name in files} == {".json", ".safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "no temporary folder is left"
    loaded, loaded_adapter = load_model(CONFIG, folder=tmp_path / "model")
    question = ("Time?", picture(1), "3:25")
    inputs, again = batch(adapter, question), batch(loaded_adapter, question)
    assert all(torch.equal(torch.as_tensor(inputs[k]), torch.as_tensor(again[k])) for k in inputs)
    assert torch.equal(logits(model, inputs), logits(loaded.eval(), again))
    other, _ = build(image_size=64)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    load_weights(other, tmp_path / "model")
    assert torch.equal(logits(other, inputs), logits(model, inputs))


def test_logits_to_keep_is_a_slice(tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    inputs = batch(adapter, ("Time?", picture(1), "3:25"), ("What time?", picture(2), "12:00"))
    full = logits(model, inputs)
    assert full.shape[:2] == inputs["input_ids"].shape
    for keep in (1, 5, full.shape[1]):
        torch.testing.assert_close(logits(model, inputs, logits_to_keep=keep), full[:, -keep:])
    picked = torch.tensor([0, 7])
    torch.testing.assert_close(logits(model, inputs, logits_to_keep=picked), full[:, picked])


def test_padding_changes_no_logits(tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    rows = [("Time?", picture(1), "3:25"), ("And what time is it now?", picture(2), "12:00")]
    together = logits(model, batch(adapter, *rows))
    for i, row in enumerate(rows):
        alone = logits(model, batch(adapter, row))[0]
        torch.testing.assert_close(together[i, -len(alone) :], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("images", [True, False], ids=["pictures", "text only"])
def test_a_batch_is_answered_as_one_by_one(images: bool, tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    prompts = ["Time?", "What time is it?", "?", "Tell me the time"]
    questions = [Question(p, picture(i) if images else None) for i, p in enumerate(prompts)]
    together = generate(model, adapter, questions, 6)
    alone = [generate(model, adapter, [question], 6)[0] for question in questions]
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.tokens) == (other.text, other.tokens)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    assert len({answer.text for answer in alone}) > 1, "answers that are all alike would show nothing"


def test_generation_is_greedy_over_the_full_sequence(tiny: tuple[Any, Adapter]) -> None:
    """The cache, and the picture that is read only once, change nothing."""
    model, adapter = tiny
    inputs = batch(adapter, ("Time?", picture(3), None))
    said = generate(model, adapter, [Question("Time?", picture(3))], 5)[0]
    ids, tokens = inputs["input_ids"], []
    for _ in range(5):
        step = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": inputs["pixel_values"],
        }
        following = int(logits(model, step)[0, -1].argmax())
        if following == adapter.eos_token_id:
            break
        tokens.append(adapter.tokenizer.decode([following]))
        ids = torch.cat([ids, torch.tensor([[following]])], dim=1)
    assert said.tokens == tokens


def test_generate_keeps_the_models_mode(tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    for mode in (True, False):
        model.train(mode)
        generate(model, adapter, [Question("Time?", picture(0))], 2)
        assert model.training is mode


def test_the_picture_is_seen(tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    one, other = (logits(model, batch(adapter, ("Time?", picture(i), "3:25"))) for i in (1, 2))
    assert not torch.allclose(one, other)
    torch.testing.assert_close(one[:, 0], other[:, 0])  # <s> stands before the picture
    swapped = logits(model, batch(adapter, ("Time?", picture(2), "3:25"), ("Time?", picture(1), "3:25")))
    torch.testing.assert_close(swapped, torch.cat([other, one]), rtol=1e-4, atol=1e-4)


def test_visual_tokens_stand_where_the_image_tokens_are(tiny: tuple[Any, Adapter]) -> None:
    model, adapter = tiny
    seen = {}
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    inputs = batch(adapter, ("Time?", picture(1), "3:25"), ("T?", picture(2), "1:00"))
    logits(model, inputs)
    hook.remove()
    place = inputs["input_ids"] == adapter.tokenizer.image_token_id
    assert place.sum(1).tolist() == [16, 16]
    with torch.no_grad():
        visual = model.model.vision_tower(inputs["pixel_values"])
        words = model.get_input_embeddings()(inputs["input_ids"])
    torch.testing.assert_close(seen["inputs_embeds"][place].view(2, 16, -1), visual)
    torch.testing.assert_close(seen["inputs_embeds"][~place], words[~place])


@pytest.mark.parametrize("size", [(64, 64), (120, 40), (30, 90), (1, 1), (500, 499)])
def test_any_picture_becomes_a_square(size: tuple[int, int], tiny: tuple[Any, Adapter]) -> None:
    encoded = tiny[1].encode("Time?", picture(0, size), None)
    assert encoded["pixel_values"].shape == (3, 64, 64)
    assert encoded["pixel_values"].dtype == torch.uint8


def test_a_wide_picture_is_padded_in_the_middle_with_its_border(tiny: tuple[Any, Adapter]) -> None:
    pixels = tiny[1].encode("?", Image.new("RGB", (64, 32), (10, 200, 30)), None)["pixel_values"]
    assert (pixels == torch.tensor([10, 200, 30], dtype=torch.uint8)[:, None, None]).all()


@pytest.mark.parametrize("size", [32, 96])
def test_other_picture_sizes(size: int) -> None:
    model, adapter = build(image_size=size)
    assert adapter.encode("Time?", picture(1), None)["pixel_values"].shape == (3, size, size)
    assert generate(model, adapter, [Question("Time?", picture(1))], 2)


@pytest.mark.parametrize("kind", ["qwen2", "gemma", "llama", "mistral"])
def test_any_decoder_trains(kind: str) -> None:
    model, adapter = build(text_config={"model_type": kind})
    model.train()
    assert model.config.text_config.model_type == kind
    inputs = batch(adapter, ("Time?", picture(1), "3:25"), ("Time?", picture(2), "12:00"))
    labels, keep = inputs["labels"], inputs["logits_to_keep"]
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    values = []
    for _ in range(4):
        out = model(**{k: v for k, v in inputs.items() if k != "labels"}).logits
        loss = torch.nn.functional.cross_entropy(
            out[:, :-1].flatten(0, 1), labels[:, labels.shape[1] - keep + 1 :].flatten()
        )
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < values[0]


def test_a_decoder_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="lama"):
        build(text_config={"model_type": "lama"})
