"""Access: users of the Unix socket, tokens and client certificates are admitted, and nobody else is."""

from __future__ import annotations

import datetime
import grp
import hashlib
import http.client
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from enarx.errors import BackendError, UsageError
from enarx.host.daemon import Options, serve
from enarx.host.http.access import read_token
from enarx.host.http.certificates import public_key
from enarx.host.keeps.bounds import Bounds

from .harness import DISK, KIND, MEMORY, Daemon

Make = Callable[..., Daemon]
TOKEN = "0123456789abcdef-secret"
OTHER = "fedcba9876543210-secret"
STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


def token_file(root: Path, text: str = TOKEN, mode: int = 0o600, name: str = "token") -> str:
    path = root / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def options(root: Path, **more: object) -> Options:
    values = {
        "state": str(root),
        "backends_state": str(root),
        "cache": str(root),
        "paths": "",
        "socket": "",
        "socket_group": "",
        "address": "",
        "port": 0,
        "token_files": (),
        "tls_certificate": "",
        "tls_key": "",
        "client_ca": "",
        "bounds": Bounds(keeps=1, memory=0, disk=0, stored_output=1, pool=0),
        "skip_layers": (),
        **more,
    }
    return Options(**values)  # type: ignore[arg-type]


def refused(root: Path, **more: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        serve(options(root, **more))
    return caught.value


# The Unix socket


ASK = """
import contextlib, os, socket, sys
path, uid, gid, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(g) for g in sys.argv[4].split(",") if g]
os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(path)
except OSError as e:
    print(e.errno)
    sys.exit()
with contextlib.suppress(BrokenPipeError):  # it has said why
    s.sendall(b"GET /v1/keeps HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n")
data = b""
while piece := s.recv(65536):
    data += piece
print(data.split()[1].decode())
"""


def ask_as(d: Daemon, uid: int, gid: int, groups: str = "") -> int:
    """The status, or the errno, that another user gets at the Unix socket."""
    command = [sys.executable, "-I", "-c", ASK, str(d.options["socket"]), str(uid), str(gid), groups]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout)


def test_the_socket_is_this_users_alone(daemon: Make, root: Path) -> None:
    d = daemon(socket=str(root / "run" / "host.sock"))
    assert stat.S_IMODE((root / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "run" / "host.sock").stat().st_mode) == 0o600
    assert d.call("GET", "/v1/keeps")[0] == 200
    assert d.close() == 0
    assert not (root / "run" / "host.sock").exists()


@as_root
def test_another_user_is_kept_out_by_mode_and_by_name(daemon: Make, root: Path) -> None:
    d = daemon()
    assert ask_as(d, STRANGER, STRANGER) == 13
    root.chmod(0o755)
    (root / "host.sock").chmod(0o777)  # as if somebody had opened it
    assert ask_as(d, STRANGER, STRANGER) == 403
    assert ask_as(d, STRANGER, 0) == 403
    assert ask_as(d, 0, STRANGER) == 200


@as_root
def test_members_of_the_group_are_tenants_of_their_own(daemon: Make, root: Path) -> None:
    group = grp.getgrgid(1)
    d = daemon(socket=str(root / "run" / "host.sock"), socket_group=group.gr_name)
    root.chmod(0o755)
    status = (root / "run" / "host.sock").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, 1)
    assert stat.S_IMODE((root / "run").stat().st_mode) == 0o710
    keep = d.launch()
    assert ask_as(d, STRANGER, 1) == 200
    assert ask_as(d, STRANGER, STRANGER, "1") == 200
    assert ask_as(d, STRANGER, STRANGER) == 13
    assert d.keeps() == {keep: "running"}
    assert json.loads((root / "keeps" / keep / "record.json").read_text())["tenant"] == f"uid:{os.geteuid()}"


def test_a_group_that_is_none(root: Path) -> None:
    assert refused(root, socket=str(root / "s"), socket_group="no-such-group").code == "socket-group"


def test_a_stale_socket_gives_way_and_a_live_one_does_not(daemon: Make, root: Path) -> None:
    d = daemon()
    other = root / "other"
    other.mkdir()
    assert refused(other, socket=str(root / "host.sock")).code == "socket-taken"
    assert d.call("GET", "/healthz")[0] == 200
    d.kill()
    assert (root / "host.sock").exists()
    d.start()
    assert d.call("GET", "/healthz")[0] == 200


def test_what_is_no_socket_is_left_alone(root: Path) -> None:
    (root / "file").write_text("precious")
    (root / "link").symlink_to("file")
    for name in ("file", "link"):
        assert refused(root, socket=str(root / name)).code == "socket-taken"
    assert (root / "file").read_text() == "precious"
    assert (root / "link").is_symlink()


def test_a_directory_that_others_can_write_to(root: Path) -> None:
    (root / "open").mkdir()
    (root / "open").chmod(0o777)
    assert refused(root, socket=str(root / "open" / "s")).code == "socket-directory"
    (root / "open").chmod(0o770)
    assert refused(root, socket=str(root / "open" / "s")).code == "socket-directory"
    assert list((root / "open").iterdir()) == []


