# The project's verbs; `make help` lists them. Every target installs what it needs into .venv first.

PYTHON ?= python3
ARGS ?=
# Set these on make's command line, as in `make train ENV=drivesim/Highway-v1`; the shell's own ENV is not meant.
ENV = drivesim/Obstacles-v1
AGENT = ppo
SEED = 0
WORKERS = 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TOOLS := $(VENV)/installed-tools
# Bytecode is written when a module is first used: that of all would be as large as half of PyTorch.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install train play test test-fast test-wheels test-integrations soak lint format bench page docs wheel clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: ENV=$(ENV) AGENT=$(AGENT) SEED=$(SEED) WORKERS=$(WORKERS) ARGS='further flags' PYTHON=$(PYTHON)"

install: $(STAMP)  ## Create .venv, install the project with the versions in constraints.txt, compile its kernels.

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, \
	$(PYTHON) is " + sys.version.split()[0] + "; name another one with PYTHON=")'
	@echo "[1/3] creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "[2/3] installing packages into $(VENV); two to three minutes, most of them for PyTorch"
	@$(PIP_INSTALL) -e '.[agents,export,tune,build]'
	@echo "[3/3] compiling the kernels, so that what comes next begins at once; about half a minute"
	@$(BIN)/python -m drivesim build --target native || $(BIN)/python -m drivesim warm || echo "The kernels could not be compiled now; each will be when it is first needed."
	@touch $@
	@echo "installed"

$(TOOLS): $(STAMP)
	@echo "installing what tests, checks and the documentation need into $(VENV)"
	@$(PIP_INSTALL) -e '.[agents,export,tune,build,docs,test]'
	@touch $@

train: $(STAMP)  ## Train a driver, compare it with simpler ones on held-out levels, write runs/.
	$(BIN)/python scripts/train.py --agent $(AGENT) --env $(ENV) --seed $(SEED) $(ARGS)

play: $(STAMP)  ## Drive yourself, in a window.
	$(BIN)/python scripts/play.py $(ARGS)

# Neighbours share what they build once, so each worker gets a stretch of the tests, and takes from the others' at the end.
SPREAD := -n $(WORKERS) --dist worksteal

# They start hundreds of processes: where the shell forbids byte code, each would compile every library anew.
test test-fast test-integrations: export PYTHONDONTWRITEBYTECODE =

test: $(TOOLS)  ## Run the whole test suite.
	$(BIN)/python -m pytest $(SPREAD) $(ARGS)

test-fast: $(TOOLS)  ## Run the tests that take seconds.
	$(BIN)/python -m pytest $(SPREAD) -m 'not slow' $(ARGS)

INTEGRATIONS := $(patsubst tests/integrations/%/requirements.txt,%,$(wildcard tests/integrations/*/requirements.txt))

test-wheels: $(STAMP)  ## Install the wheels for every Python that there is, and drive from there.
	@$(MAKE) --no-print-directory wheel ARGS=
	$(BIN)/python scripts/check_wheels.py $(ARGS)

test-integrations: $(addprefix test-with-,$(INTEGRATIONS))  ## Test inside other RL libraries.

.PRECIOUS: .venv-integrations/%/installed
test-with-%: .venv-integrations/%/installed
	.venv-integrations/$*/bin/python -m pytest -p no:cacheprovider tests/integrations/$* $(ARGS)

# Whoever brings torch along, it is the one that the project is tested with: any other may come with gigabytes.
.venv-integrations/%/installed: tests/integrations/%/requirements.txt pyproject.toml constraints.txt
	@echo "installing what tests/integrations/$* needs into .venv-integrations/$*; minutes, where that is much"
	@$(PYTHON) -m venv .venv-integrations/$*
	@grep '^torch==' constraints.txt >$(@D)/torch.txt
	@.venv-integrations/$*/bin/python -m pip install --quiet --no-compile -c $(@D)/torch.txt \
	-r $< -e . pytest==9.2.0
	@! test -f $(<D)/requirements-alone.txt || \
	.venv-integrations/$*/bin/python -m pip install --quiet --no-compile --no-deps -r $(<D)/requirements-alone.txt
	@touch $@

soak: $(STAMP)  ## Look for what must never happen, for hours; figures in runs/soak/.
	$(BIN)/python scripts/soak.py $(ARGS)

lint: $(TOOLS)  ## Check style, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(TOOLS)  ## Format the code and apply safe fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## Measure steps per second.
	$(BIN)/python scripts/benchmark.py $(ARGS)

page: $(STAMP)  ## Write play.html, a page to be opened from disk: drive, watch, race a ghost, draw.
	$(BIN)/python scripts/make_page.py --driver docs/drivers/obstacles.json $(ARGS)

docs: $(TOOLS)  ## Build the documentation, docs/_build/html/index.html.
	$(BIN)/python scripts/build_docs.py
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@mkdir -p docs/play docs/_build/html/play
	$(BIN)/python scripts/make_page.py --driver docs/drivers/obstacles.json -o docs/play/index.html && \
	cp docs/play/index.html docs/_build/html/play/ || echo "There is no docs/play/index.html."

wheel: $(STAMP)  ## Make wheels with prebuilt kernels, dist/.
	$(BIN)/python scripts/make_wheels.py $(ARGS)

clean:  ## Remove .venv, builds and caches; runs/ stays.
	rm -rf $(VENV) .venv-integrations build dist docs/_build drivesim/objects *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
