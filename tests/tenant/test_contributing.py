"""A provider's exchange with a real core, through a host that drops, breaks, forges and refuses."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from enarx.delivery.contribution import Contributor
from enarx.errors import DeliveryError, EnarxError, UnavailableError, UsageError, VerificationError
from enarx.formats.wire import HEADER, FrameType, encode
from enarx.keep.core.actions import Start
from enarx.tenant import receiving
from enarx.tenant.contributing import Exchange, Provision, provision
from enarx.tenant.delivering import ReceivedEvidence
from enarx.tenant.link import Frame
from tests.keep.core.driver import MemoryKeep
from tests.keep.core.pair import Pair
from tests.parties import NORTH, READER, SOUTH, STRANGER, accepted

Change = Callable[[FrameType, bytes], list[tuple[FrameType, bytes]]]


def as_it_is(kind: FrameType, payload: bytes) -> list[tuple[FrameType, bytes]]:
    return [(kind, payload)]


class Host:
    """Keeps the frames of a Keep, numbered, for any number of links. `change` is what it makes of each."""

    def __init__(self, keep: MemoryKeep, change: Change = as_it_is) -> None:
        self.keep, self.change = keep, change
        self.entries: list[tuple[FrameType, bytes]] = []
        self.lock = threading.Condition()
        self.over = False

    def take(self, frame: bytes) -> None:
        with self.lock:
            self.keep.receive(frame)
            while True:
                try:
                    item = self.keep.out.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    self.over = True
                else:
                    self.entries += self.change(*item)
            self.lock.notify_all()


class MemoryLink:
    """A link to a `Host`. `fails` is asked before each frame that is sent: an error that it returns is raised."""

    def __init__(self, host: Host, fails: Callable[[bytes], EnarxError | None] = lambda frame: None) -> None:
        self.host, self.fails = host, fails
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, frames: Iterable[bytes | memoryview], size: int | None = None) -> None:
        for frame in frames:
            data = bytes(frame)
            error = self.fails(data)
            if error is not None:
                raise error
            self.sent.append(data)
            self.host.take(data)

    def receive(self, start: int) -> Iterator[Frame]:
        while True:
            with self.host.lock:
                while len(self.host.entries) <= start and not (self.host.over or self.closed):
                    self.host.lock.wait(20)
                if len(self.host.entries) <= start:
                    return
                kind, payload = self.host.entries[start]
            yield start, kind, payload
            start += 1

    def stop(self) -> None:
        raise AssertionError

    def close(self) -> None:
        self.closed = True
        with self.host.lock:
            self.host.lock.notify_all()


def trusting(evidence: ReceivedEvidence) -> None:
    assert evidence.evidence == b"evidence"


def exchange(pair: Pair, seed: bytes | None, link: MemoryLink, patience: float = 5.0) -> tuple[Contributor, Exchange]:
    side = Contributor(package=pair.package.digest, nonce=os.urandom(32), seed=seed, session=pair.session.transcript)
    return side, Exchange(link, side, patience=patience)


@pytest.fixture
def pair() -> Pair:
    return accepted(READER, seeds=(NORTH,))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "rows").write_bytes(b"canary-north" * 200_000)
    (directory / "more").write_bytes(b"x" * 1_000_000)
    return directory


def part(pair: Pair, data: Path) -> Provision:
    manifest = pair.package
    return provision(manifest, manifest.providers[0], dirs={"/north": str(data)}, secrets={"pin": b"1234"})


def test_a_part_arrives_and_starts_the_run(pair: Pair, data: Path) -> None:
    link = MemoryLink(Host(pair.keep))
    side, both = exchange(pair, NORTH, link)
    both.join(trusting)
    assert both.parts == {}
    given = part(pair, data)
    progress: list[tuple[int, int]] = []
    digest = both.contribute(given, lambda done, size: progress.append((done, size)))
    assert digest == given.part.digest
    assert both.parts == {side.provider.key: digest}
    assert progress[-1] == (given.size, given.size)
    assert given.files == 2
    assert pair.keep.of(Start)
    assert pair.keep.secrets["pin"] == b"1234"
    both.close()


def test_connections_that_break_lose_nothing(pair: Pair, data: Path) -> None:
    """Every fifth frame is refused by the host, before or after the Keep has it."""
    count = 0

    def fails(frame: bytes) -> EnarxError | None:
        nonlocal count
        count += 1
        codes = ("busy", "host-lost", "slow")
        return UnavailableError(codes[count % 3], "broken") if count % 5 == 3 else None

    link = MemoryLink(Host(pair.keep), fails)
    _, both = exchange(pair, NORTH, link)
    both.join(trusting)
    assert both.contribute(part(pair, data)) in both.parts.values()
    assert count > 5
    assert pair.keep.of(Start)
    both.close()


def test_evidence_that_is_refused_gets_nothing(pair: Pair, data: Path) -> None:
    def refusing(evidence: ReceivedEvidence) -> None:
        raise VerificationError("evidence", "no")

    link = MemoryLink(Host(pair.keep))
    _, both = exchange(pair, NORTH, link)
    with pytest.raises(VerificationError):
        both.join(refusing)
    assert [frame[HEADER.size - 1] for frame in link.sent] == [FrameType.JOIN]
    both.close()


@pytest.mark.parametrize("seed", [STRANGER, SOUTH])
def test_a_key_that_the_manifest_does_not_name(pair: Pair, seed: bytes) -> None:
    _, both = exchange(pair, seed, MemoryLink(Host(pair.keep)))
    with pytest.raises(DeliveryError, match="not-a-provider") as raised:
        both.join(trusting)
    assert "enarx data show" in raised.value.hint
    both.close()


def test_a_host_that_drops_frames_ends_the_exchange_and_no_more(pair: Pair, data: Path) -> None:
    """First the invitation, then the confirmation; with an honest host it works at once."""
    for dropped, message in ((FrameType.INVITATION, "no invitation"), (FrameType.CONTRIBUTED, "not accepted it")):
        host = Host(pair.keep, lambda kind, payload, d=dropped: [] if kind is d else [(kind, payload)])  # type: ignore[misc]
        _, both = exchange(pair, NORTH, MemoryLink(host), patience=0.5)
        with pytest.raises(UnavailableError, match=message) as raised:
            both.join(trusting)
            both.contribute(part(pair, data))
        assert raised.value.code == "keep-silent"
        both.close()
    assert pair.keep.of(Start)


def test_a_join_that_the_keep_skips_is_sent_again(pair: Pair, data: Path) -> None:
    """A Keep makes evidence for one Join in a provider's name at a time, and skips others meanwhile."""
    host = Host(pair.keep)
    link = MemoryLink(host)
    skipped: list[bytes] = []

    def take(frame: bytes) -> None:
        if skipped:
            Host.take(host, frame)
        skipped.append(frame)

    host.take = take  # type: ignore[method-assign]
    _, both = exchange(pair, NORTH, link)
    both.join(trusting)
    assert skipped[0] == skipped[1]
    both.contribute(part(pair, data))
    both.close()


