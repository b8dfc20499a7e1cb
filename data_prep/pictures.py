"""A source picture, checked and made ready for a data set."""

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
ORIENTATION = 0x0112  # EXIF


class Picture(NamedTuple):
    """File content with its ending, the size its annotations speak of, and the size it has now; pixels."""

    content: bytes
    suffix: str
    source: tuple[int, int]
    size: tuple[int, int]

    def scaled(self, x: float, y: float) -> tuple[float, float]:
        """A point of the source in the picture as it is now."""
        return x * self.size[0] / self.source[0], y * self.size[1] / self.source[1]


def read_picture(path: Path, side: int | None = None) -> Picture | str:
    """The picture, resized to side × side pixels where given; or why it cannot be used.

    Annotations speak of the stored pixels: a file that asks viewers to turn it (EXIF) is stored again as it is, so that
    nothing turns it later. JPEG and PNG are otherwise copied byte for byte.
    """
    if not path.is_file():
        return "the picture is missing"
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as opened:
            kind, turned = opened.format, opened.getexif().get(ORIENTATION, 1) != 1
            picture = opened.convert("RGB")  # decodes all of it: a truncated file fails here
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"unreadable picture ({type(error).__name__})"
    source = picture.size
    if side is not None:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    if side is None and not turned and kind in SUFFIXES:
        return Picture(content, SUFFIXES[kind], source, source)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return Picture(buffer.getvalue(), ".png", source, picture.size)
