"""What holds for every test: no network but this machine's own, and evidence only from where it is kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("tests")

EVIDENCE = Path(__file__).resolve().parent.parent.parent / "shared" / "evidence"


@pytest.fixture(scope="session")
def evidence_dir() -> Path:
    """Real evidence, beside the checkout; a skip where it is absent, a failure where it must not be."""
    if not EVIDENCE.is_dir():
        said = f"no real evidence at {EVIDENCE}"
        if os.environ.get("ENARX_REQUIRE_EVIDENCE"):
            pytest.fail(said)
        pytest.skip(said)
    return EVIDENCE


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections leave this process for Unix sockets and loopback only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        local = self.family == socket.AF_UNIX or (
            isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1", "localhost")
        )
        if not local:
            raise AssertionError(f"a test wanted to connect to {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
