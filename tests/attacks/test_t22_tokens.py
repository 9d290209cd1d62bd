"""T22: a token reaches a host that it was not meant for, or a network in clear."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.rogue import Rogue, says
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, environment
from tests.tenant.test_tenant import saved

TOKEN = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def hosts(home: Path) -> Iterator[tuple[Rogue, Rogue]]:
    """Host A, for which the token is, and host B of another owner."""
    (home / "token").write_bytes(TOKEN + b"\n")
    a, b = (Rogue(lambda _: says({"id": "abc", "keeps": [], "removed": []})) for _ in range(2))
    yield a, b
    a.close()
    b.close()


def keep(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    names = environment(home) | variables
    return subprocess.run([*ENARX, "keep", *arguments], env=names, capture_output=True, timeout=60)


def token_file(home: Path) -> str:
    return str(home / "token")


def has_token(host: Rogue) -> list[bool]:
    return [TOKEN in request for request in host.requests]


def test_the_variables_go_together(home: Path, hosts: tuple[Rogue, Rogue]) -> None:
    a, b = hosts
    variables = {"ENARX_HOST": a.url, "ENARX_TOKEN_FILE": token_file(home)}
    assert keep(home, "list", **variables).returncode == 0
    assert keep(home, "list", "--host", a.url + "/", **variables).returncode == 0
    assert has_token(a) == [True, True]
    assert keep(home, "list", "--host", b.url, **variables).returncode == 0
    assert has_token(b) == [False]


def test_a_file_without_its_host_goes_nowhere(home: Path, hosts: tuple[Rogue, Rogue]) -> None:
    _, b = hosts
    assert keep(home, "list", "--host", b.url, ENARX_TOKEN_FILE=token_file(home)).returncode == 0
    assert has_token(b) == [False]
    assert keep(home, "list", "--host", b.url, "--token-file", token_file(home)).returncode == 0
    assert has_token(b) == [False, True]


@pytest.mark.parametrize("action", ["inspect", "stop", "rm", "logs"])
def test_a_session_saved_without_a_token_gets_none(
    home: Path, hosts: tuple[Rogue, Rogue], monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    a, b = hosts
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    saved("abc", a.url).save()
    variables = {"ENARX_HOST": b.url, "ENARX_TOKEN_FILE": token_file(home)}
    keep(home, action, "abc", **variables)
    assert a.requests
    assert not any(has_token(a))
    assert not b.requests


def test_a_token_of_the_command_line_needs_its_host(
    home: Path, hosts: tuple[Rogue, Rogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = hosts
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    saved("abc", a.url).save()
    found = keep(home, "inspect", "abc", "--token-file", token_file(home))
    assert found.returncode == 125
    assert not a.requests
    assert keep(home, "inspect", "abc", "--host", a.url, "--token-file", token_file(home)).returncode == 0
    assert has_token(a) == [True]


def test_no_redirection_takes_it_elsewhere(home: Path, hosts: tuple[Rogue, Rogue]) -> None:
    _, b = hosts
    sent = f"HTTP/1.1 307 Moved\r\nLocation: {b.url}/v1/keeps\r\nContent-Length: 0\r\n\r\n".encode()
    a = Rogue(lambda _: sent)
    assert keep(home, "list", "--host", a.url, "--token-file", token_file(home)).returncode == 127
    a.close()
    assert has_token(a) == [True]
    assert not b.requests


def test_no_proxy_takes_it(home: Path, hosts: tuple[Rogue, Rogue]) -> None:
    a, b = hosts
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), b.url)
    assert keep(home, "list", "--host", a.url, "--token-file", token_file(home), **proxies).returncode == 0
    assert not b.requests


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8800", "http://host.invalid", "http://localhost.invalid", "http://0x7f.1"]
)
def test_not_in_clear_over_a_network(home: Path, url: str) -> None:
    (home / "token").write_bytes(TOKEN)
    found = keep(home, "list", "--host", url, "--token-file", token_file(home))
    assert found.returncode == 125
    assert b"in clear" in found.stderr
    assert b"hint:" in found.stderr


def test_a_socket_of_this_machine(home: Path) -> None:
    (home / "token").write_bytes(TOKEN)
    (home / "run" / "enarx").mkdir(parents=True)
    host = Rogue(lambda _: says({"keeps": []}), str(home / "run" / "enarx" / "host.sock"))
    assert keep(home, "list", "--host", host.url, "--token-file", token_file(home)).returncode == 0
    assert keep(home, "list", XDG_RUNTIME_DIR=str(home / "run"), ENARX_TOKEN_FILE=token_file(home)).returncode == 0
    assert has_token(host) == [True, False]
    host.close()


ELSEWHERE = """
import sys
from enarx.tenant import paths
paths.SYSTEM_RUNTIME = sys.argv[1]
from enarx.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
"""The command on a machine whose /run/enarx is another directory: on this machine a host may listen there."""


def test_no_host_is_a_clear_error(home: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(home / "run"), "keep", "list"],
        env=environment(home) | {"XDG_RUNTIME_DIR": str(home)},
        capture_output=True,
        timeout=60,
    )
    assert found.returncode == 127
    assert f"{home}/run/host.sock".encode() in found.stderr
    assert b"hint: start one with: enarx host serve" in found.stderr


@pytest.mark.parametrize("content", [b"", b"two words", b"two\nlines", b"\xff", b"x" * 5000 + b" y", b"a\0b"])
def test_a_file_that_holds_no_token(home: Path, content: bytes) -> None:
    (home / "token").write_bytes(content)
    found = keep(home, "list", "--host", "http://127.0.0.1:1", "--token-file", token_file(home))
    assert found.returncode == 125
    assert b"token" in found.stderr
