"""The README's commands exist, and its figures are those of results/."""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ntil.commands import COMMANDS
from ntil.models.tiny_processor import character_tokenizer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").glob("*.md"))
ADDED = "".join(path.read_text(encoding="utf-8") for path in DOCS if path.name.startswith("add_"))
GROUPS = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} - {"hydra"}


def block(name):
    return README.split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]


def commands():
    """The command lines in the fenced blocks of README and docs, comments cut off."""
    for path in [ROOT / "README.md", *DOCS]:
        for fence in re.findall(r"```(?:\w*)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            for line in fence.splitlines():
                if re.match(r"(make|python|ntil) ", line):
                    yield re.split(r"\s{2,}|\s+#", line)[0]


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_name_what_exists(command):
    words = command.split()
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[1] in targets
    elif words[0] == "ntil":
        assert words[1] in COMMANDS
    elif words[1:3] == ["-m", "pytest"]:
        assert (ROOT / words[3]).exists()
    elif words[1] == "-m":
        module = ROOT / words[2].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
    else:
        assert (ROOT / words[1]).exists()
    for group, choices in re.findall(r"(?:^| )([a-z_]+)=([\w,]+)", command):
        if group in GROUPS:
            for choice in choices.split(","):
                file = f"conf/{group}/{choice}.yaml"
                assert (ROOT / file).exists() or f"`{file}`" in ADDED or f"# {file}" in ADDED


def test_the_two_lines_work():
    """The block of the loss, but for the Trainer that stands for the reader's own."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    kept = [line for line in code.splitlines() if not line.startswith("Trainer(")]
    assert len(kept) == len(code.splitlines()) - 1
    tokenizer = character_tokenizer(1)
    logits = torch.randn(2, 5, len(tokenizer), requires_grad=True)
    labels = torch.tensor([tokenizer.encode("3:25", add_special_tokens=False) + [-100]] * 2)
    model = SimpleNamespace(config=SimpleNamespace(vocab_size=len(tokenizer)))
    exec("\n".join(kept), {"tokenizer": tokenizer, "model": model, "logits": logits, "labels": labels})
    assert logits.grad is not None
    assert bool(logits.grad.abs().sum() > 0)


@pytest.mark.parametrize("path", [ROOT / "README.md", *DOCS], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_demo_figures_are_those_of_the_table():
    table = (ROOT / "results" / "tables" / "clock_demo.md").read_text(encoding="utf-8").replace("**", "")
    cells = re.findall(r"[\d.]+ ± [\d.]+ \(\d+\)", block("demo"))
    assert len(cells) == 9
    assert [cell for cell in cells if cell not in table] == []


def test_the_benchmark_figures_are_those_of_the_rows():
    with (ROOT / "results" / "bench.csv").open(encoding="utf-8") as file:
        rows = {
            (r["vocabulary"], r["batch"], r["tokens"], r["loss"]): r
            for r in csv.DictReader(file)
            if (r["digit_share"], r["dtype"], r["threads"]) == ("0.24", "float32", "1")
        }
    lines = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", block("bench"), re.MULTILINE)
    assert len(lines) == 5
    for cells in lines:
        name, *figures = (
            cell.strip().replace("*", "").replace("`", "").replace("0.3 · ", "0.3 ") for cell in cells
        )
        small, large = rows["32000", "8", "256", name], rows["151936", "4", "256", name]
        assert figures == [_short(small["ratio"]), _short(large["ratio"]), _short(small["memory_ratio"])]


def test_the_other_benchmark_figures_are_those_of_the_rows():
    def row(name, **wanted):
        with (ROOT / "results" / name).open(encoding="utf-8") as file:
            (found,) = (r for r in csv.DictReader(file) if all(r[k] == v for k, v in wanted.items()))
        return _short(found["ratio"]), _short(found["memory_ratio"])

    text = " ".join(README.split())
    half = row("bench.csv", dtype="bfloat16", loss="CE + NTIL")
    hidden = row("bench_linear.csv", way="from_hidden")
    assert f"In bfloat16 the ratios of CE + NTIL are {half[0]} and {half[1]}." in text
    assert f"takes {hidden[0]} of the time and {hidden[1]} of the memory of full logits" in text


def _short(ratio):
    return "1" if float(ratio) == 1 else f"{float(ratio):.2f}"
