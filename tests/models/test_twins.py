"""Each family's twin: prompts, masks, padding, logits, generation and files, with the family's own classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from model_configs import READING, SEEING, adapter_with, model_config, picture, twin

from ntil.checksums import SUMS
from ntil.data.dataset import IGNORED, collate
from ntil.errors import UserError
from ntil.evaluation.generate import Question, generate
from ntil.models import Adapter, load_model, logit_width
from ntil.models.families import FAMILIES
from ntil.numbers import NumberVocab
from ntil.training.weights import save_model

EVERY = pytest.mark.parametrize("family", sorted(FAMILIES))
# Tests that build a model anew take one family of each kind by default.
KINDS = ("llava15", "minicpm3")
SOME = pytest.mark.parametrize(
    "family", [pytest.param(f, marks=() if f in KINDS else pytest.mark.slow) for f in sorted(FAMILIES)]
)
ANSWERS = ("3:25", "-7.50", "2024", "(412,388),(587,612)", "[0.41, 0.39, 0.59, 0.61]")


def batch(adapter: Adapter, *rows: tuple[str, Any, str | None]) -> dict[str, Any]:
    return collate([adapter.encode(*row) for row in rows], adapter.pad_token_id)


def logits(model: Any, inputs: dict[str, Any], **options: Any) -> torch.Tensor:
    inputs = {name: value for name, value in inputs.items() if name not in ("labels", "logits_to_keep")}
    with torch.no_grad():
        result: torch.Tensor = model(**inputs, **options).logits
    return result


@EVERY
def test_it_is_the_familys_own_class_at_toy_width(family: str) -> None:
    model, _ = twin(family)
    assert type(model) is FAMILIES[family].model_class
    assert model.config.model_type == FAMILIES[family].model_type
    assert model.num_parameters() < 1_000_000


@EVERY
@pytest.mark.parametrize("answer", ANSWERS)
def test_labels_are_the_answer_and_its_end_only(family: str, answer: str) -> None:
    adapter = twin(family)[1]
    encoded = adapter.encode("What is it?", picture(family), answer)
    ids, labels = encoded["input_ids"], encoded["labels"]
    supervised = labels[labels != IGNORED]
    assert torch.equal(ids[-len(supervised) :], supervised), "the answer stands at the end"
    assert (labels[: -len(supervised)] == IGNORED).all()
    assert adapter.decode(supervised) == answer
    text = adapter.tokenizer.decode(supervised)
    assert text.removeprefix(" ") == adapter.prompt.answer.replace("{answer}", answer).removeprefix(" ")


@EVERY
def test_a_question_is_the_start_of_question_and_answer(family: str) -> None:
    adapter = twin(family)[1]
    asked, answered = (adapter.encode("What is it?", picture(family), a) for a in (None, "3:25"))
    assert torch.equal(answered["input_ids"][: len(asked["input_ids"])], asked["input_ids"])
    assert asked.keys() == answered.keys() - {"labels"}


@EVERY
def test_tensors_along_the_tokens_are_as_long(family: str) -> None:
    encoded = twin(family)[1].encode("What is it?", picture(family), "3:25")
    for name in ("labels", "token_type_ids", "mm_token_type_ids"):
        if name in encoded:
            assert len(encoded[name]) == len(encoded["input_ids"]), name


@EVERY
def test_every_digit_of_an_answer_is_seen(family: str) -> None:
    model, adapter = twin(family)
    vocab = NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    for answer in ("3:25", "2024", "007", "-7.50"):
        labels = adapter.encode("?", picture(family), answer)["labels"]
        seen = int(vocab.width[labels[labels != IGNORED]].sum())
        assert seen == sum(c.isdigit() for c in answer), answer


def test_digits_are_split_as_the_families_split_them() -> None:
    def pieces(family: str) -> list[str]:
        adapter = twin(family)[1]
        return adapter.tokenizer.convert_ids_to_tokens(
            adapter.tokenizer("2024", add_special_tokens=False)["input_ids"]
        )

    assert pieces("llama3") == ["202", "4"]
    for family in ("qwen2vl", "qwen2_5", "smollm2", "yi", "yivl", "paligemma"):
        assert pieces(family) == [*"2024"], family
    for family in ("llava15", "baichuan2"):
        assert pieces(family) == ["▁", *"2024"], family


def test_paligemma_has_its_coordinate_bins() -> None:
    model, adapter = twin("paligemma")
    answer = "<loc0397><loc0422><loc0626><loc1023>"
    labels = adapter.encode("detect ring", picture("paligemma"), answer)["labels"]
    supervised = labels[labels != IGNORED]
    assert len(supervised) == 5
    assert adapter.decode(supervised) == answer
    vocab = NumberVocab.from_tokenizer(adapter.tokenizer, vocab_size=logit_width(model))
    assert vocab.value[supervised[:4]].tolist() == [397, 422, 626, 1023]


def test_qwens_box_marks_are_tokens_of_the_answer() -> None:
    adapter = twin("qwen2vl")[1]
    answer = "<|box_start|>(412,388),(587,612)<|box_end|>"
    labels = adapter.encode("Where?", picture("qwen2vl"), answer)["labels"]
    supervised = labels[labels != IGNORED].tolist()
    assert adapter.tokenizer.convert_tokens_to_ids("<|box_start|>") == supervised[0]
    assert adapter.decode(torch.tensor(supervised)) == answer


@EVERY
def test_reserved_tokens_cannot_be_smuggled_in(family: str) -> None:
    adapter = twin(family)[1]
    end = adapter.prompt.stop_tokens[0]
    for question, answer in ((f"a{end}b", "1"), ("a", f"1{end}2")):
        with pytest.raises(UserError, match="reserves"):
            adapter.encode(question, picture(family), answer)
    if adapter.processor is not None:
        with pytest.raises(UserError, match="reserves"):
            adapter.encode(f"a{adapter.processor.image_token}b", picture(family), "1")


@pytest.mark.parametrize("family", READING)
def test_text_models_refuse_pictures(family: str) -> None:
    with pytest.raises(UserError, match="reads text only"):
        twin(family)[1].encode("?", picture("qwen2vl"), "1")


@pytest.mark.parametrize("family", SEEING)
def test_a_question_without_a_picture(family: str) -> None:
    adapter = twin(family)[1]
    if family == "paligemma":
        with pytest.raises(UserError, match="pictures only"):
            adapter.encode("?", None, "1")
        return
    encoded = adapter.encode("12+34=", None, "46")
    assert "pixel_values" not in encoded
    assert adapter.processor.image_token_id not in encoded["input_ids"]
    assert logits(twin(family)[0], batch(adapter, ("12+34=", None, "46"))).isfinite().all()


@pytest.mark.parametrize(
    ("family", "side"), [("llava15", 56), ("yivl", 56), ("paligemma", 56), ("qwen2vl", None)]
)
def test_as_many_image_tokens_as_visual_features(family: str, side: int | None) -> None:
    adapter = twin(family)[1]
    encoded = adapter.encode("?", picture(family, size=(120, 40)), None)
    places = int((encoded["input_ids"] == adapter.processor.image_token_id).sum())
    if side is not None:
        assert encoded["pixel_values"].shape == (3, side, side)
        assert places == (side // 14) ** 2
    else:
        assert places == len(encoded["pixel_values"]) // 4 == int(encoded["image_grid_thw"].prod()) // 4


@pytest.mark.parametrize("family", ["llava15", "yivl"])
def test_a_wide_picture_is_padded_with_the_mean_colour(family: str) -> None:
    """Normalised, the mean colour is about 0: that is what stands above and below a wide picture."""
    wide = picture(family, size=(112, 28))
    assert wide is not None
    pixels = twin(family)[1].encode("?", wide, None)["pixel_values"]
    assert pixels[:, :18].abs().max() < 0.03
    assert pixels[:, 38:].abs().max() < 0.03
    assert pixels[:, 24:32].abs().max() > 0.5


@EVERY
def test_logits_to_keep_is_a_slice(family: str) -> None:
    model, adapter = twin(family)
    inputs = batch(
        adapter, ("What?", picture(family, 1), "3:25"), ("What time?", picture(family, 2), "12:00")
    )
    full = logits(model, inputs)
    assert full.shape == (*inputs["input_ids"].shape, logit_width(model))
    kept = logits(model, inputs, logits_to_keep=inputs["logits_to_keep"])
    torch.testing.assert_close(kept, full[:, -inputs["logits_to_keep"] :])
    assert kept.shape[1] < full.shape[1] / 2


@EVERY
def test_padding_and_neighbours_change_no_logits(family: str) -> None:
    """Also pictures of differing shapes, which Qwen2-VL cuts into differing numbers of patches."""
    model, adapter = twin(family)
    rows = [
        ("What?", picture(family, 1, (64, 64)), "3:25"),
        ("And what is it now, after all?", picture(family, 2, (28, 112)), "12:00"),
    ]
    together = logits(model, batch(adapter, *rows))
    for i, row in enumerate(rows):
        alone = logits(model, batch(adapter, row))[0]
        torch.testing.assert_close(together[i, -len(alone) :], alone, rtol=1e-3, atol=1e-4)


@EVERY
def test_the_answer_sees_only_what_is_before_it(family: str) -> None:
    """A later token of the answer changes no earlier logits; PaliGemma's prompt attends both ways, its answer does not."""
    model, adapter = twin(family)
    rows = [("What?", picture(family, 1), answer) for answer in ("111", "112")]
    one, other = (logits(model, batch(adapter, row))[0] for row in rows)
    ids = [adapter.encode(*row)["input_ids"] for row in rows]
    different = int((ids[0] != ids[1]).nonzero()[0])
    changed = (one - other).abs().amax(-1) > 1e-6
    assert not changed[:different].any()
    assert changed[different:].any()


