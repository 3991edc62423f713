# Two commands are enough to begin: `make demo` and `make test`. Each does its own set-up.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check interop bench soak lock format protos
BIN := .venv/bin
REPORTS := build/reports
PYTEST := $(BIN)/python -m pytest
LONG_STORIES := tests/unit tests/contract tests/flows tests/attacks tests/interop/test_demo.py \
	tests/interop/test_postgresql_away.py

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## make .venv from the lock; costs nothing the second time
	@.ci/setup

demo: setup ## watch a fleet being upgraded, downgraded, saved and cut off
	@$(BIN)/quartermaster demo $(ARGS)

test: setup ## everything that needs only Python packages, with coverage
	@mkdir -p $(REPORTS)
	@$(BIN)/coverage erase --data-file=.coverage_test
	@COVERAGE_FILE=.coverage_test $(BIN)/coverage run -m pytest tests --ignore=tests/interop --ignore=tests/house \
		-n 2 --dist worksteal -q --durations=10 --junitxml=$(REPORTS)/test.xml $(ARGS)
	@COVERAGE_FILE=.coverage_test $(BIN)/coverage combine --quiet
	@echo "line and branch coverage, percent: $$($(BIN)/coverage report --data-file=.coverage_test --format=total)"

check: setup ## format, lint, types, layers, sizes, generated code, wheel, documents, coverage file by file
	@mkdir -p $(REPORTS)
	@$(PYTEST) tests/house -n 2 --dist worksteal -q --durations=5 --junitxml=$(REPORTS)/check.xml $(ARGS)

interop: setup ## real programs: installs and builds them first, names what is missing
	@mkdir -p $(REPORTS)
	@rm -f $(REPORTS)/clients.json
	@$(BIN)/python tests/interop/parts.py || echo "interop: parts are missing, the tests that need them fail" >&2
	@$(BIN)/python -m tests.interop.debian_parts || echo "interop: parts are missing, the tests that need them fail" >&2
	@$(BIN)/python -m tests.interop.world_parts || echo "interop: parts are missing, the tests that need them fail" >&2
	@$(PYTEST) tests/interop -n 3 --dist loadscope --no-loadscope-reorder -q --durations=10 --junitxml=$(REPORTS)/interop.xml $(ARGS)

bench: setup ## measure, and print what was measured
	@$(BIN)/python -m benchmarks.run $(ARGS)

soak: setup ## the long form of kills, fuzzing and load
	@mkdir -p $(REPORTS)
	@QM_TEST_EFFORT=soak $(PYTEST) $(LONG_STORIES) -m rounds -q --junitxml=$(REPORTS)/soak.xml $(ARGS)

lock: setup ## renew requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra server --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements.lock

format: setup ## format, and repair what ruff can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

protos: setup ## generate opamp.v1 anew from proto/
	@$(BIN)/python tests/house/protos.py proto
