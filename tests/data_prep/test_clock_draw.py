"""The hands' angles, measured in the pixels with nothing but colours and arctangents."""

import math
from dataclasses import replace

import numpy as np
import pytest

from data_prep.clock.colour import difference, rgb
from data_prep.clock.draw import render
from data_prep.clock.placement import Placement
from data_prep.clock.sample import Clock, HandSpec, hand_angles, sample
from data_prep.clock.shapes import HANDS
from data_prep.clock.style import ClockConfig
from data_prep.configs import read, with_overrides
from ntil.settings import load_settings as load

RADIUS = 0.46  # picture sides


@pytest.fixture(scope="module")
def bare() -> Clock:
    """A round dial without marks in the middle of the picture."""
    data = with_overrides(
        read("clock_easy"),
        ["style.faces.train.shape=round", "style.faces.train.numerals=none", "style.marks.ticks=none"],
    )
    config = load(ClockConfig, data, "data")
    clock = sample(config.style, config.style.faces.train, np.random.default_rng(0))
    return replace(clock, placement=Placement(0.5, 0.5, RADIUS), dial=(255, 255, 255), ink=(0, 0, 0))


def showing(
    clock: Clock, hour: int, minute: int, shape: str = "line", placement: Placement | None = None
) -> Clock:
    hour_angle, minute_angle = hand_angles(hour, minute)
    black = (0, 0, 0)
    hands = (
        HandSpec(shape, hour_angle, 0.5, 0.12, 0.0, black),
        HandSpec(shape, minute_angle, 0.85, 0.06, 0.0, black),
    )
    return replace(clock, hour=hour, minute=minute, hands=hands, placement=placement or clock.placement)


def direction(
    picture: np.ndarray, inner: float, outer: float, but: float | None = None
) -> tuple[float, float]:
    """Mean direction of the ink in a ring (degrees clockwise from 12), and how much ink it holds.

    inner, outer: dial radii; `but`: leave out what lies within 14° of this direction.
    """
    size = picture.shape[0]
    y, x = (np.indices((size, size)) + 0.5 - size / 2) / (RADIUS * size)
    away = np.hypot(x, y)
    angle = np.arctan2(x, -y)
    ink = np.where((away > inner) & (away < outer), 255.0 - picture.mean(axis=2), 0.0)
    if but is not None:
        apart = np.abs((np.degrees(angle) - but + 180) % 360 - 180)
        ink = np.where(apart > 14, ink, 0.0)
    mean = (ink * np.exp(1j * angle)).sum()
    return math.degrees(np.angle(mean)) % 360, float(ink.sum())


def gap(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def measured(clock: Clock, size: int) -> tuple[float, float]:
    """(hour hand, minute hand) in degrees."""
    picture = np.asarray(render(clock, size), dtype=np.float64)
    minute, ink = direction(picture, 0.58, 0.82)
    assert ink > 0
    hour, _ = direction(picture, 0.25, 0.47, but=minute)
    return hour, minute


TIMES = [(3, 30), (9, 0), (12, 20), (6, 5), (1, 59), (11, 37), (4, 44), (7, 13), (10, 29), (2, 51)]


@pytest.mark.parametrize(("size", "tolerance"), [(64, 2.0), (200, 0.7)])
@pytest.mark.parametrize(("hour", "minute"), TIMES)
def test_pixels_show_the_time(bare, hour, minute, size, tolerance):
    hour_angle, minute_angle = measured(showing(bare, hour, minute), size)
    assert gap(minute_angle, 360 * minute / 60) < tolerance
    assert gap(hour_angle, 360 * (hour * 60 + minute) / 720) < tolerance


@pytest.mark.parametrize("shape", HANDS)
def test_every_hand_shape_points_where_it_should(bare, shape):
    for hour, minute in [(8, 10), (2, 40), (5, 3)]:
        hour_angle, minute_angle = measured(showing(bare, hour, minute, shape), 200)
        assert gap(minute_angle, 6 * minute) < 1.0
        assert gap(hour_angle, 30 * hour + minute / 2) < 1.0


def test_hands_at_well_known_times():
    assert hand_angles(12, 0) == (0, 0)
    assert hand_angles(3, 30) == (105, 180)  # half-way from the 3 to the 4
    assert hand_angles(9, 15) == (277.5, 90)


def test_both_hands_up_at_twelve(bare):
    picture = np.asarray(render(showing(bare, 12, 0), 200), dtype=np.float64)
    assert gap(direction(picture, 0.25, 0.47)[0], 0) < 0.5
    assert gap(direction(picture, 0.58, 0.82)[0], 0) < 0.5


def test_rotation_is_clockwise_and_turns_both_hands(bare):
    turned = showing(bare, 2, 50, placement=Placement(0.5, 0.5, RADIUS, rotation=12.0))
    hour_angle, minute_angle = measured(turned, 200)
    assert gap(minute_angle, 300 + 12) < 0.7
    assert gap(hour_angle, 85 + 12) < 0.7


def test_tilt_shortens_the_direction_it_leans_in():
    flat = Placement(0.5, 0.5, 0.4)
    leaning = replace(flat, tilt=30.0, direction=0.0)
    points = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    right, left, down = leaning.project(points)
    assert 0 < right[0] - 0.5 < 0.5 - left[0] < 0.4  # the far side looks smaller
    assert down[1] == pytest.approx(flat.project(points)[2][1])
    assert leaning.project(np.zeros((1, 2)))[0] == pytest.approx([0.5, 0.5])


def test_size_is_only_resolution(bare):
    """The same clock at another size shows the same picture."""
    clock = showing(bare, 10, 9)
    large = render(clock, 256).reduce(4)
    small = np.asarray(render(clock, 64), dtype=np.float64)
    assert np.abs(np.asarray(large, dtype=np.float64) - small).mean() < 1.5


def test_colour_difference():
    assert difference((0, 0, 0), (255, 255, 255)) == pytest.approx(100, abs=0.1)
    assert difference((10, 20, 30), (10, 20, 30)) == 0
    assert difference(rgb("#ff0000"), rgb("#00ff00")) == pytest.approx(170.6, abs=1)  # CIE 1976, D65
