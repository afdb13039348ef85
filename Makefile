# What a newcomer runs; `make` alone lists it. Everything sets itself up: see scripts/python-env.sh and lab/.
#
# PYTHON=python3.13    another interpreter than the first one that is new enough
# MESHVM_CACHE=/path   another cache folder than meshvm in the user's own
# ARGS='-k drain'      further arguments for demo, test or bench

env := scripts/python-env.sh
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint format lock clean

help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

demo: ## preview, apply, verify, change nothing, destroy: examples/aws-bookinfo against the lab
	@$(env) python -m lab demo $(ARGS)

test: lint ## everything that CI runs: lint and all tests
	@$(env) python -m pytest -n 3 --dist loadfile $(ARGS)

bench: ## the project's numbers, as ratios within one run
	@$(env) python -m lab bench $(ARGS)

lint: ## ruff, mypy and shellcheck
	@$(env) scripts/lint.sh

format: ## lay the Python files out as lint wants them
	@$(env) ruff format
	@$(env) ruff check --fix

lock: ## pin the development requirements anew, with hashes; UPGRADE=1 takes the newest versions
	@$(env) scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what runs left in the checkout (the cache folder stays)
	@rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find meshvm lab tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
