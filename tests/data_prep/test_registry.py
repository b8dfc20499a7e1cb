"""Builders are found by themselves, and the base of generated sets says what a wrong config does wrong."""

from pathlib import Path

import numpy as np
import pytest

from data_prep.builder import Builder
from data_prep.configs import read, with_overrides
from data_prep.contact_sheet import said
from data_prep.generated import Drawn, Generated, generated, make
from data_prep.registry import BUILDERS, find, request
from ntil.data.example import Example
from ntil.errors import UserError

GENERATED = sorted(name for name, builder in BUILDERS.items() if issubclass(builder.config, Generated))
MODULE = "from data_prep.builder import Builder\nBUILDER = {}\n"


def package(folder: Path, name: str, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for file, text in {"__init__.py": "", **files}.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return folder / name


def test_all_are_found() -> None:
    assert GENERATED == ["charts", "clock", "scenes", "sums", "words"]
    public = {"clock_photos", "clock_time", "coco", "deepmind_mathematics", "math401", "mathvista", "refcoco"}
    assert set(BUILDERS) - set(GENERATED) == {*public, "receipts", "series", "table", "text_set", "voc"}


def test_a_module_and_one_in_a_package_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 'Builder("{}", dict, print, 1, "a set")'
    files = {
        "one.py": MODULE.format(made.format("one")),
        "helper.py": "BUILDERS = 3\n",
        "deep/__init__.py": "",
        "deep/two.py": MODULE.format(made.format("two")),
    }
    folder = package(tmp_path, "found_sets", files, monkeypatch)
    found = find(folder, "found_sets")
    assert [*found] == ["one", "two"]
    assert isinstance(found["two"], Builder)


def test_two_of_one_name_and_what_is_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = MODULE.format('Builder("same", dict, print, 1, "a set")')
    twins = package(tmp_path, "twin_sets", {"one.py": same, "two.py": same}, monkeypatch)
    with pytest.raises(UserError, match=r"twin_sets\.one and twin_sets\.two both build 'same'"):
        find(twins, "twin_sets")
    odd = package(tmp_path, "odd_sets", {"one.py": MODULE.format("'clock'")}, monkeypatch)
    with pytest.raises(
        UserError, match=r"odd_sets\.one\.BUILDER is 'clock' and no data_prep\.builder\.Builder"
    ):
        find(odd, "odd_sets")


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize(
    ("splits", "says"),
    [
        ({"tain": 3}, "splits has no 'tain'. Did you mean 'train'"),
        ({"train": -1}, r"splits\.train = -1 is outside 0 to 10"),
        ({"train": 10**9}, r"splits\.train = 1000000000 is outside 0 to 10"),
        ({"train": 0, "test": 0}, "splits asks for no (picture|sum) at all"),
        ({}, "splits asks for no (picture|sum) at all"),
    ],
)
def test_splits_of_every_generated_set_are_checked(name: str, splits: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says):
        request(with_overrides(read(f"{name}_easy"), [("splits", splits)]))


@pytest.mark.parametrize("name", GENERATED)
def test_an_item_depends_on_its_own_place_alone(name: str) -> None:
    """The eighth of ten is the eighth of a hundred, whatever other splits there are; another seed is another set."""
    few, many = (
        request(with_overrides(read(f"{name}_easy"), [("splits", {"val": count, **more})]))
        for count, more in ((10, {}), (100, {"train": 5, "test": 7}))
    )
    one, other = (asked.builder.plan(asked.config).make(("val", 7)) for asked in (few, many))
    assert one == other
    again = request(with_overrides(read(f"{name}_easy"), [("splits", {"val": 10}), ("seed", 1)]))
    assert again.builder.plan(again.config).make(("val", 7)) != one


def dice(config: Generated, split: str, rng: np.random.Generator) -> Drawn:
    return Drawn({"answer": int(rng.integers(1, 7))}, {"split": split})


def test_a_set_in_text_alone_needs_no_more_than_a_function() -> None:
    builder = generated("dice", Generated, dice, version=1, help="dice")
    config = Generated("dice", "dice", 0, {"train": 3, "test": 2})
    plan = builder.plan(config)
    assert plan.jobs == [("train", 0), ("train", 1), ("train", 2), ("test", 0), ("test", 1)]
    examples = [made.example for made in map(plan.make, plan.jobs)]
    assert [example.id for example in examples] == [
        *("train-000000", "train-000001", "train-000002", "test-000000", "test-000001")
    ]
    rolled = np.random.default_rng(np.random.SeedSequence([0, 2, 1])).integers(
        1, 7
    )  # test is the third of SPLITS
    assert make(dice, config, ("test", 1)).example.target == {"answer": int(rolled)}
    assert said(examples[0]) == str(examples[0].target["answer"])
    assert said(Example("x", "test", {"answer": 4}, query="1+3=")) == "1+3="
