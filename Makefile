# `make index REPO=path` indexes a repository, `make test` runs every check; both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REPO ?= .
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: index search ui test check lock lowest clean

index: $(VENV)/.runtime
	$(BIN)/code-index index "$(REPO)"

ui: $(VENV)/.runtime
	$(BIN)/code-index ui "$(REPO)"

test: $(VENV)/.dev check
	$(BIN)/pytest -n auto --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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

# Both locks anew, from the bounds in pyproject.toml.
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-header --no-annotate --unsafe-package torch
lock: $(VENV)/.dev
	$(LOCK) --extra dev -o requirements-dev.lock pyproject.toml
	$(LOCK) -o requirements.lock pyproject.toml
	sed -i.bak '/^# WARNING/,$$d' requirements.lock requirements-dev.lock
	rm -f requirements.lock.bak requirements-dev.lock.bak

clean:
	rm -rf $(VENV)
