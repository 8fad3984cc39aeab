# make setup | demo | test | slow | lock | clean. Needs Python 3.11 with pip >= 22.3, and git.
# Packages come from wherever this machine's own pip and uv are told to look.

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin
READY := .venv/andon-ready
UV := $(BIN)/uv --quiet
LOCKS := bootstrap.lock build.lock requirements.lock
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: setup demo test lint test-pure test-flows-a-m test-flows-n-z test-stores slow slow-loop slow-rest packages lock clean

setup: $(READY)

# NOTE: without ensurepip (Debian) a virtual environment has no pip; the outer pip puts uv into it, uv does the rest.
$(READY): $(LOCKS) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Andon needs Python 3.11 with pip: install it, or name it: make PYTHON=..."; exit 1; }
	@echo "Setting up .venv from requirements.lock ..."
	@test -x $(BIN)/python || "$(PYTHON)" -m venv --without-pip .venv
	@"$(PYTHON)" -m pip -qq --python $(BIN)/python install --require-hashes --no-deps -r bootstrap.lock
	@$(UV) pip sync --python $(BIN)/python --require-hashes --build-constraints build.lock requirements.lock
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/andon demo

# Side by side, since the tests with real servers mostly wait; each part is shown when it has ended.
test: setup packages
	@echo "Lint and types, pure tests, and tests with real servers: three at a time, some minutes ..."
	@$(MAKE) --no-print-directory --keep-going --jobs 3 --output-sync=target test-flows-a-m test-flows-n-z test-pure test-stores lint

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-pure:
	$(BIN)/python -m pytest -m "not slow" tests/unit

# Two halves, each with servers of its own: one after the other they would take longer than all else together.
test-flows-a-m:
	$(BIN)/python -m pytest -m "not slow" tests/flows/test_[a-m]*.py

test-flows-n-z:
	$(BIN)/python -m pytest -m "not slow" tests/flows/test_[n-z]*.py tests/e2e

test-stores:
	$(BIN)/python -m pytest -m "not slow" tests/contract

# Side by side, too: what lands, and the loop around the champion.
slow: setup packages
	@$(MAKE) --no-print-directory --keep-going --jobs 2 slow-loop slow-rest

slow-loop:
	$(BIN)/python -m pytest -m slow tests/e2e --ignore-glob '*/test_ingest_*'

slow-rest:
	$(BIN)/python -m pytest -m slow tests/e2e/test_ingest_*.py tests/contract tests/flows tests/unit

# Debian packages that tests start; installed where that is allowed, otherwise named.
packages:
	@command -v dpkg >/dev/null || { echo "Not Debian: some tests need $$(paste -sd' ' tests/packages)."; exit 0; }; \
	missing=$$(for p in $$(cat tests/packages); do dpkg -s $$p >/dev/null 2>&1 || printf '%s ' $$p; done); \
	test -z "$$missing" && exit 0; \
	test "$$(id -u)" = 0 && root= || root="sudo -n"; \
	{ $$root true && $$root apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive $$root apt-get -qq -y --no-install-recommends install $$missing; } >/dev/null 2>&1 || \
	echo "Some tests need Debian packages that could not be installed here: apt-get install $$missing"

# New versions of everything; bootstrap.lock is uv's own entry, build.lock what source distributions are built with.
lock: setup
	$(COMPILE) --upgrade --extra dev pyproject.toml -o requirements.lock >/dev/null
	printf 'packaging\nsetuptools\nwheel\n' | $(COMPILE) --upgrade - -o build.lock >/dev/null
	awk '/^[a-z]/ { own = /^uv==/ } own' requirements.lock > bootstrap.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .andon andon-demo
