# `make index REPO=path` indexes a repository, `make test` runs every check; both install what they need, and
# `make help` lists the rest: each target with what stands behind its `##`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REPO ?= .
T ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

# A process of each test would compile this project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: index ui help test long fast check fix lock lowest newest dist clean

index: $(VENV)/.runtime  ## index the repository at REPO (this one)
	$(BIN)/code-index index "$(REPO)"

ui: $(VENV)/.runtime  ## open Dagster's web interface on the index of REPO
	$(BIN)/code-index ui "$(REPO)"

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifdef T
test: $(VENV)/.dev
	$(BIN)/pytest -m "" $(if $(wildcard $(firstword $(subst ::, ,$(T)))),$(T),-k "$(T)")
else
test: $(VENV)/.dev check  ## all checks, and all tests but those of `make long` (20 minutes on 2 cores); T=path or T=words: only the tests there or so named, unchecked
	$(BIN)/pytest -n auto --dist worksteal
endif

long: $(VENV)/.dev  ## what `make test` leaves out: further points of kills, kills at random (10 minutes on 2 cores)
	$(BIN)/pytest -m long -n auto --dist worksteal

fast: $(VENV)/.dev  ## the quick tests of tests/unit and tests/contract (a minute on 2 cores)
	$(BIN)/pytest tests/unit tests/contract -m "not slow and not long" -n auto --dist worksteal

check: $(VENV)/.dev  ## style, types and import rules (10 seconds)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev  ## repair what the style checks can repair, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.runtime: requirements.lock requirements-torch.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes --no-deps -r requirements.lock
	$(PIP) install --quiet -r requirements-torch.lock
	$(PIP) install --quiet --no-deps -e .
	$(PIP) check
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(PIP) install --quiet --require-hashes --no-deps -r requirements-dev.lock
	$(PIP) check
	touch $@

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-header --no-annotate --unsafe-package torch
# What a clone installs: everything that works in it works at once.
CLONE := --extra torch --extra ui --extra clone
lock: $(VENV)/.dev  ## both requirement locks again, from the bounds in pyproject.toml
	$(LOCK) $(CLONE) --extra dev -o requirements-dev.lock pyproject.toml
	$(LOCK) $(CLONE) -o requirements.lock pyproject.toml
	sed -i.bak '/^# WARNING/,$$d' requirements.lock requirements-dev.lock
	rm -f requirements.lock.bak requirements-dev.lock.bak

lowest:  ## the tests with every direct dependency at its lower bound, in an environment of its own; T=path: only those there
	PYTHON="$(PYTHON)" .ci/lowest $(or $(T),-n auto --dist worksteal)

newest:  ## the tests with every package at the newest version allowed, in an environment of its own; T=path: only those there
	PYTHON="$(PYTHON)" .ci/newest $(or $(T),-n auto --dist worksteal)

dist: $(VENV)/.dev  ## the package that people install, in dist/: wheel and source, checked
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean:  ## remove the environment
	rm -rf $(VENV)
