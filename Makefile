# The one door: `make` alone lists what there is to do.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON := $(VENV)/bin/python
RFM := $(VENV)/bin/rfm-spark
DEMO_DIR ?= demo
export RFM_DEMO_DIR := $(abspath $(DEMO_DIR))
SAVINGS_CUSTOMERS ?= 20000
BENCHMARK_LINES ?= 5000000
# Settings for one machine, with a reason per line; yours win: make demo PYSPARK_SUBMIT_ARGS="..."
export PYSPARK_SUBMIT_ARGS ?= --properties-file $(abspath conf/spark/local.conf) pyspark-shell

.PHONY: help setup demo demo-savings demo-history benchmark test test-all test-release lint format package clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Make the virtual environment, and see that Java is there

$(VENV)/.ready: pyproject.toml requirements.txt scripts/setup.sh
	@VENV=$(VENV) bash scripts/setup.sh
	@touch $@

demo: setup ## Run the main job on a real year of grocery lines
	@$(PYTHON) scripts/fetch_retail_log.py --out $(RFM_DEMO_DIR)/retail/log
	@$(RFM) run --config conf/retail_demo.yaml --snapshot-date 2018-01-01
	@$(RFM) report --config conf/retail_demo.yaml --snapshot-date 2018-01-01 --out $(RFM_DEMO_DIR)/retail/report.html

demo-savings: setup ## Make the log of a savings app and run RFM + AUM on it
	@$(PYTHON) scripts/make_savings_log.py --out $(RFM_DEMO_DIR)/savings/log --customers $(SAVINGS_CUSTOMERS)
	@$(RFM) run --config conf/savings_demo.yaml --snapshot-date 2026-01-01
	@$(RFM) report --config conf/savings_demo.yaml --snapshot-date 2026-01-01 --out $(RFM_DEMO_DIR)/savings/report.html

demo-history: setup ## Label each month of that year, and say who moved
	@$(PYTHON) scripts/fetch_retail_log.py --out $(RFM_DEMO_DIR)/retail/log
	@$(RFM) backfill --config conf/retail_demo.yaml --set store=$(RFM_DEMO_DIR)/history/warehouse \
		--from 2017-04-01 --to 2018-01-01 --every 1mo
	@$(RFM) runs --config conf/retail_demo.yaml --set store=$(RFM_DEMO_DIR)/history/warehouse

benchmark: setup ## Time rfm_spark beside DuckDB, pandas and textbook Spark, on one log
	@$(PYTHON) scripts/benchmark.py --lines $(BENCHMARK_LINES) --folder $(RFM_DEMO_DIR)/benchmark

test: setup ## Run the tests that take minutes
	@$(PYTHON) -m pytest -m "not slow and not release"

test-all: setup lint ## Run the tests, also the slow ones, after the linters
	@$(PYTHON) -m pytest -m "not release" --durations=40 -o console_output_style=times

test-release: setup lint ## Run them in every case that there is: every table's kill, all places whole
	@$(PYTHON) -m pytest --durations=40 -o console_output_style=times

lint: setup ## Check style, types, and that every test can be imported
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(PYTHON) -m pytest --collect-only -q > $(VENV)/tests.txt || { cat $(VENV)/tests.txt; exit 1; }

format: setup ## Put the code in shape
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

package: setup ## Build the wheel, and an archive of its dependencies for clusters
	@$(PYTHON) scripts/package.py --out dist

clean: ## Remove what was made: environment, demo, builds
	@rm -rf $(VENV) $(DEMO_DIR) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
