"""Hosts that cannot be reached, or not in the way that was tried: each error names what is wrong and what to give instead."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import enarx
from enarx.api import hosts
from enarx.errors import EnarxError, UnavailableError, UsageError, VerificationError
from enarx.tenant.http import Endpoint, HostClient
from tests.host.conftest import daemon, root  # noqa: F401  # fixtures
from tests.host.harness import Daemon
from tests.host.test_access import TOKEN, Authority, token_file

Make = Callable[..., Daemon]


def fails(kind: type[EnarxError], **endpoint: Any) -> EnarxError:
    with pytest.raises(kind) as caught:
        keeps(**endpoint)
    return caught.value


def keeps(**endpoint: Any) -> list[dict[str, Any]]:
    with contextlib.closing(HostClient(Endpoint(**endpoint))) as client:
        return client.keeps()


def test_over_tls(daemon: Make, root: Path) -> None:
    ours, other = Authority(root, "ours"), Authority(root, "other")
    certificate, key = ours.issue("daemon")
    d = daemon(address="127.0.0.1", token_files=[token_file(root)], tls_certificate=certificate, tls_key=key)
    url = f"https://localhost:{d.port}"
    assert keeps(url=url, token=TOKEN, ca=ours.path) == []
    for ca in ("", other.path):
        e = fails(VerificationError, url=url, token=TOKEN, ca=ca)
        assert e.message.startswith(f"{url}: the host's certificate: ")
        assert "--ca FILE" in e.hint
    e = fails(VerificationError, url=url.replace("localhost", "127.0.0.1"), token=TOKEN, ca=ours.path)
    assert "127.0.0.1" in e.message
    assert "mismatch" in e.message
    e = fails(UnavailableError, url=url.replace("https", "http"), token=TOKEN)
    assert e.hint == f"if it serves over TLS: {url}"
    assert (
        fails(UsageError, url=url, token="x" * 20, ca=ours.path).hint
        == "the token that was sent is not one of this host's"
    )
    assert fails(UsageError, url=url, ca=ours.path).hint == "--token-file FILE"


def test_a_client_certificate_that_is_missing_or_another_authoritys(daemon: Make, root: Path) -> None:
    ours, other = Authority(root, "ours"), Authority(root, "other")
    certificate, key = ours.issue("daemon")
    d = daemon(address="127.0.0.1", tls_certificate=certificate, tls_key=key, client_ca=ours.path)
    url = f"https://localhost:{d.port}"
    mine, foreign = ours.issue("mine"), other.issue("foreign")
    assert keeps(url=url, ca=ours.path, certificate=mine[0], key=mine[1]) == []
    for pair in (("", ""), foreign):
        e = fails(UnavailableError, url=url, ca=ours.path, certificate=pair[0], key=pair[1])
        assert e.hint.startswith("--client-cert FILE"), e.message


def test_without_tls(daemon: Make, root: Path) -> None:
    d = daemon(address="127.0.0.1", token_files=[token_file(root)])
    e = fails(UnavailableError, url=f"https://localhost:{d.port}", token=TOKEN)
    assert (e.code, "does not speak TLS" in e.message) == ("host-tls", True)
    assert e.hint == f"if it serves without TLS: http://localhost:{d.port}"


@pytest.mark.parametrize("url", ["unix:///run/host.sock", "http://localhost:1"])
@pytest.mark.parametrize("option", ["ca", "certificate", "key"])
def test_tls_files_that_would_be_ignored(url: str, option: str) -> None:
    e = fails(UsageError, **{"url": url, option: "file.pem"})
    assert "file.pem" in e.message
    assert "without TLS" in e.message


def test_tls_files_that_cannot_be_used(root: Path) -> None:
    one, two = Authority(root, "one").issue("a"), Authority(root, "two").issue("b")
    (root / "text").write_text("text")
    url, text, absent = "https://localhost:1", str(root / "text"), str(root / "absent")
    for endpoint, words in (
        ({"ca": absent}, (absent, "No such file")),
        ({"ca": text}, (text,)),
        ({"certificate": absent}, (absent, "No such file")),
        ({"certificate": text}, (text,)),
        ({"certificate": one[0], "key": absent}, (absent, "No such file")),
        ({"certificate": one[0], "key": two[1]}, (two[1], "not the key of the certificate", one[0])),
        ({"key": one[1]}, (one[1], "without its certificate")),
    ):
        e = fails(UsageError, url=url, **endpoint)
        assert e.code == "host-tls"
        assert all(word in e.message for word in words), e.message
    assert fails(UnavailableError, url=url, certificate=one[0], key=one[1]).code == "host-down", "these can be used"


def test_what_hangs_up_or_refuses_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):  # a request that only reads is tried twice
                server.accept()[0].close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        e = fails(UnavailableError, url=f"http://127.0.0.1:{port}")
        thread.join(5)
    assert e.code == "host-lost"
    assert "closed the connection without an answer" in e.message
    for url in (f"http://127.0.0.1:{port}", f"unix://{tmp_path}/absent"):
        e = fails(UnavailableError, url=url)
        assert (e.code, "cannot be reached" in e.message) == ("host-down", True)
        assert e.message.startswith(url)
        assert e.hint == "is it running, and is this its address? start one with: enarx host serve"
        assert "attach" not in e.hint


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:8800", "did you mean http://localhost:8800?"),
        ("/run/host.sock", "did you mean unix:///run/host.sock?"),
        ("ftp://host", ""),
        ("unix://relative", ""),
        ("http://host:99999", ""),
        ("https://user@host", ""),
    ],
)
def test_what_is_no_url(url: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    e = fails(UsageError, url=url)
    assert e.message.startswith(f"{url!r} is not the URL of a host, wanted http://HOST:PORT")
    assert e.hint == hint
    monkeypatch.setenv("ENARX_HOST", url)
    with pytest.raises(UsageError, match=r"^ENARX_HOST: "):
        hosts.find()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "has no token in it"),
        (b"\r\n", "has no token in it"),
        (b"\xef\xbb\xbftoken\n", "begins with a byte order mark"),
        (b"\xff\xfet\0o\0", "begins with a byte order mark"),
        (b"tok\xe9n", "has bytes that are not ASCII"),
        (b"one\ntwo\n", "has more than one word"),
        (b"one two", "has more than one word"),
        (b"x" * 5000, "has over 4096 bytes"),
    ],
)
def test_what_is_no_token(tmp_path: Path, data: bytes, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        hosts.read_token(str(path))
    assert caught.value.message == f"{path}: {problem}"
    monkeypatch.setenv("ENARX_HOST", "http://localhost:1")
    monkeypatch.setenv("ENARX_TOKEN_FILE", str(path))
    with pytest.raises(UsageError, match=r"^ENARX_TOKEN_FILE: .*token"):
        hosts.find()


@pytest.mark.parametrize("data", [b"token", b"token\n", b"token\r\n", b" token \n\n"])
def test_tokens(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "token").write_bytes(data)
    assert hosts.read_token(str(tmp_path / "token")) == "token"


def test_a_token_that_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "absent", "No such file or directory"), (tmp_path, "not a regular file")):
        with pytest.raises(UsageError) as caught:
            hosts.read_token(str(path))
        assert caught.value.message == f"{path}: {why}"


@pytest.mark.parametrize("keep", [None, 3, b"web", ""])
def test_what_names_no_keep(keep: Any) -> None:
    with pytest.raises(UsageError, match="wanted its id or its name"):
        enarx.attach(keep, host="http://localhost:1")
    with pytest.raises(UsageError, match="wanted its id or its name"):
        enarx.logs(keep, host="http://localhost:1")


def test_what_names_no_host() -> None:
    with pytest.raises(UsageError, match="host is of type NoneType"):
        enarx.deploy(b"", host=None, simulated_root=bytes(32))  # type: ignore[arg-type]
