"""Pictures of every kind become upright RGB; what cannot be read is a UserError, whatever is wrong with it."""

import contextlib
import io
import struct
import subprocess
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ntil.data.dataset import picture_of
from ntil.data.example import Example
from ntil.data.pictures import SUFFIXES, open_image
from ntil.errors import UserError
from ntil.evaluation.predict import find_pictures

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


def header_only(width: int, height: int) -> bytes:
    """A PNG that says how large it is and then holds next to nothing: 80 bytes whatever it claims."""
    body = io.BytesIO(b"")
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10))),
        (b"IEND", b""),
    ):
        body.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return b"\x89PNG\r\n\x1a\n" + body.getvalue()


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ((20_000, 1), "too large a picture: 20000 × 1 pixels"),
        ((1, 20_000), "too large a picture: 1 × 20000 pixels"),
        ((12_001, 9_000), "too large"),
        ((11_999, 11_999), "too large"),  # in all
        ((100_000, 100_000), "too large"),  # Pillow's own limit
        ((2**31 - 1, 2**31 - 1), "too large"),
        ((201, 1), "too narrow a picture: 201 × 1 pixels"),
        ((30, 6_001), "too narrow"),
        ((12_000, 9_000), "cannot be read"),  # allowed, and then its pixels are missing
    ],
)
def test_limits_hold_before_anything_is_decoded(size: tuple[int, int], why: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(header_only(*size))
    tracemalloc.start()
    with pytest.raises(UserError, match=why) as error:
        open_image(tmp_path / "a.png")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert str(tmp_path / "a.png") in str(error.value)


@pytest.mark.parametrize("size", [(200, 1), (1, 200), (1, 1)])
def test_narrow_pictures_within_the_limits_are_read(size: tuple[int, int], tmp_path: Path) -> None:
    assert saved(Image.new("RGB", size), tmp_path / "a.png").size == size


@pytest.mark.parametrize("kind", ["TGA", "ICO", "PCX", "EPS", "PDF", "SGI"])
def test_formats_that_are_not_named_are_refused(kind: str, tmp_path: Path) -> None:
    GRADIENT.save(tmp_path / "a", kind)
    with pytest.raises(UserError, match=r"a cannot be read as a picture: it is none of BMP, GIF, JPEG"):
        open_image(tmp_path / "a")
    assert f".{kind.lower()}" not in SUFFIXES


def test_a_postscript_file_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF"
    )
    with pytest.raises(UserError, match="cannot be read as a picture"):
        open_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "error",
    [OSError, SyntaxError, ValueError, struct.error, zlib.error, MemoryError, KeyError, IndexError, EOFError,
     TypeError, AttributeError, OverflowError, RecursionError, NotImplementedError, ZeroDivisionError,
     UnicodeDecodeError("utf-8", b"", 0, 1, "x"), Image.DecompressionBombError],
)  # fmt: skip
def test_whatever_a_decoder_raises_is_named(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    GRADIENT.save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(UserError, match=r"a\.png"):
        open_image(tmp_path / "a.png")


def test_broken_exif_does_not_hide_a_picture(tmp_path: Path) -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        opened = saved(GRADIENT, tmp_path / "a.jpg", exif=exif)
        assert opened.size == GRADIENT.size
    odd = Image.Exif()
    odd[0x0112] = 77
    np.testing.assert_array_equal(
        np.asarray(saved(GRADIENT, tmp_path / "a.png", exif=odd)), np.asarray(GRADIENT)
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_truncated_file_is_an_error(kind: str, tmp_path: Path) -> None:
    """Half a picture is not a picture whose rest is grey."""
    path = tmp_path / "a"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    noise.save(path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot be read as a picture"):
        open_image(path)


def test_a_record_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"record 'train-7': .*a\.png cannot be read"):
        picture_of(Example("train-7", "train", {}, "a.png"), tmp_path)
    with pytest.raises(UserError, match=r"record 'train-7': .*leaves its folder"):
        picture_of(Example("train-7", "train", {}, "../a.png"), tmp_path)
    assert picture_of(Example("train-7", "train", {}), tmp_path) is None


def test_folders_are_searched_for_the_same_formats(tmp_path: Path) -> None:
    for name in ("a.PNG", "b.jpeg", "c.eps", "d.pdf", "e.txt", "f.mpo", "g.tif"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_pictures(tmp_path)] == ["a.PNG", "b.jpeg", "f.mpo", "g.tif"]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_image(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="cannot be read"):
        open_image(tmp_path)


TURNED = Image.Exif()
TURNED[0x0112] = 6


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    GRADIENT.convert("P" if kind == "GIF" else mode).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


FORMATS = {
    **{kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO")},
    **{f"turned {kind}": encoded(kind, exif=TURNED) for kind in ("PNG", "JPEG", "TIFF", "WEBP")},
    "deep TIFF": encoded("TIFF", "F"),
    "clear PNG": encoded("PNG", "RGBA"),
}


def damaged(kind: str, cut: float, changes: list[tuple[float, int]]) -> bytes:
    data = bytearray(FORMATS[kind][: 1 + int(cut * len(FORMATS[kind]))])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    return bytes(data)


DAMAGE = {
    "kind": st.sampled_from(sorted(FORMATS)),
    "cut": st.one_of(st.just(1.0), st.floats(0, 1)),
    "changes": st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
}


def read_or_refused(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor is anything else said
        with contextlib.suppress(UserError):
            assert open_image(path).mode == "RGB"


@given(**DAMAGE)
def test_a_damaged_file_is_read_or_refused(
    kind: str, cut: float, changes: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    read_or_refused(damaged(kind, cut, changes), tmp_path_factory.getbasetemp() / "damaged")


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = sorted(FORMATS)
    for number in range(10_000):
        data = bytearray(FORMATS[kinds[number % len(kinds)]])
        if rng.random() < 0.3:
            del data[int(rng.integers(1, len(data))) :]
        for _ in range(int(rng.integers(0, 12))):
            front = rng.random() < 0.5  # headers matter most
            data[int(rng.integers(0, min(64, len(data)) if front else len(data)))] = int(rng.integers(0, 256))
        read_or_refused(bytes(data), tmp_path / "damaged")
