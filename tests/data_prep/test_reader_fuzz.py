"""Damaged files of every reader here: a UserError, or every record kept or listed in what can be written; never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.configs import read, with_overrides
from data_prep.registry import request
from data_prep.sources import lines, read_text
from data_prep.writer import Made, Skipped
from ntil.errors import UserError

CURVE = ",".join([f"{x},10" for x in range(10, 80, 10)] + [f"{x},40" for x in range(70, 0, -10)])
XML = (
    f"<a><image><box><label>A &amp; B</label><segs>{CURVE}</segs></box>"
    f"<box><label>###</label><segs>{CURVE}</segs></box></image></a>"
)
ROW = {
    "question": "How many?",
    "image": "images/a.png",
    "choices": ["1", "2"],
    "unit": None,
    "precision": 1.0,
    "answer": "2",
    "question_type": "multi_choice",
    "answer_type": "text",
    "metadata": {"source": "x"},
}
SOUND = {  # reader → a sound file of two records or words
    "icdar2013": '158 128 411 181 "Footpath"\n38, 43, 920, 215, "Tired"\n',
    "icdar2015": "\ufeff10,10,50,10,50,30,10,30,a, b\r\n10,10,50,10,50,30,10,30,###\r\n",
    "sroie": "10,10,50,10,50,30,10,30,TAN\n1,1,5,1,5,3,1,3,\n",
    "total_text": "x: [[1 50\n 50]], y: [[1 1 40]], ornt: [u'c'], transcriptions: [u'PAUL']\n"
    "x: [[-1 50 50]], y: [[1 1 40]], ornt: [u'#'], transcriptions: [u'#']\n",
    "ctw1500": f"{CURVE},####GRAND, HOTEL\n{CURVE},#######\n",
    "ctw1500_xml": XML,
    "clock_photos": 'img_id,file_name,bbox_gt,hour,minute,bbox_det\n1,a.png,"[[1, 2, 30, 40], [5, 5, 9, 9]]",3,25,'
    '"[1, 2, 29, 41]"\n2,a.png,,12,5,"[3.5, 2, 30, 40]"\n',
    "clock_time": "class index,filepaths,labels,data set\n0,train/3-25/a.png,3-25,train\n0,test/3-25/b.png,3-25,test\n",
    "mathvista": json.dumps({"1": ROW, "2": {**ROW, "question_type": "free_form", "answer_type": "float"}}),
    "math401": '{"query": "5+9=", "response": "14"}\n{"query": "2π=", "response": 6.28}\n',
    "deepmind_mathematics": "What is 1 + 2?\n3\nWhat is 5 - 7?\n-2\n",
}
TOKENS = [
    *(b"nan 1e400 -1 1.5 0 ### #### null true \xc2\xb7 \xe9 \xff\xfe \xef\xbb\xbf \xf0\x9f\x98\x80".split()),
    *(
        b'\x00 , ; \t " \\" \\ \' [ ] [[ ]] { } ( ) & < > / : \r \n \r\n - . .. ../ \\ud800 x: y: u #'.split(
            b" "
        )
    ),
    *(b"9" * 20, b"9" * 5000, b"[" * 2000, b" " * 50),
]


@st.composite
def damaged(draw: st.DrawFn, sound: str) -> bytes:
    """A sound file in some encoding with pieces cut out, doubled and put in; or just bytes."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    content = sound.encode(
        draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-16-be", "utf-32"]))
    )
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.one_of(st.integers(0, 3), st.integers(0, len(content))))
        put = draw(
            st.one_of(
                st.sampled_from(TOKENS), st.binary(max_size=4), st.just(content[place : place + length])
            )
        )
        kept = draw(st.booleans())
        content = content[:place] + put + content[place if kept else place + length :]
    return content


class Bench:
    """A folder with pictures, of which one file is damaged again and again."""

    def __init__(self, root: Path, name: str) -> None:
        self.text_set = name.startswith(("icdar", "sroie", "total", "ctw"))
        data: dict[str, Any] = read(name.removesuffix("_xml")) | {"raw": str(root)}
        if self.text_set:
            ending = "xml" if name.endswith("_xml") else "txt"
            data = with_overrides(
                data, [("val", 0), ("parts", {"train": {"images": "images", "labels": f"{{id}}.{ending}"}})]
            )
            self.file = root / f"a.{ending}"
        elif name == "deepmind_mathematics":
            data = with_overrides(data, [("modules", []), ("parts", {"train": ["train"]})])
            self.file = root / "train" / "m.txt"
        else:
            files = {"clock_photos": "list.csv", "clock_time": "clocks.csv", "mathvista": "testmini.json"}
            self.file = root / files.get(name, "math401.json")
            data |= {"lists": ["list.csv"]} if name == "clock_photos" else {}
        photo = Image.linear_gradient("L").resize((100, 60))
        for place in ("images/a", "train/3-25/a", "test/3-25/b", "valid/1-05/c"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            photo.save(root / f"{place}.png")
        self.request = request(data)

    def check(self, content: bytes) -> None:
        self.file.write_bytes(content)
        try:
            plan = self.request.builder.plan(self.request.config)
        except UserError as error:
            str(error).encode()
            return
        made = [plan.make(job) for job in plan.jobs]
        listed = [*plan.skipped, *(one for one in made if isinstance(one, Skipped))]
        records = [one.example.to_record() for one in made if isinstance(one, Made)]
        assert len({record["id"] for record in records}) == len(records)
        for record in (*records, *({"what": one.what, "why": one.why} for one in listed)):
            json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        if self.text_set:  # one picture: it is a record, or it is listed
            assert len(records) + sum(one.what.startswith("images/a.png") for one in listed) == 1
        elif self.file.name in ("list.csv", "math401.json"):  # a record a line, in the first below its header
            found = lines(read_text(self.file) or "")
            assert len(records) + len(listed) == max(0, len(found) - (self.file.name == "list.csv"))


def fuzz(check: Callable[[bytes], None], sound: str, cases: int) -> None:
    @settings(max_examples=cases)
    @given(damaged(sound))
    def run(content: bytes) -> None:
        check(content)

    run()


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_are_read(tmp_path: Path, name: str) -> None:
    """What is damaged below is sound to begin with."""
    bench = Bench(tmp_path, name)
    bench.file.write_text(SOUND[name], encoding="utf-8")
    plan = bench.request.builder.plan(bench.request.config)
    assert not plan.skipped
    assert all(isinstance(plan.make(job), Made) for job in plan.jobs)


@pytest.mark.parametrize("name", SOUND)
def test_damaged_files(tmp_path: Path, name: str) -> None:
    fuzz(Bench(tmp_path, name).check, SOUND[name], 60)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SOUND)
def test_many_damaged_files(tmp_path: Path, name: str) -> None:
    fuzz(Bench(tmp_path, name).check, SOUND[name], 10_000)
