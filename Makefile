# Every target sets up what it needs first; a set-up that is already there costs a fraction of a second.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check nightly bench gen lock clean
PYTHON := .venv/bin/python
ONLY ?=

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything that the demo needs, tests not included.
	@tools/setup

demo: setup ## Two releases in front of your eyes: a good one that is promoted, a bad one that is rolled back.
	@$(PYTHON) -m demo

test: ## All tests, with lint, types, layers and clang-tidy. Ends with a plain verdict.
	@tools/setup --tests
	@$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder && echo "make test: everything passed" || { echo "make test: FAILED, see above"; exit 1; }

check: ## The fast part of the tests: nothing that starts real processes.
	@tools/setup --tests
	@$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not e2e" && echo "make check: everything passed" || { echo "make check: FAILED, see above"; exit 1; }

nightly: ## Kills, fuzz and crashes for hours, with other seeds every day. EXCHANGE_FUZZ_SECONDS and EXCHANGE_CRASH_ROUNDS say how long.
	@tools/setup --tests
	@EXCHANGE_NIGHTLY=1 EXCHANGE_CRASH_ROUNDS=$${EXCHANGE_CRASH_ROUNDS:-100} $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  tests/engine/test_native.py tests/engine/test_crash.py tests/engine/test_lockstep.py tests/test_house.py \
	  && echo "make nightly: everything passed" || { echo "make nightly: FAILED, see above"; exit 1; }

bench: setup ## Measure, each figure beside its bar; ONLY=deploy (or another part) for one.
	@$(PYTHON) -m tests.bench $(if $(ONLY),--only $(ONLY))

gen: ## Write the generated files again (a test compares them with their sources).
	@tools/setup --tests && $(PYTHON) -m tools.gen

lock: ## Pin the packages again after a change of pyproject.toml.
	@tools/setup --tests
	@$(PYTHON) tools/lock

clean: ## Remove what was built here: .venv, build folders (the demo's state too) and caches.
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
