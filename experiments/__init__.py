"""Experiments end to end: launch → collect → tables, figures and a page. Each is a command with --help.

python -m experiments.launch clock_demo     train every run of a preset
python -m experiments.collect               outputs/ → results/runs.csv, scores/, curves/, errors/, gallery/
python -m experiments.tables                results/ → results/tables/
python -m experiments.plots                 results/ → results/figures/
python -m experiments.overview              results/ → results/overview.md and the README: where NTIL pays, and where not
python -m experiments.report                results/ → results/index.html
python -m experiments.claims                results/ → docs/paper_index.md: the paper's claims, and what came out here
python -m experiments.check                 are tables, overview and page what results/ gives?
python -m experiments.bench                 time and memory of the losses

These modules say what may be typed; what they do stands in packages, each of which imports those before it alone:
results, run, compare, write, plot, report; and bench.
"""

import ntil  # noqa: F401  (before what takes long to import: Ctrl-C is quiet from here on)