def test_paligemmas_prompt_attends_both_ways() -> None:
    model, adapter = twin("paligemma")
    rows = [(question, picture("paligemma", 1), "3:25") for question in ("aa", "ab")]
    one, other = (logits(model, batch(adapter, row))[0] for row in rows)
    assert ((one - other).abs().amax(-1) > 1e-6)[0], "the first position sees the prompt's last letter"


@pytest.mark.parametrize("family", SEEING)
def test_the_picture_is_seen(family: str) -> None:
    model, adapter = twin(family)
    rows = [("What?", picture(family, seed), "3:25") for seed in (1, 2)]
    one, other = (logits(model, batch(adapter, row)) for row in rows)
    assert not torch.allclose(one[:, -1], other[:, -1])
    swapped = logits(model, batch(adapter, *rows[::-1]))
    torch.testing.assert_close(swapped, torch.cat([other, one]), rtol=1e-3, atol=1e-4)


@EVERY
def test_a_batch_is_answered_as_one_by_one(family: str) -> None:
    model, adapter = twin(family)
    prompts = ["Time?", "What is the time, please?", "?"]
    questions = [Question(p, picture(family, i, (64, 28 * (i + 1)))) for i, p in enumerate(prompts)]
    together = generate(model, adapter, questions, 5)
    for one, question in zip(together, questions, strict=True):
        (alone,) = generate(model, adapter, [question], 5)
        assert (one.text, one.tokens) == (alone.text, alone.tokens)
        assert one.probabilities == pytest.approx(alone.probabilities, abs=1e-3)


