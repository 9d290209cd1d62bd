"""Boot event logs: what is read, what is refused, and the same bytes again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.eventlog import MAX_EVENTS, MAX_SIZE, SEPARATOR, EventLog, Table, Variable, detect
from tests.forge import eventlog as forge
from tests.forge.eventlog import SHA1, SHA256, SHA384, event, header, spec, u

GO = "eventlog/go-eventlog"
SEP = event(0, SEPARATOR, bytes(4))


def test_what_is_read() -> None:
    log = EventLog.from_bytes(header(spec(vendor=b"maker"), register=1) + SEP + event(9, 0x99, b"text"))
    assert (log.register, log.platform_class, log.version, log.uintn_size) == (1, 0, (2, 0, 105), 2)
    assert (log.vendor, log.algorithms, log.banks) == (b"maker", ((SHA1, 20), (SHA256, 32)), ("sha1", "sha256"))
    first, second = log.events
    assert (first.register, first.name, first.data, first.extends) == (0, "EV_SEPARATOR", bytes(4), True)
    assert (second.register, second.name, second.type) == (9, "0x00000099", 0x99)
    assert first.digest("sha256").hex().startswith("df3f6198")


@pytest.mark.parametrize("log", [forge.pc(), forge.td(), forge.pc([]), header(spec(((0x27, 32),)))])
@pytest.mark.parametrize("padding", [b"", b"\xff" * 3, b"\xff" * 5000, bytes(7), bytes(5000)])
def test_the_same_bytes_again(log: bytes, padding: bytes) -> None:
    found = EventLog.from_bytes(log + padding)
    assert found.padding == padding
    assert found.to_bytes() == log + padding


def test_an_algorithm_that_is_not_known_is_carried() -> None:
    digests = {0x12: b"s" * 32, SHA256: bytes(32)}
    data = header(spec(((SHA256, 32), (0x12, 32)))) + event(0, SEPARATOR, b"", digests=digests)
    found = EventLog.from_bytes(data)
    assert (found.banks, found.events[0].digests) == (("sha256",), tuple(digests.items()))
    assert found.to_bytes() == data


DEFECTS = {
    "empty": (b"", "eventlog-cut"),
    "another first event": (header(type=SEPARATOR), "eventlog-header"),
    "a header that measures": (header(digest=b"\1" * 20), "eventlog-header"),
    "another signature": (header(spec(signature=b"Spec ID Event02\0")), "eventlog-header"),
    "a header cut": (header(spec()[:-1]), "eventlog-cut"),
    "bytes behind the vendor's": (header(spec(tail=b"\0")), "eventlog-trailing"),
    "no algorithm": (header(spec(())), "eventlog-algorithms"),
    "many algorithms": (header(spec([(i, 32) for i in range(0x20, 0x29)])), "eventlog-algorithms"),
    "algorithms without end": (header(spec(count=0xFFFFFFFF)), "eventlog-algorithms"),
    "an algorithm twice": (header(spec(((SHA256, 32), (SHA256, 32)))), "eventlog-algorithms"),
    "a SHA-256 of 31 bytes": (header(spec(((SHA256, 31),))), "eventlog-algorithms"),
    "digests of no bytes": (header(spec(((0x99, 0),))), "eventlog-algorithms"),
    "digests of 65 bytes": (header(spec(((0x99, 65),))), "eventlog-algorithms"),
    "a digest too few": (header() + event(0, SEPARATOR, b"", banks=(SHA256,)), "eventlog-digests"),
    "a digest of another": (header() + event(0, SEPARATOR, b"", banks=(SHA1, SHA384)), "eventlog-digests"),
    "a digest twice": (
        header() + u(0) + u(4) + u(2) + (u(SHA1, 2) + bytes(20)) * 2 + u(1) + b"x",
        "eventlog-digests",
    ),
    "digests without end": (header() + u(0) + u(4) + u(0xFFFFFFFF) + b"x", "eventlog-digests"),
    "an event cut": (header() + SEP + b"\1", "eventlog-cut"),
    "data longer than the log": (header() + SEP[:-8] + u(0xFFFFFFFF) + b"x", "eventlog-cut"),
    "something behind the padding": (header() + SEP + b"\xff" * 64 + b"x", "eventlog-digests"),
    "too many events": (header() + event(0, SEPARATOR, b"") * (MAX_EVENTS + 1), "eventlog-size"),
    "too large": (header() + b"\xff" * MAX_SIZE, "eventlog-size"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_no_log(name: str) -> None:
    data, code = DEFECTS[name]
    with pytest.raises(ParseError) as refused:
        EventLog.from_bytes(data)
    assert refused.value.code == code
    assert refused.value.what.startswith("event log")


def test_variables() -> None:
    found = Variable.from_bytes(forge.variable("Boot0000", b"disk"))
    assert (found.guid, found.name, found.value) == (bytes(16), "Boot0000", b"disk")
    assert Variable.from_bytes(bytes(16) + u(1, 8) + u(0, 8) + b"\0\xd8").name == "\ufffd"
    for data in (b"", bytes(31), bytes(33), bytes(16) + u(1 << 63, 8) + u(1 << 63, 8)):
        with pytest.raises(ParseError):
            Variable.from_bytes(data)


def test_tables() -> None:
    found = Table.from_bytes(forge.table())
    assert (found.revision, found.cc_type, found.cc_subtype) == (1, 2, 0)
    assert (found.size, found.start, found.to_bytes()) == (0x40000, 0xBEDBF000, forge.table())
    flipped = bytearray(forge.table())
    flipped[50] ^= 1
    for data in (b"", forge.table()[:-1], forge.table() + b"\0", forge.table(signature=b"APIC"), bytes(flipped)):
        with pytest.raises(ParseError):
            Table.from_bytes(data)
    with pytest.raises(ParseError):
        Table.from_bytes(forge.table(length=55))


def test_how_they_begin() -> None:
    assert (detect(forge.pc()), detect(forge.td()), detect(forge.table())) == ("eventlog", "eventlog", "ccel")


@pytest.mark.parametrize(
    ("name", "events", "padding"),
    [
        ("CCEL_unpadded.data.bin", 19, 0),
        ("cos-113-intel-tdx-dupe-separator-unpadded.bin", 43, 0),
        ("cos-113-intel-tdx-dupe-separator.bin", 43, 244043),
        ("cos-113-intel-tdx.bin", 43, 244043),
        ("event_log.bin", 27, 62833),
    ],
)
def test_real_ones(evidence_dir: Path, name: str, events: int, padding: int) -> None:
    data = (evidence_dir / GO / name).read_bytes()
    found = EventLog.from_bytes(data)
    assert (detect(data), found.banks) == ("eventlog", ("sha384",))
    assert (len(found.events), len(found.padding)) == (events, padding)
    assert found.to_bytes() == data


@pytest.mark.parametrize(
    ("name", "size", "start"),
    [("CCEL.bin", 0x10000, 0x7D649000), ("cos-113-intel-tdx.table.bin", 0x40000, 0xBEDBF000)],
)
def test_real_tables(evidence_dir: Path, name: str, size: int, start: int) -> None:
    data = (evidence_dir / GO / name).read_bytes()
    found = Table.from_bytes(data)
    assert (detect(data), found.cc_type, found.size, found.start) == ("ccel", 2, size, start)


def reads_or_refuses(data: bytes) -> None:
    """Either the bytes are refused, or they are written back unchanged."""
    try:
        found = EventLog.from_bytes(data)
    except ParseError:
        return
    assert found.to_bytes() == data


@given(st.binary(max_size=300))
def test_whatever_the_bytes(data: bytes) -> None:
    for what in (EventLog, Table):
        with pytest.raises(ParseError):
            what.from_bytes(data)
    try:
        Variable.from_bytes(data)
    except ParseError:
        pass


@given(st.binary(max_size=300))
def test_whatever_follows_the_header(data: bytes) -> None:
    reads_or_refuses(header() + data)


@pytest.mark.parametrize("log", [forge.pc(padding=b"\xff" * 9), forge.td(padding=bytes(9))], ids=["pc", "td"])
def test_wherever_it_is_cut(log: bytes) -> None:
    for end in range(len(log)):
        reads_or_refuses(log[:end])


@given(st.integers(0, len(forge.pc()) * 8 - 1))
def test_whatever_bit_is_flipped(bit: int) -> None:
    data = bytearray(forge.pc())
    data[bit // 8] ^= 1 << bit % 8
    reads_or_refuses(bytes(data))
