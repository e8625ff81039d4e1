# The verbs of the house. Needs a Python 3.11 or newer with venv, make, and nothing else.
#
#   make demo     install into .venv, then some hundred real messages through a real daemon
#   make test     install what development needs, by lock file, then run the tests
#   make check    style, types and tests: what .ci/run runs
#
# Stamps keep a second call quick: .venv/.runtime (the project), .venv/.dev (the locked set), and
# tests/peers/node_modules/.made (npm's peers that the tests talk to). Of the peers node and npm,
# libnet-smpp-perl and tshark are the system's: the tests of one that is missing are skipped, and
# the last lines of the run say so.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := tests/peers/node_modules
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input

.PHONY: demo test style types check bench instructions instructions-baseline
.PHONY: fuzz simulate soak wheel lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/smppd demo

test: $(VENV)/.dev $(PEERS)/.made
	$(BIN)/python -m pytest $(ARGS)

style: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy --strict

check: style types test

bench: $(VENV)/.runtime
	$(BIN)/python -m bench.micro
	$(BIN)/python -m bench.throughput $(ARGS)
	$(BIN)/python -m bench.latency --idle-messages 100 --paced-messages 5000 --full-messages 20000

# Instructions a message of every hot function and stage, against bench/baseline.json, in which the
# second verb keeps them for this interpreter; VENV=.venv-other PYTHON=... does it for another one.
# Needs valgrind, on x86-64.
instructions: $(VENV)/.dev
	$(BIN)/python -m bench.instructions $(ARGS)

instructions-baseline: $(VENV)/.dev
	$(BIN)/python -m bench.instructions --update

# Octets from strangers, led by coverage: SECONDS of each target, or of TARGET alone. The suite has
# a taste of it; this goes on. Needs CPython 3.11 on x86-64 Linux, for which there is an atheris.
SECONDS ?= 60
TARGET  ?= all
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz $(TARGET) --seconds $(SECONDS)

# What a server installs, built by the locked hatchling and no other.
wheel: $(VENV)/.dev
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# The whole daemon in simulated worlds (docs/simulation.md): seeds for SECONDS, one process a core.
# FIRST is the first seed; without it the clock says. COUNT is how many at most (0: no bound).
# `make soak` goes on until a seed fails.
FIRST ?= $(shell date +%s)
COUNT ?= 0
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --first $(FIRST) --for $(SECONDS) --count $(COUNT) \
		--processes 0

soak: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --first $(FIRST) --for inf --processes 0

# Built in a venv of its own, so that pip-tools is no part of what it locks.
lock:
	$(PYTHON) -m venv --clear $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --quiet install pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(VENV)-lock/bin/pip-compile --quiet --upgrade \
		--generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(VENV)-lock/bin/pip-compile --quiet --upgrade \
		--generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
		--extra dev --output-file requirements-dev.lock pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock $(PEERS) dist .mypy_cache .ruff_cache .hypothesis
	find smppd tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# --clear: a venv that broke off half-made (no python3-venv, say) is made anew.
$(VENV)/.made:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml
	@echo "Installing smppd into $(VENV) ..."
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml requirements-dev.lock
	@echo "Installing smppd and the locked development set into $(VENV) ..."
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.runtime

$(PEERS)/.made: tests/peers/package.json tests/peers/package-lock.json
	@if ! command -v npm >/dev/null; then echo "No npm here: its peers will not be tested."; \
	else echo "Installing the locked peers into $(PEERS) ..."; \
		npm ci --prefix tests/peers --silent && touch $@ \
		|| { echo "npm ci failed: its peers will not be tested." >&2; [ "$$CI" != true ]; }; fi
