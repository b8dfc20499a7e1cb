"""Published results from conf/published.yaml, in our metrics' units."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from ntil.checkout import CONF
from ntil.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Published:
    """A block of conf/published.yaml; `values` by (model, row, metric), None where the value is not known."""

    source: str
    status: str
    note: str
    beside: str
    printed_as: dict[str, str]  # metric → the paper's name for it
    models: tuple[str, ...]
    values: dict[tuple[str, str, str], float | None]

    def value(self, model: str, row: str, metric: str) -> float | None:
        return self.values.get((model, row, metric))


def load_published(key: str, path: Path = CONF / "published.yaml") -> Published:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    blocks = {str(name): block for name, block in content.items()}
    if key not in blocks:
        raise UserError(
            f"{path} has no block {key!r}.{did_you_mean(key, blocks)} It has: {', '.join(blocks)}."
        )
    block = blocks[key]
    metrics = block["metrics"]
    values: dict[tuple[str, str, str], float | None] = {}
    for row in block["rows"]:
        if unknown := row.keys() - metrics.keys() - {"model", "row"}:
            raise UserError(
                f"{path}, {key}: the row {row} has {sorted(unknown)}, which `metrics` does not name."
            )
        for metric, about in metrics.items():
            printed = row.get(metric)
            scaled = None if printed is None else round(float(printed) * about["scale"], 10)
            values[row["model"], row["row"], metric] = scaled
    models = tuple(dict.fromkeys(row["model"] for row in block["rows"]))
    if block["beside"] not in models:
        raise UserError(f"{path}, {key}: `beside` is {block['beside']!r}, and no row has that model.")
    printed_as = {metric: about["printed_as"] for metric, about in metrics.items()}
    return Published(
        block["source"], block["status"], block.get("note") or "", block["beside"], printed_as, models, values
    )
