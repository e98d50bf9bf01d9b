# Everything runs in a virtual environment of the project's own; PYTHON picks
# the interpreter that makes it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-torch soak lint docs format clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { \
	  echo "python3 -m venv failed: on Debian or Ubuntu run 'apt-get install python3-venv python3-dev g++'"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed-demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[plots,progress]'
	touch $@

$(VENV)/installed-tests: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[tests]'
	touch $@ $(VENV)/installed-demo

# PyTorch for the processor alone is a tenth of the other builds. Some package indexes
# offer it among the versions, marked so; PyTorch's own has it for all systems.
$(VENV)/installed-torch: pyproject.toml | $(BIN)/python
	$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  version=$$($(BIN)/python -m pip index versions torch 2>/dev/null | grep -oE '[0-9.]+[+]cpu' | head -n 1); \
	  if [ -n "$$version" ]; then $(BIN)/python -m pip install --quiet "torch==$$version"; else \
	    $(BIN)/python -m pip install --quiet --retries 0 --index-url https://download.pytorch.org/whl/cpu 'torch>=2.4' \
	    || $(BIN)/python -m pip install --quiet 'torch>=2.4'; fi; }
	touch $@

$(VENV)/installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

demo: $(VENV)/installed-demo
	$(BIN)/knngraph demo

# Files are shared between two processes: what a module sets up, it sets up once.
test: $(VENV)/installed-tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope

# What `make test` skips where PyTorch is not installed.
test-torch: $(VENV)/installed-tests $(VENV)/installed-torch
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope -k 'torch or convnn' \
	  tests/torch tests/benchmarks tests/test_docs.py knngraph/torch

# A hundred thousand mixed operations on one model, ten minutes or so.
soak: $(VENV)/installed-tests
	$(BIN)/python -m tests.soak

lint: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Warnings, which broken links between the pages are too, stop the build. The
# examples of the reference are run from what the first command has read.
docs: $(VENV)/installed-docs $(VENV)/installed-torch
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -b doctest -d docs/_build/doctrees docs docs/_build/doctest

format: $(VENV)/installed-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist docs/_build docs/auto_gallery docs/api *.egg-info .pytest_cache .mypy_cache .ruff_cache
