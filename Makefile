# Every target does its own set-up: Python 3.11 to 3.13, no root; with uv if it is installed, otherwise with venv and pip.
.POSIX:
.SUFFIXES:
.PHONY: help setup demo frames generate-qa label-studio annotate pull export evaluate train report test test-train lint types docs bench torture consumers constraints clean

W = workspace
VIDEOS =
VERSION =
RELEASE =
ROWS =
MODEL =
PRESET = 7b-1gpu
PORT = 0
BIN = .venv/bin
EGOST = $(BIN)/egost -w "$$_W"

# In the environment, spaces, quotes and dollar signs of a value are plain characters for the shell. FLAGS isn't among
# them: it is a list of words, such as FLAGS='--withhold test --set "export.dataset=my set"'.
export _W := $(value W)
export _VIDEOS := $(value VIDEOS)
export _VERSION := $(value VERSION)
export _RELEASE := $(value RELEASE)
export _ROWS := $(value ROWS)
export _MODEL := $(value MODEL)
export _PRESET := $(value PRESET)
export _PORT := $(value PORT)

help:
	@echo "make demo                    run everything on rendered walks, offline, in demo/"
	@echo "make setup                   install the command egost in .venv/bin"
	@echo "make frames VIDEOS=dir       ingest videos; extract keyframes, measure motion"
	@echo "make generate-qa             draft routes, compose items, check them (FLAGS=--redraft)"
	@echo "make label-studio            start the embedded Label Studio (PORT=n to choose the port)"
	@echo "make annotate                send the drafts to Label Studio"
	@echo "make pull                    fetch verdicts and corrected routes"
	@echo "make export VERSION=1.0.0    check the gates, write a release (FLAGS=--allow-failing)"
	@echo "make evaluate RELEASE=dir MODEL=name   score a model on a release (FLAGS='--base-url ...'; without RELEASE: two scripts on rendered walks)"
	@echo "make train RELEASE=dir VIDEOS=dir PRESET=7b-1gpu   make rows, train by SFT and GRPO, prove the gain"
	@echo "                             (without RELEASE: a tiny model on rendered walks, without a GPU)"
	@echo "make report                  write one HTML file that shows the workspace (RELEASE=dir: a release)"
	@echo "make test                    run the whole test suite, except what needs torch"
	@echo "make test-train              run the tests that need torch, in .train"
	@echo "make docs                    build the documentation site in site/"
	@echo "make lint types bench        run linters, type checks, benchmarks"
	@echo "make torture                 kill egost frames 50 times at random and compare its tables"
	@echo "make consumers RELEASE=dir   load a release with the tools it has adapters for, and training rows with"
	@echo "                             trainers (ROWS=dir for rows of your own; without RELEASE, rows alone)"
	@echo "W=dir selects a workspace other than workspace/"

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@sh .ci/setup .
	@touch $@

.venv/ready-dev: pyproject.toml constraints.txt
	@sh .ci/setup '.[dev,docs]'
	@touch .venv/ready $@

.train/ready: pyproject.toml constraints.txt constraints-train.txt
	@sh .ci/setup '.[train]' .train
	@touch $@

.train/ready-dev: pyproject.toml constraints.txt constraints-train.txt
	@sh .ci/setup '.[train,dev]' .train
	@touch .train/ready $@

demo: .venv/ready
	@$(BIN)/egost -w demo demo

frames: .venv/ready
	@$(EGOST) frames $${_VIDEOS:+"$$_VIDEOS"}

generate-qa: .venv/ready
	@$(EGOST) generate-qa $(FLAGS)

label-studio: .venv/ready
	@$(EGOST) label-studio start --port "$$_PORT"

annotate: .venv/ready
	@$(EGOST) review push

pull: .venv/ready
	@$(EGOST) review pull

export: .venv/ready
	@$(EGOST) export $(FLAGS) $${_VERSION:+"$$_VERSION"}

evaluate: .venv/ready
	@if [ -n "$$_RELEASE" ]; then $(BIN)/egost evaluate "$$_RELEASE" --model "$$_MODEL" $(FLAGS); else $(BIN)/egost demo --evaluate; fi

train: .train/ready
	@if [ -n "$$_RELEASE" ]; then \
	  .train/bin/egost train run "$$_RELEASE" --videos "$$_VIDEOS" --preset "$$_PRESET" $(FLAGS); \
	else OMP_NUM_THREADS=1 .train/bin/egost demo --train; fi

report: .venv/ready
	@if [ -n "$$_RELEASE" ]; then $(BIN)/egost report "$$_RELEASE"; else $(EGOST) report; fi

test: .venv/ready-dev
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# One process with one thread: tiny models are slower with more.
test-train: .train/ready-dev
	@OMP_NUM_THREADS=1 .train/bin/pytest -p no:xdist tests/tuning

lint: .venv/ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/ready-dev
	@$(BIN)/mypy

# The variable turns off a notice about the successor of the theme, which is not about this site.
docs: .venv/ready-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "docs: site/index.html is built; to search it, serve it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

# If a peer can't be installed, the others are still measured, and the next run tries it again.
.peers/ready: benchmarks/peers/requirements.txt .venv/ready-dev
	@[ -x .peers/bin/python ] || $(BIN)/python -m venv .peers
	@touch $@; for peer in $$(grep -v '^#' $<); do \
	  .peers/bin/python -m pip install -q --disable-pip-version-check "$$peer" || { echo "$$peer does not install here"; rm -f $@; }; done

bench: .venv/ready-dev .peers/ready
	@for script in $(filter-out benchmarks/torture.py benchmarks/shipped.py benchmarks/train_gpu.py benchmarks/blind_training.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

torture: .venv/ready-dev
	@$(BIN)/python benchmarks/torture.py --kills 50

consumers: .venv/ready
	@checked=0; total=0; \
	check() { total=$$((total + 1)); \
	  if [ -x .consumers/$$1/bin/python ]; then \
	    .consumers/$$1/bin/python tests/consumers/check_$$2.py "$$3" .consumers || exit 1; \
	    checked=$$((checked + 1)); \
	  else echo "$$2: not checked: no .consumers/$$1 (see tests/consumers/README.md)"; fi; }; \
	if [ -n "$$_RELEASE" ]; then \
	  $(BIN)/python tests/consumers/same_replies.py "$$_RELEASE" .consumers/replies.json || exit 1; \
	  for name in inspect lmms_eval trl vlmevalkit; do check $$name $$name "$$_RELEASE"; done; fi; \
	rows="$${_ROWS:-.consumers/rows}"; \
	if [ -z "$$_ROWS" ]; then $(BIN)/python tests/consumers/training_rows.py $$rows || exit 1; fi; \
	check trl trl_rows "$$rows"; check swift swift "$$rows"; check verl verl "$$rows"; \
	echo "consumers: $$checked of $$total checks have passed"; [ $$checked -gt 0 ]

constraints:
	@uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 --no-header --no-annotate --upgrade > .constraints.new
	@{ echo '# Exact versions of everything that `make setup` installs; updated by `make constraints`.'; cat .constraints.new; } > constraints.txt
	@rm .constraints.new

clean:
	@rm -rf .venv .train .peers dist site test-artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
