# make             the default study: figures, tables and report under results/miniature/
# make test        the tests
# make test-slurm  the tests on a Slurm of one node, which is started for them and stopped again
# make models      re-make the two shipped models, then copy them to resources/models/
# make published   re-make the shipped tables of the published results from SOURCE, a folder; those
#                  that would lose results are kept
# make compare     two studies that were run, A and B (files or names): settings, metrics, figures
# make bill        about what STUDY will cost (jobs, tokens, GPU hours, disk); runs nothing
# make prune       list cached files that no study refers to; DELETE=yes deletes them

PYTHON ?= python3
CORES ?= all
STUDY ?= config/miniature.yaml
SOURCE ?= ../shared/published
SLURM ?= $(or $(TMPDIR),/tmp)/snakesteer-slurm

VENV := .venv/bin
SNAKESTEER := PYTHONPATH=workflow/scripts $(VENV)/python -m snakesteer
SNAKEMAKE := $(VENV)/python -m snakemake

.PHONY: all test test-slurm check models published compare bill prune docs

all: .venv/installed
	@name=$$($(SNAKESTEER) name "$(STUDY)") && \
	  $(SNAKEMAKE) --cores $(CORES) --configfile "$(STUDY)" && \
	  $(SNAKEMAKE) --cores 1 --quiet all --configfile "$(STUDY)" \
	    --report "results/$$name/report.html" && \
	  echo "Done: open results/$$name/report.html, or look into results/$$name/figures/."

test: .venv/installed-test
	$(VENV)/python -m pytest tests --numprocesses 2 --dist loadscope --no-loadscope-reorder $(PYTEST)

test-slurm: .venv/installed-test
	@trap 'tests/slurm/stop.sh $(SLURM)' EXIT; trap 'exit 130' INT TERM; \
	  settings=$$(tests/slurm/start.sh $(SLURM)) && eval "$$settings" && \
	  $(VENV)/python -m pytest tests/slurm $(PYTEST)

check: .venv/installed-test
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/snakefmt --check Snakefile rules
	$(SNAKEMAKE) --lint

models: .venv/installed
	$(SNAKEMAKE) --cores $(CORES) --configfile config/training.yaml -- miniature_models
	mkdir -p resources/models/miniature resources/models/miniature-chat
	cp results/models/miniature/* resources/models/miniature/
	cp results/models/miniature-chat/* resources/models/miniature-chat/

published: .venv/installed
	$(SNAKEMAKE) --cores $(CORES) --configfile config/published.yaml \
	  --config 'published={source: $(SOURCE)}' --
	@$(SNAKESTEER) ship results/published/tables resources/published

compare: .venv/installed
	@test -n "$(A)" -a -n "$(B)" || \
	  { echo "Say which two studies: make compare A=config/mine.yaml B=config/other.yaml."; exit 1; }
	@$(SNAKESTEER) compare . "$(A)" "$(B)"

bill: .venv/installed
	@$(SNAKESTEER) bill . "$(STUDY)" $(if $(TFLOPS),--tflops $(TFLOPS))

prune: .venv/installed
	$(SNAKESTEER) prune results $(if $(filter yes,$(DELETE)),--delete)

docs: .venv/installed
	$(SNAKESTEER) reference .

.venv/installed: envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "snakesteer needs Python 3.11 or newer; say which with make PYTHON=python3.12."; exit 1; }
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	touch $@

.venv/installed-test: .venv/installed envs/requirements-test.txt
	$(VENV)/pip install --quiet --disable-pip-version-check -r envs/requirements-test.txt
	touch $@
