"""T54: connections exhaust the daemon's descriptors. Some are reserved for management, and a full table is retried."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path

import pytest

from tests.host.conftest import daemon, root  # noqa: F401  # fixtures
from tests.host.harness import Daemon, eventually
from tests.host.test_connections import get

LEFT = 64


def used(d: Daemon) -> int:
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


def lowest_free(d: Daemon) -> int:
    """Return the number that the daemon's next descriptor would get: under it as a limit, there is none."""
    taken = {int(name) for name in os.listdir(f"/proc/{d.process.pid}/fd")}
    return next(number for number in range(len(taken) + 1) if number not in taken)


def processor(d: Daemon) -> float:
    """Return the seconds of processor time that the daemon has used."""
    fields = Path(f"/proc/{d.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limit(d: Daemon, count: int) -> None:
    hard = resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE, (count, hard))


@pytest.mark.parametrize("idle", [True, False], ids=["long and idle", "long requests alone"])
@pytest.mark.parametrize("when", ["at the start", "later"])
def test_health_and_stop_answer_with_few_left(daemon, root: Path, when: str, idle: bool) -> None:  # type: ignore[no-untyped-def]
    """Idle connections give way, and long requests do not, so these must leave some descriptors."""
    d: Daemon = daemon(descriptors=LEFT + 24) if when == "at the start" else daemon()
    keep = d.launch()
    if when == "later":
        limit(d, used(d) + LEFT)
    for _ in range(100):
        for path in (f"/v1/keeps/{keep}/output", f"/v1/keeps/{keep}/wait?timeout=300", *[""] * idle):
            with contextlib.suppress(OSError):
                d.raw(get(path) if path else b"GET /hea")
    before = processor(d)
    assert d.call("GET", "/healthz")[0] == 200
    assert d.info(keep)["state"] == "running"
    assert d.call("POST", f"/v1/keeps/{keep}/stop")[0] == 204
    time.sleep(2)
    assert processor(d) - before < 1
    assert d.call("DELETE", f"/v1/keeps/{keep}")[0] == 204


def test_an_empty_table_is_waited_out_without_spinning(daemon) -> None:  # type: ignore[no-untyped-def]
    d: Daemon = daemon()
    keep = d.launch()
    time.sleep(0.5)  # connections that have ended are closed by then
    limit(d, lowest_free(d))
    waiting = [d.raw(get("/healthz")) for _ in range(50)]
    before = processor(d)
    time.sleep(3)
    assert processor(d) - before < 1
    limit(d, 1024)
    assert eventually(lambda: d.call("GET", "/healthz")[0] == 200)
    assert waiting[-1].recv(15) in (b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Se")
    assert d.info(keep)["state"] == "running"
