"""Records → encoded examples → left-padded batches."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ntil.data.example import Example
from ntil.data.pictures import UnreadablePictureError, decode, open_image
from ntil.data.task import Task
from ntil.errors import UserError
from ntil.io import inside, reading

IGNORED = -100
CACHED = 1 << 30  # bytes of encoded examples that are kept in memory, at most
ENTRY, TENSOR = 400, 700  # bytes that an example and each of its tensors take beside their content, about
ROW = "_row"  # which row of the data set an example is; no model is given it
LIKE_TOKENS = ("token_type_ids", "mm_token_type_ids")  # tensors of some families with an entry for each token


class Encoder(Protocol):
    """What a model's adapter offers to the data: text and picture to tensors (see ntil.models.adapters)."""

    pad_token_id: int

    def question_ids(self, prompt: str) -> list[int]: ...

    def answer_ids(self, answer: str) -> list[int]: ...

    def encode(self, prompt: str, image: Image.Image | None, answer: str | None) -> dict[str, Tensor]: ...


class PictureError(UserError):
    """A record's picture cannot be read: it is named with its record, and the other records go on."""


def picture_of(example: Example, root: Path) -> Image.Image | None:
    """A record's picture, None where it has none; PictureError with the record and the file where it cannot be read."""
    if example.image is None:
        return None
    try:
        if example.held is None:
            return open_image(inside(root, example.image))
        return decode(io.BytesIO(picture_file(example, root))).image
    except UnreadablePictureError as error:
        raise PictureError(f"record {example.id!r}: {example.image} {error}") from None
    except UserError as error:
        raise PictureError(f"record {example.id!r}: {error}") from None


def picture_file(example: Example, root: Path) -> bytes:
    """The content of a record's picture's file, wherever it lies; UserError where it cannot be read."""
    if example.held is not None:
        content = example.held.records.picture(example.held.place)
        if content is None:
            raise UserError(f"{example.image} is missing in its shard.")
        return content
    path = inside(root, str(example.image))
    with reading(path):
        return path.read_bytes()


class EncodedDataset(Dataset[dict[str, Tensor]]):
    """Examples as model inputs with labels on the answer only.

    A record whose picture cannot be read is replaced by the next one whose picture can, so that a training that meets it
    goes on, and a resumed one meets the same. UserError where there is none.

    cache: keep what was encoded in memory, up to CACHED bytes, for small pictures; later epochs then cost nothing. replaced:
    told of each such record and why, as often as it is met, in whichever process loads it.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        root: Path,
        task: Task,
        encoder: Encoder,
        cache: bool = False,
        replaced: Callable[[Example, str], None] = lambda example, reason: None,
    ) -> None:
        self.examples, self.root, self.task, self.encoder = examples, root, task, encoder
        self.replaced = replaced
        self._cache: dict[int, dict[str, Tensor]] = {}
        self._left = CACHED if cache else 0  # bytes

    def __len__(self) -> int:
        return len(self.examples)

    def text_length(self, index: int) -> int:
        """Tokens of the example's question and answer, without a picture's."""
        example = self.examples[index]
        question = self.encoder.question_ids(self.task.prompt(example))
        return len(question) + len(self.encoder.answer_ids(self.task.answer(example)))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index in self._cache:
            return self._cache[index]
        example, image = self._readable(index)
        encoded = self.encoder.encode(self.task.prompt(example), image, self.task.answer(example))
        encoded[ROW] = torch.tensor(index)
        size = ENTRY + sum(getattr(value, "nbytes", 0) + TENSOR for value in encoded.values())
        if size <= self._left:
            self._left -= size
            self._cache[index] = encoded
        return encoded

    def _readable(self, index: int) -> tuple[Example, Image.Image | None]:
        """The example at `index`, or the next whose picture can be read, and its picture."""
        first: PictureError | None = None
        for step in range(len(self)):
            example = self.examples[(index + step) % len(self)]
            try:
                return example, picture_of(example, self.root)
            except PictureError as error:
                self.replaced(example, str(error))
                first = first or error
        raise UserError(f"none of the {len(self)} pictures can be read, such as {first}")


def collate(rows: list[dict[str, Tensor]], pad_token_id: int) -> dict[str, Any]:
    """Pad on the left, so that answers end together and only the last positions need logits.

    Rows hold input_ids [T] and maybe labels [T], tensors that go along with the tokens (LIKE_TOKENS) and pictures; adds
    attention_mask [B, T] and, where there are labels, `logits_to_keep`: how many last positions predict a label, one more
    than the longest answer. Pictures are stacked; where they are cut into patches of differing numbers (image_grid_thw
    says how many), the patches of all rows follow each other.
    """
    if any(row.keys() != rows[0].keys() for row in rows):
        raise UserError(
            "a batch mixes examples with and without a picture or an answer; give each kind a set."
        )
    longest = max(len(row["input_ids"]) for row in rows)

    def left_pad(tensors: list[Tensor], value: int) -> Tensor:
        return torch.stack(
            [torch.nn.functional.pad(tensor, (longest - len(tensor), 0), value=value) for tensor in tensors]
        )

    ids = [row["input_ids"] for row in rows]
    batch: dict[str, Any] = {
        "input_ids": left_pad(ids, pad_token_id),
        "attention_mask": left_pad([torch.ones_like(row) for row in ids], 0),
    }
    if "labels" in rows[0]:
        labels = left_pad([row["labels"] for row in rows], IGNORED)
        supervised = (labels != IGNORED).any(0).nonzero()
        first = int(supervised[0]) if len(supervised) else longest - 1
        batch["labels"] = labels
        batch["logits_to_keep"] = longest - max(first, 1) + 1
    for name in rows[0].keys() - {"input_ids", "labels"}:
        tensors = [row[name] for row in rows]
        if name in LIKE_TOKENS:
            batch[name] = left_pad(tensors, 0)
        elif "image_grid_thw" in rows[0] and name != ROW:
            batch[name] = torch.cat(tensors)
        else:
            batch[name] = torch.stack(tensors)
    return batch
