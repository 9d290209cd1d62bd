from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from enarx.errors import EnarxError, UnavailableError
from enarx.formats.wire import decode, encode
from enarx.keep.attester.simulated import SimulatedAttester

HOST_DATA = b"\7" * 32
REPORT_DATA = bytes(range(64))


class Simulator:
    """The simulator's end of a report link; `device` is the other one."""

    def __init__(self, link: socket.socket, keeps: socket.socket) -> None:
        self.send, self.recv, self.close, self.device = link.send, link.recv, link.close, keeps.fileno()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(20)
        yield Simulator(ours, theirs)


@pytest.fixture
def attester(simulator: Simulator) -> SimulatedAttester:
    simulator.send(encode({"host_data": HOST_DATA}))
    return SimulatedAttester(simulator.device)


def test_what_it_was_launched_for(attester: SimulatedAttester) -> None:
    assert (attester.kind, attester.host_data) == ("simulated", HOST_DATA)


@pytest.mark.parametrize("greeting", [{}, {"host_data": bytes(31)}, {"host_data": "x"}, {"evidence": b""}, [], b"\xff"])
def test_another_greeting(simulator: Simulator, greeting: object) -> None:
    simulator.send(greeting if isinstance(greeting, bytes) else encode(greeting))
    with pytest.raises(EnarxError):
        SimulatedAttester(simulator.device)


def test_a_report(simulator: Simulator, attester: SimulatedAttester) -> None:
    simulator.send(encode({"evidence": b"e", "endorsements": [b"chip"]}))
    assert attester.attest(REPORT_DATA) == (b"e", (b"chip",))
    assert decode(simulator.recv(1024), "request") == {"report_data": REPORT_DATA}


@pytest.mark.parametrize("answer", [{}, {"evidence": b""}, [], b"\xff", b"\0" * 9])
def test_another_answer(simulator: Simulator, attester: SimulatedAttester, answer: object) -> None:
    simulator.send(answer if isinstance(answer, bytes) else encode(answer))
    with pytest.raises(UnavailableError, check=lambda e: e.code == "no-evidence"):
        attester.attest(REPORT_DATA)


def test_a_simulator_that_is_gone(simulator: Simulator, attester: SimulatedAttester) -> None:
    simulator.close()
    for _ in range(2):
        with pytest.raises(UnavailableError, check=lambda e: e.code == "no-evidence"):
            attester.attest(REPORT_DATA)
