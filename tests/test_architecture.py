"""The diagram of docs/architecture.md holds the arrows that the imports have: all of them follow from it, and none is drawn in vain."""

import re
from pathlib import Path

import networkx
from test_layers import MAY_IMPORT, imported, sources, unit

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BASE = {
    "ntil.errors",
    "ntil.escape",
    "ntil.io",
    "ntil.checksums",
    "ntil.nonfinite",
    "ntil.locks",
    "ntil.settings",
    "ntil.checkout",
}
SCRIPTS = ("train", "evaluate", "predict")


def imports() -> networkx.DiGraph:
    """An edge from each package to each that it imports; the modules at the bottom, which anyone may use, left out."""
    graph = networkx.DiGraph()
    places = [place for place in MAY_IMPORT if place.startswith("ntil/") and not place.endswith(".py")]
    for place in [*places, "tasks", "data_prep", "experiments", *(f"{name}.py" for name in SCRIPTS)]:
        own = place.removesuffix(".py").replace("/", ".")
        for file in sources(place):
            for _, name in imported(file):
                found = unit(name)
                if found not in (None, own, "ntil", *BASE):
                    graph.add_edge(own, found)
    return graph


def drawn() -> set[tuple[str, str]]:
    diagram = re.search(r"```mermaid\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert diagram is not None
    named = re.findall(r'(\w+)\["([\w.]+)', diagram[1])
    names = {short: full.removesuffix(".py") for short, full in named}
    arrows = set()
    for line in diagram[1].splitlines():
        if "-->" in line:
            start, ends = line.split("-->")
            for a in start.split("&"):
                arrows |= {(names[a.strip()], names[b.strip()]) for b in ends.split("&")}
    return arrows


def test_there_is_no_circle() -> None:
    assert networkx.is_directed_acyclic_graph(imports()), networkx.find_cycle(imports())


def test_the_diagram_is_what_the_imports_say() -> None:
    shortest = set(networkx.transitive_reduction(imports()).edges)
    assert drawn() - shortest == set(), "drawn, and not imported (or following from others)"
    assert shortest - drawn() == set(), "imported, and not drawn"
