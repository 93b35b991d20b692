# Every target does its own set-up: the first call makes .venv/ and fetches what it needs, later calls use it again.

.DEFAULT_GOAL := help
.PHONY: help dry-run test check bench clean

help: ## print this
	@echo "targets:"
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "lanes: tf1 is Python 3.7 with TensorFlow 1.15, tf2 is Python 3.9 to 3.12 with TensorFlow 2.x."
	@echo "  LANE=tf1 or LANE=tf2 chooses; otherwise dry-run takes tf1 where Python 3.7 is found, and test takes both."
	@echo
	@echo "  ENVS=DIR chooses where the environments lie, instead of .venv."
	@echo
	@echo "make dry-run also takes"
	@echo "  RESULTS=DIR        where the bucket, the cache and the results lie, instead of dry-run"
	@echo "  PACS_ROOT=DIR      real images, domain/class/image, instead of the miniature"
	@echo "  WEIGHTS=FILE       pretrained weights, as bvlc_alexnet.npy, instead of made-up ones"
	@echo "  CONFIG=FILE        settings, instead of configs/dry_run.yaml"
	@echo "  SET=\"NAME=VALUE…\"  settings that differ from the file, as in SET=\"train_iterations=20 seed=3\""
	@echo "  FAULTS=storm       the mocked OBS fails on purpose; also slow, flaky, or one fault as in"
	@echo "                     FAULTS=\"GetObject nth=3 cut=0.5\"; FAULT_SEED=N draws others"
	@echo "make test also takes"
	@echo "  TESTS=\"…\"          arguments of pytest, as in TESTS=\"tests/job -k flags\""
	@echo "make bench also takes"
	@echo "  PACS_ROOT=DIR      real images, domain/class/image, instead of the miniature"
	@echo "  BENCH=\"…\"          the benchmarks to take, as in BENCH=\"input host\"; all of them take most of an hour"

# Values reach the recipes through the environment alone, as they were given: neither make nor the shell takes anything in
# them for its own.
override LANE := $(value LANE)
override ENVS := $(value ENVS)
export LANE ENVS
dry-run: override export PACS_ROOT := $(value PACS_ROOT)
dry-run: override export WEIGHTS := $(value WEIGHTS)
dry-run: override export CONFIG := $(value CONFIG)
dry-run: override export FAULTS := $(value FAULTS)
dry-run: override export FAULT_SEED := $(value FAULT_SEED)
dry-run: override export SET := $(value SET)
dry-run: override export RESULTS := $(value RESULTS)
# What was given to make by another name, and would change nothing. The second line is for programs that make starts.
DRY_RUN_TAKES := LANE ENVS RESULTS PACS_ROOT WEIGHTS CONFIG FAULTS FAULT_SEED SET SHELL MAKEFLAGS
DRY_RUN_TAKES += HOME PATH TMPDIR http_proxy https_proxy no_proxy PYENV_ROOT PIP_% PYTHON% OMP_% TF_%
dry-run: STRAY := $(filter-out $(DRY_RUN_TAKES),$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
dry-run: ## do the whole ModelArts job on this machine, against a mocked OBS
	@lane=$$(.ci/lane pick) && \
	$(if $(STRAY),python=$$(.ci/lane find $$lane) && "$$python" -m job.config.make_variables $(foreach name,$(STRAY),'$(subst ','\'',$(name))') &&) \
	.ci/lane setup $$lane && \
	echo "lane $$lane: $$(.ci/lane python $$lane -V) (LANE=tf1 or LANE=tf2 chooses)" && \
	set -- dry-run --lane $$lane $${RESULTS:+--root "$$RESULTS"} $${PACS_ROOT:+--pacs_root "$$PACS_ROOT"} $${WEIGHTS:+--weights "$$WEIGHTS"} \
		$${CONFIG:+--config "$$CONFIG"} $${FAULTS:+--faults "$$FAULTS"} \
		$${FAULT_SEED:+--fault_seed "$$FAULT_SEED"} $${SET:+--set_text "$$SET"} && \
	exec .ci/lane python $$lane -m job "$$@"

test: override export TESTS := $(value TESTS)
test: ## run the tests in both lanes
	@.ci/test

check: ## look for mistakes by reading: ruff, vermin, the rules of the house, the documents
	@.ci/check

bench: override export PACS_ROOT := $(value PACS_ROOT)
bench: override export BENCH := $(value BENCH)
bench: ## take the figures of benchmarks/RESULTS.md again, in both lanes
	@.ci/bench

clean: ## remove the environments and what tools leave; results in dry-run/ and masf-work/ and what ENVS named stay
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
