"""Runs the tests that depend most on Python under every supported Python of this machine: `make pythons`.

Each version has an environment of its own, `.venv-VERSION`, made by the Makefile as for a newcomer. Interpreters are found on
the search path and among those of pyenv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.test_invariants import ROOT

VERSIONS = ("3.11", "3.12", "3.13")
"""As in `requires-python` and in the documents; tests/packaging/test_pythons.py compares."""

TESTS = (
    *("tests/api/test_run.py", "tests/api/test_aio.py", "tests/cli/test_commands.py", "tests/cli/test_example.py"),
    *("tests/e2e/test_run.py", "tests/host/test_activation.py", "tests/host/test_local.py", "tests/keep/boot"),
    *("tests/keep/guest", "tests/keep/sandbox", "tests/simulator", "tests/test_errors.py", "tests/test_files.py"),
    *("tests/test_record.py", "tests/test_spawn.py"),
)
"""Processes, sandbox, records and imports: the code that a new Python is most likely to break."""


def find(version: str) -> str:
    """The path of an interpreter of this version; empty if this machine has none."""
    places = [shutil.which(f"python{version}") or ""]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    places += map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    return next((place for place in places if place and _version(place) == version), "")


def _version(path: str) -> str:
    """The version that an interpreter states; empty if it does not run. A shim of pyenv may stand for no interpreter."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = subprocess.run([path, "-c", code], capture_output=True, text=True)
    return found.stdout.strip()


def main() -> int:
    """Test each version that is here; 0 if all pass, and 1 if any fails or none is here."""
    outcomes: dict[str, str] = {}
    for version in VERSIONS:
        python = find(version)
        if not python:
            outcomes[version] = "not on this machine"
            continue
        environment = f".venv-{version}"
        make = ["make", "--no-print-directory", ".venv", f"PYTHON={python}", f"ENVIRONMENT={environment}"]
        test = [f"{environment}/bin/python", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *TESTS]
        passed = all(subprocess.run(command, cwd=ROOT).returncode == 0 for command in (make, test))
        outcomes[version] = "passed" if passed else "FAILED"
    for version, outcome in outcomes.items():
        print(f"python {version}: {outcome}")
    return 0 if set(outcomes.values()) - {"not on this machine"} == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