@as_root
def test_a_directory_that_is_anothers(root: Path) -> None:
    (root / "theirs").mkdir()
    os.chown(root / "theirs", STRANGER, STRANGER)
    assert refused(root, socket=str(root / "theirs" / "s")).code == "socket-directory"


def test_sockets_that_cannot_be(root: Path) -> None:
    assert refused(root, socket=str(root / ("x" * 120))).code == "socket-path"
    assert refused(root, socket=str(root / "missing" / "too" / "s")).code == "socket"
    assert refused(root).code == "no-socket"


def test_a_socket_that_is_anothers_by_now_is_left_to_it(daemon: Make, root: Path) -> None:
    d = daemon()
    (root / "host.sock").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(root / "host.sock"))
        assert d.close() == 0
        assert (root / "host.sock").exists()


# TCP


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "host.example"])
def test_tcp_wants_a_credential_wherever_it_is(root: Path, address: str) -> None:
    for more in ({}, {"tls_certificate": "c", "tls_key": "k"}, {"socket": str(root / "s")}):
        e = refused(root, address=address, **more)
        assert e.code == "no-authentication"
        assert "--token-file" in e.hint
        assert "--client-ca" in e.hint


def test_client_certificates_need_tls(root: Path) -> None:
    assert refused(root, address="0.0.0.0", client_ca="ca").code == "client-ca"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"address": "127.0.0.1", "token_files": ("t",), "tls_key": "k"}, "--tls-key without --tls-cert"),
        ({"socket": "s", "token_files": ("t",)}, "a token or a TLS certificate without a TCP socket"),
        ({"socket": "s", "tls_certificate": "c"}, "a token or a TLS certificate without a TCP socket"),
        ({"address": "127.0.0.1", "token_files": ("t",), "socket_group": "g"}, "--socket-group without"),
        (
            {"socket": "s", "bounds": Bounds(keeps=1, memory=0, disk=0, stored_output=1, pool=0, pool_kind=KIND)},
            "--pool",
        ),
    ],
)
def test_options_without_effect_are_refused(root: Path, given: dict[str, object], name: str) -> None:
    """A door would be less guarded than its operator believes."""
    e = refused(root, **given)
    assert e.code == "option-unused"
    assert name in e.message


def test_a_pool_of_a_kind_that_cannot_be_launched(root: Path) -> None:
    bounds = {"keeps": 1, "memory": 0, "disk": 0, "stored_output": 1, "pool": 1}
    with pytest.raises(UsageError, match="no kind of Keep is called 'vax'"):
        serve(options(root, socket="s", bounds=Bounds(**bounds, pool_kind="vax")))
    with pytest.raises(BackendError, match="no Keep of kind nitro"):
        serve(options(root, socket="s", bounds=Bounds(**bounds, pool_kind="nitro")))


def test_tls_files_that_are_none(root: Path) -> None:
    (root / "junk").write_text("junk")
    token = token_file(root)
    for path in (str(root / "nothing"), str(root / "junk")):
        e = refused(root, address="127.0.0.1", token_files=(token,), tls_certificate=path, tls_key=path)
        assert e.code == "tls"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_token_that_others_can_read(root: Path, mode: int) -> None:
    with pytest.raises(UsageError) as caught:
        read_token(token_file(root, mode=mode))
    assert caught.value.code == "token-mode"
    assert TOKEN not in str(caught.value)


def test_tokens_that_are_none(root: Path) -> None:
    texts = [("", "token-short"), ("short", "token-short"), ("\u00e9" * 20, "token-file")]
    texts += [("a" * 4000, "token-long"), ("a" * 20 + "\n" + "b" * 20, "token-file")]
    for text, code in texts:
        with pytest.raises(UsageError) as caught:
            read_token(token_file(root, text))
        assert caught.value.code == code
    with pytest.raises(UsageError):
        read_token(str(root / "nothing"))
    assert read_token("") == ""
    assert read_token(token_file(root, TOKEN + "\n")) == TOKEN


