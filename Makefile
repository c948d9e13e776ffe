# The working tree's commands. `make test` and `make check` make their own environment in .venv.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: all bench check format test clean

all: check test

# Test tools are the group `dev` of pyproject.toml; read from there because pip knows groups since 25.1 only.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(BIN)/python -m pip install --quiet --editable . --requirement $(VENV)/dev.txt
	touch $@

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGUMENTS)

# Figures against Docker with BuildKit, in the same run; bench/README.md says how.
bench: $(READY)
	$(BIN)/python -m bench $(ARGUMENTS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
