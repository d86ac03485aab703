# Every target works on a fresh clone with Python 3.11+ and make: .venv is made when it is first needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
FUZZ   ?= 100000

.DEFAULT_GOAL := help
.PHONY: help venv test demo tour lint format types docs bench fuzz clean

help:  ## what can be made
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

venv: $(STAMP)  ## .venv with the pinned versions and this checkout (other targets call it)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tensorkeep needs Python 3.11 or later: make PYTHON=/path/to/python3.11 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

demo: $(STAMP)  ## train, lose the power, resume to the same bits, export
	$(BIN)/python examples/demo.py

tour: $(STAMP)  ## a tour on files of MXNet, PyTorch, NumPy, safetensors
	$(BIN)/python examples/files.py

lint: $(STAMP)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)  ## ruff: rewrite to the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)  ## mypy --strict on src
	$(BIN)/mypy

docs: $(STAMP)  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)  ## measure us and the peers (minutes; writes docs/benchmarks.md)
	$(BIN)/python -m benchmarks

fuzz: $(STAMP)  ## nightly: FUZZ=100000 mutations a format
	TENSORKEEP_FUZZ=$(FUZZ) $(BIN)/python -m pytest -n 2 -q tests/fuzz

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-out
	find src tests benchmarks examples tools -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
