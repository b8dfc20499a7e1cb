"""The one reader of pictures: what is built, trained on, evaluated and predicted has the same pixels.

A picture is the file's first frame, upright as its EXIF data ask, in RGB of 8 bits: transparency lies on white, palettes and
CMYK are resolved, and deep grey (16 bits and more, or floating point) is stretched from its own darkest and brightest value
to 0 … 255.

Files of unknown origin are opened, so only FORMATS are, none of which calls another program, and only within limits that
hold before anything is decoded, squared or enlarged: a photo of 108 megapixels passes, and a square around the longest
picture takes 432 MB.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ntil.errors import UserError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = frozenset(
    ending
    for ending, kind in Image.registered_extensions().items()
    if kind in (*FORMATS, "MPO")  # JPEG of several pictures, as phones make it
)

MAX_SIDE = 12_000  # pixels
MAX_AREA = 120_000_000  # square pixels
MAX_ASPECT = 200  # longer side by shorter side; Qwen2-VL refuses more
ROWS = 512  # of a deep picture that are stretched at a time

Size = tuple[int, int]  # width and height in pixels

# EXIF's orientation of the stored pixels → what turns them upright, and back.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
STORED = {**UPRIGHT, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


class UnreadablePictureError(UserError):
    """`reason`: in a few words that do not name the file, the same for all files of a kind."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Decoded(NamedTuple):
    """An upright RGB image, the format of its file, and EXIF's orientation (1–8) of the pixels as they are stored."""

    image: Image.Image
    kind: str
    orientation: int

    def stored(self) -> Image.Image:
        """The image as its pixels are stored."""
        return self.image.transpose(STORED[self.orientation]) if self.orientation in STORED else self.image


def open_image(path: str | Path) -> Image.Image:
    """A file's picture (see the module); UserError with the file's name where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return decode(file).image
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except UnreadablePictureError as error:
        raise UserError(f"{path} {error}") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a null character in the path
        raise UserError(f"{path} cannot be read: {error}.") from None


def decode(file: IO[bytes]) -> Decoded:
    """The picture in an open file; UnreadablePictureError whatever its decoder raises."""
    with _reported():
        with Image.open(file, formats=FORMATS) as opened:
            _check_size(opened.size)
            kind = str(opened.format)
            # Pillow turns TIFF alone while it loads; PNG's EXIF data may come after its pixels.
            turned = _orientation(opened) if kind == "TIFF" else 1
            opened.load()  # all of it: a truncated file fails here
            _check_size(opened.size)
            orientation = _orientation(opened)
            image = _to_rgb(opened)
        if orientation in UPRIGHT:
            return Decoded(image.transpose(UPRIGHT[orientation]), kind, orientation)
        return Decoded(image, kind, turned if turned in UPRIGHT else 1)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata; the limits here are ours
            yield
    except UnreadablePictureError:
        raise
    except Image.DecompressionBombError:
        raise UnreadablePictureError("is too large a picture to open safely.", "too large") from None
    except UnidentifiedImageError:
        raise UnreadablePictureError(
            f"cannot be read as a picture: it is none of {', '.join(FORMATS)}.", "UnidentifiedImageError"
        ) from None
    except Exception as error:  # noqa: BLE001 - decoders raise nearly anything at damaged files
        name = type(error).__name__
        raise UnreadablePictureError(f"cannot be read as a picture ({name}: {error}).", name) from None


def _check_size(size: Size) -> None:
    longer, shorter = max(size), min(size)
    if longer > MAX_SIDE or size[0] * size[1] > MAX_AREA:
        raise UnreadablePictureError(
            f"is too large a picture: {size[0]} × {size[1]} pixels, of at most {MAX_SIDE:,} a side and "
            f"{MAX_AREA:,} in all.",
            "too large",
        )
    if shorter < 1 or longer > MAX_ASPECT * shorter:
        raise UnreadablePictureError(
            f"is too narrow a picture: {size[0]} × {size[1]} pixels, with sides of at most {MAX_ASPECT} to 1.",
            "too narrow",
        )


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1 (upright) where there is none, or none that can be read, as viewers have it."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return value if value in UPRIGHT else 1
    except Exception:  # noqa: BLE001 - the pixels are sound, their description is not
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    elif image.mode in ("RGBa", "La"):  # colours multiplied by their alpha
        image = image.convert(image.mode.upper())
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """A deep grey image stretched from its own darkest and brightest value to 0 … 255; what is no number is black."""
    deep = np.asarray(image)
    known = deep[np.isfinite(deep)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    grey = np.empty(deep.shape, np.uint8)
    for top in range(0, len(deep), ROWS):
        rows = deep[top : top + ROWS].astype(np.float64)
        values = np.nan_to_num(rows, nan=low, posinf=high, neginf=low)
        grey[top : top + ROWS] = ((values - low) * (255.0 / ((high - low) or 1.0))).round()
    if "transparency" in image.info:
        grey[deep == image.info["transparency"]] = 255
    return Image.fromarray(grey)
