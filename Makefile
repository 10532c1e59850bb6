# Every target first sets up .venv from requirements.lock, but only when the lock has changed.
# Options for a tool go through ARGS:  make lab ARGS="--no-browser --port=8899"
# Another notebook is opened by:       make lab LAB_OPENS=build/workshop/notebooks/00_start_here.ipynb

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

LAB_OPENS ?= work/00_start_here.ipynb
LAB_OPTIONS := --LabApp.default_url=/lab/tree/$(LAB_OPENS) --LabApp.extension_manager=readonly

.DEFAULT_GOAL := help
.PHONY: help lab test unit-tests notebook-tests notebooks workshop bench lint jax-tests lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

lab: $(VENV)/requirements.lock ## open your copies of the lessons, in work/, in JupyterLab
	$(BIN)/python notebooks/copies.py lab
	$(BIN)/jupyter lab $(LAB_OPTIONS) $(ARGS)

test: unit-tests notebook-tests ## all tests: units, then every notebook through nbval

unit-tests: $(VENV)/requirements.lock
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/alone $(ARGS)
	$(BIN)/pytest tests/alone $(ARGS)

notebook-tests: $(VENV)/requirements.lock
	$(BIN)/pytest -n 2 --dist loadscope --nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
		--nbval-sanitize-with tests/nbval_sanitize.cfg notebooks $(ARGS)

notebooks: $(VENV)/requirements.lock ## write and execute notebooks/*.ipynb from notebooks/source/
	$(BIN)/python notebooks/make_notebooks.py $(ARGS)

workshop: $(VENV)/requirements.lock ## copies for a class: no solutions, no outputs
	$(BIN)/python notebooks/copies.py workshop $(ARGS)

bench: $(VENV)/requirements.lock ## the benchmark tables
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/requirements.lock ## ruff, and notebooks in step with their sources
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python notebooks/make_notebooks.py --check

jax-tests: $(VENV)/requirements-all.lock ## the core tests on the JAX backend
	KERAS_BACKEND=jax $(BIN)/pytest $(CORE_TESTS) $(ARGS)

lock: ## refresh the locks (needs uv)
	uv pip compile pyproject.toml $(LOCK_OPTIONS) --extra dev --output-file requirements.lock
	uv pip compile pyproject.toml $(LOCK_OPTIONS) --all-extras --constraint requirements.lock \
		--output-file requirements-all.lock

clean: ## remove the environment and everything built; the copies for a class, where somebody may have written, stay
	rm -rf $(VENV) $(filter-out build/workshop,$(wildcard build/*))

CORE_TESTS := tests/layers tests/gradients
LOCK_OPTIONS := --upgrade --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links

# The copy of the lock in .venv says what is installed there; it is made last, so an interrupted set-up is repeated.
# make compares times; a newer file with the same content is not a change.
$(VENV)/requirements.lock: requirements.lock
	@if cmp -s $< $@; then touch $@; else $(MAKE) --no-print-directory install LOCK=$<; fi

$(VENV)/requirements-all.lock: requirements-all.lock $(VENV)/requirements.lock
	@if cmp -s $< $@; then touch $@; else $(MAKE) --no-print-directory install LOCK=$<; fi

.PHONY: install
install:
	@echo "Setting up $(VENV) from $(LOCK): once, a few minutes."
	@if command -v uv >/dev/null; then \
		test -x $(BIN)/python || uv venv --quiet --python '>=3.11,<3.14' $(VENV); \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK) && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
			echo "The course needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
				"Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
		test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@# JupyterLab would ask the network for news and updates, and the learner whether it may.
	@$(BIN)/jupyter labextension disable --level=sys_prefix "@jupyterlab/apputils-extension:announcements" 2>/dev/null
	@cp $(LOCK) $(VENV)/
