"""Frames on a control socket: whole frames, skipped frames, and a host that does not read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, frame
from enarx.keep.frames import TURN, Frames


class Line:
    def __init__(self) -> None:
        self.host, keep = socket.socketpair()
        self.frames = Frames(keep)
        self.keep = keep
        self.host.setblocking(False)

    def give(self, data: bytes) -> None:
        """All of it, reading on the Keep's side is the test's."""
        assert self.host.send(data) == len(data)

    def read(self) -> tuple[FrameType, bytes] | None:
        found = self.frames.read()
        if found is None:
            return None
        kind, payload = found
        assert isinstance(kind, FrameType)
        return kind, bytes(payload)

    def refused(self) -> str:
        found = self.frames.read()
        assert found is not None
        kind, payload = found
        assert isinstance(kind, ParseError)
        assert len(payload) == 0
        return kind.code


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.host.close()
    made.keep.close()


ATTACH = frame(FrameType.ATTACH, b"attach")


def test_nothing_yet(line: Line) -> None:
    assert line.read() is None


def test_byte_by_byte(line: Line) -> None:
    for byte in ATTACH[:-1]:
        line.give(bytes([byte]))
        assert line.read() is None
    line.give(ATTACH[-1:])
    assert line.read() == (FrameType.ATTACH, b"attach")
    assert line.read() is None


def test_several_at_once(line: Line) -> None:
    line.give(ATTACH * 3 + frame(FrameType.CHALLENGE, b""))
    assert [line.read() for _ in range(5)] == [(FrameType.ATTACH, b"attach")] * 3 + [(FrameType.CHALLENGE, b""), None]


@pytest.mark.parametrize("kind", list(FrameType))
def test_the_largest_of_each_type(line: Line, kind: FrameType) -> None:
    payload = bytes(range(256)) * (LARGEST[kind] // 256) + bytes(LARGEST[kind] % 256)
    data, found = memoryview(frame(kind, payload)), None
    while data:
        data = data[line.host.send(data[: 100 << 10]) :]
        found = line.read() or found
    assert found == (kind, payload)


@pytest.mark.parametrize(
    ("kind", "size", "code"),
    [
        (FrameType.CHALLENGE, LARGEST[FrameType.CHALLENGE] + 1, "frame-size"),
        (77, 0, "frame-type"),
        (77, 5000, "frame-type"),
        (FrameType.CHUNK, 1 << 20, "frame-size"),
    ],
)
def test_a_frame_that_is_none_is_passed_over_by_its_length(line: Line, kind: int, size: int, code: str) -> None:
    line.give(HEADER.pack(size + 1, kind))
    assert line.refused() == code, "by its header alone"
    rest = memoryview(bytes(size))
    while rest:
        rest = rest[line.host.send(rest[: 100 << 10]) :]
        assert line.read() is None
    line.give(ATTACH)
    assert line.read() == (FrameType.ATTACH, b"attach")


def test_a_length_of_zero_is_four_bytes_long(line: Line) -> None:
    line.give(bytes(4) + ATTACH)
    assert line.refused() == "frame-type"
    assert line.read() == (FrameType.ATTACH, b"attach")


def test_a_length_of_zero_in_front_of_a_type_that_there_is_not(line: Line) -> None:
    line.give(bytes(4) + HEADER.pack(3, 77) + b"ab" + ATTACH)
    assert [line.refused(), line.refused()] == ["frame-type", "frame-type"]
    assert line.read() == (FrameType.ATTACH, b"attach")


def test_passing_over_gives_the_caller_its_turn() -> None:
    """However long an invalid frame is, one `read` takes no more than TURN pieces of it."""

    class Endless:
        taken = 0

        def recv_into(self, into: memoryview, size: int, flags: int) -> int:
            if not self.taken:
                into[:5] = HEADER.pack(0xFFFFFFFF, 77)
            self.taken += 1
            return len(into)

    source = Endless()
    frames = Frames(source)  # type: ignore[arg-type]
    assert frames.read() is not None
    assert frames.read() is None
    assert source.taken == 1 + TURN


@pytest.mark.parametrize("how", ["closed", "closed within a frame", "reset"])
def test_a_host_that_lets_go(line: Line, how: str) -> None:
    line.frames.write(b"unread")
    if how == "closed within a frame":
        line.give(ATTACH[:7])
    if how != "reset":
        line.host.recv(100)
    line.host.close()
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-gone"):
        line.read()
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-gone"):
        line.frames.write(b"more")


def test_a_host_that_does_not_read(line: Line) -> None:
    """Nothing blocks, nothing is lost, and `queued` says how much waits."""
    sent = b""
    while not line.frames.queued:
        line.frames.write(frame(FrameType.OUTPUT, bytes([len(sent) % 251]) * 5000))
        sent += frame(FrameType.OUTPUT, bytes([len(sent) % 251]) * 5000)
    line.frames.write(ATTACH)
    line.frames.write(b"")
    sent += ATTACH
    got = b""
    while len(got) < len(sent):
        got += line.host.recv(CHUNK)
        line.frames.flush()
    assert got == sent
    assert line.frames.queued == 0


def test_drain_waits_for_the_host(line: Line) -> None:
    import threading

    data = bytes(4 << 20)
    line.frames.write(data)
    assert line.frames.queued
    line.host.setblocking(True)
    got = bytearray()

    def read() -> None:
        while len(got) < len(data):
            got.extend(line.host.recv(CHUNK))

    thread = threading.Thread(target=read)
    thread.start()
    line.frames.drain()
    thread.join(10)
    assert (bytes(got), line.frames.queued) == (data, 0)


def test_drain_ends_where_the_host_lets_go(line: Line) -> None:
    line.frames.write(bytes(4 << 20))
    line.host.close()
    with pytest.raises(UnavailableError, check=lambda e: e.code == "host-gone"):
        line.frames.drain()
