"""The keeper's end of the link: what it accepts, and what it does about all else."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from enarx.errors import UnavailableError
from enarx.formats.wire import MAX_ENDORSED, MAX_EVIDENCE, decode, encode
from enarx.keep.attester import link
from enarx.keep.attester.link import MAX_ANSWER, AttesterLink
from enarx.keep.attester.process import make_link
from enarx.keep.children import Child, fork

GREETING = {"kind": "simulated", "host_data": b"\7" * 32}
REPORT_DATA = bytes(range(64))


OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def both_ends() -> tuple[socket.socket, socket.socket]:
    ends = make_link()
    OPEN.extend(ends)
    return ends


def linked(greeting: object = GREETING, child: Child | None = None) -> tuple[AttesterLink, socket.socket]:
    ours, theirs = both_ends()
    theirs.send(greeting if isinstance(greeting, bytes) else encode(greeting))
    return AttesterLink(ours, child), theirs


def sleeping() -> Child:
    return fork(lambda: time.sleep(100))


def unavailable(action: Callable[[], object]) -> None:
    with pytest.raises(UnavailableError, check=lambda e: e.code == "no-evidence"):
        action()


def test_the_kind_and_the_host_data_come_over_the_link() -> None:
    link, _ = linked()
    assert (link.kind, link.host_data) == ("simulated", b"\7" * 32)


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"\xff",
        [],
        {},
        {"kind": "simulated"},
        {"kind": "", "host_data": bytes(32)},
        {"kind": "x" * 33, "host_data": bytes(32)},
        {"kind": b"simulated", "host_data": bytes(32)},
        {"kind": "simulated", "host_data": bytes(31)},
        {"kind": "simulated", "host_data": "x" * 32},
        {"kind": "simulated", "host_data": bytes(32), "more": 1},
    ],
)
def test_another_greeting_ends_the_attester(greeting: object) -> None:
    child = sleeping()
    unavailable(lambda: linked(greeting, child))
    assert child.status == 9


def test_an_attester_that_ends_without_a_word_gives_none() -> None:
    ours, theirs = both_ends()
    theirs.close()
    unavailable(lambda: AttesterLink(ours))


@pytest.mark.parametrize("why", ["it takes too long", "the host has closed the control socket"])
def test_an_attester_that_never_says_a_word_is_not_waited_for(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (ours, _), (control, host) = both_ends(), socket.socketpair()
    if why == "it takes too long":
        monkeypatch.setattr(link, "PATIENCE", 0.1)
    else:
        host.close()
    child, start = sleeping(), time.monotonic()
    with control, host:
        unavailable(lambda: AttesterLink(ours, child, control=control.fileno()))
    assert child.status == 9
    assert time.monotonic() - start < 20


def test_an_open_control_socket_with_frames_ends_no_attester() -> None:
    (ours, theirs), (control, host) = both_ends(), socket.socketpair()
    with control, host:
        host.send(b"frames")
        threading.Timer(0.2, lambda: theirs.send(encode(GREETING))).start()
        assert AttesterLink(ours, control=control.fileno()).kind == "simulated"


def test_a_request_and_its_answer() -> None:
    link, attester = linked()
    link.ask(REPORT_DATA)
    assert decode(attester.recv(1024), "request") == {"report_data": REPORT_DATA}
    attester.send(encode({"evidence": b"e", "endorsements": [b"1", b"2"]}))
    assert link.answer() == (b"e", (b"1", b"2"))


def test_the_largest_answer_passes() -> None:
    link, attester = linked()
    evidence, endorsements = os.urandom(MAX_EVIDENCE), [os.urandom(MAX_ENDORSED // 4)] * 4
    packet = encode({"evidence": evidence, "endorsements": endorsements})
    assert len(packet) <= MAX_ANSWER
    attester.send(packet)
    assert link.answer() == (evidence, tuple(endorsements))


def test_a_failed_request_may_be_repeated() -> None:
    child = sleeping()
    link, attester = linked(GREETING, child)
    for _ in range(2):
        attester.send(encode({}))
        unavailable(link.answer)
    attester.send(encode({"evidence": b"e", "endorsements": []}))
    assert link.answer() == (b"e", ())
    assert child.status is None
    child.kill()
    child.reap(wait=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff",
        [],
        {"evidence": b""},
        {"evidence": "text", "endorsements": []},
        {"evidence": b"", "endorsements": b""},
        {"evidence": b"", "endorsements": ["text"]},
        {"evidence": b"", "endorsements": [], "more": 1},
        {"evidence": bytes(MAX_EVIDENCE + 1), "endorsements": []},
        {"evidence": b"", "endorsements": [bytes(MAX_ENDORSED), b"x"]},
        {"evidence": bytes(MAX_EVIDENCE), "endorsements": [bytes(MAX_ENDORSED + 8192)]},
    ],
)
def test_an_answer_of_another_form_ends_the_attester(answer: object) -> None:
    child = sleeping()
    link, attester = linked(GREETING, child)
    attester.send(answer if isinstance(answer, bytes) else encode(answer))
    unavailable(link.answer)
    assert child.status == 9
    attester.close()
    unavailable(link.answer)


def test_asking_an_attester_that_is_gone() -> None:
    child = fork(lambda: None)
    select.select([child], [], [], 20)
    link, attester = linked(GREETING, child)
    attester.close()
    unavailable(lambda: link.ask(REPORT_DATA))
    assert child.status == 0


def test_asking_never_waits_for_an_attester_that_does_not_read() -> None:
    link, _attester = linked()
    start = time.monotonic()

    def flood() -> None:
        for _ in range(100_000):
            link.ask(REPORT_DATA)

    unavailable(flood)
    assert time.monotonic() - start < 10
