# Two commands do everything on a fresh machine with Python 3.11, git and make:
#   make demo   sets up and does the main job without a cluster
#   make test   sets up and passes the tests, a real control plane included (needs Go, or KUBEBUILDER_ASSETS)

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint format wheel controlplane browser mutants bench-decide bench-serve bench-follow bench-bundles bench-replay bench-store lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the lock, with .venv/bin/bayplan

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bayplan needs Python 3.11 or newer; name one with make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

demo: setup ## one bundle, one pod, its pools: the sentence, the diff, the patch
	@$(BIN)/bayplan explain --bundle policies/scheduling-classes --pools policies/scheduling-classes/pools/fleet.yaml policies/scheduling-classes/examples/feature-store.yaml

test: setup lint controlplane ## lint, types, import contracts, then every test, on all processors
	$(BIN)/python tools/tests.py

lint: setup ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: setup ## build the wheel into dist, for `pipx install` or `uv tool install`
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --wheel-dir dist .

controlplane: setup ## build the control plane and all else that tests run for real (see tests/controlplane/build) once, into a cache
	tests/controlplane/build || [ $$? = 2 ]

mutants: setup ## change the algebra one thing at a time: which changes does no test notice? (over an hour)
	@$(BIN)/python tools/mutants.py

bench-decide: setup ## time of one decision, next to celpy: table on stderr, JSON lines on stdout
	@$(BIN)/python -m benchmarks.decide

bench-serve: setup ## processor time of one admission, next to a no-op webhook
	@$(BIN)/python -m benchmarks.serve

bench-follow: setup ## what following a cluster of 5,000 nodes costs: readiness, memory, a change
	@$(BIN)/python -m benchmarks.follow

bench-bundles: setup ## what following a bundle in Git costs: a look, a fetch, memory
	@$(BIN)/python -m benchmarks.bundles

bench-replay: setup ## how long an audit of a dump of 100,000 pods takes, by one process and by two
	@$(BIN)/python -m benchmarks.replay

bench-store: setup ## what keeping decisions costs an admission, at 500 a second
	@$(BIN)/python -m benchmarks.store

lock: ## rewrite requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev --extra sigstore pyproject.toml -o requirements.lock -q
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group browser --constraint requirements.lock -o requirements-browser.lock -q

browser: setup ## the tests of pages in Chromium, which the system must have (Debian: apt-get install chromium)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-browser.lock
	$(BIN)/pytest tests/audit/report

clean: ## remove what setup and tools made
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants
