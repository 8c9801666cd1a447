# make STUDY=config/mine.yaml  run a study: figures, tables and report under results/<its name>/;
#                  without STUDY the miniature. CORES=4 limits the processors
# make doctor      check this machine and the sources of STUDY: versions, device, folders, access
# make bill        estimate what STUDY will cost (jobs, tokens, GPU hours, disk); runs nothing
# make compare     compare two completed studies, A and B (files or names): settings, metrics, figures
# make prune       list cached files that no study refers to; DELETE=yes deletes them
# make test        the tests
# make test-long   the tests that take minutes: simulations, the shipped models, a study of new plugins
# make test-slurm  the tests on a Slurm of one node, started for them and stopped afterwards
# make check       format, lint, types, order of rooms, workflow
# make docs        regenerate the reference of the study file, and the page of tables, from the code
# make site        build the documentation site under build/
# make models      train the two shipped models again, then copy them to resources/models/
# make published   regenerate the shipped tables of PAPER's published results from SOURCE, a folder or
#                  an address; a table that would lose results is kept
# make environments  write the two Conda environments from the pins of envs/requirements.txt

# PYTHON=... names the interpreter for .venv; the default is the newest with builds of all packages.
CORES ?= all
STUDY ?= config/miniature.yaml
PAPER ?= broad-skills
SOURCE ?= ../shared/published
SLURM ?= $(or $(TMPDIR),/tmp)/snakesteer-slurm

# Modules, not the scripts in .venv/bin: their first lines break if a folder's name has a quote or a dollar.
VENV_PYTHON := .venv/bin/python
SNAKESTEER := PYTHONPATH=workflow/scripts $(VENV_PYTHON) -m snakesteer
SNAKEMAKE := $(VENV_PYTHON) -m snakemake
PIP := $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check

# A variable's value as one word for the shell, with any characters.
as_word = '$(subst ','\'',$(value $(1)))'

.PHONY: all test test-long test-slurm check site models published compare bill doctor prune docs \
  environments

all: .venv/installed
	@name=$$($(SNAKESTEER) name $(call as_word,STUDY)) && \
	  $(SNAKEMAKE) --cores $(CORES) --configfile $(call as_word,STUDY) && \
	  $(SNAKEMAKE) --cores 1 --quiet all --configfile $(call as_word,STUDY) \
	    --report "results/$$name/report.html" && \
	  echo "Done: open results/$$name/index.html."

test: .venv/installed-test
	$(VENV_PYTHON) -m pytest tests --numprocesses 2 --dist loadscope --no-loadscope-reorder $(PYTEST)

test-long: .venv/installed-test
	$(VENV_PYTHON) -m pytest tests -m long --numprocesses 2 $(PYTEST)

test-slurm: .venv/installed-test
	@trap 'tests/slurm/stop.sh "$(SLURM)"' EXIT; trap 'exit 130' INT TERM; \
	  settings=$$(tests/slurm/start.sh "$(SLURM)") && eval "$$settings" && \
	  $(VENV_PYTHON) -m pytest tests/slurm $(PYTEST)

check: .venv/installed-test
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	PYTHONPATH=workflow/scripts $(VENV_PYTHON) -c \
	  'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache --no-logo
	$(VENV_PYTHON) -m snakefmt --check Snakefile workflow/Snakefile rules
	$(SNAKEMAKE) --lint
	@$(MAKE) --no-print-directory site

# The pages of docs/ as a site, under build/site/.
site: .venv/installed-site
	$(VENV_PYTHON) docs/site/lay_out.py build/pages
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Done: open build/site/index.html. For its search, serve it:" \
	  "$(VENV_PYTHON) -m http.server --directory build/site"

models: .venv/installed
	$(SNAKEMAKE) --cores $(CORES) --configfile config/training.yaml -- miniature_models
	mkdir -p resources/models/miniature resources/models/miniature-chat
	cp results/models/miniature/* resources/models/miniature/
	cp results/models/miniature-chat/* resources/models/miniature-chat/

published: .venv/installed
	source=$$(printf %s $(call as_word,SOURCE) | sed "s/'/''/g") && \
	  $(SNAKEMAKE) --cores $(CORES) --configfile config/papers/$(call as_word,PAPER)-published.yaml \
	  --config "published={source: '$$source'}" --
	@$(SNAKESTEER) ship results/$(call as_word,PAPER)-published/tables \
	  resources/published/$(call as_word,PAPER)

compare: .venv/installed
	@test -n $(call as_word,A) -a -n $(call as_word,B) || \
	  { echo "Say which two studies: make compare A=config/mine.yaml B=config/other.yaml."; exit 1; }
	@$(SNAKESTEER) compare . $(call as_word,A) $(call as_word,B)

bill: .venv/installed
	@$(SNAKESTEER) bill . $(call as_word,STUDY) $(if $(TFLOPS),--tflops $(TFLOPS))

doctor: .venv/installed
	@$(SNAKESTEER) doctor $(call as_word,STUDY)

prune: .venv/installed
	$(SNAKESTEER) prune results $(if $(filter yes,$(DELETE)),--delete)

docs: .venv/installed
	$(SNAKESTEER) reference .

environments: .venv/installed
	$(VENV_PYTHON) envs/write_conda.py

.venv/installed: envs/requirements.txt
	@python=$(call as_word,PYTHON); \
	python=$${python:-$$(sh envs/find-python $(VENV_PYTHON))} && test "$$python" || exit 1; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "snakesteer needs Python 3.11 or newer; say which with make PYTHON=python3.12."; exit 1; }; \
	echo "Installing into .venv with $$python."; \
	test "$$python" = $(VENV_PYTHON) || "$$python" -m venv .venv
	$(PIP) -r envs/requirements.txt
	touch $@

.venv/installed-test: .venv/installed envs/requirements-test.txt
	$(PIP) -r envs/requirements-test.txt
	touch $@

.venv/installed-site: .venv/installed-test envs/requirements-site.txt
	$(PIP) -r envs/requirements-site.txt
	touch $@
