"""Generated words: outlines hold all ink, lie in the frame, do not touch; the same seed gives the same bytes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shapely.geometry import Polygon

from data_prep.configs import read, with_overrides
from data_prep.generated import make
from data_prep.registry import request
from data_prep.words.build import draw_parameters, drawn
from data_prep.words.config import FONTS, WordsConfig
from data_prep.words.draw import coverage
from data_prep.words.place import Word, lay_out, on_arc
from ntil.errors import UserError

LEVELS = ("easy", "medium", "hard")


def config(level: str, **changes: object) -> WordsConfig:
    return request(with_overrides(read(f"words_{level}"), list(changes.items()))).config


def ink_outside(word: Word, size: int) -> float:
    """Share of the word's ink that lies outside its outline, grown by a pixel for the raster."""
    ink = np.asarray(coverage(word, size), dtype=float)
    mask = Image.new("L", (size, size))
    pen = ImageDraw.Draw(mask)
    points = [(x * size, y * size) for x, y in word.outline]
    pen.polygon(points, fill=1)
    pen.line([*points, points[0]], fill=1, width=3)
    return float((ink * (np.asarray(mask) == 0)).sum() / max(ink.sum(), 1e-9))


def check(generated: WordsConfig, split: str, index: int) -> None:
    words, _ = draw_parameters(generated, split, generated.stream(split, index))
    areas = [Polygon(word.outline) for word in words]
    for word, area in zip(words, areas, strict=True):
        assert area.is_valid
        assert area.area > 0
        assert all(0 <= value <= 1 for point in word.outline for value in point)
        if not word.illegible:
            assert ink_outside(word, 256) < 0.005, word
    for i, one in enumerate(areas):
        assert all(one.distance(other) >= generated.gap * 0.99 for other in areas[:i])
    example = make(drawn, generated, (split, index)).example
    assert example.target["texts"] == [word.text for word in words]
    assert example.target["ignored"] == [word.illegible for word in words]
    for points, area in zip(example.target["polygons"], areas, strict=True):
        assert Polygon(points).area == pytest.approx(area.area * generated.size**2, rel=0.01)


@pytest.mark.parametrize("level", LEVELS)
def test_samples_are_valid(level: str) -> None:
    generated = config(level)
    for index in range(8):
        check(generated, "train", index)
        check(generated, "heldout_fonts", index)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("level", LEVELS)
def test_ten_thousand_samples_are_valid(level: str) -> None:
    generated = config(level)
    for index in range(10_000 // len(LEVELS) + 1):
        check(generated, "train", index)


@pytest.mark.parametrize("font", FONTS)
def test_every_font_has_its_ink_inside(font: str) -> None:
    for bend in (0.0, 90.0, -90.0):
        word = lay_out("Hgjy Qp", font, 0.12, 0.5, 0.5, 25.0, bend, illegible=False)
        assert ink_outside(word, 256) < 0.01
        assert np.asarray(coverage(word, 256)).max() == 255


@pytest.mark.parametrize("bend", [0.0, 1e-7, 60.0, -60.0])
def test_the_outline_is_tight(bend: float) -> None:
    """Not much larger than the ink, which a bent outline's corners stand away from."""
    word = lay_out("HIGH", "DejaVuSans", 0.2, 0.5, 0.5, 0.0, bend, illegible=False)
    ys, xs = np.nonzero(np.asarray(coverage(word, 400)) > 127)
    px, py = (np.array(axis) * 400 for axis in zip(*word.outline, strict=True))
    wider, higher = (1.6, 1.4) if abs(bend) > 1 else (1.2, 1.3)
    assert px.max() - px.min() < wider * (xs.max() - xs.min())
    assert py.max() - py.min() < higher * (ys.max() - ys.min())


def test_arcs_keep_their_length() -> None:
    points = np.array([on_arc(s, 1.0, 0.3, 0.4, 20.0, 75.0)[:2] for s in np.linspace(-0.5, 0.5, 2001)])
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() == pytest.approx(1.0, abs=1e-4)
    assert on_arc(0.0, 1.0, 0.3, 0.4, 20.0, 75.0) == pytest.approx((0.3, 0.4, 20.0))
    assert on_arc(0.5, 1.0, 0.3, 0.4, 20.0, 75.0)[2] == pytest.approx(57.5)


def test_the_same_bytes_for_any_number_of_workers(tmp_path) -> None:
    data = with_overrides(
        read("words_easy"), [("splits", {"train": 130, "val": 2, "test": 2, "heldout_fonts": 2})]
    )
    manifests = [(request(data).build(tmp_path / str(n), n) / "manifest.json").read_bytes() for n in (1, 2)]
    assert manifests[0] == manifests[1]


def test_mistakes_are_explained() -> None:
    for changes, message in (
        ({"fonts.heldout": ["DejaVuSans"]}, "must not be trained on: DejaVuSans"),
        ({"fonts.train": ["Arial"]}, "no option 'Arial'"),
        ({"splits": {"heldout_font": 2}}, "Did you mean 'heldout_fonts'"),
    ):
        with pytest.raises(UserError, match=message):
            config("easy", **changes)
