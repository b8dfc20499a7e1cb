"""Generated scenes: every expression means one thing, every box holds it, and the same seed gives the same bytes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from data_prep.configs import read, with_overrides
from data_prep.generated import make
from data_prep.registry import request
from data_prep.scenes.build import asked, drawn
from data_prep.scenes.config import ScenesConfig
from data_prep.scenes.draw import render
from data_prep.scenes.language import Description, Expression, plain, referents, related
from data_prep.scenes.sample import Scene, Thing
from ntil.data.example import read_examples
from ntil.errors import UserError

LEVELS = ("easy", "medium", "hard")


def config(level: str, **changes: object) -> ScenesConfig:
    return request(with_overrides(read(f"scenes_{level}"), list(changes.items()))).config


def meaning(text: str, scene: Scene) -> list[Thing]:
    """What a person would take the text to mean, worked out from its words alone."""
    words = text.split()
    for relation, axis, sign in (("left", 0, -1), ("right", 0, 1), ("above", 1, -1), ("below", 1, 1)):
        if relation in words:
            at = words.index(relation)
            rest = words[at + 1 :]
            anchor = [t for t in scene.things if described(t, rest[rest.index("the") + 1 :])]
            assert len(anchor) == 1
            middle = (anchor[0].x, anchor[0].y)
            return [
                t
                for t in scene.things
                if t is not anchor[0]
                and described(t, words[:at])
                and sign * ((t.x, t.y)[axis] - middle[axis]) > 0
            ]
    return [t for t in scene.things if described(t, words)]


def described(thing: Thing, words: list[str]) -> bool:
    return set(words) - {"shape"} <= {thing.shape, thing.colour, thing.size, thing.texture}


def check(level: str, split: str, index: int, generated: ScenesConfig) -> None:
    """One sample: unambiguous, in the frame, recoverable, apart from the others."""
    scene, place, expression = asked(generated, split, generated.stream(split, index))
    assert meaning(str(expression), scene) == [scene.things[place]], str(expression)
    made = make(drawn, generated, (split, index))
    x1, y1, x2, y2 = made.example.target["boxes"][0]
    assert 0 <= x1 < x2 <= generated.size
    assert 0 <= y1 < y2 <= generated.size
    assert made.example.query == str(expression)
    for i, one in enumerate(scene.things):
        for other in scene.things[:i]:
            distance = max(abs(one.x - other.x), abs(one.y - other.y))
            assert distance >= one.radius + other.radius + generated.gap - 1e-9
    radii = {size: [t.radius for t in scene.things if t.size == size] for size in ("small", "large")}
    if "size" in generated.factors and all(radii.values()):
        assert min(radii["large"]) >= 1.2 * max(radii["small"])
    pairs = {f"{t.colour} {t.shape}" for t in scene.things} & set(generated.heldout)
    assert bool(pairs) == (split == "heldout_pairs"), level


@pytest.mark.parametrize("level", LEVELS)
def test_samples_are_valid(level: str) -> None:
    generated = config(level, size=64)
    for index in range(25):
        check(level, "train", index, generated)
        check(level, "heldout_pairs", index, generated)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("level", LEVELS)
def test_ten_thousand_samples_are_valid(level: str) -> None:
    generated = config(level)
    for index in range(10_000 // len(LEVELS) + 1):
        check(level, "train", index, generated)


@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "ring", "star", "cross", "diamond", "bar"])
def test_the_box_is_that_of_the_ink(shape: str) -> None:
    thing = Thing(shape, "red", "plain", "", x=0.4, y=0.6, radius=0.2, turn=9.0)
    scene = Scene((thing,), shade=0.6, background=0.0, noise=0.0, grain=0)
    picture, ((x1, y1, x2, y2),) = render(scene, 100)
    empty, _ = render(replace(scene, things=()), 100)
    changed = (np.asarray(picture).astype(int) != np.asarray(empty)).any(-1)
    ys, xs = np.nonzero(changed)
    assert (np.floor(x1), np.floor(y1)) == (xs.min(), ys.min())
    assert (np.ceil(x2), np.ceil(y2)) == (xs.max() + 1, ys.max() + 1)


def thing(shape: str, colour: str, x: float, y: float, size: str = "", texture: str = "plain") -> Thing:
    return Thing(shape, colour, texture, size, x, y, 0.1, 0.0)


def scene_of(*things: Thing) -> Scene:
    return Scene(things, 0.5, 0.0, 0.0, 0)


def test_an_expression_names_no_more_than_it_must() -> None:
    ring, square, other = (
        thing("ring", "red", 0.2, 0.2),
        thing("square", "red", 0.5, 0.5),
        thing("ring", "blue", 0.8, 0.8),
    )
    scene = scene_of(ring, square, other)
    levels = plain(scene, square)
    assert [[str(e) for e in level] for level in levels] == [["square"], ["red square"]]
    assert [str(e) for e in plain(scene, ring)[0]] == ["red ring"]


def test_twins_need_a_relation() -> None:
    left, right, anchor = (
        thing("ring", "red", 0.2, 0.5),
        thing("ring", "red", 0.8, 0.5),
        thing("bar", "blue", 0.5, 0.5),
    )
    scene = scene_of(left, right, anchor)
    assert plain(scene, left) == []
    texts = {str(e) for e in related(scene, left)}
    assert "red ring left of the blue bar" in texts
    assert not any("above" in text or "below" in text for text in texts)


def test_a_near_tie_is_open_to_dispute() -> None:
    close, anchor = thing("ring", "red", 0.48, 0.2), thing("bar", "blue", 0.5, 0.8)
    expression = Expression(Description((("shape", "ring"),)), "left of", Description((("shape", "bar"),)))
    assert referents(expression, scene_of(close, anchor)) is None


def test_the_same_bytes_for_any_number_of_workers(tmp_path) -> None:
    data = with_overrides(
        read("scenes_easy"), [("splits", {"train": 130, "val": 2, "test": 2, "heldout_pairs": 2})]
    )
    manifests = [
        (request(data).build(tmp_path / str(workers), workers) / "manifest.json").read_bytes()
        for workers in (1, 2)
    ]
    assert manifests[0] == manifests[1]
    assert len(read_examples(tmp_path / "1", "train")) == 130


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("heldout", ["pink star"], "heldout names 'pink star'"),
        ("splits", {"heldout_pairs": 3, "train": 1}, "heldout names no pairs"),
        ("objects", [2, 40], "outside 1 to 12"),
        ("shapes", ["circle", "blob"], "no option 'blob'"),
        ("splits", {"trian": 3}, "Did you mean 'train'"),
        ("factors", ["color"], "Did you mean 'colour'"),
        ("objects", [1.5, 2], r"objects = \[1.5, 2.0\] must be whole"),
        ("radius", [0.1, 0.5], "outside 0.04 to 0.3"),
    ],
)
def test_mistakes_are_explained(key: str, value: object, message: str) -> None:
    changes = {key: value} | ({"heldout": []} if "no pairs" in message else {})
    with pytest.raises(UserError, match=message):
        partial(config, "easy")(**changes)


def test_an_object_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(UserError, match="no room in the picture"):
        config("medium", radius=[0.2, 0.3], size_ratio=3.0)


def test_small_and_large_must_differ_to_the_eye() -> None:
    with pytest.raises(UserError, match=r"size_ratio must be at least 1\.95, or factors must not name size"):
        config("medium", radius=[0.08, 0.13])
    for allowed in (
        config("medium", radius=[0.08, 0.13], size_ratio=1.95),
        config("medium", radius=[0.08, 0.13], factors=["colour", "shape"]),
    ):
        assert asked(allowed, "train", allowed.stream("train", 0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objects": [12, 12], "radius": [0.2, 0.2]}, "no room for 12 to 12 objects of radius 0.2 to 0.2"),
        ({"colours": ["red"]}, "no object of 200 scenes in a row"),
        ({"factors": []}, "name more factors"),
        ({"factors": ["texture"]}, "name more factors"),
    ],
)
def test_what_cannot_be_drawn_or_told_apart_ends_with_an_error(changes: dict, message: str) -> None:
    impossible = config("easy", heldout=[], splits={"train": 1}, **changes)
    with pytest.raises(UserError, match=message):
        asked(impossible, "train", impossible.stream("train", 0))
