"""Records are read at their places: the same as a list of all of them, in 8 bytes each, in any process."""

import json
import multiprocessing
import os
import pickle
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from fixtures import write_data_set
from hypothesis import given, settings
from hypothesis import strategies as st

from ntil.data import files
from ntil.data.dataset import CACHED, EncodedDataset, PictureError, picture_of
from ntil.data.example import Example, Examples, read_examples, read_manifest
from ntil.errors import UserError
from ntil.io import inside, sha256, write_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXTS,
            "split": st.sampled_from(["train", "test", "ü \n"]),
            "target": st.dictionaries(TEXTS, st.integers() | TEXTS | st.floats(allow_nan=False), max_size=3),
            "meta": st.dictionaries(TEXTS, TEXTS, max_size=2),
            "query": st.none() | TEXTS | st.just("x" * 5000),
        }
    ),
    min_size=1,
    max_size=12,
)


def numbered(count: int, split: str = "train") -> list[dict[str, Any]]:
    return [{"id": f"{split}-{i}", "split": split, "target": {"answer": str(i)}} for i in range(count)]


@settings(max_examples=80)
@given(records=RECORDS, draw=st.randoms(use_true_random=False), escaped=st.booleans())
def test_they_are_what_a_list_of_all_lines_holds(
    records: list[dict[str, Any]],
    draw: random.Random,
    escaped: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With a byte-order mark, empty lines, Windows' line ends and no end of the last line."""
    root = tmp_path_factory.mktemp("set")
    lines = [json.dumps(record, ensure_ascii=escaped) for record in records]
    text = "".join(
        f"{draw.choice(['', '', ' ' * 3 + chr(10)])}{line}{draw.choice(['', chr(13)])}\n" for line in lines
    )
    text = draw.choice(["", "\ufeff"]) + (text if draw.random() < 0.5 else text.rstrip())
    (root / "records.jsonl").write_bytes(text.encode())
    write_json(root / "manifest.json", {"counts": {}, "records_sha256": sha256(root / "records.jsonl")})
    for split in {record["split"] for record in records}:
        wanted = [Example.from_record(record) for record in records if record["split"] == split]
        found = read_examples(root, split)
        assert found == wanted
        assert list(found) == wanted
        assert [found[i] for i in range(-len(wanted), len(wanted))] == [*wanted, *wanted]
        for cut in (slice(1, None), slice(None, None, 2), slice(-2, None), slice(5, 1)):
            assert isinstance(found[cut], Examples)
            assert found[cut] == wanted[cut]
        assert read_examples(root, split, limit=2) == wanted[:2]
        assert random.Random(0).choice(found) == random.Random(0).choice(wanted)
        with pytest.raises(IndexError):
            found[len(wanted)]


def test_eight_bytes_a_record(tmp_path: Path) -> None:
    """The greatest memory while 20,000 records are indexed and looked at, and what is kept."""
    root = write_data_set(tmp_path, [record | {"meta": {"text": "x" * 500}} for record in numbered(20_000)])
    read_manifest(root)
    tracemalloc.start()
    try:
        examples = read_examples(root, "train")
        for _ in examples:
            pass
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert examples.places.nbytes == 8 * 20_000
    assert most < 3 * 8 * 20_000 + 100_000, most
    assert kept < 2 * 8 * 20_000 + 100_000, kept
    assert len(pickle.dumps(examples[:10])) < 2000, "a part takes its own places along"


def _ids(examples: Examples) -> list[str]:
    order = list(range(len(examples)))
    random.Random(os.getpid()).shuffle(order)
    found = {i: examples[i].id for i in order}
    return [found[i] for i in sorted(found)]


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_other_processes_read_them_at_the_same_time(tmp_path: Path, way: str) -> None:
    root = write_data_set(tmp_path, numbered(3000))
    examples = read_examples(root, "train")
    assert examples[7].id == "train-7", "the file is open before the processes start"
    with multiprocessing.get_context(way).Pool(2) as pool:
        answers = pool.map_async(_ids, [examples] * 4)
        here = _ids(examples)
        assert [*answers.get(60), here] == [[f"train-{i}" for i in range(3000)]] * 5


def test_records_that_change_while_they_are_read(tmp_path: Path) -> None:
    root = write_data_set(tmp_path, numbered(5))
    examples = read_examples(root, "train")
    files._opened.cache_clear()  # as in a process that starts to read
    text = (root / "records.jsonl").read_text()
    (root / "records.jsonl").write_text(text.replace("train-4", "train-9"))
    with pytest.raises(UserError, match=r"records\.jsonl has changed while it is in use"):
        examples[0]


def test_records_that_are_replaced_while_they_are_open_stay_what_they_were(tmp_path: Path) -> None:
    root = write_data_set(tmp_path, numbered(5))
    examples = read_examples(root, "train")
    before = list(examples)
    write_data_set(root, numbered(9, "test"))
    assert list(examples) == before
    assert len(read_examples(root, "test")) == 9


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
@pytest.mark.timeout(20)
def test_records_that_are_no_file(tmp_path: Path, kind: str) -> None:
    write_json(tmp_path / "manifest.json", {"counts": {"test": 1}, "records_sha256": "ab" * 32})
    path = tmp_path / "records.jsonl"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero")}[
        kind
    ]()
    with pytest.raises(UserError, match=r"records\.jsonl is no file"):
        read_examples(tmp_path, "test")


