"""The page from its parts. All that comes from data is escaped; only our own style and script go in as they are."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from experiments.compare.labels import difference_label, label
from experiments.compare.settings import PAPER_LOSSES
from experiments.report.content import GLANCED, Glance, Section
from experiments.report.pictures import Figure
from experiments.report.scores import sort_value
from ntil.escape import html

PAGE = "index.html"
HERE = Path(__file__).parent


def render(found: Sequence[Section], glances: Sequence[Glance], overview: Figure | None = None) -> str:
    jinja = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # of what `finalize` leaves
        finalize=lambda value: value if isinstance(value, Markup) else Markup(html(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters["sort_value"] = sort_value
    return jinja.get_template("page.html").render(
        sections=found,
        glances=glances,
        overview=overview,
        losses=[label(loss) for loss in PAPER_LOSSES],
        pairs=[difference_label(*pair) for pair in GLANCED],
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )
