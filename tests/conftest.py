"""What holds for every test: no network but this machine's own, and evidence only from where it is kept."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("tests")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
LOCAL = ("::1", "localhost", None)
"""Whom a test may reach, beside 127.0.0.0/8; None is what a server is given to listen on."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "no_verdict(reason): evidence may be refused without a control, for this reason")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: those that the forge signs are new in every process, and each worker must see one list."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def evidence_dir() -> Path:
    """Real evidence."""
    return shared("evidence")


@pytest.fixture(scope="session")
def more() -> Path:
    """A second collection of real evidence."""
    return shared("evidence-more")


@pytest.fixture(scope="session")
def ear_dir() -> Path:
    """The examples and the grammar of the EAR draft, and other verifiers' results."""
    return shared("management/ear")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Vectors of launch measurements."""
    return shared("measurement")


def shared(name: str) -> Path:
    """What is kept beside the checkout; a skip where it is absent, a failure where it must not be."""
    path = SHARED / name
    if not path.is_dir():
        said = f"no real evidence at {path}"
        if os.environ.get("ENARX_REQUIRE_EVIDENCE"):
            pytest.fail(said)
        pytest.skip(said)
    return path


@pytest.fixture(autouse=True)
def every_refusal_has_a_control(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that sees evidence refused goes through `tests.controls`, or says why no verdict is its subject."""
    from tests import controls

    with controls.watch() as strays:
        yield
    if strays and request.node.get_closest_marker("no_verdict") is None:
        pytest.fail(f"refused without a control (tests/controls.py): {'; '.join(strays[:3])}", pytrace=False)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unix sockets and loopback are all that this process reaches, and names are not looked up elsewhere."""
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        _require_local(host)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)


def _guarded(reach: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family != socket.AF_UNIX:
            _require_local(args[-1][0])  # of all three, the address is the last
        return reach(self, *args)

    return guarded


def _require_local(host: object) -> None:
    if host not in LOCAL and not str(host).startswith("127."):
        raise AssertionError(f"a test wanted to reach {host!r}")
