"""Building packages, keeping owners and sessions: what comes from a tenant's disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from enarx.delivery.content import Receiver
from enarx.delivery.tenant import Session
from enarx.errors import ParseError, UnavailableError, UsageError
from enarx.formats.config import Config, Dir
from enarx.formats.package import FIXED_TIME
from enarx.formats.wire import encode
from enarx.record import replace
from enarx.tenant import owners, package, sessions
from enarx.tenant.deploy import Run
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.sessions import Saved
from tests.exchange import OWNER, Store, public, session
from tests.programs import module

SALT = bytes(range(32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    (tmp_path / "guest.wasm").write_bytes(module("cat"))
    return tmp_path


def build(home: Path, config: Config | None = None, **secrets: bytes) -> package.Package:
    found = config or Config()
    return package.build(
        str(home / "guest.wasm"), found, owners=(public(OWNER),), salt=SALT, secrets=secrets, base=str(home)
    )


def with_data(home: Path) -> Config:
    (home / "data" / "sub").mkdir(parents=True)
    (home / "data" / "a").write_bytes(b"a" * 3_000_000)
    (home / "data" / "sub" / "b").write_bytes(b"")
    (home / "data" / "l").symlink_to("nowhere")
    return Config().replace(dirs=(Dir(guest="/data", host="data"),))


def received(built: package.Package) -> Store:
    store = Store()
    receiver = Receiver(built.manifest)
    for chunk, _ in built.chunks():
        store.take(receiver.feed(chunk))
    receiver.finish()
    return store


def test_what_is_built_is_what_is_received(home: Path) -> None:
    built = build(home, with_data(home))
    store = received(built)
    assert store.got["wasm"] == module("cat")
    assert store.got["data"] == b"a" * 3_000_000
    assert [(n.path, n.kind) for n in store.got["trees"][0]] == [("a", "f"), ("l", "l"), ("sub", "d"), ("sub/b", "f")]  # type: ignore[index]
    assert built.disk >= 3_000_000 + Config().limits.disk


def test_digest_does_not_depend_on_where_or_when(home: Path) -> None:
    first = build(home, with_data(home)).manifest.digest
    os.utime(home / "data" / "a", (1, 1))
    (home / "data" / "a").chmod(0o640)
    (home / "data").rename(home / "moved")
    moved = Config().replace(dirs=(Dir(guest="/data", host=str(home / "moved")),))
    assert build(home, moved).manifest.digest == first
    (home / "moved" / "a").write_bytes(b"b" * 3_000_000)
    assert build(home, moved).manifest.digest != first


def test_the_executable_bit_is_part_of_the_digest(home: Path) -> None:
    config = with_data(home)
    digests = set()
    for mode in (0o600, 0o611, 0o700):
        (home / "data" / "a").chmod(mode)
        digests.add(build(home, config).manifest.digest)
    assert len(digests) == 2, "only the owner's bit counts"
    nodes = received(build(home, config)).got["trees"][0]  # type: ignore[index]
    assert [(node.path, node.executable) for node in nodes] == [
        ("a", True),
        ("l", False),
        ("sub", False),
        ("sub/b", False),
    ]


def test_times_are_kept_if_asked_for(home: Path) -> None:
    config = with_data(home)
    for path, time in (("a", 1_700_000_000_123_456_789), ("sub/b", -5), ("sub", 0)):
        os.utime(home / "data" / path, ns=(1, time))
    os.utime(home / "data" / "l", ns=(1, 1), follow_symlinks=False)

    def times(keep: bool) -> list[int]:
        built = package.build(
            str(home / "guest.wasm"), config, owners=(public(OWNER),), salt=SALT, secrets={}, base=str(home), times=keep
        )
        return [node.mtime for node in received(built).got["trees"][0]]  # type: ignore[index]

    assert times(keep=True) == [1_700_000_000_123_456_789, FIXED_TIME, 0, 0]
    assert times(keep=False) == [FIXED_TIME] * 4


@pytest.mark.parametrize("name", ["a\0b", "a\udcff"])
def test_a_name_that_cannot_be_an_argument(home: Path, name: str) -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "argv0" and "--argv0" in e.hint):
        package.build(module("cat"), Config(), owners=(public(OWNER),), salt=SALT, secrets={}, argv0=name)
    package.build(module("cat"), Config(), owners=(public(OWNER),), salt=SALT, secrets={}, argv0="a b \u00e9")


def test_a_file_that_changes_meanwhile_is_noticed(home: Path) -> None:
    built = build(home, with_data(home))
    (home / "data" / "a").write_bytes(b"short")
    with pytest.raises(UsageError, check=lambda e: e.code == "files-changed"):
        list(built.chunks())


@pytest.mark.parametrize("kind", ["fifo", "not UTF-8", "missing", "unreadable link"])
def test_directories_that_can_not_travel(home: Path, kind: str) -> None:
    config = with_data(home)
    if kind == "fifo":
        os.mkfifo(home / "data" / "pipe")
    elif kind == "not UTF-8":
        Path(os.fsdecode(os.fsencode(home / "data") + b"/\xff")).touch()
    else:
        config = Config().replace(dirs=(Dir(guest="/data", host="nothing"),))
    with pytest.raises(UsageError):
        build(home, config)


@pytest.mark.parametrize("value", [b"a\xffb", b"a\0b", "\ud800".encode(errors="surrogatepass")])
def test_a_secret_that_is_a_variable_is_a_text(home: Path, value: bytes) -> None:
    config = Config.from_toml('[secrets]\nkey = {env = "KEY"}\nfile = {}\n')
    build(home, config, key="\u00fc".encode(), file=value)
    with pytest.raises(UsageError, check=lambda e: e.code == "secret-variable" and repr(value)[2:-1] not in str(e)):
        build(home, config, key=value, file=value)


def test_secrets_are_given_exactly(home: Path) -> None:
    config = Config.from_toml("[secrets]\nkey = {}")
    for given in ({}, {"other": b""}, {"key": b"", "other": b""}):
        with pytest.raises(UsageError) as caught:
            build(home, config, **given)
        assert caught.value.hint
    build(home, config, key=b"value")


@pytest.mark.parametrize(
    ("data", "code"), [(b"text", "wasm-magic"), (b"\0asm\r\0\1\0x", "wasm-component"), (b"", "wasm-magic")]
)
def test_what_is_no_module(home: Path, data: bytes, code: str) -> None:
    (home / "guest.wasm").write_bytes(data)
    with pytest.raises(UsageError, check=lambda e: e.code == code):
        build(home)


def test_the_users_own_key_is_made_once(home: Path) -> None:
    first = owners.load()
    assert owners.load() == first
    assert Path(owners.default_path()).stat().st_mode & 0o777 == 0o600
    assert "seed" not in repr(first)
    with pytest.raises(UsageError, check=lambda e: e.code == "owner-exists"):
        owners.create(owners.default_path())


def test_owners_of_several_files(home: Path) -> None:
    mine, theirs = str(home / "mine.pem"), str(home / "theirs.pem")
    public_mine = owners.create(mine)
    public_theirs = owners.create(theirs)
    (home / "theirs.pub").write_text(owners.public_pem(public_theirs))
    found = owners.load((mine, str(home / "theirs.pub")))
    assert found.public == (public_mine, public_theirs)
    for paths in ((str(home / "theirs.pub"),), (mine, theirs)):
        with pytest.raises(UsageError, check=lambda e: e.code == "owner-private"):
            owners.load(paths)


def test_keys_as_other_programs_write_them(home: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.from_private_bytes(OWNER)
    path = home / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    assert owners.load((str(path),)).seed == OWNER
    path.chmod(0o644)
    with pytest.raises(UsageError, check=lambda e: e.code == "owner-mode"):
        owners.load((str(path),))
    path.chmod(0o600)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, check=lambda e: e.code == "owner-kind"):
        owners.load((str(path),))
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UsageError, check=lambda e: e.code == "owner-pem"):
        owners.load((str(path),))


SESSION = session()


def saved(keep: str, url: str = "http://h:1", number: int = 2) -> Saved:
    session = replace(SESSION, secret=bytes([number]) * 32, time=SESSION.time + number)
    return Saved(keep=keep, url=url, token_file="", ca="", certificate="", key="", session=session)


def found(beginning: str, url: str = "") -> Saved | None:
    return sessions.find(beginning, sessions.known()[0], url=url)


def test_sessions_are_kept_and_found(home: Path) -> None:
    one, other = saved("abc123"), saved("abc999", number=5)
    path = one.save()
    assert Path(path).name == one.session.transcript.hex() + ".json"
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert found("abc") == one
    assert found("x") is None
    other.save()
    with pytest.raises(UsageError, check=lambda e: e.code == "keep-ambiguous"):
        found("abc")
    assert found("abc123") == one
    sessions.forget(one)
    sessions.forget(one)
    assert sessions.known() == ([other], [])


def test_a_session_is_never_written_over(home: Path) -> None:
    path = Path(saved("abc").save())
    before = path.read_bytes()
    with pytest.raises(UsageError, check=lambda e: e.code == "session-file"):
        saved("other").save()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("text", ["{}", "[]", "", "[" * 5000, '{"session": 5}', '{"session": "00"}', "9" * 5000])
def test_a_bad_file_is_named_and_passed_over(home: Path, text: str) -> None:
    one = saved("abc")
    bad = Path(one.save()).parent / "bad.json"
    bad.write_text(text)
    good, errors = sessions.known()
    assert good == [one]
    assert [str(bad) in e.message for e in errors] == [True]


def test_a_file_under_another_name_is_not_taken(home: Path) -> None:
    path = Path(saved("abc").save())
    path.rename(path.parent / ("09" * 32 + ".json"))
    os.mkfifo(path.parent / "fifo.json")
    assert (sessions.known()[0], len(sessions.known()[1])) == ([], 2)


def test_two_hosts_with_one_id(home: Path) -> None:
    here, there = saved("abc", "http://a:1"), saved("abc", "http://b:1", 5)
    for one in (here, there):
        one.save()
    with pytest.raises(UsageError, match=r"http://[ab]:1.*http://[ab]:1"):
        found("abc")
    assert (found("abc", "http://a:1"), found("a", "http://b:1")) == (here, there)
    assert found(there.binding) == there
    sessions.forget(there)
    assert sessions.known()[0] == [here]


def test_a_session_is_read_strictly() -> None:
    assert Session.from_bytes(SESSION.to_bytes()) == SESSION
    with pytest.raises(ParseError):
        Session.from_bytes(SESSION.to_bytes()[:-1])
    assert " secret=" not in repr(SESSION)


def test_a_session_of_version_1_is_named_as_such(home: Path) -> None:
    old = encode({name: bytes(32) for name in ("package", "transcript", "secret", "identity")})
    with pytest.raises(ParseError, check=lambda e: e.code == "session-version"):
        Session.from_bytes(old)
    saved = Saved(keep="abc", url="", token_file="", ca="", certificate="", key="", session=SESSION)
    path = Path(saved.save())
    path.write_text(json.dumps({**json.loads(path.read_text()), "session": old.hex()}))
    with pytest.raises(UsageError, check=lambda e: e.code == "session-version"):
        Saved.load(str(path))


@pytest.mark.parametrize("url", ["host:80", "ftp://x", "http://", "http://h/path"])
def test_urls(url: str) -> None:
    with pytest.raises(UsageError):
        HostClient(Endpoint(url=url))


@pytest.mark.parametrize(
    "url",
    [
        "http://h:99999",
        "http://h:0",
        "http://[::1",
        "http://u:p@h",
        "http://h?q",
        "unix://h/x",
        "unix:///",
        "http://h\n",
        "http:// h",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "host-url"):
        HostClient(Endpoint(url=url))


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:1", "http://example.org", "http://127.0.0.1.example.org", "http://[::2]:80"]
)
def test_a_token_does_not_go_in_clear(url: str) -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "token-clear"):
        HostClient(Endpoint(url=url, token="secret"))
    HostClient(Endpoint(url=url))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:80", "http://localhost", "https://h", "unix:///s"]
)
def test_a_token_goes_where_nobody_listens(url: str) -> None:
    HostClient(Endpoint(url=url, token="secret"))


def test_a_token_is_not_shown() -> None:
    assert "hidden" not in repr(Endpoint(url="http://h", token="hidden"))


@pytest.mark.parametrize("code", ["ended", "host"])
def test_a_stop_that_the_end_overtakes(code: str) -> None:
    """The host may say that the Keep has ended before it says that the order to stop went through."""

    class Ending:
        def send(self, _: object) -> None:
            raise UnavailableError(code, "the host says so")

    class Sealing:
        stdin = 0

        def send(self, *_: object) -> bytes:
            return b""

    run = Run(link=Ending(), session=SESSION)  # type: ignore[arg-type]
    run._attachment = Sealing()  # type: ignore[assignment]
    if code == "ended":
        run.stop()
    else:
        with pytest.raises(UnavailableError):
            run.stop()
