"""Rules for all tests: no network except loopback, and real evidence only from one place.

Real evidence and vectors are not part of the repository. Tests read them from `../shared`, or from the directory in
ENARX_SHARED, and skip if it is missing; with ENARX_REQUIRE_EVIDENCE they fail.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from enarx.verify.kinds import KINDS

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("tests")

SHARED = Path(os.environ.get("ENARX_SHARED") or Path(__file__).resolve().parent.parent.parent / "shared")
LOCAL = ("::1", "localhost", None)
"""Hosts that a test may reach, besides 127.0.0.0/8; servers listen on None."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "no_verdict(reason): evidence may be refused without a control, for this reason")
    config.addinivalue_line("markers", "kinds(name, ...): skipped unless evidence of these kinds can be verified")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of a kind whose folders and line in the registry were deleted."""
    missing = {kind for mark in item.iter_markers("kinds") for kind in mark.args} - set(KINDS)
    if missing:
        pytest.skip(f"no verifier for evidence of kind {', '.join(sorted(missing))}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep bytes out of test names: the forge signs them anew in each process, and all workers must agree on names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def evidence_dir() -> Path:
    """The directory of real evidence."""
    return shared("evidence")


@pytest.fixture(scope="session")
def more() -> Path:
    """A second collection of real evidence."""
    return shared("evidence-more")


@pytest.fixture(scope="session")
def ear_dir() -> Path:
    """The examples and the grammar of the EAR draft, and results of other verifiers."""
    return shared("management/ear")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The directory of launch measurement vectors."""
    return shared("measurement")


def shared(name: str) -> Path:
    """A directory of real data; the test skips if it is missing, or fails with ENARX_REQUIRE_EVIDENCE."""
    path = SHARED / name
    if not path.is_dir():
        message = f"no real evidence at {path}"
        if os.environ.get("ENARX_REQUIRE_EVIDENCE"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(autouse=True)
def every_refusal_has_a_control(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test whose evidence is refused uses `tests.controls`, or is marked `no_verdict` with a reason."""
    from tests import controls

    with controls.watch() as strays:
        yield
    if strays and request.node.get_closest_marker("no_verdict") is None:
        pytest.fail(f"refused without a control (tests/controls.py): {'; '.join(strays[:3])}", pytrace=False)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow only Unix sockets and loopback, and refuse to look up other names."""
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
            _require_local(args[-1][0])  # the address is the last argument of all three
        return reach(self, *args)

    return guarded


def _require_local(host: object) -> None:
    if host not in LOCAL and not str(host).startswith("127."):
        raise AssertionError(f"a test wanted to reach {host!r}")
