# make demo | test | check | cover | bench | fuzz | chaos | examples | compat | clean
# Needs only Python: everything else is installed into .venv.
PYTHON ?= python3
SECONDS ?= 600
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
VENV := .venv/.ready

.DEFAULT_GOAL := test
.PHONY: demo test check cover bench fuzz chaos examples compat clean .venv

demo: $(VENV)
	.venv/bin/python examples/demo.py

test: $(VENV)
	.venv/bin/python -m pytest -q -n 2 --dist worksteal tests

check: $(VENV)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/basedpyright
	.venv/bin/lint-imports

bench: $(VENV)
	.venv/bin/uv sync --locked --quiet --extra host --group bench --inexact
	.venv/bin/python bench/run.py

# The tests must take every branch of the code that parses and verifies evidence.
cover: $(VENV)
	.venv/bin/coverage run --branch -m pytest -q tests/formats tests/verify tests/cli/test_evidence.py tests/cli/test_event_logs.py
	.venv/bin/coverage report --skip-covered --show-missing --fail-under=100 --include='src/enarx/formats/evidence/*,src/enarx/verify/*'

# Fuzz every parser of a host's or a vendor's bytes. The corpus is kept, and .fuzz holds each input that fails.
fuzz: $(VENV)
	.venv/bin/uv sync --locked --quiet --extra host --group fuzz --inexact
	.venv/bin/python -m tests.fuzz $(SECONDS)

# Random kills, broken connections, a small disk and few descriptors while Keeps run. SEED repeats the choices of a run.
chaos: $(VENV)
	.venv/bin/python -m tests.chaos $(SECONDS) $(SEED)

# Rebuild every committed .wasm and compare. This needs a compiler of 400 MB, so no other target does it.
examples: $(VENV)
	.venv/bin/uv sync --locked --quiet --extra host --group examples --inexact
	.venv/bin/python examples/build.py --check

# Compare real programs in Keeps with the wasmtime command, and follow the guides for languages as they are printed. The first
# run downloads 450 MB of packages, most of them into .compat, and takes about half an hour.
compat: export ENARX_COMPAT_DOWNLOAD := 1
compat: $(VENV)
	.venv/bin/uv sync --locked --quiet --extra host --group bench --group examples --inexact
	.venv/bin/python -m tests.compat
	.venv/bin/python -m pytest -q -n 2 --dist worksteal tests/compat

.venv: $(VENV)

# Everything is pinned by hash: uv and the build backend in bootstrap.txt, the rest in uv.lock. Builds fetch nothing.
$(VENV): pyproject.toml uv.lock bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is missing or older than 3.11"; echo "hint: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x .venv/bin/pip || $(PYTHON) -m venv --clear .venv || { rm -rf .venv; \
	  echo "error: $(PYTHON) cannot create virtual environments"; echo "hint: on Debian, apt-get install python3-venv"; exit 1; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.txt
	.venv/bin/uv sync --locked --quiet --extra host --inexact --python .venv/bin/python
	@touch $@

clean:
	rm -rf .venv build dist
