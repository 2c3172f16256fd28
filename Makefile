# Everything one does with this repository. `make` alone lists it.

PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := .build/uv/bin/uv
PYTEST := $(PYTHON) -m pytest
AIRFLOW_3 := .build/airflow-3
AIRFLOW_2 := .build/airflow-2
# Workers of `make test`; each starts a cluster of its own, of about 0.8 GB.
WORKERS ?= 3

# The tests start many interpreters, each of which would compile the sources again.
unexport PYTHONDONTWRITEBYTECODE
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ To try it

.PHONY: demo
demo: ## Bring a cluster up, install taskruns with Helm, run three samples to their end
	@$(PYTHON3) -m tools.demo up

.PHONY: demo-down
demo-down: ## Take down the demo's cluster (TASKRUNS_DEMO_CLUSTER, if it has another name)
	@$(PYTHON3) -m tools.demo down

.PHONY: demo-docker
demo-docker: setup ## Run three samples on plain Docker: seconds, and no cluster
	@$(PYTHON) -m tools.demo.host

##@ To work on it

.PHONY: setup
setup: $(VENV)/package.stamp ## Make .venv from the hashed locks (needs CPython 3.11 or newer, no more)

.PHONY: test
test: setup airflow ## Run everything: style, types, and every test, on real clusters that it brings up
	$(MAKE) --jobs=2 --no-print-directory lint types provider-unit-3 provider-unit-2
	$(PYTEST) --with-cluster --numprocesses=$(WORKERS) --max-worker-restart=0 -p pytest_cov --cov

.PHONY: coverage
coverage: setup ## Measure how much of api/ and core/ the unit tests run; fail below the recorded share
	$(PYTEST) --numprocesses=auto tests/unit tests/contracts -p pytest_cov --cov

.PHONY: unit
unit: setup ## Run the tests that need nothing: a matter of seconds
	$(PYTEST) --numprocesses=auto tests/unit tests/contracts

.PHONY: airflow
airflow: $(AIRFLOW_3).stamp $(AIRFLOW_2).stamp ## Make .build/airflow-3 and .build/airflow-2, which the provider's tests run in

.PHONY: provider-unit
provider-unit: provider-unit-3 provider-unit-2 ## Run the provider's tests that need no cluster, with Airflow 3 and with Airflow 2

.PHONY: provider-unit-3 provider-unit-2
provider-unit-3 provider-unit-2: provider-unit-%: airflow
	cd provider && ../.build/airflow-$*/bin/python -m pytest

.PHONY: test-one
test-one: setup $(if $(findstring tests/airflow,$(T)),airflow) ## Run the tests that T names, on the real cluster if they need it
	$(PYTEST) --with-cluster --keep-installation $(if $(T),$(T),$(error say which: make test-one T=tests/unit))

.PHONY: lint
lint: setup ## Check style and the direction of imports
	ruff check
	ruff format --check
	lint-imports
	PYTHONPATH=provider lint-imports --config provider/pyproject.toml

.PHONY: format
format: setup ## Rewrite the sources in the project's style
	ruff check --fix-only
	ruff format

.PHONY: types
types: setup $(AIRFLOW_3).stamp ## Check types, strictly; the provider's against Airflow 3, which it builds first
	mypy --exclude ^tests/airflow/dags/ --exclude ^benchmarks/triggerer.py
	mypy --python-executable $(AIRFLOW_3)/bin/python --cache-dir .mypy_cache/provider provider \
		tests/airflow/dags benchmarks/triggerer.py

.PHONY: generate
generate: setup ## Write every generated file: CRD, chart parts, manifests, reference pages
	$(PYTHON) -m tools.generate

.PHONY: verify
verify: setup ## Fail with a diff if a generated file is not what `make generate` would write
	$(PYTHON) -m tools.generate --check

##@ The promise under faults

.PHONY: soak
soak: setup ## Check thousands of random histories in the simulation, for five minutes: make soak SEED=7
	$(PYTHON) -m tests.model $(if $(SEED),--seed $(SEED)) $(if $(BATCH),--batch $(BATCH)) $(SOAK)

.PHONY: chaos
chaos: setup ## Kill everything around 2,050 runs for ten minutes, print what was lost: make chaos SEED=7
	$(PYTHON) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(CHAOS)

##@ The test cluster

.PHONY: cluster-up
cluster-up: setup ## Start the cluster that tests run on (root and Go; slow the first time only)
	$(PYTHON) -m tests.cluster up --name test

.PHONY: cluster-down
cluster-down: setup ## Stop it and remove what it made; what was built stays cached
	$(PYTHON) -m tests.cluster down --name test

##@ Benchmarks

.PHONY: bench
bench: setup airflow ## Measure speed and cost beside Kubernetes' and Airflow's own, all of it: an hour (root and Go)
	$(PYTHON) -m benchmarks.throughput --plan full --json .build/bench/bench.json $(BENCH); \
		failed=$$?; $(MAKE) --no-print-directory bench-airflow && exit $$failed

