"""Tables of made-up runs: another preset, written, and read again by title."""

import shutil
from pathlib import Path

import yaml

from experiments.results.collect import collect
from experiments.tables import main


def set_table(conf: Path, losses: str | None = None, **table: object) -> None:
    """Change the table of the preset, and the losses of its grid."""
    path = conf / "experiment" / "demo.yaml"
    preset = yaml.safe_load(path.read_text())
    preset["table"] |= table
    if losses is not None:
        preset["hydra"]["sweeper"]["params"]["loss"] = losses
    path.write_text("# @package _global_\n" + yaml.safe_dump(preset))


def make(outputs: Path, results: Path, conf: Path, *words: str) -> str:
    """Collect, drop the outputs (tables need results/ alone), write; returns the Markdown."""
    if outputs.exists():
        collect(outputs, results)
        shutil.rmtree(outputs)
    assert main([*words, "--results", str(results)], conf) == 0
    return (results / "tables" / "demo.md").read_text()


def table_after(text: str, title: str) -> dict[str, list[str]]:
    """First cell → the other cells of the Markdown table under a title; the heads under ''."""
    block = text.split(f"**{title}**\n\n")[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block]
    return {"": rows[0][1:]} | {row[0]: row[1:] for row in rows[2:]}
