"""What is written is what is read, and pixels come back within half a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.errors import UserError
from tasks.coordinates import FORMATS, CoordinateFormat

NAMES = st.sampled_from(sorted(FORMATS))
SIZES = st.tuples(st.integers(1, 900), st.integers(1, 900))
SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6)


@given(NAMES, SIZES, st.lists(SHARES, min_size=1, max_size=3))
def test_shapes_round_trip(name: str, size: tuple[int, int], shares: list[list[tuple[float, float]]]) -> None:
    chosen = CoordinateFormat.of(name)
    side = (max(size), max(size)) if chosen.square else size
    allowed = [(s or side[i]) for i, s in enumerate((chosen.steps, chosen.steps))]
    shapes = []
    for share in shares:
        points = [(x * size[0], y * size[1]) for x, y in share]
        steps = chosen.to_steps(points, size)
        shapes.append(steps)
        assert all(0 <= x <= allowed[0] and 0 <= y <= allowed[1] for x, y in steps)
        for was, back in zip(points, chosen.to_pixels(steps, size), strict=True):
            assert abs(was[0] - back[0]) <= side[0] / allowed[0] / 2 + 1e-6
            assert abs(was[1] - back[1]) <= side[1] / allowed[1] / 2 + 1e-6
        assert chosen.to_steps(chosen.to_pixels(steps, size), size) == steps
    assert chosen.read(chosen.write(shapes)) == shapes


@given(NAMES, st.tuples(st.integers(2, 900), st.integers(2, 900)), st.tuples(*[st.floats(0, 1)] * 4))
def test_a_box_never_loses_its_extent(name: str, size: tuple[int, int], share: tuple[float, ...]) -> None:
    xs, ys = sorted(share[:2]), sorted(share[2:])
    box = (xs[0] * size[0], ys[0] * size[1], xs[1] * size[0], ys[1] * size[1])
    (x1, y1), (x2, y2) = CoordinateFormat.of(name).box_to_steps(box, size)
    assert x1 < x2
    assert y1 < y2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("integers_1000", "(250,500),(750,1000)"),
        ("qwen_box", "<|box_start|>(250,500),(750,1000)<|box_end|>"),
        ("decimals_2", "[0.25, 0.50, 0.75, 0.75]"),
        ("loc_1024", "<loc0512><loc0256><loc1023><loc0767>"),
        ("pixels", "(50,50),(150,100)"),
    ],
)
def test_how_each_family_writes_a_box(name: str, text: str) -> None:
    """The box from x 50 to 150 and y 50 to 100 of a picture 200 wide and 100 high; its square adds 50 above."""
    chosen = CoordinateFormat.of(name)
    assert chosen.write([chosen.box_to_steps((50, 50, 150, 100), (200, 100))]) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(1,2)",
        "(1,2),(3,4)x",
        "a(1,2),(3,4)",
        "(1,2),(3,4);",
        "(1,2)(3,4)",
        "(1,2),(3)",
        "(-1,2),(3,4)",
        "(1,2),(3,1001)",
        "(1.5,2),(3,4)",
        "(1,2),(3,4",
        "(١,2),(3,4)",
        "[0.1, 0.2, 0.3, 0.4]",
        "(1000000,2),(3,4)",
    ],
)
def test_what_is_no_answer(text: str) -> None:
    assert CoordinateFormat.of("integers_1000").read(text) is None


def test_other_styles_are_strict_too() -> None:
    decimals, loc = CoordinateFormat.of("decimals_2"), CoordinateFormat.of("loc_1024")
    assert decimals.read("[0.10,0.20, 1.00, 0.40]") == [[(10, 20), (100, 40)]]
    for text in (
        "[0.1, 0.2, 0.3, 0.4]",
        "[0.10, 0.20, 0.30]",
        "[1.01, 0.20, 0.30, 0.40]",
        "0.10, 0.20, 0.30, 0.40",
    ):
        assert decimals.read(text) is None
    assert loc.read("<loc0001><loc0002><loc0003><loc0004>") == [[(2, 1), (4, 3)]]
    for text in (
        "<loc001><loc0002><loc0003><loc0004>",
        "<loc1024><loc0002><loc0003><loc0004>",
        "<loc0001><loc0002>",
    ):
        assert loc.read(text) is None


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UserError, match="Did you mean 'integers_1000'"):
        CoordinateFormat.of("integer_1000")
