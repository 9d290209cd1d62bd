"""The committed vectors are what this program makes and takes. Whoever changes them changes the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enarx.delivery.messages import Delivery
from enarx.delivery.session import OutputOpener, output_key
from enarx.formats.wire import FrameType, frame_header
from tests.exchange import Content, Exchange, kind, payload
from tests.vectors import make

HERE = Path(__file__).resolve().parent


def vector(name: str) -> dict[str, Any]:
    return dict(json.loads((HERE / f"{name}.json").read_text()))


def test_package() -> None:
    assert make.package() == vector("package")


def test_everything_of_a_delivery_but_what_hpke_makes_random() -> None:
    mine, kept = make.delivery(), vector("delivery")
    for name in ("inputs", "report_data", "session", "stdin_frame", "output_frames", "output_payload_0"):
        assert mine[name] == kept[name], name
    for mine_frame, kept_frame in zip(mine["frames"], kept["frames"], strict=True):
        if kind(bytes.fromhex(kept_frame)) is not FrameType.DELIVERY:
            assert mine_frame == kept_frame


def test_the_kept_delivery_opens() -> None:
    frames = [bytes.fromhex(frame) for frame in vector("delivery")["frames"]]
    exchange = Exchange()
    exchange.admit()
    found = next(frame for frame in frames if kind(frame) is FrameType.DELIVERY)
    assert exchange.keep.delivery(payload(found)).digest == exchange.package.digest
    chunks = [payload(frame) for frame in frames if kind(frame) is FrameType.CHUNK]
    assert exchange.receive(chunks).got["data"] == Content().file


@pytest.mark.parametrize("number", range(3))
def test_the_kept_output_opens(number: int) -> None:
    kept = vector("delivery")
    secret = bytes.fromhex(kept["inputs"]["stream_key_and_session_secret"])[32:]
    opener = OutputOpener(output_key(secret, bytes.fromhex(kept["session"])), next_record=number)
    frame = bytes.fromhex(kept["output_frames"][number])
    assert frame_header(frame[:5])[0] is FrameType.OUTPUT
    record = opener.open(payload(frame))
    assert record.data == (b"stdout", b"stderr")[number] if number < 2 else record.status is not None


def test_a_delivery_is_signed_over_what_the_specification_says() -> None:
    from enarx.delivery.messages import binding, lp

    frames = [bytes.fromhex(frame) for frame in vector("delivery")["frames"]]
    delivery = Delivery.from_bytes(payload(next(f for f in frames if kind(f) is FrameType.DELIVERY)))
    by_hand = binding(
        challenge=payload(frames[0]),
        attestation=payload(frames[1]),
        package=bytes.fromhex(vector("package")["digest"]),
        commitment=delivery.commitment,
        time=delivery.time,
    )
    assert by_hand.hex() == vector("delivery")["session"]
    assert lp(b"a", b"") == b"\0\0\0\1a\0\0\0\0"
