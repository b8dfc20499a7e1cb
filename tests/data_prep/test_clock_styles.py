"""What may be drawn: the published styles, their limits, and the faces that training never sees."""

from collections import Counter

import numpy as np
import pytest

from data_prep.clock.build import draw_parameters, drawn
from data_prep.clock.colour import difference, fade, lab
from data_prep.clock.placement import Placement, keep_inside
from data_prep.clock.shapes import EDGES, outline
from data_prep.clock.style import ClockConfig
from data_prep.configs import read, with_overrides
from data_prep.generated import make
from ntil.errors import UserError
from ntil.settings import load_settings as load

LEVELS = ("easy", "medium", "hard")
COUNT = 150


@pytest.fixture(scope="module", params=LEVELS)
def level(request):
    return load(ClockConfig, read(f"clock_{request.param}"), "data")


@pytest.fixture(scope="module")
def clocks(level):
    return {
        split: [draw_parameters(level, split, level.stream(split, index)) for index in range(COUNT)]
        for split in ClockConfig.SPLITS
    }


def lightness_gap(clock):
    """|ΔL*| between hands and dial as photographed."""
    return abs(lab(fade(clock.ink, clock.contrast))[0] - lab(fade(clock.dial, clock.contrast))[0])


def check(clock, style):
    """The clock can be read: two hands that differ, dark enough on their dial, all inside the picture."""
    hour, minute = (
        hand for hand in clock.hands if hand.shape == clock.meta["hands"] and hand.colour == clock.ink
    )
    assert hour.length <= minute.length * style.hands.length_ratio + 1e-9
    assert minute.width <= hour.width * style.hands.width_ratio + 1e-9
    seen = difference(fade(hour.colour, clock.contrast), fade(clock.dial, clock.contrast))
    assert seen >= style.hands.contrast
    assert lightness_gap(clock) >= style.hands.contrast / 2
    assert clock.noise <= seen / 5 + 1e-9
    for other in clock.hands:
        if other not in (hour, minute):
            assert other.width <= minute.width / 2 + 1e-9
            assert difference(other.colour, clock.ink) >= 25
    corners = clock.placement.project(outline(clock.shape))
    assert corners.min() >= 0
    assert corners.max() <= 1
    if clock.ticks == clock.numerals == "none":
        assert clock.placement.frontal


def test_every_clock_is_readable(level, clocks):
    for clock in (clock for split in clocks.values() for clock in split):
        check(clock, level.style)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_clocks_are_readable(level):
    for index in range(10_000):
        check(draw_parameters(level, "train", level.stream("train", index)), level.style)


def test_factors_vary(clocks):
    """A factor that is stuck would leave the set poorer than its config says."""
    train = [clock.meta for clock in clocks["train"]]
    for factor in ("face", "numerals", "hands", "dial"):
        assert len({str(meta[factor]) for meta in train}) > 1, factor
    times = Counter((clock.hour, clock.minute) for split in clocks.values() for clock in split)
    assert len(times) > 350  # 600 draws of 720 times meet about 407 different ones
    assert {hour for hour, _ in times} == set(range(1, 13))
    assert {minute for _, minute in times} == set(range(60))


def test_heldout_faces_are_never_trained_on(clocks):
    seen = [clock.meta for split in ("train", "val", "test") for clock in clocks[split]]
    new = [clock.meta for clock in clocks["heldout_faces"]]
    for part in ("face", "hands", "dial"):
        assert not {meta[part] for meta in seen} & {meta[part] for meta in new}, part
    fonts = {meta["font"] for meta in seen} & {meta["font"] for meta in new}
    assert fonts <= {None}


def test_splits_share_no_random_stream(level, clocks):
    grains = [clock.grain for split in clocks.values() for clock in split]
    assert len(set(grains)) == len(grains)


@pytest.mark.parametrize("part", ["shape", "font", "hands", "dial"])
def test_a_shared_face_is_refused(part):
    data = read("clock_easy")
    stolen = next(iter(data["style"]["faces"]["train"][part]))
    data["style"]["faces"]["heldout"][part] = [stolen]
    with pytest.raises(UserError, match=f"share {part}"):
        load(ClockConfig, data, "data")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("style.faces.train.ink=['#fefefe']", "no ink stands out from the dial"),
        ("style.faces.train.ink=['black']", "not a colour"),
        ("style.faces.train.font=[DejaVuSerf]", "Did you mean 'DejaVuSerif'"),
        ("style.faces.train.shape=[rond]", "Did you mean 'round'"),
        ("style.hands.hour_length=[0.7, 0.8]", "hour_length.low must be at most"),
        ("style.hands.minute_width=0.15", "minute_width.low must be at most"),
        ("style.camera.rotation=[-40, 40]", "outside -10 to 10 degrees"),
        ("style.marks.radial_roman=2", "probability"),
        ("splits={trian: 3}", "Did you mean 'train'"),
        ("splits={train: 0}", "no picture at all"),
        ("splits.train=-1", "outside 0 to"),
        ("size=4", "outside 16 to 2048 pixels"),
    ],
)
def test_impossible_styles_are_refused(override, message):
    with pytest.raises(UserError, match=message):
        load(ClockConfig, with_overrides(read("clock_easy"), [override]), "data")


def test_a_picture_can_be_made_alone_and_seeds_differ(easy):
    config = load(ClockConfig, easy, "data")
    again = load(ClockConfig, {**easy, "splits": {"train": 900}}, "data")
    other = load(ClockConfig, {**easy, "seed": 1}, "data")
    assert make(drawn, config, ("train", 5)) == make(drawn, again, ("train", 5))
    assert make(drawn, config, ("train", 5)).image != make(drawn, other, ("train", 5)).image
    assert make(drawn, config, ("train", 5)).image != make(drawn, config, ("val", 5)).image


@pytest.mark.parametrize("shape", EDGES)
def test_a_dial_that_would_leave_the_picture_is_moved_back(shape):
    placed = keep_inside(Placement(0.9, 0.1, 0.5, rotation=30.0, tilt=20.0), shape)
    corners = placed.project(outline(shape))
    assert corners.min() == pytest.approx(0.01, abs=1e-6) or corners.max() == pytest.approx(0.99, abs=1e-6)
    assert corners.min() > 0
    assert corners.max() < 1
    assert np.ptp(corners, axis=0).max() > 0.8  # shrunk no more than it must
