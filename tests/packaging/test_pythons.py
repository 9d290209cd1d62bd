"""The versions of Python that `make pythons` runs are those that the project promises."""

from __future__ import annotations

import re
import sys
import tomllib

from tests.house.test_invariants import ROOT
from tests.packaging import pythons
from tests.packaging.pythons import TESTS, VERSIONS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_versions_are_those_of_the_project() -> None:
    classified = re.findall(r"Python :: (\d\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(classified) == VERSIONS
    assert PROJECT["requires-python"] == f">={VERSIONS[0]}"


def test_the_selection_exists() -> None:
    assert all((ROOT / path).exists() for path in TESTS)


def test_this_python_is_found() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert pythons._version(sys.executable) == version
    assert pythons._version("/bin/false") == ""
    assert pythons.find("2.99") == ""
