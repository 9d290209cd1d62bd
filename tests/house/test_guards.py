"""The guards that stand around every test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_invariants import ROOT

FOREIGN = [("255.255.255.255", 80), ("ff01::1", 80, 0, 0)]
"""Addresses that are not this machine's, and that no packet leaves it for even where the guard is broken."""


@pytest.mark.parametrize("address", FOREIGN)
@pytest.mark.parametrize("how", ["connect", "connect_ex", "sendto"])
def test_nothing_leaves_this_machine(how: str, address: tuple[object, ...]) -> None:
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    kind = socket.SOCK_DGRAM if how == "sendto" else socket.SOCK_STREAM
    arguments = (b"", address) if how == "sendto" else (address,)
    with socket.socket(family, kind) as one, pytest.raises(AssertionError, match="a test wanted"):
        getattr(one, how)(*arguments)


def test_no_name_is_looked_up() -> None:
    with pytest.raises(AssertionError, match="a test wanted"):
        socket.create_connection(("host.invalid", 80))


def test_this_machine_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1])).close()


@pytest.mark.parametrize("fixture", ["evidence_dir", "more", "ear_dir", "vectors"])
@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_evidence_that_is_absent(tmp_path: Path, required: str, outcome: str, fixture: str) -> None:
    """A skip that says why; where it must not be absent, a failure."""
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "test_one.py").write_text(f"def test_one({fixture}): pass\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment |= {"ENARX_REQUIRE_EVIDENCE": required}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(tests)]
    found = subprocess.run(command, cwd=tests.parent, env=environment, capture_output=True, text=True)
    assert outcome in found.stdout
    assert "no real evidence at" in found.stdout
