"""`enarx deploy`, `enarx keep`: through a daemon, attached and detached, and over its death."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enarx.tenant.http import Endpoint, HostClient
from tests.e2e.harness import ENARX, Daemon, enarx, environment, session_file, until
from tests.programs import module

Wasm = Callable[[str], Path]
MANY = 20


@pytest.fixture
def pooled(home: Path) -> Iterator[Daemon]:
    found = Daemon(home, "--pool", "2", "--max-keeps", "3")
    yield found.start()
    found.clean()


def _detached(daemon: Daemon, path: Path, *options: str) -> str:
    found = daemon.deploy("--detach", *options, path)
    assert found.returncode == 0, found.stderr.decode()
    return found.stdout.decode().strip()


def test_deploy_is_attached_and_leaves_nothing(daemon: Daemon, wasm: Wasm) -> None:
    found = daemon.deploy(wasm("cat"), stdin=b"through a host that sees nothing")
    assert (found.returncode, found.stdout) == (0, b"through a host that sees nothing")
    assert daemon.keeps() == {}
    assert os.listdir(daemon.state / "keeps") == []


def test_deploy_needs_a_root(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    assert enarx(home, "deploy", "--host", daemon.url, wasm("hello")).returncode == 126
    (home / "other.pub").write_text("00" * 32)
    found = enarx(home, "deploy", "--host", daemon.url, "--simulated-root", home / "other.pub", wasm("hello"))
    assert found.returncode == 126
    assert b"none of the 1 simulated roots" in found.stderr
    assert daemon.keeps() == {}


def test_deploy_refuses_another_keep(daemon: Daemon, wasm: Wasm) -> None:
    found = daemon.deploy("--measurement", "ab" * 48, wasm("hello"))
    assert found.returncode == 126
    assert b"measurement" in found.stderr
    assert found.stdout == b""


def test_exit_codes_come_through(daemon: Daemon, wasm: Wasm) -> None:
    assert daemon.deploy(wasm("exit31")).returncode == 31
    assert daemon.deploy("--no-pool", wasm("trap")).returncode == 134


def test_detached_job_finishes_alone_and_is_verified_later(daemon: Daemon, wasm: Wasm) -> None:
    keep = _detached(daemon, wasm("slow"))
    until(lambda: daemon.keeps().get(keep) == "ended", "the job to end")
    found = daemon.keep("attach", keep)
    assert (found.returncode, found.stdout) == (0, b"tick\n" * 10)
    again = daemon.keep("logs", keep)
    assert (again.returncode, again.stdout) == (0, b"tick\n" * 10)
    assert daemon.keep("rm", keep).returncode == 0
    assert daemon.keeps() == {}
    assert daemon.keep("attach", keep).returncode == 125


def test_a_detached_job_tells_that_input_is_not_sent(daemon: Daemon, wasm: Wasm) -> None:
    for stdin, told in ((b"unsent", True), (b"", False)):
        found = daemon.deploy("--detach", wasm("cat"), stdin=stdin)
        assert (found.returncode, b"the input of this command was not sent" in found.stderr) == (0, told), found.stderr
        assert daemon.keep("attach", found.stdout.decode().strip()).stdout == b""


def test_without_the_session_nothing_can_be_read(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    keep = _detached(daemon, wasm("hello"))
    session_file(home, keep).unlink()
    found = daemon.keep("logs", keep)
    assert found.returncode == 125
    assert b"no saved session" in found.stderr


def test_session_file_is_private(daemon: Daemon, wasm: Wasm, home: Path) -> None:
    keep = _detached(daemon, wasm("hello"))
    assert session_file(home, keep).stat().st_mode & 0o777 == 0o600


def test_stop_is_proven(daemon: Daemon, wasm: Wasm) -> None:
    keep = _detached(daemon, wasm("sleep"))
    assert daemon.keep("stop", keep).stderr == b"stopped\n"
    assert daemon.keep("attach", keep).returncode == 137


def test_killed_daemon_loses_nothing(daemon: Daemon, wasm: Wasm, config: Callable[[str], Path]) -> None:
    small = config("[limits]\nmemory = '1MiB'\ndisk = '1MiB'\n")  # a machine has room for so many of them
    keeps = {_detached(daemon, wasm("slow" if i % 2 else "sleep"), "--config", str(small)) for i in range(MANY)}
    assert set(daemon.keeps()) == keeps
    daemon.end(signal.SIGKILL)
    daemon.start()
    assert set(daemon.keeps()) == keeps
    saved = daemon.home / "state" / "enarx" / "sessions"
    for path in saved.iterdir():  # the new daemon has another port
        path.write_text(json.dumps({**json.loads(path.read_text()), "url": daemon.url}))
    states = daemon.keeps()
    for keep in sorted(keeps):
        stopped = daemon.keep("stop", keep) if states[keep] == "running" else None
        found = daemon.keep("attach", keep)
        if found.returncode == 0:
            assert found.stdout == b"tick\n" * 10
        else:
            assert stopped is not None
            assert found.returncode == 137


def test_daemon_killed_under_an_attached_tenant(daemon: Daemon, wasm: Wasm) -> None:
    command = [*ENARX, "deploy", "--host", daemon.url, "--simulated-root", daemon.root, str(wasm("slow"))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(daemon.home)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"tick\n"
        daemon.end(signal.SIGKILL)
        assert process.wait(30) == 127
        assert b"attach again" in process.stderr.read()
    daemon.start()
    (keep,) = daemon.keeps()
    path = session_file(daemon.home, keep)
    path.write_text(json.dumps({**json.loads(path.read_text()), "url": daemon.url}))
    found = daemon.keep("attach", keep)
    assert (found.returncode, found.stdout) == (0, b"tick\n" * 10)


def test_killed_supervisor_is_lost_unproven(daemon: Daemon, wasm: Wasm) -> None:
    keep = _detached(daemon, wasm("sleep"))
    info = json.loads(daemon.keep("inspect", keep).stdout)
    os.kill(info["pid"], signal.SIGKILL)
    until(lambda: daemon.keeps()[keep] == "lost", "the loss to be seen")
    found = daemon.keep("attach", keep)
    assert found.returncode == 127
    assert daemon.keep("prune").returncode == 0
    assert daemon.keeps() == {}


def test_killed_keep_is_lost_unproven(daemon: Daemon, wasm: Wasm) -> None:
    keep = _detached(daemon, wasm("sleep"))
    info = json.loads(daemon.keep("inspect", keep).stdout)
    os.kill(info["keep_pid"], signal.SIGKILL)
    found = daemon.keep("attach", keep)
    assert found.returncode == 127
    assert b"lost, unproven" in found.stderr


def test_pool_and_bound(pooled: Daemon, wasm: Wasm) -> None:
    until(lambda: _metric(pooled, 'enarx_keeps{state="pooled"}') == 2, "the pool")
    for _ in range(3):
        _detached(pooled, wasm("sleep"))
    found = pooled.deploy(wasm("hello"))
    assert found.returncode == 127
    assert b"3 Keeps are running" in found.stderr


def _metric(daemon: Daemon, name: str) -> float | None:
    connection = HostClient(Endpoint(url=daemon.url)).connect()
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")), None)


def test_orderly_end_leaves_keeps_and_drops_the_pool(pooled: Daemon, wasm: Wasm) -> None:
    keep = _detached(pooled, wasm("sleep"))
    assert pooled.end() == 0
    assert os.listdir(pooled.state / "keeps") == [keep]
    pooled.start()
    assert pooled.keeps() == {keep: "running"}


def test_directories_travel_and_come_to_rest_in_memory(daemon: Daemon, home: Path) -> None:
    from tests.wat import secret_reader

    data = home / "data"
    (data / "sub").mkdir(parents=True)
    (data / "key").write_bytes(b"content of a file")
    (data / "sub" / "big").write_bytes(random.Random(2).randbytes(5 << 20))
    (data / "link").symlink_to("sub/big")
    (home / "reader.wasm").write_bytes(secret_reader())
    found = daemon.deploy("--dir", f"{data}::/data", home / "reader.wasm")
    assert (found.returncode, found.stdout) == (0, b"content of a file")


def test_two_daemons_do_not_share_a_state(daemon: Daemon, home: Path) -> None:
    found = enarx(home, "host", "serve", "--socket", home / "other.sock", "--state", daemon.state)
    assert found.returncode == 125
    assert b"another daemon" in found.stderr


@pytest.mark.parametrize("where", [("--address", "0.0.0.0"), ("--address", "127.0.0.1"), ("--port", "0")])
def test_nobody_is_let_in_without_a_credential(home: Path, where: tuple[str, str]) -> None:
    found = enarx(home, "host", "serve", *where, "--state", home / "s")
    assert found.returncode == 125
    assert b"--token-file" in found.stderr


def test_token(home: Path) -> None:
    token = home / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    daemon = Daemon(home, "--port", "0", "--token-file", str(token)).start()
    (home / "hello.wasm").write_bytes(module("hello"))
    try:
        found = daemon.deploy(home / "hello.wasm")
        assert found.returncode == 125
        assert b"bearer token" in found.stderr
        assert daemon.deploy("--token-file", token, home / "hello.wasm").stdout == b"hello\n"
    finally:
        daemon.end()
