"""All that is said about an experiment, made once from results/ for tables, page and check."""

from dataclasses import dataclass
from pathlib import Path

from experiments.compare.comparison import Comparison, compare
from experiments.compare.errors import Analysis, analyse
from experiments.compare.spec import TableSpec
from experiments.results.store import Store
from experiments.run.presets import grid_values, table_spec
from experiments.write.caption import caption
from experiments.write.errors import error_csv, error_markdown
from experiments.write.grids import Grid, grids
from experiments.write.published import Published, load_published
from experiments.write.render import latex, markdown, tidy_csv


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
