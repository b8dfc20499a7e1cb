"""What the `table:` node of a preset asks for, and which experiments have one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from experiments.results.store import Store
from experiments.run.presets import table_spec
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class TableSpec:
    """The `table:` node of a preset."""

    rows: str
    baseline: str
    splits: tuple[str, ...]
    metrics: tuple[str, ...]
    title: str = ""
    published: str | None = None
    # An override that the figure draws the metrics over, such as trainer.train_examples.
    along: str | None = None
    effects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # a factor → the rows that have it

    @classmethod
    def parse(cls, name: str, node: Mapping[str, Any]) -> "TableSpec":
        known = [field.name for field in fields(cls)]
        if unknown := [key for key in node if key not in known]:
            near = did_you_mean(unknown[0], known)
            raise UserError(
                f"the table of {name} has no setting {unknown[0]!r}.{near} It has: {', '.join(known)}."
            )
        if missing := [key for key in ("rows", "baseline", "splits", "metrics") if not node.get(key)]:
            raise UserError(f"the table of {name} lacks {', '.join(missing)}.")
        lists = {key: tuple(str(value) for value in node[key]) for key in ("splits", "metrics")}
        effects = {str(factor): tuple(map(str, rows)) for factor, rows in (node.get("effects") or {}).items()}
        return cls(**{**node, **lists, "effects": effects, "baseline": str(node["baseline"])})


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
