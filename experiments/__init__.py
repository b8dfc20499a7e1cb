"""Experiments end to end: launch → collect → tables, figures and a page. Each is a command with --help.

python -m experiments.launch clock_demo     train every run of a preset
python -m experiments.collect               outputs/ → results/runs.csv, scores/, curves/, errors/, gallery/
python -m experiments.tables                results/ → results/tables/
python -m experiments.plots                 results/ → results/figures/
python -m experiments.report                results/ → results/index.html
python -m experiments.check                 are the tables and the page what results/ gives?
"""
