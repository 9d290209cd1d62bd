"""T51: another user of the host's machine connects to root's daemon, which has no token. The kernel names the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.harness import Daemon, enarx, environment
from tests.programs import module

STRANGER = 65534
AS_STRANGER = f"""
import os, sys
from enarx.tenant.http import Endpoint, HostClient
from enarx.errors import EnarxError
os.setgroups([]); os.setresgid({STRANGER}, {STRANGER}, {STRANGER}); os.setresuid({STRANGER}, {STRANGER}, {STRANGER})
client = HostClient(Endpoint(url=sys.argv[1]))
for method, path in (("GET", "/v1/keeps"), ("POST", "/v1/prune"), ("DELETE", "/v1/keeps/" + sys.argv[2] + "?force=true")):
    try:
        print(method, client.call(method, path))
    except EnarxError as e:
        print(e.code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_can_do_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="enarx-", ignore_cleanup_errors=True) as path:
        home = Path(path)
        daemon = Daemon(home).start()
        try:
            (home / "sleep.wasm").write_bytes(module("sleep"))
            deployed = daemon.deploy("--detach", home / "sleep.wasm")
            keep = deployed.stdout.decode().split()[0]
            for _ in range(2):
                found = subprocess.run(
                    [sys.executable, "-c", AS_STRANGER, daemon.url, keep],
                    capture_output=True,
                    text=True,
                    env=environment(home),
                    cwd="/",
                )
                assert found.stderr == ""
                assert set(found.stdout.split()) <= {"lost", "forbidden", "host-down", "host-lost"}, found.stdout
                home.chmod(0o777)  # as if somebody had opened the way there
                (home / "host.sock").chmod(0o777)
            assert daemon.keeps() == {keep: "running"}
        finally:
            daemon.clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into processes that are not dumpable")
def test_no_port_is_open_without_a_token() -> None:
    with tempfile.TemporaryDirectory(prefix="enarx-") as path:
        daemon = Daemon(Path(path)).start()
        try:
            assert daemon.process is not None
            inodes = {os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}") for fd in fds(daemon.process.pid)}
            for name in ("tcp", "tcp6"):
                lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
                assert not {f"socket:[{line.split()[9]}]" for line in lines} & inodes
            for where in (("--port", "0"), ("--address", "127.0.0.1"), ("--address", "::1", "--port", "0")):
                refused = enarx(Path(path), "host", "serve", "--state", Path(path) / "other", *where)
                assert refused.returncode == 125
        finally:
            daemon.end()


def fds(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")


def test_the_tenant_of_a_keep_is_in_its_record() -> None:
    with tempfile.TemporaryDirectory(prefix="enarx-", ignore_cleanup_errors=True) as path:
        daemon = Daemon(Path(path)).start()
        try:
            (Path(path) / "sleep.wasm").write_bytes(module("sleep"))
            keep = daemon.deploy("--detach", Path(path) / "sleep.wasm").stdout.decode().split()[0]
            record = json.loads((daemon.state / "keeps" / keep / "record.json").read_text())
            assert record["tenant"] == f"uid:{os.geteuid()}"
        finally:
            daemon.clean()
