# Everything a developer runs. `make check` is what CI runs; `make` lists the targets.
# Needs Python 3.11 to 3.13 with venv and pip, and nothing else.

VENV := .venv
BIN := $(VENV)/bin
UV ?= $(BIN)/uv
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder
ARGS ?=
unexport PYTHONDONTWRITEBYTECODE # else each process that runs tests would compile all of them anew
PACKAGES := schemas processors placement workers streams

# The first interpreter that can make the environment; override with PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	>/dev/null 2>&1 && { echo "$$p"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup check lint types imports yaml contracts edge test faults gpu-smoke kube-smoke demo up bench notebooks wheel fmt lock

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup: $(VENV)/.installed ## make .venv from the locked, hashed requirements

$(VENV)/.locked: requirements/dev.lock
	@test -n "$(PYTHON)" || { echo "weir needs Python 3.11, 3.12 or 3.13 with venv and pip: \
	install one (on Debian python3 and python3-venv) or say make PYTHON=/path/to/python" >&2; exit 3; }
	@echo "Making $(VENV) with $(PYTHON) from requirements/dev.lock; a minute or two, once."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 $(PACKAGES) tests # once, not in each of the processes that start together
	@grep -rl --include='*.py' '^from schemas.compiling import' $(PACKAGES) | sed 's/\.py$$//; s#/#.#g' | \
	xargs -P 2 -I{} $(BIN)/python -c 'import {}' # kernels likewise
	@touch $@

check: lint types imports yaml contracts edge test ## all that CI runs

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

yaml: setup
	$(BIN)/yamllint --strict deploy .github .pre-commit-config.yaml .yamllint.yaml

contracts: setup
	$(BIN)/weir schemas check

edge: setup ## a worker alone installs on a Jetson: aarch64, Python 3.10, wheels only
	$(BIN)/uv pip compile -q --no-header --no-annotate --only-binary :all: --python-version 3.10 \
		--python-platform aarch64-unknown-linux-gnu requirements/edge.lock >/dev/null

test: setup ## run the tests (PYTEST_ARGS="tests/unit -k codec")
	@rm -f .pytest_cache/v/cache/lastfailed # else what failed in other runs would count
	$(BIN)/pytest $(PYTEST_ARGS) || { [ $$? = 1 ] && $(BIN)/python -m tests.again; }

faults: setup ## break real parts in turn and keep the ledger (ARGS="--seed 3 --broker embedded")
	$(BIN)/pytest -m faults -n 1 --dist loadfile
	$(BIN)/weir bench faults $(ARGS)

gpu-smoke: setup ## run the tests that need a GPU; each says why it is left out where there is none
	$(BIN)/pytest tests/gpu -n 0 -rs $(ARGS)

kube-smoke: setup ## try Weir on the cluster that KUBECONFIG names, in a namespace of its own (ARGS="--keep")
	$(BIN)/python -m tests.kube smoke $(ARGS)

demo: setup ## the whole loop on this machine, under 90 seconds (ARGS="--seed 2")
	$(BIN)/weir demo $(ARGS)

up: setup ## start the embedded stack until Ctrl-C
	$(BIN)/weir up $(ARGS)

bench: setup ## ratios measured side by side; see tests/bench/README.md
	$(BIN)/python -m tests.bench $(ARGS)

notebooks: setup ## execute the notebooks, as the tests do
	$(BIN)/pytest tests/notebooks

wheel: setup ## build dist/weir-*.whl, which the images install
	$(BIN)/hatchling build -t wheel

fmt: setup ## format, and mend what can be mended
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

lock: ## renew requirements/*.lock; UV=uv where there is no .venv yet
	$(UV) pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		pyproject.toml --extra stream --extra worker --extra embedded --extra demo --extra exact \
		--extra intake --extra sources --group dev -o requirements/dev.lock
	$(UV) pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		-c requirements/dev.lock pyproject.toml --extra stream --extra worker --extra intake \
		-o requirements/run.lock
	$(UV) pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.10 \
		pyproject.toml --extra worker --extra nvml -o requirements/edge.lock
	$(UV) pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		requirements/bench.in -o requirements/bench.lock
