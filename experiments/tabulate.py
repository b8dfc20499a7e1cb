"""All that is said about an experiment, made once from results/ for tables, page and check."""

from dataclasses import dataclass
from pathlib import Path

from experiments.caption import caption
from experiments.comparison import Comparison, TableSpec, compare
from experiments.errors.analysis import Analysis, analyse
from experiments.errors.tables import error_csv, error_markdown
from experiments.grids import Grid, grids
from experiments.presets import grid_values, table_spec
from experiments.published import Published, load_published
from experiments.render import latex, markdown, tidy_csv
from experiments.store import Store
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Tabulated:
    table: Comparison
    published: Published | None
    grids: tuple[Grid, ...]
    sentences: tuple[str, ...]
    analysis: Analysis | None

    def files(self) -> dict[str, str]:
        """File name in results/tables/ → its text."""
        name = self.table.experiment
        found = {
            f"{name}.md": markdown(self.table, self.grids, self.sentences),
            f"{name}.tex": latex(self.table, self.grids, self.sentences),
            f"{name}.csv": tidy_csv(self.table, self.published),
        }
        if self.analysis is not None:
            found[f"{name}_errors.md"] = error_markdown(self.table, self.analysis)
            found[f"{name}_errors.csv"] = error_csv(self.table, self.analysis)
        return found


def tabulate(store: Store, name: str, conf: Path) -> Tabulated:
    spec = TableSpec.parse(name, table_spec(name, conf) or {})
    expected = grid_values(name, spec.rows, conf)
    table = compare(name, spec, store, expected)
    published = load_published(spec.published, conf / "published.yaml") if spec.published else None
    shown, sentences = grids(table, published), caption(table, published)
    return Tabulated(table, published, tuple(shown), tuple(sentences), analyse(name, spec, store, expected))


def chosen(store: Store, names: list[str], conf: Path) -> list[str]:
    """The experiments to show: those named, each of which must have runs and a table, or all that have."""
    collected = store.experiments()
    if not collected:
        raise UserError(
            f"{store.runs_path} has no runs; `python -m experiments.collect` reads them from outputs/."
        )
    for name in names:
        if name not in collected:
            near = did_you_mean(name, collected)
            raise UserError(
                f"{store.runs_path} has no experiment {name!r}.{near} It has: {', '.join(collected)}."
            )
        if table_spec(name, conf) is None:
            raise UserError(f"{name} has no table: add a `table:` node to conf/experiment/{name}.yaml.")
    return names or [name for name in collected if table_spec(name, conf) is not None]
