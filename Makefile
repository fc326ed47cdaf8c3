# The two commands that matter: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
SECONDS ?= 60
CHANGES ?= 1000000

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" sh tests/lab/install.sh venv $(VENV)
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed ## the virtual environment with all that development needs

.PHONY: demo
demo: $(VENV)/.installed ## a small cluster, three speakers and a router; ONCE=1 ends after the tour
	@sh tests/lab/enter.sh $(BIN)/python -m tests.lab.demo $(if $(ONCE),--once)

.PHONY: test
test: $(VENV)/.installed ## install what the tests need, then run all of them
	@sh tests/lab/install.sh routers
	@$(MAKE) --no-print-directory lint
	@sh tests/lab/enter.sh $(BIN)/python -m pytest --numprocesses=auto $(PYTEST_ARGS)

.PHONY: unit
unit: $(VENV)/.installed ## the tests that need no router, no namespace and no kubectl
	@$(BIN)/python -m pytest -m "not (netns or bird or frr or gobgp or openbgpd or kubectl or new_kubectl)" \
		--numprocesses=auto $(PYTEST_ARGS)

.PHONY: interop
interop: $(VENV)/.installed ## prove every session feature with every router, and write the page that says so
	@sh tests/lab/install.sh routers
	@sh tests/lab/enter.sh $(BIN)/python -m pytest --numprocesses=auto --write-interoperability tests/interop

.PHONY: failover
failover: $(VENV)/.installed ## measure with packets what each kind of failure costs, and write the page
	@sh tests/lab/install.sh routers
	@sh tests/lab/enter.sh $(BIN)/python -m tests.lab.failover --write

.PHONY: scale
scale: $(VENV)/.installed ## measure fabrics of many speakers, and write the page; ROW=mesh-50 measures one row
	@sh tests/lab/enter.sh $(BIN)/python -m tests.lab.scale $(ROW)

.PHONY: bench
bench: $(VENV)/.installed ## measure against gobgpd, BIRD and ExaBGP, and write the page; ROW=NAME measures one row
	@sh tests/lab/install.sh routers
	@sh tests/lab/enter.sh $(BIN)/python -m tests.bench $(if $(ROW),--row $(ROW),--write)

.PHONY: soak
soak: $(VENV)/.installed ## a million changes, and the curve of memory (CHANGES=1000000)
	@sh tests/lab/enter.sh $(BIN)/python -m tests.bench.soak --changes $(CHANGES) --write

.PHONY: fuzz
fuzz: $(VENV)/.installed ## hostile bytes for a minute (SECONDS=60); exit status 1 on a finding
	@sh tests/lab/install.sh fuzz $(VENV)
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)

.PHONY: lint
lint: $(VENV)/.installed ## ruff, mypy and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: format
format: $(VENV)/.installed ## let ruff format and mend what it can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: docs
docs: $(VENV)/.installed ## regenerate the reference pages
	@$(BIN)/python docs/generate.py

.PHONY: clean
clean: ## remove what was built
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
