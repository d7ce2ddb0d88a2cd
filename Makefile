# Needs Python 3.11 or newer with pip and venv. Everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS := bi,xlsx,postgresql,otel,dask,site,test,dev
# All tests run on the oldest Prefect that pyproject.toml allows; `make newest` and `release` on the newest.
OLDEST_PREFECT := 3.8.8

.PHONY: help run test chaos bench bench-quick check format docs site release newest pythons constraints clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/run  ## fetch data/task_ids.txt from a sandbox gateway into data/warehouse, by a Prefect flow
	@$(BIN)/python -m flows.demo

test: .venv/test  ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: .venv/test  ## kills, faults, readers and hostile answers, each kind: ten minutes on two cores
	@$(BIN)/python tests/chaos/run.py

bench: .venv/bench  ## measure every figure of docs/performance.md: a quarter of an hour
	@$(BIN)/python -m benchmarks

bench-quick: .venv/bench  ## the same with smaller numbers, printed only
	@$(BIN)/python -m benchmarks --quick

check: .venv/test  ## linter, formatter and type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/test  ## let the linter and the formatter mend what they can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: .venv/test  ## the pages made from the code, and the outputs of docs/notebook.ipynb
	@for page in tables cli settings; do $(BIN)/python -m tools.$${page}_page docs/$$page.md || exit 1; done
	@$(BIN)/python -m tools.notebook docs/notebook.ipynb

site: .venv/test  ## the documentation as a site, in site/; a broken link fails
	@$(BIN)/zensical build --clean --strict

release: .venv/test  ## build dist/, check it, and try the wheel in an empty environment
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .
	@$(BIN)/python -m twine check --strict dist/*
	@$(BIN)/python -m tools.try_wheel dist/*.whl

newest:  ## the flow's tests on what a plain `pip install` brings, in .newest
	@$(PYTHON) -m venv --clear .newest
	@.newest/bin/python -m pip --disable-pip-version-check --quiet install '.[test,otel]'
	@.newest/bin/python -m pytest tests/test_flow.py

pythons:  ## the core's tests on every other Python that this machine has, in .pythons
	@.ci/pythons

constraints: clean  ## the newest versions that fit pyproject.toml, into constraints.txt
	@$(PYTHON) -m venv .venv
	@$(PIP) install '.[$(EXTRAS)]' prefect==$(OLDEST_PREFECT)
	@echo '# Versions this project is tested with; `make constraints` renews them.' > constraints.txt
	@$(PIP) freeze --exclude luma-to-parquet >> constraints.txt

clean:  ## remove the environment
	@rm -rf .venv .newest .pythons

.venv/base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run: .venv/base pyproject.toml constraints.txt
	@echo 'Installing into .venv: the first time takes a minute or two ...'
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/test: .venv/run
	@echo 'Installing what the tests need ...'
	@$(PIP) install --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

.venv/bench: .venv/test
	@echo 'Installing what is measured beside it ...'
	@$(PIP) install --constraint constraints.txt --editable '.[$(EXTRAS),bench]'
	@touch $@
