# `make demo` shows the whole story, `make test` checks everything. Each makes its own .venv when there is none.
# Nothing but Python 3.11 or later and a package index is needed; after the first run, no network either.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTHON ?=
UV ?= $(shell command -v uv || echo $(BIN)/uv)
PYTEST_ALL := $(BIN)/pytest -n auto --dist worksteal

# What a user's environment says of pip's index and certificates counts; what would change what is installed,
# or where, does not.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_NO_DEPS
unexport PIP_PRE PIP_UPGRADE PIP_DRY_RUN PIP_IGNORE_INSTALLED PIP_NO_BINARY PIP_NO_BUILD_ISOLATION PIP_REQUIRE_HASHES
unexport PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME
# The tests start us a thousand times: compiled once is enough.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick check cover fuzz test-wheel test-lowest bench soak lock clean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUNTIME) ## the whole story, against a stand-in Plug on this machine
	@$(BIN)/reconciler demo

test: check ## the checks, then all tests
	$(PYTEST_ALL)

quick: $(DEV) ## in less than a minute: unit tests, golden files, and the stores' contract without git and objects
	$(PYTEST_ALL) -m "not slow" tests/unit tests/golden tests/contract/test_stores.py tests/contract/test_folder_store.py

check: $(DEV) ## format, lint, types, who imports whom, dead code, dependencies, workflows, locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml \
	  reconciler/starter/tree/dependabot.yml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/actionlint -shellcheck=shellcheck
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github
	$(BIN)/python .ci/check_sources.py

test-wheel: $(DEV) ## build the wheel, install it alone, and run it as a user would
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m pip --quiet wheel --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BIN)/python -m venv --clear build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements.lock
	build/wheel/venv/bin/python -m pip --disable-pip-version-check --quiet install --no-deps build/wheel/*.whl
	$(BIN)/python .ci/try_wheel.py build/wheel/venv/bin/reconciler

test-lowest: $(DEV) $(BIN)/uv ## all tests with the lowest dependency versions that pyproject.toml allows
	rm -rf build/lowest && mkdir -p build/lowest
	$(UV) pip compile --quiet --resolution lowest-direct --python-version 3.11 --all-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --output-file build/lowest/requirements.txt pyproject.toml
	$(BIN)/python -m venv --clear build/lowest/venv
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-dev.lock
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install -r build/lowest/requirements.txt
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	build/lowest/venv/bin/python -m pytest -n auto --dist worksteal $(PYTEST)

cover: $(DEV) ## which branches the tests don't reach; the page is htmlcov/index.html
	$(PYTEST_ALL) --cov --cov-report=term:skip-covered --cov-report=html $(PYTEST)

fuzz: $(DEV) ## a long search with other examples each time; coverage-guided on YAML and URLs, FUZZ_SECONDS each
	nice -n 19 $(BIN)/pytest -n auto --hypothesis-profile thorough tests/fuzz tests/properties
	@$(PIP) install --only-binary :all: 'atheris>=3' || { \
	  echo "atheris has no wheel for this platform or Python (Linux on x86-64 has one): the kept seeds run in make test" >&2; \
	  exit 1; }
	nice -n 19 $(BIN)/python -m tests.fuzz yaml --seconds $(or $(FUZZ_SECONDS),60)
	nice -n 19 $(BIN)/python -m tests.fuzz urls --seconds $(or $(FUZZ_SECONDS),60)

bench: $(DEV) ## figures beside floors and peers, also as build/bench.json; AGAINST=FILE names what differs from a stored run
	$(BIN)/python -m tests.benchmarks --out build/bench.json $(if $(AGAINST),--against $(AGAINST)) $(BENCH)

soak: $(DEV) ## ten minutes of edits, applies, faults and kills, then the rules of the state are checked
	$(BIN)/python -m tests.benchmarks.soak $(SOAK)

# One lock for every platform and every Python from 3.11 on, with no index, path or command line in it. hatchling asks
# for editables at an editable build only, so pyproject.toml doesn't name it.
LOCKED_FROM := pyproject.toml $(VENV)/build-requires.in
# Extras stay (`coverage[toml]==…`): where a requirement names one and a newer release is out, pip takes the bare pin of
# the lock for none, and refuses to install.
COMPILE = $(UV) pip compile $(LOCKED_FROM) --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links

lock: $(MADE) $(filter $(BIN)/uv,$(UV)) ## resolve the dependencies anew into the locks
	@$(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")' \
	  > $(VENV)/build-requires.in
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra objects --constraint requirements.lock --output-file requirements-objects.lock
	$(COMPILE) --group dev --all-extras --constraint requirements.lock --output-file requirements-dev.lock
	$(BIN)/python .ci/check_sources.py

clean: ## remove the .venv and whatever else was made; the state in .reconciler stays
	rm -rf $(VENV) build dist *.egg-info htmlcov .coverage
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up ------------------------------------------------------------------------------------

# The build backend is in the locks: building needs neither isolation nor network.
define install
$(PIP) install --require-hashes -r $(1)
$(PIP) install --no-deps --no-build-isolation --editable .
endef

$(RUNTIME): requirements.lock pyproject.toml $(MADE)
	$(call install,requirements.lock)
	@touch $(RUNTIME)

$(DEV): requirements-dev.lock requirements.lock pyproject.toml $(MADE)
	$(call install,requirements-dev.lock)
	@touch $(RUNTIME) $(DEV)

$(BIN)/uv: $(MADE)
	$(PIP) install uv

# A .venv that was copied along runs the programs and imports the package of the folder it came from: $(MADE) holds
# the folder, and where that is another one, all is made anew.
ifneq "$(shell cat $(MADE) 2>/dev/null || true)" "$(CURDIR)"
$(MADE): FORCE
endif

$(MADE):
	@if [[ "$$($(BIN)/pip --version 2>/dev/null)" != *" from $$PWD/$(VENV)/"* ]]; then \
	  for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      found="$$python"; break; \
	    fi; \
	  done; \
	  if [[ -z "$${found:-}" ]]; then \
	    echo "$(or $(PYTHON),python3) is no Python 3.11 or later with venv: install one (on Debian with python3-venv)," \
	      "or name it, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=/usr/bin/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$("$$found" --version)"; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@printf '%s\n' "$$PWD" > $@
