# Two commands for newcomers: make demo, make test. Two for work: make check, make test. `make help` lists all.
SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SOURCES := $(shell find src -name '*.py' -o -name '*.html' -o -name '*.css' -o -name '*.[ch]' 2>/dev/null) pyproject.toml hatch_build.py

.PHONY: help setup demo test check agreement bench lock clean format

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.tools: requirements/dev.txt scripts/setup
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/setup
	@touch $@

# The tests run against the built wheel, never against the source tree.
$(VENV)/.wheel: $(VENV)/.tools $(SOURCES) README.md LICENSE
	@rm -rf build/wheel && mkdir -p build/wheel
	@$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation --no-index -w build/wheel .
	@$(BIN)/python -m pip install -q --no-deps --no-index --force-reinstall build/wheel/holdfast-*.whl
	@touch $@

setup: $(VENV)/.wheel ## make the virtual environment and install Holdfast into it

demo: $(VENV)/.wheel ## start containers with known holes and a clean one, scan them, show the paths
	@BIN=$(BIN) scripts/demo

test: $(VENV)/.wheel ## run every test; installs what the tests need when run as root
	@BIN=$(BIN) scripts/test $(ARGS)

check: $(VENV)/.wheel ## formatting, lint, types, floors
	@$(BIN)/ruff format --check --quiet . || { echo "next: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports --no-cache | tail -n 12

agreement: $(VENV)/.wheel ## hold predictions against attempts, here and in virtual machines; about an hour
	@BIN=$(BIN) scripts/agreement $(ARGS)

bench: $(VENV)/.wheel ## measure speed and memory, in pairs in one run
	@BIN=$(BIN) scripts/bench $(ARGS)

format: $(VENV)/.tools ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

lock: $(VENV)/.tools ## pin the dependencies again, with hashes and without download addresses
	@scripts/lock $(BIN)

clean: ## remove what the other targets made
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
