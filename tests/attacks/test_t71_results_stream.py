"""T71: the host drops, reorders, cuts, relabels or forges frames with results, or ends something half-way.

The destination stays as it was, and the error is named. How the workload ended is proven all the same, if its final record came.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.output import CHECKPOINT, FILES, HEADER, output_key
from enarx.delivery.session import BODY, open_record, seal_record
from enarx.errors import DeliveryError, EnarxError, UnavailableError
from enarx.formats.wire import FrameType
from enarx.keep.core.workload import COLLECTED
from enarx.tenant.results import Results
from tests import wat
from tests.attacks import hostile
from tests.attacks.hostile import Frame, HostileLink, Scene
from tests.attacks.proxy import Proxy
from tests.e2e.harness import ENARX, enarx, environment, until
from tests.streams import Entry, digest, stream

TREE: tuple[Entry, ...] = (("a", "f", b"canary-result" * 100_000), ("d", "d", b""), ("d/x", "f", b"x"))
DATA = stream(TREE)
PIECES = [DATA[at : at + 100_000] for at in range(0, len(DATA), 100_000)]


class Fetching:
    """A run with results, to be put to `r`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scene: Scene = hostile.scene(path / "scene", mode="out")
        self.scene.canaries = (*self.scene.canaries, b"canary-result")
        (path / "place").mkdir()

    def play(self, mangle: hostile.Mangle = hostile.honest) -> Results:
        """The whole exchange with a host that mangles what comes from the Keep, up to its result."""
        keep = self.scene.keep()
        keep.results, keep.report = PIECES, COLLECTED + digest(TREE)
        config = self.scene.package.manifest.config
        results = Results(config, {"/data": str(self.path / "place" / "r")})
        try:
            result = self.scene.play(HostileLink(keep, to_tenant=mangle), results=results)
            assert result.status.code == hostile.EXIT_CODE
            results.finish(result.final)
        finally:
            results.discard()
        return results

    def refused(self, mangle: hostile.Mangle) -> EnarxError:
        with pytest.raises(EnarxError) as e:
            self.play(mangle)
        assert list((self.path / "place").iterdir()) == []
        return e.value


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)


def numbered(mangle: Callable[[int, bytes], Iterable[Frame]]) -> hostile.Mangle:
    """Mangle frames with results only, with their number from 1 on."""
    count = [0]

    def applied(kind: FrameType, payload: bytes) -> Iterable[Frame]:
        if kind is not FrameType.FILES:
            return [(kind, payload)]
        count[0] += 1
        return mangle(count[0], payload)

    return applied


def same(*payloads: bytes) -> list[Frame]:
    return [(FrameType.FILES, payload) for payload in payloads]


def test_an_honest_host(fetching: Fetching) -> None:
    fetching.play()
    assert (fetching.path / "place" / "r" / "a").read_bytes() == TREE[0][2]


@pytest.mark.parametrize("number", [1, 3])
def test_a_dropped_frame(fetching: Fetching, number: int) -> None:
    error = fetching.refused(numbered(lambda n, p: [] if n == number else same(p)))
    assert (type(error), error.code) == (UnavailableError, "results-lost")


def test_the_last_frames_dropped(fetching: Fetching) -> None:
    error = fetching.refused(numbered(lambda n, p: same(p) if n < 5 else []))
    assert (type(error), error.code) == (UnavailableError, "results-lost")


def test_all_frames_dropped(fetching: Fetching) -> None:
    error = fetching.refused(numbered(lambda n, p: []))
    assert (type(error), error.code) == (UnavailableError, "results-lost")


@pytest.mark.parametrize(
    ("mangle", "code"),
    [
        (lambda n, p: same(p, p), "record-order"),
        (lambda n, p: same(p[:-1]), "record-broken"),
        (lambda n, p: same(p[:-1] + bytes([p[-1] ^ 1])), "record-broken"),
        (lambda n, p: same(b""), "record-size"),
        (lambda n, p: [(FrameType.OUTPUT, p)], "record-kind"),
    ],
    ids=["repeated", "cut", "flipped", "emptied", "in frames of output"],
)
def test_mangled(fetching: Fetching, mangle: Callable[[int, bytes], list[Frame]], code: str) -> None:
    error = fetching.refused(numbered(mangle))
    assert (type(error), error.code) == (DeliveryError, code)


def test_reordered(fetching: Fetching) -> None:
    held: list[bytes] = []

    def swapped(number: int, payload: bytes) -> list[Frame]:
        held.append(payload)
        return [] if number == 1 else same(payload, held[0]) if number == 2 else same(payload)

    assert fetching.refused(numbered(swapped)).code == "record-order"


def test_output_in_frames_of_results(fetching: Fetching) -> None:
    def relabelled(kind: FrameType, payload: bytes) -> list[Frame]:
        return [(FrameType.FILES if kind is FrameType.OUTPUT and payload[:8] == bytes(7) + b"\1" else kind, payload)]

    assert fetching.refused(relabelled).code == "record-kind"