# Paths of pictures


def pictured(*images: str) -> list[dict[str, Any]]:
    return [{"id": image, "split": "test", "target": {}, "image": image} for image in images]


def test_each_folder_is_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"images/{folder}/{number}.png" for folder in "abc" for number in range(500)]
    root = write_data_set(tmp_path, pictured(*names))
    (root / "images" / "a").mkdir(parents=True)
    followed: list[str] = []
    monkeypatch.setattr(
        files, "inside", lambda root, relative: (followed.append(relative), inside(root, relative))[1]
    )
    assert len(read_examples(root, "test")) == 1500
    assert sorted(followed) == ["images/a", "images/b", "images/c"]


OUTSIDE = [
    "/etc/passwd",
    "//etc/passwd",
    "../a.png",
    "..",
    "images/..//../a.png",
    "images/../../a.png",
    "images/a/../../../a.png",
    "folder/a.png",
    "folder/deeper/a.png",
    "images/./folder/../../a.png",
    "images/out.png",
    "images/.//out.png",
    "images/two.png",
    "a\0.png",
    "C:/a.png",
    "c:\\a.png",
    "\\\\host\\share\\a.png",
    "x" * 300 + "/../../a.png",
]


@pytest.mark.parametrize("image", OUTSIDE)
@pytest.mark.parametrize("before", [[], ["images/a.png"], ["images/a.png", "images/in.png"]])
def test_what_leads_out_is_refused_wherever_it_stands(image: str, before: list[str], tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set", pictured(*before, image))
    (root / "images" / "a").mkdir(parents=True)
    (tmp_path / "a.png").touch()
    (root / "folder").symlink_to(tmp_path)
    (root / "images" / "folder").symlink_to(tmp_path)
    (root / "images" / "out.png").symlink_to(tmp_path / "a.png")
    (root / "images" / "two.png").symlink_to(root / "images" / "out.png")
    (root / "images" / "in.png").symlink_to(root / "images" / "a.png")
    with pytest.raises(UserError, match=r"leaves its folder|null character"):
        read_examples(root, "test")


@pytest.mark.parametrize(
    "image",
    [
        "images/a.png",
        "a.png",
        "images/../images/a.png",
        "images//a.png",
        "images/in.png",
        "a:b.png",
        "linked/a.png",
    ],
)
def test_what_stays_inside_is_taken(image: str, tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set", pictured(image))
    (root / "images").mkdir()
    (root / "images" / "a.png").touch()
    (root / "images" / "in.png").symlink_to("a.png")
    (root / "linked").symlink_to("images")
    assert read_examples(root, "test")[0].image == image


def test_a_link_that_is_laid_after_reading_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set", pictured("images/a.png"))
    (root / "images").mkdir()
    examples = read_examples(root, "test")
    (root / "images" / "a.png").symlink_to("/etc/hostname")
    with pytest.raises(PictureError, match="leaves its folder"):
        picture_of(examples[0], root)


def test_the_cache_of_encoded_examples_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    class Task:
        prompt = answer = staticmethod(lambda example: example.id)

    class Encoder:
        encoded = 0

        def encode(self, prompt: str, image: Any, answer: str | None) -> dict[str, torch.Tensor]:
            self.encoded += 1
            return {"input_ids": torch.zeros(100, dtype=torch.long)}

    assert CACHED <= 1 << 30
    monkeypatch.setattr("ntil.data.dataset.CACHED", 100_000)
    examples, encoder = read_examples(write_data_set(tmp_path, numbered(100)), "train"), Encoder()
    data = EncodedDataset(examples, tmp_path, Task(), encoder, cache=True)  # type: ignore[arg-type]
    for _ in range(2):
        for i in range(100):
            assert int(data[i]["_row"]) == i
    cached = 200 - encoder.encoded
    assert 30 < cached < 60