def test_a_forged_confirmation_proves_nothing(pair: Pair, data: Path) -> None:
    forged = encode(
        {"version": 2, "provider": pair.package.providers[0].key, "digest": bytes(32), "signature": bytes(64)}
    )

    def change(kind: FrameType, payload: bytes) -> list[tuple[FrameType, bytes]]:
        return [(kind, payload), (FrameType.CONTRIBUTED, forged)] if kind is FrameType.INVITATION else []

    _, both = exchange(pair, NORTH, MemoryLink(Host(pair.keep, change)))
    both.join(trusting)
    with pytest.raises(EnarxError) as raised:
        both.contribute(part(pair, data))
    assert not isinstance(raised.value, UnavailableError)
    both.close()


def test_a_keep_that_ends_meanwhile(pair: Pair, data: Path) -> None:
    host = Host(pair.keep)
    _, both = exchange(pair, NORTH, MemoryLink(host))
    both.join(trusting)
    pair.keep.die()
    with pytest.raises(UnavailableError, match="has ended, and has not accepted") as raised:
        both.contribute(part(pair, data))
    assert raised.value.code == "keep-lost"
    both.close()


def test_a_host_that_never_answers_is_reported_at_once(pair: Pair) -> None:
    link = MemoryLink(Host(pair.keep), lambda frame: UnavailableError("host-down", "refused"))
    _, both = exchange(pair, NORTH, link)
    with pytest.raises(UnavailableError, match="refused"):
        both.join(trusting)
    assert link.sent == []


