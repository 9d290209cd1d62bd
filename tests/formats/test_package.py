from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.config import Config
from enarx.formats.package import (
    FIXED_TIME,
    Head,
    Manifest,
    Node,
    commit_args,
    commit_dir,
    commit_env,
    decode_index,
    encode_index,
    item_salt,
)
from enarx.formats.wire import decode, encode
from tests.exchange import Content, manifest

DIGEST = hashlib.sha256(b"").digest()
SALT = bytes(32)


def test_digest_is_of_the_bytes_and_the_same_anywhere() -> None:
    again = Manifest.from_bytes(manifest().raw)
    assert again == manifest()
    assert again.digest == hashlib.sha256(manifest().raw).digest()


def test_everything_changes_the_digest() -> None:
    digests = {
        manifest().digest,
        manifest(owners=(b"\x12" * 32,)).digest,
        manifest(content=Content(salt=b"\1" * 32)).digest,
        manifest(content=Content(args=("x",))).digest,
        manifest(content=Content(env=())).digest,
        manifest(content=Content(wasm=b"y")).digest,
        manifest(content=Content(index=encode_index([]))).digest,
    }
    assert len(digests) == 7


def test_times_and_executable_bits_change_an_index() -> None:
    nodes = [
        Node("a", "f", executable=executable, mtime=time) for executable in (False, True) for time in (0, FIXED_TIME)
    ]
    assert len({encode_index([node]) for node in nodes}) == 4


def test_a_package_names_its_workload() -> None:
    content = Content(args=())
    head = content.plaintext()[4:][: int.from_bytes(content.plaintext()[:4], "big")]
    with pytest.raises(ParseError, check=lambda e: e.code == "head-args"):
        Head.from_bytes(head, manifest(content=content))


def test_secrets_values_are_no_part_of_the_digest() -> None:
    assert manifest(content=Content(secrets=(("key", b"other"),))).digest == manifest().digest


def test_a_commitment_says_nothing_without_its_salt() -> None:
    assert commit_args(SALT, ("guess",)) != commit_args(b"\1" * 32, ("guess",))
    assert item_salt(SALT, "args") != item_salt(SALT, "env") != item_salt(SALT, "dir /a")
    assert commit_args(SALT, ()) != commit_env(SALT, ()) != commit_dir(SALT, "/", b"")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"owners": []},
        {"owners": [b"\1" * 32, b"\1" * 32]},
        {"owners": [b"\2" * 32, b"\1" * 32]},
        {"owners": [b"short"]},
        {"wasm": b"short"},
        {"args": "text"},
        {"dirs": []},
        {"dirs": [DIGEST, DIGEST]},
        {"config": {}},
        {"config": None},
        {"more": 1},
    ],
)
def test_manifest_is_strict(change: dict[str, object]) -> None:
    value = decode(manifest().raw, "manifest")
    assert isinstance(value, dict)
    with pytest.raises(ParseError):
        Manifest.from_bytes(encode({**value, **change}))


@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest(data: bytes) -> None:
    with pytest.raises(ParseError):
        Manifest.from_bytes(data)


def test_index_round_trip() -> None:
    nodes = [
        Node("a", "d"),
        Node("a-b", "f", size=3, digest=DIGEST),
        Node("a/b", "f", size=0, digest=DIGEST),
        Node("l", "l", target="../anywhere"),
        Node("t", "d", mtime=0),
        Node("t/now", "f", size=1, digest=DIGEST, mtime=1_800_000_000_123_456_789),
        Node("t/run", "f", size=1, digest=DIGEST, executable=True),
        Node("t/run-now", "f", size=1, digest=DIGEST, executable=True, mtime=(1 << 63) - 1),
    ]
    found = decode_index(encode_index(nodes[::-1]))
    assert sorted(found, key=lambda n: n.path) == sorted(nodes, key=lambda n: n.path)
    assert [n.path for n in found].index("a") < [n.path for n in found].index("a/b")


@pytest.mark.parametrize(
    "entries",
    [
        [["../up", "d"]],
        [["/absolute", "d"]],
        [["a/../b", "d"]],
        [["./a", "d"]],
        [["", "d"]],
        [["a//b", "d"]],
        [["a\0b", "d"]],
        [["x" * 256, "d"]],
        [["a/b", "d"]],
        [["a", "l", "/etc"], ["a/passwd", "f", 0, DIGEST]],
        [["a", "f", 0, DIGEST], ["a/b", "d"]],
        [["a", "d"], ["a", "d"]],
        [["b", "d"], ["a", "d"]],
        [["a", "f", -1, DIGEST]],
        [["a", "f", True, DIGEST]],
        [["a", "f", 0, b"short"]],
        [["a", "x", 0, b"short"]],
        [["a", "x", True, DIGEST]],
        [["a", "x"]],
        [["a", "d", FIXED_TIME]],
        [["a", "d", -1]],
        [["a", "d", True]],
        [["a", "d", 0, 0]],
        [["a", "d", "now"]],
        [["a", "f", 0, DIGEST, FIXED_TIME]],
        [["a", "f", 0, DIGEST, 1 << 63]],
        [["a", "f", 0, DIGEST, 1.5]],
        [["a", "x", 0, DIGEST, None]],
        [["a", "l", "target", 0]],
        [["a", "l", ""]],
        [["a", "l", "x\0"]],
        [["a", "p"]],
        [["a"]],
        ["a"],
        {"a": 1},
    ],
)
def test_an_index_can_not_leave_its_directory(entries: object) -> None:
    with pytest.raises(ParseError):
        decode_index(encode(entries))


@given(st.binary(max_size=100))
def test_any_bytes_as_an_index(data: bytes) -> None:
    try:
        nodes = decode_index(data)
    except ParseError:
        return
    assert encode_index(nodes) == data


def test_config_in_a_manifest_is_read_as_written() -> None:
    assert Manifest.from_bytes(manifest().raw).config.secrets[0].name == "key"
    assert Config.from_public(Config().public()) == Config()


@pytest.mark.parametrize("key", ["providers", "recipients"])
@pytest.mark.parametrize("value", [[b"\1" * 32], None, {}, b""])
def test_places_of_further_owners_of_data_are_empty(key: str, value: object) -> None:
    manifest_ = decode(manifest().raw, "manifest")
    assert isinstance(manifest_, dict)
    with pytest.raises(ParseError, check=lambda e: e.code == f"manifest-{key}"):
        Manifest.from_bytes(encode({**manifest_, key: value}))


def test_another_version_is_refused_by_its_number_before_its_keys() -> None:
    for value in ({"version": 2}, {"version": 4, "more": 1}, {}):
        with pytest.raises(ParseError, check=lambda e: e.code == "manifest-version"):
            Manifest.from_bytes(encode(value))
