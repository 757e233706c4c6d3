# Two front doors: `make demo` and `make test`. Each sets up all it needs in .venv, from requirements.lock: with uv where
# it is present or can be had, else with pip (WITH=pip: with pip in any case). TORCH=cpu: without CUDA. EXTRAS=none: what
# a student needs; EXTRAS=grader,lti: what who grades needs. COPY=1: .venv then needs the clone no longer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.installed
TRAIN ?=
WITH ?= uv
TORCH ?= default
EXTRAS ?= all
COPY ?=
# Two tests at a time; each uses one thread, and some start a child that uses another.
JOBS ?= 2

.PHONY: help setup sandbox tools demo test lint exercises lock wheel clean playground site lab

help:
	@echo "make demo          pictures and a graded batch, in build/demo (TRAIN=1 trains the model first)"
	@echo "make test          every test"
	@echo "make playground    the demos for a browser, in build/playground (ARGS=--serve serves them)"
	@echo "make lab           JupyterLab on the lessons (ARGS=--no-browser prints the address alone)"
	@echo "make site          lessons, reference and gallery as a web site, in build/site (LESSONS=plain: not executed)"
	@echo "make lint          ruff check and ruff format"
	@echo "make exercises     exercises/ anew from solutions/"
	@echo "make lock          requirements.lock anew from pyproject.toml (ARGS=--upgrade: the newest versions; needs uv)"
	@echo "make wheel         a wheel with all that ships, in build/dist"

setup: $(DONE)

# A half-made environment is never taken for a whole one: the mark is written last.
$(DONE): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; name yours with: make PYTHON=python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python scripts/install.py --with $(WITH) --torch $(TORCH) --extras $(EXTRAS) $(if $(COPY),--copy)
	@touch $@

# bubblewrap walls student code in. Without it the demo leaves the hostile samples out, and says so.
sandbox:
	@sh scripts/install-debian.sh bwrap bubblewrap

# What the tests use besides: a browser for the web pages, a database server for the gradebook, containers.
tools: sandbox
	@sh scripts/install-debian.sh chromium chromium pg_lsclusters postgresql npm npm podman podman runc runc

demo: setup sandbox
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/autograder demo --out build/demo $(if $(filter 1,$(TRAIN)),--train)

test: setup tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

# The model in the visitor's own browser: pages, ONNX models and what runs them, for any web server.
playground: setup
	@sh scripts/install-debian.sh npm npm
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m playground.build $(ARGS)

# Ten minutes of CPU the first time, for the lessons; then as long as what changed takes.
site: setup
	@sh scripts/install-debian.sh npm npm
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m playground.build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m website.build $(if $(LESSONS),--lessons $(LESSONS)) $(ARGS)

# Its kernels are this environment's, whatever others the user has.
lab: setup
	PATH="$(abspath $(BIN)):$$PATH" JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/lessons/5_1_unconditional.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

exercises: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m autograder.release.generate

# For every system and Python from 3.11 on. What pyproject.toml still allows keeps its version. No hosts, no folders.
lock: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-annotate --no-header --output-file requirements.lock $(ARGS)

# From a copy of the files that git knows: an earlier build leaves nothing in it.
wheel: setup
	rm -rf build/wheel build/dist
	git checkout-index --all --prefix=build/wheel/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/dist ./build/wheel
	@ls build/dist/*.whl

clean:
	rm -rf build $(VENV)