def test_confirmations_from_before_the_invitation_count(pair: Pair, data: Path) -> None:
    host = Host(pair.keep)
    _, first = exchange(pair, NORTH, MemoryLink(host))
    first.join(trusting)
    digest = first.contribute(part(pair, data))
    first.close()
    _, observer = exchange(pair, None, MemoryLink(host))
    observer.join(trusting)
    assert observer.parts == {pair.package.providers[0].key: digest}
    observer.close()


@pytest.mark.parametrize(
    ("dirs", "secrets", "message"),
    [
        ({}, {"pin": b""}, "North Hospital provides the dir /north, and none was given"),
        ({"/north": "", "/data": ""}, {"pin": b""}, "/data is not this provider's"),
        ({"/north": ""}, {}, "the secret pin, and none was given"),
        ({"/north": ""}, {"pin": b"", "key": b""}, "key is not this provider's"),
        ({"/north": ""}, {"pin": b"\xff"}, "cannot be the variable PIN"),
        ({"/north": ""}, {"pin": b"1" * (1 << 20)}, "at most"),
        ({"/north": "/missing"}, {"pin": b""}, "/missing: not a directory"),
    ],
)
def test_what_is_not_the_providers_part(
    pair: Pair, data: Path, dirs: dict[str, str], secrets: dict[str, bytes], message: str
) -> None:
    given = {guest: host or str(data) for guest, host in dirs.items()}
    with pytest.raises(UsageError) as raised:
        provision(pair.package, pair.package.providers[0], dirs=given, secrets=secrets)
    assert message in raised.value.message


def test_a_part_larger_than_the_manifest_allows(pair: Pair, data: Path) -> None:
    limit = pair.package.config.limits.disk
    (data / "rows").write_bytes(bytes(limit - (1 << 20)))
    part(pair, data)
    (data / "rows").write_bytes(bytes(limit))
    with pytest.raises(UsageError, match=r"limits\.disk"):
        part(pair, data)


def test_files_that_change_while_they_are_sent(pair: Pair, data: Path) -> None:
    _, both = exchange(pair, NORTH, MemoryLink(Host(pair.keep)))
    both.join(trusting)
    given = part(pair, data)
    (data / "rows").write_bytes(b"changed")
    with pytest.raises(UsageError, match="changed"):
        both.contribute(given)
    assert not pair.keep.of(Start)
    both.close()


# A recipient


def reading(pair: Pair, written: list[bytes], **pins: bytes) -> receiving.Reading:
    pinned = {"package": pair.package.digest, "session": pair.session.transcript} | pins
    return receiving.Reading(READER, trusting, write=lambda kind, data: written.append(data), **pinned)


def contributed(pair: Pair, data: Path) -> Host:
    host = Host(pair.keep)
    _, both = exchange(pair, NORTH, MemoryLink(host))
    both.join(trusting)
    both.contribute(part(pair, data))
    both.close()
    return host


def test_a_recipient_waits_for_the_grant_and_pins_what_it_was_told(pair: Pair, data: Path) -> None:
    host = contributed(pair, data)
    found = reading(pair, [])
    for kind, payload in host.entries:
        found.take(kind, payload)
    assert found.granted is not None
    assert found.granted.package == pair.package.digest
    for pin in ("package", "session"):
        with pytest.raises(VerificationError, match="another package or session"):
            for kind, payload in host.entries:
                reading(pair, [], **{pin: bytes(32)}).take(kind, payload)


def test_a_recipient_passes_nothing_on_before_the_evidence_is_accepted(pair: Pair, data: Path) -> None:
    def refusing(evidence: ReceivedEvidence) -> None:
        raise VerificationError("evidence", "no")

    host = contributed(pair, data)
    found = receiving.Reading(
        READER,
        refusing,
        package=pair.package.digest,
        session=pair.session.transcript,
        write=lambda kind, data: pytest.fail("written"),
    )
    with pytest.raises(VerificationError, match="no"):
        for kind, payload in host.entries:
            found.take(kind, payload)
    assert found.granted is None


def test_a_run_that_ends_before_a_grant(pair: Pair) -> None:
    host = Host(pair.keep)
    host.over = True
    with pytest.raises(UnavailableError, match="before the run began") as raised:
        receiving.follow(MemoryLink(host), reading(pair, []), lambda e: None)
    assert raised.value.code == "not-granted"
