"""Builders by name. A new data set is a config dataclass, a function that plans it, and one line here."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import clock_photos, clock_time, mathvista, schema
from data_prep.arithmetic import deepmind, math401, sums
from data_prep.charts import build as charts
from data_prep.charts.config import ChartsConfig
from data_prep.clock import build as clock
from data_prep.clock.style import ClockConfig
from data_prep.detection import coco, refcoco, voc
from data_prep.scenes import build as scenes
from data_prep.scenes.config import ScenesConfig
from data_prep.text_sets import build as text_sets
from data_prep.words import build as words
from data_prep.words.config import WordsConfig
from data_prep.writer import Plan, is_up_to_date, write
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Builder:
    config: type[Any]  # frozen dataclass with `name` and `builder`
    plan: Callable[[Any], Plan]
    version: int
    help: str


BUILDERS: dict[str, Builder] = {
    "clock": Builder(ClockConfig, clock.plan, clock.VERSION, "generated analog clocks, easy to hard"),
    "clock_time": Builder(
        clock_time.ClockTimeConfig,
        clock_time.plan,
        clock_time.VERSION,
        "the Kaggle TIME clocks, from its folder",
    ),
    "charts": Builder(
        ChartsConfig,
        charts.plan,
        charts.VERSION,
        "generated charts, gauges and rulers with questions, easy to hard",
    ),
    "mathvista": Builder(
        mathvista.MathVistaConfig,
        mathvista.plan,
        mathvista.VERSION,
        "MathVista testmini, from its folder (test only)",
    ),
    "refcoco": Builder(
        refcoco.RefCocoConfig,
        refcoco.plan,
        refcoco.VERSION,
        "RefCOCO, RefCOCO+ and RefCOCOg, from their folders",
    ),
    "coco": Builder(coco.CocoConfig, coco.plan, coco.VERSION, "objects of COCO json, from its folder"),
    "voc": Builder(voc.VocConfig, voc.plan, voc.VERSION, "objects of Pascal VOC and sets in its layout"),
    "words": Builder(
        WordsConfig, words.plan, words.VERSION, "generated words on plain to textured ground, easy to hard"
    ),
    "text_set": Builder(
        text_sets.TextSetConfig,
        text_sets.plan,
        text_sets.VERSION,
        "public text detection sets, from their folders",
    ),
    "clock_photos": Builder(
        clock_photos.ClockPhotosConfig,
        clock_photos.plan,
        clock_photos.VERSION,
        "clocks on photographs (It's About Time), from its lists",
    ),
    "sums": Builder(
        sums.SumsConfig, sums.plan, sums.VERSION, "generated arithmetic in text, easy and medium"
    ),
    "math401": Builder(
        math401.Math401Config, math401.plan, math401.VERSION, "MATH-401, arithmetic in text (test only)"
    ),
    "deepmind_mathematics": Builder(
        deepmind.DeepMindConfig,
        deepmind.plan,
        deepmind.VERSION,
        "DeepMind's Mathematics Dataset, from its folder",
    ),
    "scenes": Builder(
        ScenesConfig, scenes.plan, scenes.VERSION, "generated shapes with referring expressions, easy to hard"
    ),
}


@dataclass(frozen=True)
class Request:
    """A checked config, ready to build."""

    builder: Builder
    config: Any
    header: dict[str, Any]  # builder, version, config: what the manifest records and what must match

    @property
    def folder_name(self) -> str:
        """`<name>-<8 hex digits>`; the digits follow everything that decides the content."""
        canonical = json.dumps(self.header, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{self.config.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"

    def is_built(self, out: Path) -> bool:
        return is_up_to_date(out, self.header)

    def build(self, out: Path, workers: int | None = None) -> Path:
        return out if self.is_built(out) else write(out, self.builder.plan(self.config), self.header, workers)


def _cut(data: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(data)
    most = found.pop("at_most", None)
    if most is None:
        return found
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UserError(f"data.at_most must be a whole number of at least 1, or null, not {most!r}.")
    if isinstance(splits := found.get("splits"), Mapping):
        found["splits"] = {
            name: min(count, most) if isinstance(count, int) else count for name, count in splits.items()
        }
    return found


def request(data: Mapping[str, Any]) -> Request:
    """Check a data config against its builder's schema.

    `at_most`, which any data config may have, is the most items of a split that a generator makes; sets that are read from
    files have no `splits` to cut, and are built whole.
    """
    data = _cut(data)
    name = data.get("builder")
    if name not in BUILDERS:
        near = did_you_mean(str(name), BUILDERS)
        raise UserError(f"There is no data builder {name!r}.{near} Builders: {', '.join(BUILDERS)}.")
    builder = BUILDERS[name]
    config = schema.load(builder.config, data, where="data")
    return Request(
        builder, config, {"builder": name, "version": builder.version, "config": schema.dump(config)}
    )