def test_results_of_another_session(fetching: Fetching, tmp_path: Path) -> None:
    recorded: list[bytes] = []
    fetching.play(numbered(lambda n, p: (recorded.append(p), same(p))[1]))
    other = Fetching(tmp_path / "other")
    assert other.refused(numbered(lambda n, p: same(recorded[n - 1]))).code == "record-broken"


def test_without_a_final_record(fetching: Fetching) -> None:
    def without_end(kind: FrameType, payload: bytes) -> list[Frame]:
        return [] if kind is FrameType.OUTPUT and payload[8] else [(kind, payload)]

    error = fetching.refused(without_end)
    assert (type(error), error.code) == (UnavailableError, "keep-lost")


@pytest.mark.parametrize("checkpoints", [True, False], ids=["with checkpoints", "without"])
def test_a_thief_of_the_session_who_forges_content(fetching: Fetching, checkpoints: bool) -> None:
    """The secret seals whatever the thief wants; what the Keep signed does not fit."""

    def forged(number: int, payload: bytes) -> list[Frame]:
        session = fetching.scene.session
        assert session is not None
        aead = AESGCM(output_key(session.secret, session.transcript))
        record, final = HEADER.unpack_from(payload)
        head = payload[: HEADER.size]
        kind, offset, data = open_record(aead, record, bool(final), head, payload[HEADER.size :], "session")
        if kind == CHECKPOINT:
            return same(payload) if checkpoints else []
        assert kind == FILES
        changed = data.replace(b"canary", b"forged")
        return same(seal_record(aead, record, False, head, BODY.pack(kind, offset), changed))

    error = fetching.refused(numbered(forged))
    assert (type(error), error.code) == (DeliveryError, "output-forged")


# --- real Keeps --------------------------------------------------------------------------------------------------------


@pytest.fixture
def maker(home: Path) -> Path:
    path = home / "maker.wasm"
    path.write_bytes(wat.maker())
    (home / "Big.toml").write_text('[limits]\ndisk = "300MiB"\n')
    (home / "script").write_bytes(b"".join(wat.entry("f", f"f{i}", 64 << 20) for i in range(4)))
    return path


def writing(home: Path, maker: Path) -> subprocess.Popen[bytes]:
    """`enarx run` in the middle of writing its results."""
    out = ("--config", str(home / "Big.toml"), "--out", f"{home}/place/r::/out")
    (home / "place").mkdir()
    with (home / "script").open("rb") as script:
        process = subprocess.Popen(
            [*ENARX, "run", "--simulate", *out, str(maker)],
            stdin=script,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(home),
        )
    until(lambda: list((home / "place").glob(".r.enarx-*/f0")), "the first file")
    return process


def test_an_interrupt_half_way(home: Path, maker: Path) -> None:
    with writing(home, maker) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert list((home / "place").iterdir()) == []


def test_a_kill_half_way(home: Path, maker: Path) -> None:
    with writing(home, maker) as process:
        process.kill()
        process.wait(30)
    assert not (home / "place" / "r").exists()
    assert [p.name.startswith(".r.enarx-") for p in (home / "place").iterdir()] == [True]


@pytest.fixture
def detached(host: Proxy, maker: Path) -> str:
    """A job with results that has ended, at a host that is honest so far."""
    (maker.parent / "data").mkdir()
    (maker.parent / "data" / "f").write_bytes(bytes(1 << 20))
    options = ("--dir", f"{maker.parent}/data::/out:rw", "--out", "r::/out")
    started = host.deploy("--detach", *options, maker)
    assert started.returncode == 0, started.stderr
    keep = started.stdout.decode().strip()
    until(lambda: host.behind.keeps()[keep] == "ended", "its end")
    return keep


def test_a_host_that_drops_results_is_asked_again(host: Proxy, detached: str, home: Path) -> None:
    fetch = ("keep", "logs", detached, "--out", f"{home}/r::/out")
    host.to_tenant = numbered(lambda n, p: [] if n == 2 else same(p))
    found = enarx(home, *fetch)
    assert found.returncode == 127
    assert b"the host dropped a part of the results" in found.stderr
    assert not (home / "r").exists()
    host.to_tenant = hostile.honest
    assert enarx(home, *fetch).returncode == 0
    assert (home / "r" / "f").read_bytes() == bytes(1 << 20)


def test_a_host_that_never_ends_the_results(host: Proxy, detached: str, home: Path) -> None:
    start = time.monotonic()
    host.to_tenant = lambda kind, payload: [] if kind is FrameType.OUTPUT and payload[8] else [(kind, payload)]
    found = enarx(home, "keep", "attach", detached, "--out", f"{home}/r::/out")
    assert found.returncode == 127
    assert time.monotonic() - start < 60
    assert not (home / "r").exists()
    assert list(home.glob(".r.enarx-*")) == []
