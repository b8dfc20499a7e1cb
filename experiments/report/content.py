"""What the page says, as plain values; the templates only lay it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.compare.labels import label
from experiments.compare.settings import PAIRS, PAPER_LOSSES, Setting
from experiments.report.pictures import Figure, Picture, figures, pictures
from experiments.report.runs import RowRuns, rows_of_runs
from experiments.report.scores import ScoreTable, score_tables
from experiments.results.store import Store
from experiments.write.errors import error_grids, error_sentences
from experiments.write.grids import (
    Grid,
    Verdict,
    contrast_grids,
    number,
    published_grid,
    summary_text,
    verdict,
)
from experiments.write.tabulate import Tabulated

GLANCED = tuple(pair for pair in PAIRS if pair[0] == "ntil")


@dataclass(frozen=True)
class Gallery:
    """Some predictions of one run."""

    label: str
    run: str
    anchor: str
    split: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """An experiment."""

    name: str
    title: str
    tables: tuple[ScoreTable, ...]
    contrasts: tuple[Grid, ...]
    published: Grid | None
    sentences: tuple[str, ...]
    curves: tuple[Figure, ...]
    error_figures: tuple[Figure, ...]
    errors: tuple[Grid, ...]
    error_sentences: tuple[str, ...]
    galleries: tuple[Gallery, ...]
    rows: tuple[RowRuns, ...]
    runs: int


@dataclass(frozen=True)
class Glance:
    """A line of the overview: a setting that was run with all three losses."""

    section: str
    name: str
    metric: str
    seeds: int
    means: tuple[tuple[str, str], ...]  # in figures; with deviation and seeds
    differences: tuple[Verdict, ...]  # NTIL minus each of the others


def sections(store: Store, found: Sequence[Tabulated], page: Path) -> list[Section]:
    """One for each experiment; `page` is the folder that the page lies in."""
    return [_section(store, one, page) for one in found]


def glances(found: Sequence[Setting]) -> list[Glance]:
    return [_glance(setting) for setting in found]


def _section(store: Store, found: Tabulated, page: Path) -> Section:
    table = found.table
    shown, rows = figures(store, table.experiment, page), rows_of_runs(table, store)
    anchors = {run.name: run.anchor for row in rows for run in row.runs}
    analysis = found.analysis
    return Section(
        name=table.experiment,
        title=table.title,
        tables=tuple(score_tables(table, found.published, rows)),
        contrasts=tuple(grid for split in table.spec.splits for grid in contrast_grids(table, split)),
        published=published_grid(table, found.published),
        sentences=found.sentences,
        curves=tuple(figure for figure in shown if not figure.of_errors),
        error_figures=tuple(figure for figure in shown if figure.of_errors),
        errors=tuple(error_grids(table, analysis)) if analysis else (),
        error_sentences=tuple(error_sentences(analysis)) if analysis else (),
        galleries=tuple(_galleries(store, table.experiment, anchors, page)),
        rows=rows,
        runs=len(table.runs),
    )


def _galleries(store: Store, experiment: str, anchors: dict[str, str], page: Path) -> list[Gallery]:
    rows = store.gallery(experiment)
    found = []
    for run in dict.fromkeys(row.run for row in rows):
        mine = [row for row in rows if row.run == run]
        shown = tuple(pictures(store, experiment, mine, page))
        found.append(Gallery(label(mine[0].loss), run, anchors.get(run, ""), mine[0].split, shown))
    return found


def _glance(setting: Setting) -> Glance:
    digits = setting.column.about.decimals
    means = [setting.means[loss] for loss in PAPER_LOSSES]
    return Glance(
        setting.experiment,
        setting.name,
        setting.column.about.title,
        setting.seeds,
        tuple((number(mean.mean, digits), summary_text(mean, digits)) for mean in means),
        tuple(verdict(setting.difference(pair), digits) for pair in GLANCED),
    )