.PHONY: bench-airflow
bench-airflow: setup airflow ## Measure imports, deferred tasks and short tasks in Airflow: ten minutes (root and Go)
	$(PYTHON) -m benchmarks.airflow_suite --json .build/bench/airflow.json

.PHONY: bench-targets
bench-targets: setup ## Measure what has a target, and compare: half an hour (root and Go)
	$(PYTHON) -m benchmarks.throughput --plan targets --json .build/bench/bench-targets.json $(BENCH)

.PHONY: bench-growth
bench-growth: setup ## Measure the controller's memory over 50,000 runs: half an hour (root and Go)
	$(PYTHON) -m benchmarks.throughput --plan growth --json .build/bench/bench-growth.json $(BENCH)

.PHONY: bench-quick
bench-quick: setup ## Measure one run at a time and 300 at once, once each: minutes (root and Go)
	$(PYTHON) -m benchmarks.throughput --plan quick --json .build/bench/bench-quick.json $(BENCH)

.PHONY: bench-compare
bench-compare: setup ## Compare the controllers of two commits: make bench-compare OLD=v1 NEW=HEAD
	$(if $(and $(OLD),$(NEW)),,$(error name two commits: make bench-compare OLD=main~1 NEW=main))
	$(PYTHON) -m benchmarks.throughput --compare $(OLD) $(NEW) \
		--json .build/bench/bench-compare.json $(BENCH)

##@ Releases

.PHONY: dist
dist: setup .build/release/requirements.stamp ## Build wheels, chart package, image archive, SBOM and checksums into dist/ (root and Go)
	$(PYTHON) -m tools.dist $(if $(BASE),--base $(BASE)) $(if $(WITHOUT_IMAGE),--without-image)

.PHONY: audit
audit: setup .build/release/requirements.stamp ## Search the controller's lock for known vulnerabilities (needs a vulnerability service)
	$(PYTHON) -m tools.audit $(LOCKS)

##@ Upkeep

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header $(if $(UPGRADE),--upgrade)

# taskruns itself comes from this checkout.
COMPILE_PROVIDER = $(COMPILE) --no-emit-package taskruns provider/pyproject.toml \
	--group provider/pyproject.toml

.PHONY: lock
lock: $(UV) ## Pin what pyproject.toml asks for in requirements/ (UPGRADE=1: the newest of everything)
	$(COMPILE) requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) pyproject.toml --extra controller --output-file requirements/controller.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --extra controller --extra cli --group dev \
		--constraint requirements/controller.txt --constraint requirements/build.txt \
		--output-file requirements/dev.txt
	$(COMPILE) --group picture --output-file requirements/picture.txt
	$(COMPILE) --group release --output-file requirements/release.txt
	$(COMPILE_PROVIDER):airflow-3 --output-file provider/requirements/airflow-3.txt
	$(COMPILE_PROVIDER):airflow-2 --output-file provider/requirements/airflow-2.txt

.PHONY: picture
picture: setup .build/picture/requirements.stamp ## Draw docs/dashboard.png from some minutes of real runs (root and Go)
	$(PYTHON) -m tools.dashboard

.PHONY: picture-cli
picture-cli: setup ## Draw docs/cli-*.svg, what the command line shows, from real runs on Docker
	$(PYTHON) -m tools.terminal

.PHONY: clean
clean: ## Remove what was built in this checkout
	rm -rf $(VENV) .build .coverage dist .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis .pytest_cache provider/.hypothesis provider/.pytest_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv comes by the machine's own pip, checked against its hash, and makes everything else.
$(UV): requirements/uv.txt
	@echo 'setting up: uv, then every package of requirements/dev.txt, by hash'
	@$(PYTHON3) -m venv --clear .build/uv
	@.build/uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/requirements.stamp: requirements/dev.txt $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON3) $(VENV)
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes requirements/dev.txt
	@touch $@

$(VENV)/package.stamp: $(VENV)/requirements.stamp pyproject.toml
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.build/picture/requirements.stamp .build/release/requirements.stamp: \
.build/%/requirements.stamp: requirements/%.txt $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON3) $(@D)
	@$(UV) pip sync --quiet --require-hashes --python $(@D) requirements/$*.txt
	@touch $@

.build/airflow-%.stamp: provider/requirements/airflow-%.txt provider/pyproject.toml pyproject.toml $(UV)
	@echo 'building .build/airflow-$*: Airflow $* and the provider, by hash; about 450 MB, a minute or two'
	@$(UV) venv --quiet --allow-existing --python $(PYTHON3) .build/airflow-$*
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python .build/airflow-$* \
		provider/requirements/airflow-$*.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python .build/airflow-$* \
		--editable . --editable provider
	@touch $@
