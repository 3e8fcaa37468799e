# Paths and names only: what happens lives in rspipe and in the recipes below pipelines/.
PIPELINE ?= demo
PYTHON ?= python3.11
ENV := .venv
RUN := $(ENV)/bin/
READY := $(ENV)/.ready
RECIPES := pipelines/$(PIPELINE)
# Test files run at a time; most tests use one core, some start two workers.
TEST_PROCESSES ?= 2
# `make curate DATA=folder` reads another folder; ARGS passes any key=value on.
DATA_ARG := $(if $(DATA),data=$(DATA))

.DEFAULT_GOAL := help
.PHONY: help setup doctor data curate pretrain eval compare browse report demo test check lint types arch format \
	dist check-wheel \
	bench-curate bench-dedup bench-duplicates bench-scale bench-loader bench-pretrain docs docs-serve clean

help: ## This list
	@echo "rspipe: public remote-sensing datasets in; a clean corpus, an encoder and a score out."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'
	@echo
	@echo "  PIPELINE=$(PIPELINE)  DATA=folder of data sets  GPUS=processes of pretrain  ARGS='key=value …'"

$(READY): pyproject.toml constraints.txt .ci/setup
	PYTHON=$(PYTHON) ENV=$(ENV) bash .ci/setup
	@touch $@

setup: $(READY) ## Create the environment and install everything (runs by itself when needed)

doctor: $(READY) ## Versions, GDAL drivers, GPU, and what is missing
	$(RUN)rspipe doctor

data: $(READY) ## Write the demo's native data sets (real imagery, offline)
	@if [ "$(PIPELINE)" = demo ] && [ -z "$(DATA)" ]; then $(RUN)python -m pipelines.demo.make_data data/demo/native; fi

curate: data ## Native data sets → data/corpus
	$(RUN)rspipe curate $(RECIPES)/curate.yaml $(DATA_ARG) $(ARGS)

pretrain: $(READY) ## Corpus → data/runs (GPUS=8: so many processes, one per GPU if there are any)
	$(RUN)$(if $(GPUS),python -m torch.distributed.run --standalone --nproc-per-node=$(GPUS) -m rspipe.cli,rspipe) \
		pretrain $(RECIPES)/pretrain.yaml $(ARGS)

eval: data ## Run × benchmarks → data/results
	$(RUN)rspipe eval $(RECIPES)/eval.yaml $(DATA_ARG) $(ARGS)

report: $(READY) ## Everything so far → one HTML page
	$(RUN)rspipe report $(RECIPES)/report.yaml $(ARGS)

browse: $(READY) ## The corpus → one page to look through it, tile by tile
	$(RUN)rspipe corpus browse data/corpus/$(PIPELINE) $(ARGS)

compare: data ## Objectives × seeds at equal compute → data/compare
	$(RUN)rspipe compare $(RECIPES)/compare.yaml $(ARGS)

demo: ## The whole path on real imagery: curate, browse, pretrain, eval, report
	@start=$$(date +%s); \
	$(MAKE) --no-print-directory curate && $(MAKE) --no-print-directory browse && \
	$(MAKE) --no-print-directory pretrain && \
	$(MAKE) --no-print-directory eval && $(MAKE) --no-print-directory report && \
	echo "demo done in $$(( $$(date +%s) - start )) s; open data/results/$(PIPELINE)/report.html"

test: $(READY) ## All tests, doctests and notebooks
	$(RUN)python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

lint: $(READY) ## ruff: format and rules
	$(RUN)ruff format --check .
	$(RUN)ruff check .

types: $(READY) ## mypy, strict
	$(RUN)mypy rspipe pipelines

arch: $(READY) ## Who may import whom
	$(RUN)lint-imports

check: lint types arch test ## Everything a change must pass

format: $(READY) ## Let ruff format and mend
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

dist: $(READY) ## Wheel and sdist → dist/
	rm -rf dist build
	$(RUN)python -m build --no-isolation --outdir dist .

check-wheel: dist ## Install the wheel in a clean environment and use it (EXTRA=base curate train eval all, PYTHON=…)
	PYTHON=$(PYTHON) ENV=$(ENV) bash .ci/check-wheel $(or $(EXTRA),base)

bench-curate: $(READY) ## Decode, hash and measure tiles, beside Pillow, imagehash, imagededup
	$(RUN)python -m tests.benchmarks.bench_curate

bench-dedup: $(READY) ## The exact search at 13.2 million hashes, beside brute force and FAISS
	$(RUN)python -m tests.benchmarks.bench_dedup

bench-duplicates: $(READY) ## Planted copies found and missed, beside imagehash and imagededup
	$(RUN)python -m tests.benchmarks.bench_duplicates $(ARGS)

bench-scale: $(READY) ## A 1 GB scene and 200,000 tiles: seconds by stage, peak memory
	$(RUN)python -m tests.benchmarks.bench_scale

bench-loader: $(READY) ## Decoded and augmented images per second and core, beside ImageFolder, WebDataset
	$(RUN)python -m tests.benchmarks.bench_loader $(ARGS)

bench-pretrain: $(READY) ## MAE, CrossMAE, SelectiveMAE for ViT-S/B/L: images/s, MACs, memory
	$(RUN)python -m tests.benchmarks.bench_pretrain $(ARGS)

docs: $(READY) ## The documentation as a site in site/, with the notebooks as run on the demo
	$(RUN)python -m docs.notebook_pages
	NO_MKDOCS_2_WARNING=1 $(RUN)mkdocs build --strict --quiet
	@echo "open site/index.html; its search needs a server: make docs-serve"

docs-serve: $(READY) ## The same while you write, at http://127.0.0.1:8000
	NO_MKDOCS_2_WARNING=1 $(RUN)mkdocs serve

clean: ## Delete the demo's outputs (not the environment)
	rm -rf data/demo data/stages data/corpus/demo data/runs/demo* data/results/demo data/notebooks
