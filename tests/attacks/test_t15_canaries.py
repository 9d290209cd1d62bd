"""T15: the host searches everything that it can read: disk, log, command lines, environments and its daemon's memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.api.workloads import Workload
from enarx.delivery.content import Module
from enarx.formats.config import Secret
from enarx.formats.package import Head
from enarx.keep.guest.wasi import Order
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import Daemon, until
from tests.exchange import CONFIG
from tests.keep.core.pair import Manual, Pair
from tests.programs import module

CANARIES = (b"canary-in-arg", b"canary-in-env", b"canary-in-secret", b"canary-in-file", b"canary-in-stdin")
HOST_SIDE = ("enarx.host", "enarx.simulator", "host serve")


@pytest.fixture
def busy(home: Path) -> Iterator[tuple[Daemon, str]]:
    """A daemon with a Keep whose guest holds all canaries, and has printed its input."""
    daemon = Daemon(home).start()
    (home / "data").mkdir()
    (home / "data" / "file").write_bytes(b"canary-in-file" * 1000)
    (home / "key").write_bytes(b"canary-in-secret")
    (home / "cat.wasm").write_bytes(module("cat"))
    (home / "Enarx.toml").write_text(
        'args = ["canary-in-arg"]\nenv = {E = "canary-in-env"}\n[secrets]\nkey = {}\n[[dirs]]\nguest="/d"\nhost="data"\n'
    )
    keep = daemon.deploy("--detach", "--secret", f"key=@{home}/key", home / "cat.wasm", stdin=b"")
    assert keep.returncode == 0, keep.stderr
    found = daemon.deploy("--secret", f"key=@{home}/key", home / "cat.wasm", stdin=b"canary-in-stdin" * 1000)
    assert found.stdout == b"canary-in-stdin" * 1000
    yield daemon, keep.stdout.decode().strip()
    daemon.clean()


def host_processes(home: Path) -> dict[int, str]:
    """Return the host's own processes, without the Keep and its zygote, whose memory the hardware protects."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(home) in line and any(part in line for part in HOST_SIDE):
            found[int(name)] = line
    return found


def memory(pid: int) -> Iterator[bytes]:
    """Yield the readable memory of a process, in pieces that overlap a little."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r[w-][x-]p .*? 0?(?: +(\[heap\]|\[stack\]|))?$", line.rstrip())
            if not found or "[v" in line or int(found[2], 16) - int(found[1], 16) > 1 << 28:
                continue
            start, end = int(found[1], 16), int(found[2], 16)
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except OSError:
                continue


def test_disk_and_log(busy: tuple[Daemon, str], home: Path) -> None:
    daemon, keep = busy
    until(lambda: daemon.keeps()[keep] == "ended", "the detached job to end")
    files = [path for path in daemon.state.rglob("*") if path.is_file()] + [daemon.log]
    assert any("output" in path.name for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [canary for canary in CANARIES if canary in content], path


def test_command_lines_and_environments(busy: tuple[Daemon, str], home: Path) -> None:
    assert len(host_processes(home)) >= 3
    for name in filter(str.isdigit, os.listdir("/proc")):
        for part in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{name}/{part}").read_bytes()
            except OSError:
                continue
            assert not [canary for canary in CANARIES if canary in content], (name, part)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into processes that are not dumpable")
def test_memory_of_the_host_side(busy: tuple[Daemon, str], home: Path) -> None:
    daemon, keep = busy
    marker = keep.encode()
    pids = host_processes(home)
    seen_marker = 0
    for pid, line in pids.items():
        for piece in memory(pid):
            assert not [canary for canary in CANARIES if canary in piece], line
            seen_marker += marker in piece
    assert seen_marker, "the search itself works: the Keep's id is there"


def test_what_is_secret_is_not_shown() -> None:
    """A record may end up in a log, in a program of the tenant's as well."""
    config = CONFIG.replace(secrets=(Secret(name="key", env="KEY"),))
    pair = Pair(config=config, keep=Manual)
    attachment = pair.deliver()
    pair.keep.core.output(1, b"canary-out")
    pair.keep.act()
    outputs = pair.read(attachment)
    assert pair.keep.start is not None
    assert dict(pair.keep.start.env)["KEY"] == "canary-secret"
    assert outputs[-1].data == b"canary-out"
    content = pair.content
    head = Head(
        salt=b"canary", args=content.args, env=content.env, secrets=content.secrets, wasm_size=1, index_sizes=()
    )
    order = Order(args=content.args, env=content.env, dirs=(), limits=config.limits)
    shown = [
        *map(repr, [*pair.keep.actions, *outputs, head, order, config, Module(b"canary")]),
        repr(Workload(module=b"canary", config=config, secrets=content.secrets)),
    ]
    assert len({text.partition("(")[0] for text in shown}) > 10
    assert not [text for text in shown if "canary" in text]