@EVERY
def test_generation_is_greedy_over_the_full_sequence(family: str) -> None:
    """The cache, the positions and the attention of generated tokens are those of training."""
    model, adapter = twin(family)
    said = generate(model, adapter, [Question("Time?", picture(family, 3))], 4)[0]
    ids: list[int] = []
    for _ in range(4):
        inputs = batch(adapter, ("Time?", picture(family, 3), None))
        more = torch.tensor([ids], dtype=torch.long)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        for name, kind in (("token_type_ids", 1), ("mm_token_type_ids", 0)):
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.full_like(more, kind)], dim=1)
        following = int(logits(model, inputs)[0, -1].argmax())
        if following in adapter.stop_ids:
            break
        ids.append(following)
    assert said.tokens == [adapter.tokenizer.decode([token]) for token in ids]


@EVERY
def test_an_answer_ends_at_any_stop(family: str) -> None:
    adapter = twin(family)[1]
    reply = adapter.encode("?", picture(family), "3:25")["labels"]
    reply = reply[reply != IGNORED]
    for stop in adapter.stop_ids:
        assert adapter.decode(torch.cat([reply, torch.tensor([stop, reply[0]])])) == "3:25"
    assert adapter.written(torch.tensor([adapter.stop_ids[0], 5])) == []


def test_yivl_stops_at_its_mark_in_the_middle_of_a_batch() -> None:
    adapter = twin("yivl")[1]
    ids = torch.tensor(adapter._ids("3:25\n### Human: and"))
    assert adapter.decode(ids) == "3:25"
    assert adapter.tokenizer.decode(adapter.written(ids)).rstrip("\n#") == "3:25"
    assert "###" not in adapter.tokenizer.decode(adapter.written(ids))


@EVERY
def test_saved_and_loaded_it_says_the_same(family: str, tmp_path: Path) -> None:
    """Through the files that published checkpoints have, by the code that reads those."""
    model, adapter = twin(family)
    save_model(model, adapter, tmp_path / "model")
    files = {path.name for path in (tmp_path / "model").iterdir()} - {SUMS}
    assert {Path(name).suffix for name in files} == {".json", ".safetensors"}
    cfg = model_config(family, f"model.local_folder={tmp_path / 'model'}", "model/tuning=full")
    if family == "qwen2vl":
        cfg.min_pixels, cfg.max_pixels = 784, 3136  # the twin's
    loaded, loaded_adapter = load_model(cfg)
    row = ("What is it?", picture(family, 1), "3:25")
    inputs, again = batch(adapter, row), batch(loaded_adapter, row)
    assert inputs.keys() == again.keys()
    assert all(torch.equal(torch.as_tensor(inputs[k]), torch.as_tensor(again[k])) for k in inputs)
    assert torch.equal(logits(model, inputs), logits(loaded.eval(), again))


@SOME
def test_weights_do_not_depend_on_the_seed(family: str) -> None:
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()
        states.append(load_model(model_config(f"{family}_tiny"))[0].state_dict())
        assert torch.equal(torch.random.get_rng_state(), state), "and the seed's stream is left alone"
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_tokenizer_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no tokenizer\.json"):
        adapter_with("llama3", str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer"):
        adapter_with("llama3", str(tmp_path))
