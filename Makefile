# Every target sets up what it needs: the first call makes .venv/ and downloads packages, later calls use them again.

.DEFAULT_GOAL := help
.PHONY: help dry-run test check bench clean

help: ## print this
	@echo "targets:"
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "lanes: tf1 is Python 3.7 with TensorFlow 1.15, tf2 is Python 3.9 to 3.12 with TensorFlow 2.x."
	@echo "  LANE=tf1 or LANE=tf2 chooses; otherwise dry-run takes tf1 where Python 3.7 is found, and test takes both."
	@echo
	@echo "  ENVS=DIR is the folder of the environments, instead of .venv."
	@echo
	@echo "make dry-run also takes"
	@echo "  RESULTS=DIR        folder of the bucket, the cache and the results, instead of dry-run"
	@echo "  PACS_ROOT=DIR      real images, domain/class/image, instead of the miniature"
	@echo "  WEIGHTS=FILE       pretrained weights, such as bvlc_alexnet.npy, instead of random ones"
	@echo "  CONFIG=FILE        YAML file of settings, instead of configs/dry_run.yaml"
	@echo "  SET=\"NAME=VALUE…\"  settings that override the file, as in SET=\"train_iterations=20 seed=3\""
	@echo "  FAULTS=storm       the mocked OBS fails on purpose; also slow, flaky, or one fault as in"
	@echo "                     FAULTS=\"GetObject nth=3 cut=0.5\"; FAULT_SEED=N draws others"
	@echo "  PLATFORM_FAULTS=storm  the mocked ModelArts fails on purpose; also node-loss, preemption, or one fault"
	@echo "                     as in PLATFORM_FAULTS=\"RunJob nth=1 kill=5\""
	@echo "make test also takes"
	@echo "  TESTS=\"…\"          arguments of pytest, as in TESTS=\"tests/job -k flags\""
	@echo "make bench also takes"
	@echo "  PACS_ROOT=DIR      real images, domain/class/image, instead of the miniature"
	@echo "  BENCH=\"…\"          the benchmarks to run, as in BENCH=\"input host\"; all of them take almost an hour"

# Recipes find the variables that make was given in their environment, with the values as they were given. Without these
# lines, make would evaluate $(shell ...) in a value before it exports the variable, in any variable and for any target.
override GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name)))$(eval export $(name)))

dry-run: ## submit the whole job on this machine, to a mocked ModelArts with a mocked OBS
	@lane=$$(.ci/lane pick) && \
	python=$$(.ci/lane find $$lane) && \
	"$$python" -m job.config.make_variables $(foreach name,$(GIVEN),'$(subst ','\'',$(name))') && \
	.ci/lane setup $$lane && \
	echo "lane $$lane: $$(.ci/lane python $$lane -V) (LANE=tf1 or LANE=tf2 chooses)" && \
	set -- dry-run --lane $$lane $${RESULTS:+--root "$$RESULTS"} $${PACS_ROOT:+--pacs_root "$$PACS_ROOT"} $${WEIGHTS:+--weights "$$WEIGHTS"} \
		$${CONFIG:+--config "$$CONFIG"} $${FAULTS:+--faults "$$FAULTS"} \
		$${PLATFORM_FAULTS:+--platform_faults "$$PLATFORM_FAULTS"} \
		$${FAULT_SEED:+--fault_seed "$$FAULT_SEED"} $${SET:+--set_text "$$SET"} && \
	exec .ci/lane python $$lane -m job "$$@"

test: ## run the tests in both lanes
	@.ci/test

check: ## check without running: ruff, vermin, the rules of the house, the documents
	@.ci/check

bench: ## run the benchmarks of benchmarks/RESULTS.md again, in both lanes
	@.ci/bench

clean: ## delete .venv and caches of tools; results in dry-run/ and masf-work/, and other ENVS, stay
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
