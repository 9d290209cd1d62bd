"""The committed vectors are what this program makes and accepts. To change them is to change the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from enarx.delivery.messages import Delivery
from enarx.delivery.output import FILES
from enarx.delivery.reading import OutputOpener
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import STDERR, STDOUT
from enarx.formats.wire import FrameType, frame_header
from enarx.tenant.results import Results
from tests.exchange import Content, Exchange, kind, payload
from tests.streams import config
from tests.vectors import make

HERE = Path(__file__).resolve().parent


def vector(name: str) -> dict[str, Any]:
    return dict(json.loads((HERE / f"{name}.json").read_text()))


def test_package() -> None:
    assert make.package() == vector("package")


def test_everything_of_a_delivery_but_what_hpke_makes_random() -> None:
    mine, kept = make.delivery(), vector("delivery")
    assert set(mine) == set(kept)
    for name in set(kept) - {"frames", "receipt"}:
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


def test_the_kept_output_opens() -> None:
    kept = vector("delivery")
    receipt = Receipt.from_bytes(bytes.fromhex(kept["receipt"]))
    secret = bytes.fromhex(kept["inputs"]["stream_key_and_session_secret"])[32:]
    opener = OutputOpener(
        secret=secret, session=bytes.fromhex(kept["session"]), package=receipt.package, identity=receipt.identity
    )
    frames = [bytes.fromhex(frame) for frame in kept["output_frames"]]
    assert [frame_header(frame[:5])[0] for frame in frames[:3]] == [FrameType.OUTPUT] * 3
    assert frame_header(frames[3][:5])[0] is FrameType.FILES
    records = [opener.open(payload(frame)) for frame in frames]
    assert [record.data for record in records[1:3]] == [b"stdout", b"stderr"]
    assert records[-1].final is not None
    assert (opener.lost, opener.unproven) == (0, {STDOUT: 0, STDERR: 0, FILES: 0})


def test_the_kept_results_unpack(tmp_path: Path) -> None:
    kept = vector("delivery")
    stream, digest = (bytes.fromhex(kept["results"][name]) for name in ("stream", "digest"))
    results = Results(config("/out"), {"/out": str(tmp_path / "r")}, times=True)
    results.take(0, stream)
    (directory,) = results.finish(Receipt.from_bytes(bytes.fromhex(kept["receipt"])).verify())
    assert (directory.digest, directory.files) == (digest, 2)
    assert (tmp_path / "r" / "d/run").stat().st_mtime_ns == 1


def test_the_kept_receipt_holds() -> None:
    kept = vector("delivery")
    receipt = Receipt.from_bytes(bytes.fromhex(kept["receipt"]))
    assert receipt.transcript.hex() == kept["session"]
    assert receipt.report_data.hex() == kept["report_data"]
    final = receipt.verify()
    receipt.verify_output(final, STDOUT, [b"std", b"out"])
    receipt.verify_output(final, STDERR, [b"stderr"])
    assert final.status.code == 3


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