def test_the_token_is_wanted_for_everything_but_health(daemon: Make, root: Path) -> None:
    d = daemon(address="127.0.0.1", token_files=[token_file(root)])
    wrong = [{}, bearer(f"{TOKEN}x"), bearer(TOKEN[:-1])]
    wrong += [{"Authorization": TOKEN}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"}]
    for path in ("/v1/keeps", "/metrics", "/v1/openapi.json", "/v1/keeps/x/output", "/nothing", "/healthz/"):
        for headers in wrong:
            status, value = d.call("GET", path, **headers)
            assert (status, value["error"]["code"]) == (401, "unauthorized"), (path, headers)
    assert d.call("POST", "/v1/keeps", {"memory": MEMORY, "disk": DISK})[0] == 401
    assert d.call("POST", "/v1/prune")[0] == 401
    assert d.call("GET", "/healthz") == (200, {"ok": True})
    assert d.call("GET", "/v1/keeps", **bearer()) == (200, {"keeps": [], "next": None})
    assert TOKEN not in d.text()
    assert TOKEN not in Path(f"/proc/{d.process.pid}/cmdline").read_text()


def test_each_token_is_a_tenant_and_others_keeps_are_none(daemon: Make, root: Path) -> None:
    files = [token_file(root), token_file(root, OTHER, name="other")]
    d = daemon(address="127.0.0.1", socket=str(root / "host.sock"), token_files=files)
    assert len(d.urls) == 2
    d.options["socket"] = ""  # from here on by TCP
    status, value = d.call("POST", "/v1/keeps", {"memory": MEMORY, "disk": DISK}, **bearer())
    assert status == 201
    keep = f"/v1/keeps/{value['id']}"
    record = json.loads((root / "keeps" / value["id"] / "record.json").read_text())
    assert record["tenant"] == f"token:{hashlib.sha256(TOKEN.encode()).hexdigest()[:16]}"
    asked = [("GET", keep), ("DELETE", f"{keep}?force=true"), ("POST", f"{keep}/stop"), ("GET", f"{keep}/wait")]
    asked += [("POST", f"{keep}/input"), ("GET", f"{keep}/output")]
    for method, path in asked:
        assert d.call(method, path, **bearer(OTHER))[0] == 404, path
    assert d.call("GET", "/v1/keeps", **bearer(OTHER))[1]["keeps"] == []
    assert d.call("POST", "/v1/prune", **bearer(OTHER))[1] == {"removed": []}
    assert d.call("GET", keep, **bearer())[1]["state"] == "running"
    d.options["socket"] = str(root / "host.sock")
    assert d.keeps() == {}  # of the user who runs the daemon


def test_a_name_that_is_not_this_machines(daemon: Make, root: Path) -> None:
    d = daemon(address="127.0.0.1", token_files=[token_file(root)])
    for host in ("attacker.example", f"attacker.example:{d.port}", "127.0.0.1.attacker.example", ""):
        assert d.call("GET", "/v1/keeps", Host=host, **bearer())[0] == 403
    for host in (f"localhost:{d.port}", "localhost", "127.0.0.1", "[::1]", f"[::1]:{d.port}"):
        assert d.call("GET", "/v1/keeps", Host=host, **bearer())[0] == 200


@pytest.mark.parametrize("door", ["socket", "tcp"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "https://page.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_web_pages_cannot_have_a_browser_ask(daemon: Make, root: Path, headers: dict[str, str], door: str) -> None:
    d = daemon() if door == "socket" else daemon(address="127.0.0.1", token_files=[token_file(root)])
    credential = {} if door == "socket" else bearer()
    body = {"memory": MEMORY, "disk": DISK}
    assert d.call("POST", "/v1/keeps", body, **headers, **credential, **{"Content-Type": "text/plain"})[0] == 403
    assert d.call("POST", "/v1/prune", **headers, **credential)[0] == 403
    assert d.call("GET", "/v1/keeps", **credential)[1]["keeps"] == []


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
    d = daemon(address="127.0.0.1", tls_certificate=certificate, tls_key=key, client_ca=ours.path)

    def ask(client: tuple[str, str] | None, method: str = "GET", path: str = "/v1/keeps", body: str = "") -> object:
        context = ssl.create_default_context(cafile=host.path)
        if client is not None:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection("localhost", d.port, timeout=10, context=context)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            assert answer.status in (200, 201)
            return json.loads(answer.read())
        finally:
            connection.close()

    tenant, another = ours.issue("tenant"), ours.issue("another")
    launched = ask(tenant, "POST", body=json.dumps({"memory": MEMORY, "disk": DISK}))
    assert isinstance(launched, dict)
    for client in (None, other.issue("stranger")):
        with pytest.raises(OSError):
            ask(client)
    with pytest.raises((OSError, http.client.HTTPException)):
        d.call("GET", "/v1/keeps")
    assert [keep["id"] for keep in ask(tenant)["keeps"]] == [launched["id"]]  # type: ignore[index]
    assert ask(another)["keeps"] == []  # type: ignore[index]
    spki = x509.load_pem_x509_certificate(Path(tenant[0]).read_bytes()).public_key()
    digest = hashlib.sha256(spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    record = json.loads((root / "keeps" / launched["id"] / "record.json").read_text())
    assert record["tenant"] == f"cert:{digest[:16]}"


def test_the_public_key_of_a_certificate(root: Path) -> None:
    certificate = Authority(root, "name").certificate
    data = certificate.public_bytes(Encoding.DER)
    expected = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key(data) == expected
    for junk in (b"", b"\x30", b"\x30\x05abc", data[:100], b"\x30\x04\x30\x02\x05\x00"):
        with pytest.raises(ValueError):
            public_key(junk)


def test_a_token_over_the_open_network_is_warned_of(daemon: Make, root: Path) -> None:
    d = daemon(address="0.0.0.0", token_files=[token_file(root)])
    assert d.call("GET", "/v1/keeps", Host="host.example", **bearer())[0] == 200
    assert d.call("GET", "/v1/keeps")[0] == 401
    assert any("in clear" in line.get("message", "") for line in d.lines())
