"""Left-padded batches: nothing is lost, nothing is supervised that should not be, and no more logits than needed."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntil.data.dataset import IGNORED, collate
from ntil.errors import UserError

PAD = 0


def row(question: int, answer: int | None, picture: bool = False) -> dict[str, torch.Tensor]:
    """`question` tokens, then `answer` supervised ones; all ids are distinct from the padding."""
    ids = torch.arange(1, question + (answer or 0) + 1)
    encoded = {"input_ids": ids}
    if answer is not None:
        encoded["labels"] = torch.where(torch.arange(len(ids)) < question, IGNORED, ids)
    if picture:
        encoded["pixel_values"] = torch.full((3, 2, 2), question, dtype=torch.uint8)
    return encoded


SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6)), min_size=1, max_size=5)


@given(sizes=SIZES)
def test_rows_are_unchanged_at_the_right(sizes: list[tuple[int, int]]) -> None:
    batch = collate([row(q, a) for q, a in sizes], PAD)
    longest = max(q + a for q, a in sizes)
    assert (
        batch["input_ids"].shape
        == batch["attention_mask"].shape
        == batch["labels"].shape
        == (len(sizes), longest)
    )
    for i, (q, a) in enumerate(sizes):
        expected = row(q, a)
        assert torch.equal(batch["input_ids"][i, longest - q - a :], expected["input_ids"])
        assert torch.equal(batch["labels"][i, longest - q - a :], expected["labels"])
        assert (batch["input_ids"][i, : longest - q - a] == PAD).all()
        assert (batch["labels"][i, : longest - q - a] == IGNORED).all()
        assert batch["attention_mask"][i].tolist() == [0] * (longest - q - a) + [1] * (q + a)


@given(sizes=SIZES)
def test_just_enough_logits_are_kept(sizes: list[tuple[int, int]]) -> None:
    batch = collate([row(q, a) for q, a in sizes], PAD)
    keep, width = batch["logits_to_keep"], batch["labels"].shape[1]
    assert 1 <= keep <= width
    outside = batch["labels"][:, : width - keep + 1]
    assert (outside == IGNORED).all(), "a label would have no logits that predict it"
    longest = max(a for _, a in sizes)
    assert keep == (longest + 1 if longest else keep)


def test_a_first_token_that_is_supervised_has_nothing_before_it() -> None:
    labels = torch.tensor([1, 2, 3])
    batch = collate([{"input_ids": labels, "labels": labels}], PAD)
    assert batch["logits_to_keep"] == 3


def test_a_batch_without_answers_has_no_labels() -> None:
    batch = collate([row(3, None), row(5, None)], PAD)
    assert set(batch) == {"input_ids", "attention_mask"}


def test_pictures_are_stacked_in_order() -> None:
    batch = collate([row(2, 1, picture=True), row(4, 1, picture=True)], PAD)
    assert batch["pixel_values"].shape == (2, 3, 2, 2)
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [2, 4]


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_pictures_are_never_dropped(order: tuple[bool, bool]) -> None:
    rows: list[Any] = [row(2, 1, picture=picture) for picture in order]
    with pytest.raises(UserError, match="mixes"):
        collate(rows, PAD)


def test_tensors_along_the_tokens_are_padded_like_them() -> None:
    rows = [
        {**row(2, 1), "token_type_ids": torch.tensor([0, 0, 1])},
        {**row(4, 1), "token_type_ids": torch.ones(5).long()},
    ]
    batch = collate(rows, PAD)
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1], [1, 1, 1, 1, 1]]


def test_patches_of_differing_numbers_follow_each_other() -> None:
    """As Qwen2-VL wants them: the grids say which patches are whose."""
    rows = []
    for count in (4, 8):
        patches = torch.full((count, 6), float(count))
        rows.append(
            {**row(2, 1), "pixel_values": patches, "image_grid_thw": torch.tensor([[1, 2, count // 2]])}
        )
    batch = collate(rows, PAD)
    assert batch["pixel_values"][:, 0].tolist() == [4.0] * 4 + [8.0] * 8
    assert batch["image_grid_thw"].tolist() == [[1, 2, 2], [1, 2, 4]]
