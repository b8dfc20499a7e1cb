"""One reader: a picture has the same pixels in training, evaluation and prediction, and resized when it was built."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data_prep.pictures import SUFFIXES, read_picture
from ntil.data.pictures import open_image

SIDE = 24
RAMP = np.stack(np.broadcast_arrays(*np.ogrid[0:240:10, 0:240:10], 128), axis=-1).astype(np.uint8)
COLOURS = Image.fromarray(RAMP)
FADING = Image.merge("RGBA", (*COLOURS.split(), Image.fromarray(RAMP[..., 0])))
DEEP = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 100


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Copies, because Pillow leaves an encoder's settings on what it has saved."""
    if "append_images" in options:
        options["append_images"] = [one.copy() for one in options["append_images"]]  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def turned(orientation: int) -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


PALETTE = COLOURS.quantize(16)
OTHER = ImageOps.invert(COLOURS)
KINDS: dict[str, Callable[[], bytes]] = {
    "RGB": lambda: saved(COLOURS, "PNG"),
    "RGBA": lambda: saved(FADING, "PNG"),
    "RGBA, webp": lambda: saved(FADING, "WEBP", lossless=True),
    "RGBA, tiff": lambda: saved(FADING, "TIFF"),
    "LA": lambda: saved(FADING.convert("LA"), "PNG"),
    "palette": lambda: saved(PALETTE, "PNG"),
    "palette, one colour clear": lambda: saved(PALETTE, "PNG", transparency=3),
    "palette, colours fading": lambda: saved(PALETTE, "PNG", transparency=bytes(range(0, 256, 16))),
    "RGB, one colour clear": lambda: saved(COLOURS, "PNG", transparency=(0, 0, 128)),
    "grey, one level clear": lambda: saved(COLOURS.convert("L"), "PNG", transparency=128),
    "1 bit": lambda: saved(COLOURS.convert("1"), "PNG"),
    "1 bit, black clear": lambda: saved(COLOURS.convert("1"), "PNG", transparency=0),
    "16 bits": lambda: saved(Image.fromarray(DEEP.astype(np.uint16)), "PNG"),
    "16 bits, one level clear": lambda: saved(
        Image.fromarray(DEEP.astype(np.uint16)), "PNG", transparency=4000
    ),
    "32 bits": lambda: saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
    "floating point": lambda: saved(Image.fromarray((DEEP / 7).astype(np.float32)), "TIFF"),
    "CMYK, jpeg": lambda: saved(COLOURS.convert("CMYK"), "JPEG", quality=95),
    "CMYK, tiff": lambda: saved(COLOURS.convert("CMYK"), "TIFF"),
    "gif": lambda: saved(PALETTE, "GIF"),
    "gif, moving": lambda: saved(
        PALETTE, "GIF", save_all=True, append_images=[OTHER.quantize(16)], duration=50
    ),
    "gif, moving and clear": lambda: saved(
        FADING, "GIF", save_all=True, append_images=[OTHER], transparency=0, disposal=2
    ),
    "png, moving": lambda: saved(COLOURS, "PNG", save_all=True, append_images=[OTHER]),
    "webp, moving": lambda: saved(COLOURS, "WEBP", save_all=True, append_images=[OTHER], lossless=True),
    "tiff of two pages": lambda: saved(COLOURS, "TIFF", save_all=True, append_images=[OTHER]),
    "mpo": lambda: saved(COLOURS, "MPO", save_all=True, append_images=[OTHER]),
    "bmp": lambda: saved(COLOURS, "BMP"),
    "ppm": lambda: saved(COLOURS, "PPM"),
    **{
        f"{kind}, turned {turn}": lambda kind=kind, turn=turn: saved(  # type: ignore[misc]
            COLOURS.crop((0, 0, 20, 10)), kind, **turned(turn)
        )
        for kind in ("PNG", "JPEG", "WEBP", "TIFF")
        for turn in range(2, 9)
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_the_same_everywhere(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = KINDS[kind]()
    path.write_bytes(content)
    expected = open_image(path)
    assert expected.mode == "RGB"
    as_it_is, resized = read_picture(path), read_picture(path, 16)
    assert not isinstance(as_it_is, str)
    assert not isinstance(resized, str)
    with Image.open(path) as opened:
        assert (as_it_is.content == content) == (opened.format in SUFFIXES)
    (tmp_path / "built").write_bytes(as_it_is.content)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "built")), np.asarray(expected))
    small = np.asarray(expected.resize((16, 16), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(np.asarray(resized.image()), small)
    with Image.open(io.BytesIO(resized.content)) as plain:
        assert (plain.mode, plain.format, plain.info) == ("RGB", "PNG", {})


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "moving" in kind or kind in ("mpo", "tiff of two pages")]
)
def test_the_first_frame_counts(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(KINDS[kind]())
    seen = np.asarray(open_image(tmp_path / "a")).astype(int)
    if "clear" not in kind:
        assert abs(seen - RAMP).mean() < 12
    assert abs(seen - np.asarray(OTHER).astype(int)).mean() > 40


@pytest.mark.parametrize("kind", ["CMYK, jpeg", "CMYK, tiff"])
def test_cmyk_has_the_colours_that_it_was_made_of(kind: str, tmp_path: Path) -> None:
    """JPEG stores Adobe's inverted values; read as they stand, light would be dark."""
    (tmp_path / "a").write_bytes(KINDS[kind]())
    assert abs(np.asarray(open_image(tmp_path / "a")).astype(int) - RAMP).max() < 16


def test_clear_pixels_are_white_and_half_clear_ones_between(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(KINDS["RGBA"]())
    alpha = RAMP[..., :1].astype(float) / 255
    expected = RAMP * alpha + 255 * (1 - alpha)
    assert abs(np.asarray(open_image(tmp_path / "a")).astype(float) - expected).max() <= 1
    for kind, clear in (
        ("palette, one colour clear", np.asarray(PALETTE) == 3),
        ("1 bit, black clear", np.full((SIDE, SIDE), True)),
    ):
        (tmp_path / "a").write_bytes(KINDS[kind]())
        assert (np.asarray(open_image(tmp_path / "a"))[clear] == 255).all()


def test_numbers_that_are_none_do_not_hide_a_deep_picture(tmp_path: Path) -> None:
    values = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    values[0, :3] = np.nan, np.inf, -np.inf
    (tmp_path / "a").write_bytes(saved(Image.fromarray(values), "TIFF"))
    grey = np.asarray(open_image(tmp_path / "a"))[..., 0].astype(int)
    assert list(grey[0, :3]) == [0, 255, 0]
    assert abs(grey.ravel()[3:] - np.linspace(0, 255, SIDE * SIDE)[3:]).max() <= 2
