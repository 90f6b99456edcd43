# setup · demo · aws · try · acceptance · test · check · explore · bench · picture · reference · lock · bootstrap · deploy. Each
# installs what it needs, the first time only.
.DEFAULT_GOAL := help
.PHONY: help bootstrap demo aws try try-destroy acceptance test check explore bench format picture reference lock synth deploy setup clean

PYTHON ?= python3
BIN := .venv/bin
CDK := node_modules/.bin/cdk
# The fault matrix runs in processes of its own, behind the others: of three workers, one only waits for it. A worker keeps
# this order; in tests/stacks and tests/unit, moto's `mock_aws` resets the local AWS of the same process.
IN_ORDER := tests/workflow/test_fault_matrix.py tests/workflow tests/simulation tests/local/test_runbook.py tests/local tests/stacks tests/unit
# A build would fetch tools that no lock file names. Only a Mac builds: not every package has wheels for it (awslambdaric).
WHEELS := $(if $(filter Darwin,$(shell uname)),,--only-binary :all:)
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --annotation-style line --custom-compile-command 'make lock'
# The CDK is tested with Node 22 and later, and works with 20, which it says at length.
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
export JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION := 1
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Else every worker of the tests, and every command that they run, compiles our modules again.
unexport PYTHONDONTWRITEBYTECODE

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## See a cutover, a refusal and a rollback, under live traffic, on this machine
	@$(BIN)/python -m local.demo

aws: setup ## AWS on this machine with a pair to try things on, until Ctrl-C
	@$(BIN)/python -m local.console

try: setup ## Two servers of your own on AWS, with a release on them, for about $0.03 an hour; PORT=8080 instead of 80
	@$(BIN)/python examples/two-servers/try_pair.py create $(if $(PORT),--port $(PORT))

try-destroy: setup ## Removes everything that make try made
	@$(BIN)/python examples/two-servers/try_pair.py destroy

acceptance: setup ## Tests the contract on the AWS of the environment, with a test pair; NAME=eip-cutover-try PAIR=web MOVES=200
	@$(BIN)/python -m pytest tests/acceptance $(if $(NAME),--name $(NAME)) $(if $(PAIR),--pair $(PAIR)) $(if $(MOVES),--moves $(MOVES)) $(if $(FROM),--from "$(FROM)")

test: setup ## Every test
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(IN_ORDER)

check: setup ## What CI runs: format, lint, types, the picture, and every test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	PYTHONPATH=lambdas:. $(BIN)/lint-imports --no-cache
	$(MAKE) test

format: setup ## Formats, and fixes what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

explore: setup ## Simulates executions in orders that no test names, until Ctrl-C or for SECONDS=60; SEED=4711 replays one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

bench: setup ## Measures cutovers under live traffic, and more, into benchmarks/results.md
	@$(BIN)/python -m benchmarks

picture: setup ## Draws the workflows again, from their synthesized definitions
	$(CDK) synth --quiet --ignore-errors  # those of the ids that cdk.json is shipped with
	node docs/picture.mjs cdk.out/EipCutover.template.json docs/workflow.svg eip-cutover
	node docs/picture.mjs cdk.out/EipCutover.template.json docs/repair.svg eip-cutover-repair
	node docs/picture.mjs cdk.out/EipCutover.template.json docs/readiness.svg eip-cutover-readiness
	$(CDK) synth --quiet --ignore-errors --context pairs="$$(tr -d '\n' <docs/release-picture.json)" --output cdk.out/release
	node docs/picture.mjs cdk.out/release/EipCutover.template.json docs/release.svg eip-cutover

reference: setup ## Writes the tables of keys in the documents and cdk.schema.json again, from the models
	@PYTHONPATH=lambdas $(BIN)/python -m docs.reference

lock: setup ## Locks the packages that the requirements.in files need; ARGS=--upgrade takes the newest of each
	$(LOCK) $(ARGS) requirements-dev.in --output-file requirements-dev.txt
	for each in requirements client/requirements lambdas/requirements; do \
	  $(LOCK) $$each.in --constraints requirements-dev.txt --output-file $$each.txt || exit; done

synth: setup ## Synthesizes the stack into cdk.out
	$(CDK) synth --quiet --ignore-errors

bootstrap: setup ## Prepares an AWS account and Region for the CDK, once
	$(CDK) bootstrap

deploy: setup ## Deploys what cdk.json says; asks about permissions, unless ARGS="--require-approval never", as in CI
	$(CDK) deploy --all $(ARGS)

clean: ## Removes everything that make made
	rm -rf .venv node_modules cdk.out .local .pytest_cache .mypy_cache .ruff_cache .hypothesis

setup: ## Installs what everything here needs, into .venv and node_modules
	@$(MAKE) --silent --no-print-directory --jobs 2 .venv/installed node_modules/installed

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Install it, or name it: make PYTHON=python3.13 ..."; exit 1; }
	@echo "Installing the Python packages into .venv (about a minute, the first time only) ..."
	@$(PYTHON) -m venv --clear .venv || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes $(WHEELS) \
	  --requirement requirements-dev.txt
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true  # pip does it on one core, in twice the time
	@touch $@

node_modules/installed: package.json package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { \
	  echo "This needs Node.js 20 or newer, and node is: $$(node --version 2>&1)."; exit 1; }
	@echo "Installing the CDK CLI into node_modules ..."
	@npm ci --silent
	@touch $@
