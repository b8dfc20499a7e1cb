# make demo · make test · make test-all · make check · make tables · make bench     (make help says what each does)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
TESTABLE := $(VENV)/.testable
INSTALL = $(VENV)/bin/pip install --disable-pip-version-check --progress-bar off
COMPILE = uv pip compile -q pyproject.toml --universal --python-version 3.11 --no-emit-index-url --no-header --annotation-style line --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help install demo table report tables test test-all check format bench lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY)  ## a virtual environment in .venv with the locked versions

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(TESTABLE): $(READY) requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(READY)  ## train CE, EMD and NTIL on the same clocks and print the table (8 to 17 minutes on 2 cores)
	$(MAKE) --no-print-directory table NAME=clock_demo

# what is said about all experiments together
define PAGES
$(RUN) -m experiments.claims
$(RUN) -m experiments.overview
$(RUN) -m experiments.report
endef

TABLE = $(if $(wildcard conf/experiment/$(NAME)_table.yaml),$(NAME)_table,$(NAME))

table: $(READY)  ## one experiment: make table NAME=clock (or clock_demo, ablation, …)
	$(RUN) -m experiments.launch $(TABLE)
	$(RUN) -m experiments.collect --experiment $(TABLE)
	$(RUN) -m experiments.plots $(TABLE)
	$(RUN) -m experiments.tables $(TABLE)
	$(PAGES)

report: $(READY)  ## results/index.html, the page of all results
	$(RUN) -m experiments.report

tables: $(READY)  ## all tables, figures and results/index.html again from results/
	$(RUN) -m experiments.tables
	$(RUN) -m experiments.plots
	$(PAGES)

test: $(TESTABLE)  ## the tests that take a few minutes
	$(RUN) -m pytest -q -n auto

test-all: $(TESTABLE)  ## all tests
	$(RUN) -m pytest -q -n auto -m ''

check: $(TESTABLE)  ## formatting, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(TESTABLE)  ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(TESTABLE)  ## time and memory of the losses against F.cross_entropy and ntloss → results/bench*.csv
	$(RUN) -m experiments.bench

lock:  ## both lock files again from pyproject.toml, with the hashes of all files (needs uv)
	$(COMPILE) --extra train --extra slurm --extra integrations --extra dev -o requirements-dev.lock
	$(COMPILE) --extra train -c requirements-dev.lock -o requirements.lock

clean:  ## remove the environment and caches; never data/ or outputs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
