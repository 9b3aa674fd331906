# `make` lists the targets. Each target makes a .venv if there is none, and needs only Python 3.11 or later and a package
# index. After the first run it needs no network.

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
QUICK := -m "not slow" tests/unit tests/golden tests/contract/test_stores.py tests/contract/test_folder_store.py
# what `make check` takes from the tests: the rules for names, sizes, words and pages
RULES := tests/unit/test_layers.py tests/unit/test_words.py tests/unit/test_pages.py
# Percent of lines and branches that the quick tests reach; 93 in November 2026. Raise it when they reach more.
COVER_MIN := 92

# pip's index and certificates come from the user's environment. Variables that would change what is installed, or where,
# are removed.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_NO_DEPS
unexport PIP_PRE PIP_UPGRADE PIP_DRY_RUN PIP_IGNORE_INSTALLED PIP_NO_BINARY PIP_NO_BUILD_ISOLATION PIP_REQUIRE_HASHES
unexport PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME
# The tests start the program a thousand times, so its compiled files are kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick check cover cover-gate fuzz test-wheel test-lowest audit bench soak lock clean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.13 chooses the Python that a new .venv is made with."

demo: $(RUNTIME) ## show the program at work against a sandbox on this machine; nothing is sent to Plug
	@$(BIN)/reconciler demo

test: check ## run the checks, then all other tests: minutes
	$(PYTEST_ALL) $(addprefix --ignore=,$(RULES))

quick: $(DEV) ## run the quick tests: units, views, and the stores without git and buckets
	$(PYTEST_ALL) $(QUICK)

check: $(DEV) ## check format, style, types, layers, names, words, pages, dead code, dependencies, workflows and locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/pytest --quiet $(RULES)
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml \
	  reconciler/starter/tree/dependabot.yml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/actionlint -shellcheck=shellcheck
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github
	$(BIN)/python .ci/check_sources.py

# The tests of the source distribution import the package beside them, as the working directory comes first.
test-wheel: $(DEV) ## build what a release has: test the source distribution, and run the wheel in an empty environment
	rm -rf build/dist build/source
	$(BIN)/python .ci/release.py build build/dist
	$(BIN)/python .ci/try_wheel.py build/dist
	mkdir -p build/source
	tar -xzf build/dist/*.tar.gz -C build/source --strip-components=1
	cd build/source && $(CURDIR)/$(BIN)/python -m pytest -n auto --dist worksteal $(QUICK)

test-lowest: $(DEV) $(BIN)/uv ## run all tests with the lowest versions of the dependencies that pyproject.toml allows
	rm -rf build/lowest && mkdir -p build/lowest
	$(UV) pip compile --quiet --resolution lowest-direct --python-version 3.11 --all-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --output-file build/lowest/requirements.txt pyproject.toml
	$(BIN)/python -m venv --clear build/lowest/venv
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-dev.lock
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install -r build/lowest/requirements.txt
	build/lowest/venv/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	build/lowest/venv/bin/python -m pytest -n auto --dist worksteal $(PYTEST)

cover: $(DEV) ## run all tests and show which branches they don't reach; also as a page: htmlcov/index.html
	$(PYTEST_ALL) --cov --cov-report=term:skip-covered --cov-report=html $(PYTEST)

# without the tests of what a process imports at its start: coverage itself imports more
cover-gate: $(DEV) ## run the quick tests; fail if they reach less of the code than before
	$(PYTEST_ALL) --cov --cov-report=term:skip-covered --cov-fail-under=$(COVER_MIN) $(QUICK) \
	  --deselect tests/unit/cli/test_start_up.py

fuzz: $(DEV) ## search for input that breaks a promise, with other examples each time; FUZZ_SECONDS=60 for each parser
	nice -n 19 $(BIN)/pytest -n auto --hypothesis-profile thorough tests/fuzz tests/properties
	@$(PIP) install --only-binary :all: 'atheris>=3' || { \
	  echo "atheris has no wheel for this platform or Python (Linux on x86-64 has one): the kept seeds run in make test" >&2; \
	  exit 1; }
	nice -n 19 $(BIN)/python -m tests.fuzz yaml --seconds $(or $(FUZZ_SECONDS),60)
	nice -n 19 $(BIN)/python -m tests.fuzz urls --seconds $(or $(FUZZ_SECONDS),60)

audit: $(MADE) ## look for known vulnerabilities of the locked packages; asks the package index
	rm -rf build/audit
	$(BIN)/python -m venv build/audit
	build/audit/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-audit.lock
	build/audit/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes \
	  -r requirements-dev.lock -r requirements-audit.lock

bench: $(DEV) ## measure, and compare with floors and peers; AGAINST=FILE compares with a stored run
	$(BIN)/python -m tests.benchmarks --out build/bench.json $(if $(AGAINST),--against $(AGAINST)) $(BENCH)

soak: $(DEV) ## edit, apply, break and kill for ten minutes, then check the promises of the state
	$(BIN)/python -m tests.benchmarks.soak $(SOAK)

# One lock serves every platform and every Python from 3.11 on, and holds no index, path or command line. hatchling needs
# editables only for an editable build, so pyproject.toml doesn't name it.
LOCKED_FROM := pyproject.toml $(VENV)/build-requires.in
# Extras stay (`coverage[toml]==…`): if a requirement names an extra and a newer release exists, pip ignores the lock's pin
# without the extra, and refuses to install.
COMPILE = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links

lock: $(MADE) $(filter $(BIN)/uv,$(UV)) ## update the locks to the newest dependencies
	@$(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")' \
	  > $(VENV)/build-requires.in
	$(COMPILE) --output-file requirements.lock $(LOCKED_FROM)
	$(COMPILE) --extra objects --constraint requirements.lock --output-file requirements-objects.lock $(LOCKED_FROM)
	$(COMPILE) --group dev --all-extras --constraint requirements.lock --output-file requirements-dev.lock $(LOCKED_FROM)
	$(COMPILE) --group pyproject.toml:audit --output-file requirements-audit.lock
	$(BIN)/python .ci/check_sources.py

clean: ## remove the .venv and all other generated files; the state in .reconciler stays
	rm -rf $(VENV) build dist *.egg-info htmlcov .coverage
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up ------------------------------------------------------------------------------------

# The build backend is in the locks, so a build needs neither isolation nor network.
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

# A copied .venv runs the programs and imports the package of the folder that it came from. So $(MADE) holds the folder,
# and if that differs, everything is made again.
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
	    echo "$(or $(PYTHON),python3) is not a Python 3.11 or later with venv: install one (on Debian with python3-venv)," \
	      "or name it, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=/usr/bin/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$("$$found" --version)"; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@printf '%s\n' "$$PWD" > $@
