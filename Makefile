# Everything runs from .venv, which every target makes or brings up to date first.
.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-all check audit requirements bench bench-peers chaos controls fuzz pictures
PY := .venv/bin/python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv and install what requirements.txt pins
	@scripts/setup.sh

demo: setup ## index Python's own documentation and search it, without a key (PORT=8001 for another port)
	@$(PY) -m app demo

serve: setup ## serve the API, with a worker beside it (PORT=8001 for another port)
	@exec $(PY) -m app serve

test: ## all tests, on all cores
	@scripts/setup.sh dev
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: ## all tests on Python 3.11, 3.12 and 3.13
	@scripts/test-all.sh

check: ## format, lint, types, imports, pins, secrets
	@scripts/setup.sh dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) scripts/check_requirements.py
	$(PY) scripts/check_secrets.py

audit: ## ask the advisory service about every pin (needs a network; no part of the tests)
	@scripts/setup.sh dev
	@$(PY) scripts/audit.py

requirements: ## pin anew what pyproject.toml asks for (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
		--no-emit-index-url --no-header pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
		--no-emit-index-url --no-header pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

bench: ## measure speed, CPU, memory and latency against the goals into docs/performance.md
	@scripts/setup.sh dev
	@$(PY) -m benchmarks --write

bench-peers: ## install the script, LangChain and LlamaIndex apart, and measure ours beside them (part of bench)
	@scripts/setup.sh dev
	@$(PY) -m benchmarks --only peers peers-limited peers-killed --peers script langchain llamaindex --write

SEEDS ?= 1000
ROWS ?= 200000
chaos: ## simulate every fault and kill everything, again and again, and count the rows (SEEDS=10000 ROWS=1000000 for more)
	@scripts/setup.sh dev
	@$(PY) -m tests.chaos --seeds $(SEEDS) --rows $(ROWS)

controls: ## take each control of docs/security.md out, one after the other, and see its tests fail
	@scripts/setup.sh dev
	@$(PY) -m tests.security

EXAMPLES ?= 100
fuzz: ## ask the running service what nobody thought of, as in production and without (EXAMPLES=1000 for more)
	@scripts/setup.sh dev
	@$(PY) -m tests.fuzz --examples $(EXAMPLES)

pictures: ## take docs/pictures anew, of every page, from the running service (needs Chromium)
	@scripts/setup.sh dev
	@$(PY) -m scripts.screenshots
