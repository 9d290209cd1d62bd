# make demo | test | check | cover | bench | fuzz | chaos | examples | compat | diagrams | pythons | wheel | clean
# Needs only Python: everything else is installed into .venv, or into the directory that ENVIRONMENT names.
PYTHON ?= python3
ENVIRONMENT ?= .venv
SECONDS ?= 600
export UV_PROJECT_ENVIRONMENT := $(ENVIRONMENT)
export UV_PYTHON_DOWNLOADS := never
BIN := $(ENVIRONMENT)/bin
VENV := $(ENVIRONMENT)/.ready

# If PYTHON is given, an environment of another version is made anew.
VERSION := -c 'import sys; print(sys.version)'
STALE := $(if $(filter-out file,$(origin PYTHON)),$(shell test ! -x $(BIN)/python || \
  test "$$($(PYTHON) $(VERSION))" = "$$($(BIN)/python $(VERSION))" || echo stale))

.DEFAULT_GOAL := test
.PHONY: demo test check cover bench fuzz chaos examples compat diagrams pythons wheel clean .venv FORCE

demo: $(VENV)
	$(BIN)/python examples/demo.py

test: $(VENV)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests

check: $(VENV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: $(VENV)
	$(BIN)/uv sync --locked --quiet --extra host --group bench --inexact
	$(BIN)/python bench/run.py

# The tests must take every branch of the code that parses and verifies evidence.
cover: $(VENV)
	$(BIN)/coverage run --branch -m pytest -q tests/formats tests/verify tests/cli/test_evidence.py tests/cli/test_event_logs.py
	$(BIN)/coverage report --skip-covered --show-missing --fail-under=100 --include='src/enarx/formats/evidence/*,src/enarx/verify/*'

# Fuzz every parser of a host's or a vendor's bytes. The corpus is kept, and .fuzz holds each input that fails.
fuzz: $(VENV)
	$(BIN)/uv sync --locked --quiet --extra host --group fuzz --inexact
	$(BIN)/python -m tests.fuzz $(SECONDS)

# Random kills, broken connections, a small disk and few descriptors while Keeps run. SEED repeats the choices of a run.
chaos: $(VENV)
	$(BIN)/python -m tests.chaos $(SECONDS) $(SEED)

# Rebuild every committed .wasm and compare. This needs a compiler of 400 MB, so no other target does it.
examples: $(VENV)
	$(BIN)/uv sync --locked --quiet --extra host --group examples --inexact
	$(BIN)/python examples/build.py --check

# Draw docs/diagrams/*.svg again from their sources. Needs dot (Graphviz).
diagrams: $(VENV)
	$(BIN)/python docs/diagrams/draw.py

# The tests that depend most on Python, under every supported Python of this machine, each in .venv-VERSION.
pythons: $(VENV)
	$(BIN)/python -m tests.packaging.pythons

# The wheel of a release. Builds fetch nothing.
wheel: $(VENV)
	$(BIN)/python -m hatchling build -t wheel -d dist

# Compare real programs in Keeps with the wasmtime command, and follow the guides for languages as they are printed. The first
# run downloads 450 MB of packages, most of them into .compat, and takes about half an hour.
compat: export ENARX_COMPAT_DOWNLOAD := 1
compat: $(VENV)
	$(BIN)/uv sync --locked --quiet --extra host --group bench --group examples --inexact
	$(BIN)/python -m tests.compat
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/compat

.venv: $(VENV)

# Everything is pinned by hash: uv and the build backend in bootstrap.txt, the rest in uv.lock. Builds fetch nothing.
$(VENV): pyproject.toml uv.lock bootstrap.txt $(if $(STALE),FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is missing or older than 3.11"; echo "hint: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -z "$(STALE)" || rm -rf $(ENVIRONMENT)
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(ENVIRONMENT) || { rm -rf $(ENVIRONMENT); \
	  echo "error: $(PYTHON) cannot create virtual environments"; echo "hint: on Debian, apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.txt
	$(BIN)/uv sync --locked --quiet --extra host --inexact --python $(BIN)/python
	@touch $@

clean:
	rm -rf .venv .venv-* build dist
