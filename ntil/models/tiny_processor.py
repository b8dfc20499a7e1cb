"""Pictures and characters for `tiny`: an image processor, a character tokenizer, and both as one processor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast
from transformers.image_processing_utils import BaseImageProcessor

from ntil.models.pictures import pad_to_square

PAD, BOS, EOS, IMAGE, UNKNOWN = "<pad>", "<s>", "</s>", "<image>", "<unk>"
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))


def character_tokenizer(digits: int = 1) -> PreTrainedTokenizerFast:
    """One token a printable ASCII character; anything else is <unk>.

    digits: the most that one token may hold. With 3, a run of digits is cut from the left into three and a rest, and each
    of 0–9, 00–99 and 000–999 is a token, as Llama 3 has them.
    """
    longer = [f"{value:0{length}}" for length in range(2, digits + 1) for value in range(10**length)]
    entries = [PAD, BOS, EOS, IMAGE, UNKNOWN, *CHARACTERS, *longer]
    tokenizer = Tokenizer(models.WordLevel({entry: i for i, entry in enumerate(entries)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"[0-9]{{1,{digits}}}|[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


class TinyImageProcessor(BaseImageProcessor):
    """Pads a picture to a square with its border's colour and resizes it: uint8 [B, 3, size, size]."""

    model_input_names = ["pixel_values"]  # noqa: RUF012 - transformers' own convention

    def __init__(self, size: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def preprocess(self, images: Image.Image | Sequence[Image.Image], **_: Any) -> BatchFeature:
        images = [images] if isinstance(images, Image.Image) else images
        return BatchFeature({"pixel_values": torch.stack([self._to_tensor(image) for image in images])})

    def _to_tensor(self, image: Image.Image) -> Tensor:
        image = _square(image.convert("RGB"))
        if image.width != self.size:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return pixels.view(self.size, self.size, 3).permute(2, 0, 1).contiguous()


def _square(image: Image.Image) -> Image.Image:
    """Padded to a square, the picture in the middle, the rest in the mean colour of its border."""
    width, height = image.size
    if width == height:
        return image
    border = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(height, width, 3).float()
    edges = torch.cat([border[0], border[-1], border[:, 0], border[:, -1]])
    red, green, blue = (int(channel) for channel in edges.mean(0).round())
    return pad_to_square(image, (red, green, blue))


class TinyProcessor:
    """Image processor and tokenizer of `tiny`, with the save_pretrained and from_pretrained of transformers' processors.

    Not a `ProcessorMixin`: its from_pretrained cannot look up image processors registered from outside (transformers 5).
    """

    def __init__(self, image_processor: TinyImageProcessor, tokenizer: PreTrainedTokenizerFast) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer

    def save_pretrained(self, folder: str | Path) -> None:
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "TinyProcessor":
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        return cls(TinyImageProcessor.from_pretrained(folder, local_files_only=True), tokenizer)
