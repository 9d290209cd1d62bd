"""T37: the host sends frames of its own to a running job. They end the newest attachment at most, and never the job."""

from __future__ import annotations

import os

import pytest

from enarx.delivery.tenant import Attachment
from enarx.errors import DeliveryError
from enarx.formats.wire import CHUNK, HEADER, LARGEST, FrameType, encode, frame
from tests.attacks.real import Machine, finish

JUNK = {
    "unknown type": HEADER.pack(5, 99) + b"junk",
    "type 0": HEADER.pack(1, 0),
    "type of a provider's part": HEADER.pack(3, 16) + b"xx",
    "length 0": bytes(4),
    "lengths 0": bytes(4000),
    "a large challenge": HEADER.pack((1 << 20) + 1, FrameType.CHALLENGE) + bytes(1 << 20),
    "a large attach": HEADER.pack(514, FrameType.ATTACH) + bytes(513),
    "over the largest frame": HEADER.pack((8 << 20) + 1, FrameType.INPUT) + os.urandom(8 << 20),
    "a challenge": frame(FrameType.CHALLENGE, b"junk"),
    "a delivery": frame(FrameType.DELIVERY, bytes(LARGEST[FrameType.DELIVERY])),
    "a chunk": frame(FrameType.CHUNK, bytes(CHUNK)),
    "a Keep's own frame": frame(FrameType.OUTPUT, bytes(100)),
    "an empty attach": frame(FrameType.ATTACH, b""),
    "an attach of version 1": frame(FrameType.ATTACH, encode({"version": 1, "nonce": bytes(32)})),
    "an attest of no form": frame(FrameType.ATTEST, b"\xff" * 512),
    "nested": frame(FrameType.ATTACH, b"\x81" * 512),
    "shared references": frame(FrameType.ATTACH, b"\xd8\x1c\x82\x01\xd8\x1d\x00"),
    "input of no attachment": frame(FrameType.INPUT, b"short"),
}


@pytest.mark.parametrize("name", JUNK)
def test_a_job_goes_on(machine: Machine, name: str) -> None:
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("cat"))
    wire.send([JUNK[name], JUNK[name]])
    result, shown = finish(wire, delivered, b"after the junk")
    assert (result.status.cause, result.status.code, shown) == ("exit", 0, b"after the junk")


def test_the_newest_attachment_is_told_and_the_next_goes_on(machine: Machine) -> None:
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("cat"))
    attachment = Attachment(delivered.session, nonce=os.urandom(32), output=delivered.output)
    wire.send([attachment.attach()])
    attachment.receive(FrameType.ATTACHED, wire.wait(FrameType.ATTACHED))
    attachment.receive(FrameType.REPLY, wire.wait(FrameType.REPLY))
    wire.send([JUNK["unknown type"]])
    with pytest.raises(DeliveryError, check=lambda e: e.code == "attachment-broken"):
        attachment.receive(FrameType.REPLY, wire.wait(FrameType.REPLY, 2))
    result, shown = finish(wire, delivered, b"again")
    assert (result.status.cause, shown) == ("exit", b"again")


def test_a_flood_of_frames_does_not_hold_up_a_time_limit(machine: Machine) -> None:
    """The host keeps the keeper's socket full; the limit is enforced all the same."""
    import threading

    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("sleep", '[limits]\ntime = "1s"\n'))
    over = threading.Event()

    def flood() -> None:
        junk = JUNK["unknown type"] * 4096
        while not over.is_set():
            try:
                wire.control.sendall(junk)
            except OSError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        final = None
        for _, kind, payload in wire.receive(delivered.start):
            if kind is FrameType.OUTPUT:
                final = delivered.output.open(payload).final or final
    finally:
        over.set()
        wire.close()
        thread.join()
    assert final is not None
    assert final.status.cause == "time"
    assert final.status.milliseconds < 6000
