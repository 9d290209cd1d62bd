"""T20: an attacker sends bytes that cost the receiver far more than the sender."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from enarx.delivery.messages import Attach
from enarx.errors import EnarxError, ParseError, UnavailableError
from enarx.formats.package import MAX_ENTRIES, MAX_INDEX, decode_index
from enarx.formats.wire import HEADER, FrameType, decode, encode
from enarx.tenant.http import Endpoint, HostClient
from tests.attacks.hostile import HostileLink, Scene
from tests.e2e.conftest import daemon, home  # noqa: F401  # fixtures
from tests.e2e.harness import Daemon, enarx
from tests.formats import bombs

MEMORY, DISK = 64 << 20, 16 << 20
BOMBS = (
    "shared references",
    "wide shared references",
    "string references",
    "nested arrays",
    "map of many numbers",
    "huge declared arrays",
    "big number",
)
LARGE = 560 << 10


@pytest.mark.parametrize("size", [500, LARGE], ids=["within a Challenge's bound", "large"])
@pytest.mark.parametrize("family", BOMBS)
def test_a_keeper_that_has_seen_no_owner(daemon: Daemon, family: str, size: int) -> None:
    """The real Keep, as the host's owner or anyone on the way can reach it."""
    client = HostClient(Endpoint(url=daemon.url))
    keep = client.launch(kind="process", package=None, memory=MEMORY, disk=DISK)
    link = client.link(keep)
    bomb = bombs.CBOR[family](size)
    try:
        link.send([HEADER.pack(len(bomb) + 1, FrameType.CHALLENGE) + bomb])
    except UnavailableError as e:
        assert e.code == "ended"  # the Keep was faster than the host's answer
    start = time.monotonic()
    kinds = [kind for _, kind, _ in link.receive(0)]
    assert kinds == [FrameType.REFUSAL]
    assert time.monotonic() - start < 20
    client.close()


@pytest.mark.parametrize("family", BOMBS)
@pytest.mark.parametrize("kind", [FrameType.ATTESTATION, FrameType.REFUSAL])
def test_a_tenant_that_has_checked_no_evidence(scene: Scene, kind: FrameType, family: str) -> None:
    bomb = bombs.CBOR[family](LARGE)
    start = time.process_time()
    scene.refused(HostileLink(scene.keep(), to_tenant=lambda _, payload: [(kind, bomb)]), ParseError)
    assert time.process_time() - start < 20


@pytest.mark.parametrize("family", BOMBS)
def test_the_command_that_shows_evidence(home: Path, family: str) -> None:
    (home / "evidence").write_bytes(bombs.CBOR[family](4000))
    found = enarx(home, "evidence", "show", "--kind", "simulated", home / "evidence")
    assert found.returncode == 126
    assert found.stderr.startswith(b"error: ")
    assert len(found.stderr) < 10_000


BOMB_IN_A_CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from enarx.errors import ParseError
from enarx.formats.wire import decode
try:
    decode(sys.stdin.buffer.read(), "bomb")
except ParseError as e:
    print(e.code)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("family", ["shared references", "string references"])
def test_what_would_expand_takes_no_memory(family: str) -> None:
    data = bombs.CBOR[family](LARGE)
    found = subprocess.run(
        [sys.executable, "-c", BOMB_IN_A_CHILD], input=data, capture_output=True, timeout=60, check=True
    )
    code, peak = found.stdout.split()
    assert code == b"cbor-type"
    assert int(peak) < 100 << 10  # KiB


def test_messages_stay_short() -> None:
    huge = encode({"version": "x" * 500_000, "nonce": b""})
    with pytest.raises(EnarxError) as caught:
        Attach.from_bytes(huge)
    assert len(caught.value.message) < 5000


def index(count: int) -> bytes:
    return encode([[f"{i:07x}", "d"] for i in range(count)])


def test_entries_of_all_indexes_are_counted_together() -> None:
    assert len(decode_index(index(1000), 1000)) == 1000
    with pytest.raises(ParseError, check=lambda e: e.code == "index-size"):
        decode_index(index(1001), 1000)
    with pytest.raises(ParseError):
        decode_index(bytes(MAX_INDEX + 1))


def test_a_full_index_is_read_in_bounded_time() -> None:
    """A quarter of the maximum number of entries: 3 s of CPU here, where a minute would be a denial of service."""
    data = index(MAX_ENTRIES // 4)
    start = time.process_time()
    assert len(decode_index(data)) == MAX_ENTRIES // 4
    assert time.process_time() - start < 15


def test_a_head_cannot_announce_more_indexes_than_there_may_be() -> None:
    from enarx.formats.config import Config, Dir
    from enarx.formats.package import Head, Manifest, commit_args, commit_env

    config = Config().replace(dirs=(Dir(guest="/a", host="x"), Dir(guest="/b", host="x")))
    salt = bytes(32)
    manifest = Manifest.make(
        owners=(b"\1" * 32,),
        wasm=bytes(32),
        config=config,
        args=commit_args(salt, ("main.wasm",)),
        env=commit_env(salt, ()),
        dirs=(bytes(32),) * 2,
    )
    fields: dict[str, Any] = {"salt": salt, "args": ("main.wasm",), "env": (), "secrets": (), "wasm_size": 8}
    Head.from_bytes(Head(**fields, index_sizes=(MAX_INDEX // 2,) * 2).to_bytes(), manifest)
    with pytest.raises(ParseError, check=lambda e: e.code == "head-sizes"):
        Head.from_bytes(Head(**fields, index_sizes=(MAX_INDEX // 2 + 1,) * 2).to_bytes(), manifest)


def test_an_error_of_any_parser_is_ours() -> None:
    for family, make in bombs.CBOR.items():
        for size in (0, 1, 100, 5000):
            try:
                decode(make(size), family)
            except ParseError as e:
                assert e.what == family
