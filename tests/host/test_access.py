"""Who is let in: loopback, tokens, client certificates; and that nothing is served where anybody would be."""

from __future__ import annotations

import datetime
import http.client
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from enarx.errors import UsageError
from enarx.host.access import read_token
from enarx.host.bounds import Bounds
from enarx.host.daemon import Options, serve

from .harness import DISK, MEMORY, Daemon

Make = Callable[..., Daemon]
TOKEN = "0123456789abcdef-secret"


def token_file(root: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    path = root / "token"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def options(root: Path, **more: object) -> Options:
    values = {
        "state": str(root),
        "hardware": str(root),
        "cache": str(root),
        "paths": "",
        "address": "127.0.0.1",
        "port": 0,
        "token_file": "",
        "tls_certificate": "",
        "tls_key": "",
        "client_ca": "",
        "bounds": Bounds(keeps=1, memory=0, disk=0, stored_output=1, pool=0),
        "skip_layers": (),
        **more,
    }
    return Options(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "host.example", "127.0.0.1.host.example"])
def test_others_are_let_in_by_credential_only(root: Path, address: str) -> None:
    with pytest.raises(UsageError) as caught:
        serve(options(root, address=address))
    assert caught.value.code == "no-authentication"
    assert "--token-file" in caught.value.hint
    assert "--client-ca" in caught.value.hint


def test_tls_alone_is_no_credential(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        serve(options(root, address="0.0.0.0", tls_certificate="c", tls_key="k"))
    assert caught.value.code == "no-authentication"


def test_client_certificates_need_tls(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        serve(options(root, address="0.0.0.0", client_ca="ca"))
    assert caught.value.code == "client-ca"


def test_tls_files_that_are_none(root: Path) -> None:
    (root / "junk").write_text("junk")
    for path in (str(root / "nothing"), str(root / "junk")):
        with pytest.raises(UsageError) as caught:
            serve(options(root, tls_certificate=path, tls_key=path))
        assert caught.value.code == "tls"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_token_that_others_can_read(root: Path, mode: int) -> None:
    with pytest.raises(UsageError) as caught:
        read_token(token_file(root, mode=mode))
    assert caught.value.code == "token-mode"
    assert TOKEN not in str(caught.value)


def test_tokens_that_are_none(root: Path) -> None:
    for text, code in (("", "token-short"), ("short", "token-short"), ("\u00e9" * 20, "token-file")):
        with pytest.raises(UsageError) as caught:
            read_token(token_file(root, text))
        assert caught.value.code == code
    with pytest.raises(UsageError):
        read_token(str(root / "nothing"))
    assert read_token("") == ""
    assert read_token(token_file(root, TOKEN + "\n")) == TOKEN


def test_the_token_is_wanted_for_everything_but_health(daemon: Make, root: Path) -> None:
    d = daemon(token_file=token_file(root))
    good = {"Authorization": f"Bearer {TOKEN}"}
    wrong = [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}]
    wrong += [{"Authorization": TOKEN}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"}]
    for path in ("/v1/keeps", "/metrics", "/v1/openapi.json", "/v1/keeps/x/output", "/nothing", "/healthz/"):
        for headers in wrong:
            status, value = d.call("GET", path, **headers)
            assert (status, value["error"]["code"]) == (401, "unauthorized"), (path, headers)
    assert d.call("POST", "/v1/keeps", {"memory": MEMORY, "disk": DISK})[0] == 401
    assert d.call("POST", "/v1/prune")[0] == 401
    assert d.call("GET", "/healthz") == (200, {"ok": True})
    assert d.call("GET", "/v1/keeps", **good) == (200, {"keeps": [], "next": None})
    assert TOKEN not in d.text()
    assert TOKEN not in Path(f"/proc/{d.process.pid}/cmdline").read_text()


def test_a_name_that_is_not_this_machines(daemon: Make) -> None:
    d = daemon()
    for host in ("attacker.example", f"attacker.example:{d.port}", "127.0.0.1.attacker.example", ""):
        assert d.call("GET", "/v1/keeps", Host=host)[0] == 403
    for host in (f"localhost:{d.port}", "localhost", "127.0.0.1", "[::1]", f"[::1]:{d.port}"):
        assert d.call("GET", "/v1/keeps", Host=host)[0] == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://page.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_web_pages_can_not_have_a_browser_ask(daemon: Make, headers: dict[str, str]) -> None:
    d = daemon()
    body = {"memory": MEMORY, "disk": DISK}
    assert d.call("POST", "/v1/keeps", body, **headers, **{"Content-Type": "text/plain"})[0] == 403
    assert d.call("POST", "/v1/prune", **headers)[0] == 403
    assert d.keeps() == {}


class Authority:
    """Issues certificates for a test."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue(name, self.key, self.key, name, is_authority=True)
        (root / f"{name}.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))

    @property
    def path(self) -> str:
        return str(self.root / f"{self.name}.pem")

    def issue(self, name: str) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(name, key, self.key, self.name, is_authority=False)
        paths = self.root / f"{name}.pem", self.root / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(paths[0]), str(paths[1])

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        by: ec.EllipticCurvePrivateKey,
        issuer: str,
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(minutes=5),
            not_valid_after=now + datetime.timedelta(hours=1),
        )
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(names, critical=False)
        return builder.sign(by, hashes.SHA256())


def test_client_certificates(daemon: Make, root: Path) -> None:
    host, ours, other = (Authority(root, name) for name in ("host", "ours", "other"))
    certificate, key = host.issue("daemon")
    d = daemon(tls_certificate=certificate, tls_key=key, client_ca=ours.path)

    def status(client: tuple[str, str] | None) -> int:
        context = ssl.create_default_context(cafile=host.path)
        if client is not None:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection("localhost", d.port, timeout=10, context=context)
        try:
            connection.request("GET", "/v1/keeps")
            return connection.getresponse().status
        finally:
            connection.close()

    assert status(ours.issue("tenant")) == 200
    for client in (None, other.issue("stranger")):
        with pytest.raises(OSError):
            status(client)
    with pytest.raises(OSError):
        d.call("GET", "/v1/keeps")
    assert status(ours.issue("another")) == 200


def test_a_token_over_the_open_network_is_warned_of(daemon: Make, root: Path) -> None:
    d = daemon(address="0.0.0.0", token_file=token_file(root))
    assert d.call("GET", "/v1/keeps", Authorization=f"Bearer {TOKEN}", Host="host.example")[0] == 200
    assert d.call("GET", "/v1/keeps")[0] == 401
    assert any("in clear" in line.get("message", "") for line in d.lines())
