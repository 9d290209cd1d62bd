"""T39: the network or the host keeps a Keep waiting forever, for its challenge, its delivery, or the next chunk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.delivery.tenant import Admission, refusal_code
from enarx.formats.wire import HEADER, FrameType, frame
from tests.attacks.real import Machine, Wire, with_deadlines

SECONDS = 1.0


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Machine]:
    code = with_deadlines(tmp_path / "code", challenge=SECONDS, delivery=SECONDS, idle=SECONDS)
    machine = Machine(tmp_path / "machine", code)
    yield machine
    machine.close()


def refusal(wire: Wire) -> str:
    code = refusal_code(wire.wait(FrameType.REFUSAL))
    assert wire.until_end() < 5
    return code


def dripping(wire: Wire, data: bytes) -> threading.Thread:
    """Send byte by byte, which does not count as progress."""

    def drip() -> None:
        for byte in data:
            try:
                wire.control.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.2)

    thread = threading.Thread(target=drip)
    thread.start()
    return thread


def test_a_keep_for_a_package_waits_so_long_for_its_challenge(hasty: Machine) -> None:
    assert refusal(hasty.keep(b"\1" * 32)) == "challenge-late"


def test_a_challenge_that_never_comes_whole(hasty: Machine) -> None:
    wire = hasty.keep(b"\1" * 32)
    thread = dripping(wire, frame(FrameType.CHALLENGE, bytes(200)))
    assert refusal(wire) == "challenge-late"
    thread.join()


def test_a_pooled_keep_waits_for_its_challenge_and_then_counts(hasty: Machine) -> None:
    wire = hasty.keep()
    time.sleep(2.5 * SECONDS)
    assert not wire.ended
    built = hasty.package("cat")
    admission = Admission(manifest=built.manifest, owner_seed=hasty.owners.seed, nonce=os.urandom(32))
    wire.send([admission.challenge()])
    wire.wait(FrameType.ATTESTATION)
    assert refusal(wire) == "delivery-late"


def delivering(hasty: Machine, wire: Wire) -> tuple[Admission, bytes]:
    """Begin a delivery; return the tenant and the frame of its first chunk."""
    (hasty.home / "data").mkdir()
    (hasty.home / "data" / "file").write_bytes(bytes(1 << 20))
    built = hasty.package("cat", '[[dirs]]\nguest = "/d"\nhost = "data"\n')
    admission = Admission(manifest=built.manifest, owner_seed=hasty.owners.seed, nonce=os.urandom(32))
    wire.send([admission.challenge()])
    admission.attestation(wire.wait(FrameType.ATTESTATION))
    delivery, session = admission.delivery(entropy=os.urandom(64), now=int(time.time()))
    wire.send([delivery])
    hasty.session = session  # type: ignore[attr-defined]
    buffer = bytearray(1 << 20)
    chunk, final = next(iter(built.chunks()))
    return admission, bytes(admission.chunk(chunk, buffer, final=final))


@pytest.mark.parametrize("how", ["silence", "the same chunk again and again", "the delivery again and again", "bytes"])
def test_a_delivery_without_a_new_chunk_ends_under_seal(hasty: Machine, how: str) -> None:
    wire = hasty.keep()
    admission, chunk = delivering(hasty, wire)
    wire.send([chunk])
    over = threading.Event()
    threads = []
    if how == "bytes":
        threads.append(dripping(wire, HEADER.pack(1000, FrameType.CHUNK) + bytes(100)))
    elif how != "silence":
        again = chunk if "chunk" in how else admission.again()

        def repeat() -> None:
            while not over.is_set():
                try:
                    wire.control.sendall(again)
                except OSError:
                    return

        threads.append(threading.Thread(target=repeat))
        threads[0].start()
    final = hasty.session.opener().open(wire.wait(FrameType.OUTPUT)).final  # type: ignore[attr-defined]
    over.set()
    assert final.status.cause == "refused"
    assert final.status.message.startswith("delivery-idle")
    assert wire.until_end() < 5
    for thread in threads:
        thread.join()


def test_deadlines_are_what_the_specification_says() -> None:
    from enarx.keep.core.deadlines import Deadlines
    from enarx.record import as_dict
    from tests.house.test_invariants import ROOT

    text = (ROOT / "docs/spec/delivery.md").read_text()
    section = text[text.index("## Deadlines") :].split("\n## ")[0]
    for name, seconds in as_dict(Deadlines()).items():
        assert f"| {name} | {seconds:g} s |" in section
