# `make help` lists the commands. They use the environment that is active (VIRTUAL_ENV or CONDA_PREFIX), else .venv, which
# they make themselves from requirements.lock. All they need is Python 3.11 to 3.13, git and make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ifneq ($(words $(CURDIR)),1)
$(error the path $(CURDIR) has a space, at which make ends a name: move the clone to a path without one)
endif

ACTIVE := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX))
PLACE := $(or $(ACTIVE),$(CURDIR)/.venv)
PY := $(PLACE)/bin/python
# Holds the folder whose clone was installed last: another clone may share the active environment.
STAMP := $(PLACE)/.palcore-installed
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	  $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)

export TF_CPP_MIN_LOG_LEVEL ?= 2
export KERAS_BACKEND ?= tensorflow
# Whoever sets this pays for it in each of many processes: results/cost/commands.json has what importing TensorFlow takes without its bytecode.
unexport PYTHONDONTWRITEBYTECODE

# Snakemake lives in an environment of its own: it holds back packages that the study pins.
GRID_PLACE := $(CURDIR)/.venv-grid
GRID_STAMP := $(GRID_PLACE)/.installed

# PyTorch is what the study is measured against, no part of it: it lives in an environment of its own too.
BENCH_PLACE := $(CURDIR)/.venv-bench
BENCH_STAMP := $(BENCH_PLACE)/.installed

.PHONY: help grid bench book test check-book kills lab lint pairs lock clean install other-clone
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

book: install ## run the notebooks that changed and build the book into _build/html
	PATH="$(PLACE)/bin:$$PATH" $(PY) -m study.book.build

test: install ## run the tests (TESTS="-m dear" runs the chapters that take minutes, with another seed)
	PATH="$(PLACE)/bin:$$PATH" $(PY) -m pytest -n 2 --dist loadfile $(TESTS)

check-book: install ## look at the built book in Chromium, served as it would be published: links, scripts, screens, accessibility
	PATH="$(PLACE)/bin:$$PATH" $(PY) -m study.book.check_site

kills: install ## kill a small run at twenty random moments and compare what comes out (results/kills.json)
	$(PY) tests/runs/kill_twenty.py

lab: install ## open JupyterLab on the notebooks
	PATH="$(PLACE)/bin:$$PATH" $(PY) -m jupyterlab notebooks --config study/book/jupyter_server_config.py

grid: install $(GRID_STAMP) ## run the grid of trainings (GRID="--config fer2013=DIR", see study/Snakefile)
	STUDY_PYTHON="$(PY)" $(GRID_PLACE)/bin/python -m study.grid run $(GRID)

bench: install $(BENCH_STAMP) ## measure what the study costs, into results/benchmark/cost.json (BENCH=gpu: on a card, gpu/card.json)
	$(PY) -m study.cost $(BENCH)

lint: install ## check style, and that notebooks are paired and free of outputs
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m study.book.pairs

pairs: install ## write each notebook's .ipynb from its .py
	$(PY) -m study.book.pairs --write

# For Python 3.11 to 3.13, with hashes and no address of an index: the extra `dev`, which has `jax`. `grid`, `landmarks` and `hed` are
# left out: they hold other packages back, and add 29 packages and 160 MB of models that neither `make test` nor `make book` needs;
# and `cuda`, which is for machines with a GPU. Present pins stay where they still fit.
lock: install ## pin the dependencies again (LOCK=--upgrade takes the newest versions)
	$(PY) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --quiet $(LOCK) \
	  --custom-compile-command "make lock" --extra dev --output-file requirements.lock pyproject.toml

clean: ## remove what the commands have made, but not .venv
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

$(GRID_STAMP): pyproject.toml
	$(PY) -m uv venv --quiet --allow-existing --python $(PY) $(GRID_PLACE)
	$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["grid"], sep="\n")' | $(PY) -m uv pip install --quiet --python $(GRID_PLACE)/bin/python -r -
	@touch $@

$(BENCH_STAMP): pyproject.toml
	$(PY) -m venv $(BENCH_PLACE)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["bench"], sep="\n")' > $(BENCH_PLACE)/wanted.txt
	@if $(BENCH_PLACE)/bin/python -m pip install --quiet --disable-pip-version-check -r $(BENCH_PLACE)/wanted.txt; then touch $@; \
	  else rm -rf $(BENCH_PLACE); echo "PyTorch could not be installed: its figures are left out" >&2; fi

install: $(STAMP)

ifneq ($(shell cat "$(STAMP)" 2>/dev/null),$(CURDIR))
$(STAMP): other-clone
endif

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(ACTIVE)" ] && [ ! -x "$(PY)" ]; then \
	  [ -n "$(PYTHON)" ] || { echo "no Python 3.11 to 3.13 found: install one, or give it as PYTHON=..." >&2; exit 1; }; \
	  $(PYTHON) -m venv "$(PLACE)" || { rm -rf "$(PLACE)"; exit 1; }; fi
	@$(PY) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$$($(PY) --version) in $(PLACE): the study needs Python 3.11 to 3.13" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	$(PY) -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(PY) -m uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock
	$(PY) -m uv pip install --quiet --python $(PY) --no-deps -e .
	@printf '%s' "$(CURDIR)" > $@
