# Two entry points: `make demo` and `make test`. Each installs everything it needs into .venv, from requirements.lock:
# with uv if it is present or can be installed, else with pip (WITH=pip: always pip). TORCH=cpu: without CUDA.
# EXTRAS=none: for students only; EXTRAS=grader,lti: for graders. COPY=1: .venv then works without the clone.
RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p $(RECENT) 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.installed
TRAIN ?=
WITH ?= uv
TORCH ?= default
EXTRAS ?= all
COPY ?=
# Two tests at a time; each uses one thread, and some start a child process that uses another.
JOBS ?= 2

.PHONY: help setup sandbox tools demo test lint exercises lock wheel clean playground site lab

help:
	@echo "make demo          pictures and a graded batch, in build/demo (TRAIN=1 trains the model first)"
	@echo "make test          all tests"
	@echo "make playground    the browser demos, in build/playground (ARGS=--serve also serves them)"
	@echo "make lab           JupyterLab with the lessons (ARGS=--no-browser only prints the address)"
	@echo "make site          lessons, reference and gallery as a website, in build/site (LESSONS=plain: not executed)"
	@echo "make lint          ruff check and ruff format"
	@echo "make exercises     generate exercises/ from solutions/"
	@echo "make lock          update requirements.lock from pyproject.toml (ARGS=--upgrade: newest versions; needs uv)"
	@echo "make wheel         a wheel with everything that ships, in build/dist"
	@echo "make sandbox       installs bubblewrap, in which student code runs (Debian, Ubuntu)"
	@echo "make clean         removes .venv and what the above leave in build; grades and runs stay"

setup: $(DONE)

# The mark is written last, so that a half-installed environment never counts as complete.
$(DONE): requirements.lock pyproject.toml
	@"$(PYTHON)" $(RECENT) || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name yours with: make PYTHON=/path/to/python3.12"; exit 2; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python scripts/install.py --with $(WITH) --torch $(TORCH) --extras $(EXTRAS) $(if $(COPY),--copy)
	@touch $@

# bubblewrap isolates student code. Without it the demo skips the hostile samples, and says so.
sandbox:
	@sh scripts/install-debian.sh bwrap bubblewrap

# What the tests need besides: a browser for the web pages, a database server for the gradebook, containers.
tools: sandbox
	@sh scripts/install-debian.sh chromium chromium pg_lsclusters postgresql npm npm podman podman runc runc

demo: setup sandbox
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/autograder demo --out build/demo $(if $(filter 1,$(TRAIN)),--train)

test: setup tools
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) --durations 40 --durations-min 10 $(ARGS)

# The model in the visitor's browser: pages, ONNX models and their runtime, for any web server.
playground: setup
	@sh scripts/install-debian.sh npm npm
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m playground.build $(ARGS)

# Ten minutes of CPU time at first, for the lessons; later only what has changed.
site: setup
	@sh scripts/install-debian.sh npm npm
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m playground.build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m website.build $(if $(LESSONS),--lessons $(LESSONS)) $(ARGS)

# Uses this environment's kernels, whatever others the user has.
lab: setup
	PATH="$(abspath $(BIN)):$$PATH" JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/lessons/5_1_unconditional.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

exercises: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m autograder.release.generate

# For all systems and Python 3.11 or later. Versions that pyproject.toml still allows stay. No hosts, no paths.
lock: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-annotate --no-header --output-file requirements.lock $(ARGS)

# From a copy of the files that git tracks, free of leftovers from earlier builds.
wheel: setup
	rm -rf build/wheel build/dist
	git checkout-index --all --prefix=build/wheel/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/dist ./build/wheel
	@ls build/dist/*.whl

# What this file makes, and nothing else: build/ also holds grades, marks by hand and training runs.
clean:
	rm -rf $(VENV) $(addprefix build/,demo dist gallery lessons npm npm-playground pages playground site wheel)
