# Everything that is run here; `make` lists it. A fresh machine needs make and a Python >= 3.12.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DOCS := $(VENV)/.installed-docs
EXTRAS := images,networks,cluster,test
PIP_INSTALL := $(BIN)/python -m pip install --quiet --prefer-binary \
	--disable-pip-version-check --constraint constraints.txt

# A pyenv shim can exist and still fail, so a candidate counts only once it has run this.
IS_USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))
CANDIDATES := $(or $(PYTHON),python3.12 python3.13 python3.14 python3 python \
	$(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python))

.DEFAULT_GOAL := help
.PHONY: help demo test bench sbc docs lint format

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Fit the reference cohort: tables per tissue, pictures, a summary
	$(BIN)/bayesdose demo

test: lint ## Run lint, then every test, two files at a time (BAYESDOSE_TEST_DATA: real tables)
	$(BIN)/pytest --numprocesses 2 --dist loadfile

bench: $(INSTALLED) ## Time fit and leave-one-patient-out against PyMC with nutpie
	$(BIN)/python tests/benchmarks/bench.py

sbc: $(INSTALLED) ## Simulation-based calibration of both engines (hours)
	$(BIN)/python tests/benchmarks/sbc.py

docs: $(INSTALLED_DOCS) ## Build the documentation into docs/_build; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

lint: $(INSTALLED) ## Check format, code, types and docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tests/check_docstrings.py

format: $(INSTALLED) ## Rewrite the code to the house style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	@$(BIN)/python -c '$(IS_USABLE)' 2>/dev/null || { \
	  for candidate in $(CANDIDATES); do \
	    if $$candidate -c '$(IS_USABLE)' 2>/dev/null; then \
	      echo "Building $(VENV) with $$($$candidate --version)"; \
	      exec $$candidate -m venv --clear $(VENV); \
	    fi; \
	  done; \
	  echo "bayesdose needs Python >= 3.12 with its venv module; tried: $(CANDIDATES)"; \
	  echo "Get one with 'pyenv install 3.12', 'uv python install 3.12', conda, or your system's"; \
	  echo "packages (python3.12 and python3.12-venv), or name it: make PYTHON=/path/to/python"; \
	  exit 1; \
	} >&2
	@echo "Installing bayesdose[$(EXTRAS)] into $(VENV): some minutes"
	@$(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

$(INSTALLED_DOCS): $(INSTALLED)
	@echo "Installing bayesdose[docs] into $(VENV)"
	@$(PIP_INSTALL) --editable '.[docs]'
	@touch $@
