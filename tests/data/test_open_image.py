"""Pictures of every kind become upright RGB; what cannot be read is a UserError, whatever is wrong with it."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ntil.data.dataset import open_image
from ntil.errors import UserError

SIDE = 24
GRADIENT = Image.fromarray(
    np.stack(np.broadcast_arrays(*np.ogrid[0:240:10, 0:240:10], 128), axis=-1).astype(np.uint8)
)


def saved(image: Image.Image, path: Path, **options: object) -> Image.Image:
    image.save(path, **options)  # type: ignore[arg-type]
    return open_image(path)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "RGBA", "I;16", "I", "F", "PA"]
)
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    ending = {"CMYK": "tif", "YCbCr": "tif", "F": "tif", "I": "tif", "PA": "tif"}.get(mode, "png")
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 100).astype(kind))
    else:
        image = GRADIENT.convert("LA").convert(mode) if mode == "PA" else GRADIENT.convert(mode)
    assert image.mode == mode
    opened = saved(image, tmp_path / f"a.{ending}")
    assert (opened.mode, opened.size) == ("RGB", (SIDE, SIDE))
    values = np.asarray(opened)
    assert values.min() < 60
    assert values.max() > 160, "the picture kept its contrast"


def test_deep_grey_uses_the_whole_range(tmp_path: Path) -> None:
    deep = np.linspace(1000, 3000, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    values = np.asarray(saved(Image.fromarray(deep), tmp_path / "a.png"))[..., 0].astype(float)
    assert (values.min(), values.max()) == (0, 255)
    np.testing.assert_allclose(values, (deep - 1000.0) * 255 / 2000, atol=0.51)


def test_a_flat_deep_picture_is_no_division_by_zero(tmp_path: Path) -> None:
    flat = Image.fromarray(np.full((4, 4), 7000, np.uint16))
    assert np.ptp(np.asarray(saved(flat, tmp_path / "a.png"))) == 0


def test_colours_are_kept(tmp_path: Path) -> None:
    np.testing.assert_array_equal(np.asarray(saved(GRADIENT, tmp_path / "a.png")), np.asarray(GRADIENT))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    opened = saved(clear, tmp_path / "a.png")
    assert opened.getpixel((0, 0)) == (255, 0, 0)
    assert opened.getpixel((3, 3)) == (255, 255, 255)


def test_a_transparent_palette_colour_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    opened = saved(image, tmp_path / "a.png", transparency=0)
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int, tmp_path: Path) -> None:
    upright = np.asarray(GRADIENT.crop((0, 0, 16, 8)))
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = saved(Image.fromarray(np.ascontiguousarray(turned)), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(opened), upright)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    GRADIENT.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="too large"):
        open_image(tmp_path / "a.png")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_image(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="cannot be read"):
        open_image(tmp_path)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    (GRADIENT.convert("P") if kind == "GIF" else GRADIENT).save(buffer, kind)
    return buffer.getvalue()


FORMATS = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO")}


@given(
    kind=st.sampled_from(sorted(FORMATS)),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused(
    kind: str, cut: float, changes: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(FORMATS[kind][: 1 + int(cut * len(FORMATS[kind]))])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damaged") / f"a.{kind.lower()}"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(UserError):
            assert open_image(path).mode == "RGB"
