"""A source picture, checked and made ready for a data set."""

import io
import operator
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from ntil.data.pictures import Decoded, Size, UnreadablePictureError, decode

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}  # of what is copied byte for byte
ROUNDING = 0.02  # by how much a resized picture's aspect may differ from the one that is stated


class Picture(NamedTuple):
    """File content with its ending, the size of the frame that annotations speak of, and the size it has now; pixels."""

    content: bytes
    suffix: str
    source: Size
    size: Size
    orientation: int = 1  # EXIF's, of the annotations' frame in the picture as it is now

    def scaled(self, x: float, y: float) -> tuple[float, float]:
        """A point of the annotations' frame in the picture as it is now."""
        x, y = upright(x, y, self.source, self.orientation)
        width, height = upright_size(self.source, self.orientation)
        return x * self.size[0] / width, y * self.size[1] / height

    def image(self) -> Image.Image:
        """The picture itself, in RGB."""
        return decode(io.BytesIO(self.content)).image


Frame = Literal["upright", "stored"] | Size


def read_picture(path: Path, side: int | None = None, frame: Frame = "upright") -> Picture | str:
    """The picture, resized to side × side pixels where given; or why it cannot be used.

    frame: what its annotations speak of. "upright": the picture as viewers show it, and as training, evaluation and
    prediction see it. "stored": its pixels before EXIF data turn them; a picture that would be turned is stored again as it
    is. A size in pixels: whichever of the two has it, or has its aspect (the annotations were made on a larger or
    smaller copy); the picture is upright then, and `scaled` brings points into it. A size that fits neither is a reason, and
    so is one that fits both of a picture that is turned.

    Unless it is resized, or in another format than JPEG and PNG, the file is copied byte for byte.
    """
    try:
        if not path.is_file():
            return "the picture is missing"
        content = path.read_bytes()
        found = decode(io.BytesIO(content))
    except UnreadablePictureError as error:
        return f"unreadable picture ({error.reason})"
    except OSError as error:
        return f"unreadable picture ({type(error).__name__})"
    turned = found.orientation != 1
    if frame == "stored":
        return _made(found.stored(), found.stored().size, side, None if turned else (content, found.kind))
    copy = (content, found.kind)
    if frame == "upright":
        return _made(found.image, found.image.size, side, copy)
    orientation = _orientation(frame, found)
    if isinstance(orientation, str):
        return orientation
    return _made(found.image, frame, side, copy)._replace(orientation=orientation)


def _made(image: Image.Image, source: Size, side: int | None, copy: tuple[bytes, str] | None) -> Picture:
    """copy: the file's content and format, where it may be kept."""
    if side is None and copy is not None and copy[1] in SUFFIXES:
        return Picture(copy[0], SUFFIXES[copy[1]], source, image.size)
    if side is not None:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return Picture(buffer.getvalue(), ".png", source, image.size)


def _orientation(stated: Size, found: Decoded) -> int | str:
    """EXIF's orientation of the frame of this size in the upright picture, or why it cannot be told."""
    shown = found.image.size
    stored = upright_size(shown, found.orientation)  # turning sides over once more brings them back
    for fits in (operator.eq, _same_aspect):
        frames = {turn for turn, size in ((1, shown), (found.orientation, stored)) if fits(stated, size)}
        if len(frames) == 1:
            return frames.pop()
        if frames:
            return (
                "it is turned (EXIF), and its annotation's size does not tell which way up it was annotated"
            )
    return "its annotation is of a picture of another size or aspect"


def _same_aspect(one: Size, other: Size) -> bool:
    """Whether one is the other resized: off by a pixel at most in the smaller of the two, rounded or cut."""
    (width, height), (wide, high) = sorted((one, other))
    off = abs(high * width / wide - height)
    return off <= 0.5 or (off <= 1 and off <= ROUNDING * height)


def upright_size(size: Size, orientation: int) -> Size:
    """Width and height of a frame after EXIF's turn."""
    return (size[1], size[0]) if orientation >= 5 else size


def upright(x: float, y: float, size: Size, orientation: int) -> tuple[float, float]:
    """A point of a frame of this size after EXIF's turn."""
    width, height = size
    match orientation:
        case 2:
            return width - x, y
        case 3:
            return width - x, height - y
        case 4:
            return x, height - y
        case 5:
            return y, x
        case 6:
            return height - y, x
        case 7:
            return height - y, width - x
        case 8:
            return y, width - x
    return x, y
