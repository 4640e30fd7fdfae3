# Every target makes the environment that it needs. `make help` lists them.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed
TYPES := build/types/crosscheck

# Two files at a time, each in one process: what a file compiles or records once is then used by all of its tests.
PARALLEL := -n 2 --dist loadfile

# Two processes that calculate with two threads each stand in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help article samples test lint bench docs faults mutants support torch-coverage package-tree

help:
	@echo 'make article   check the network of the article against PyTorch and JAX; the report goes to reports/article'
	@echo 'make test      run the test suite; ARGS="-k relu -x" is passed on to pytest'
	@echo 'make lint      check style (ruff), types (mypy) and the direction of imports (import-linter)'
	@echo 'make bench     run the benchmarks; ARGS is passed on to pytest'
	@echo 'make docs      build the handbook into build/docs; it says where to open it'
	@echo 'make faults    plant every fault, make 1,800 correct runs; what was caught goes to reports/samples'
	@echo 'make mutants   change reference/ in every small way; a test must fail. ARGS="reference/layers/affine.py" for some'
	@echo 'make samples   write the reports and the lesson of reports/samples again'
	@echo 'make support   run every kind in every framework and dtype into docs/support.md. ARGS="relu adam" or --missing'
	@echo 'make torch-coverage   list what of torch.nn and torch.optim is covered in docs/torch-coverage.md'
	@echo
	@echo 'The first of them installs what all need into .venv, which takes about two minutes and 2 GB.'
	@echo 'PYTHON=python3.12 chooses the interpreter for a new .venv; at least 3.11.'

article: $(INSTALLED)
	$(BIN)/crosscheck run article --against torch,jax

samples: $(INSTALLED)
	$(BIN)/crosscheck run article --against torch,jax --out build/samples
	$(BIN)/crosscheck explain article --against torch,jax --page-only --out build/samples
	rm -rf reports/samples/article && mv build/samples/article reports/samples/
	$(BIN)/python docs/samples.py reports/samples/three-mistakes

test: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/pytest $(PARALLEL) $(ARGS)

lint: $(INSTALLED) package-tree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	MYPYPATH=build/types $(BIN)/mypy -p crosscheck

bench: $(INSTALLED)
	$(BIN)/pytest benchmarks $(ARGS)

# Strict: a broken link or any other warning is an error.
docs: $(INSTALLED)
	cd docs && ../$(BIN)/python -m handbook $(ARGS)

# JAX compiles each network, which takes seconds; PyTorch therefore makes most of the runs. Of those that are drawn a
# framework can express about half, for the others are of conventions that it lacks. Three quarters of an hour.
faults: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/crosscheck faults --sites 1 --correct 900 --against torch,jax:40 --jobs 2 \
		--out reports/samples --json reports/faults.json $(ARGS)
	cd tests && ../$(BIN)/python -m independent.report ../reports/samples/independent.md

# ARGS="--sample 200 --seed 1" tries some at random, ARGS=--help lists the rest.
mutants: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/python tests/mutation/run.py $(ARGS)

# JAX compiles a network for each kind and dtype: half an hour for all of them, at low priority.
support: $(INSTALLED)
	$(ONE_THREAD) nice $(BIN)/python docs/support.py $(ARGS)

torch-coverage: $(INSTALLED)
	$(BIN)/python docs/torch_coverage.py

# The checkout is the package, whatever its folder is called; mypy must see it under the package's name. So: a folder
# `crosscheck` of links to the modules at the root and to every folder with an __init__.py.
package-tree:
	@rm -rf $(TYPES) && mkdir -p $(TYPES)
	@for entry in *.py py.typed $(patsubst %/__init__.py,%,$(wildcard */__init__.py)); do \
		ln -s "../../../$$entry" $(TYPES)/; \
	done

# The stamp is written last, so that an installation that was interrupted is taken up again.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: crosscheck needs Python 3.11 or newer, which PYTHON=$(PYTHON) is not: $$($(PYTHON) --version 2>&1 | tail -n 1)" >&2; \
		echo "Choose another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	}
	@echo 'Installing crosscheck, PyTorch, JAX and the tools of development into .venv.'
	@echo 'The first time this takes about two minutes and 2 GB; later runs reuse it.'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@
