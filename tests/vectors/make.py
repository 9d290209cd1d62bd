"""Makes the test vectors of docs/spec from fixed seeds: `python -m tests.vectors.make`. Only HPKE's ciphertext is random. It
is made once and kept, so that another implementation can open it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from enarx.delivery.output import FILES, Chain
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import STDERR, STDIN, STDOUT, Status
from enarx.delivery.tenant import Freshness
from enarx.formats.package import Node, commit_args, commit_dir, commit_env, item_salt
from enarx.formats.results import DirectoryDigest, encode_entry
from enarx.formats.wire import FrameType, encode
from tests.exchange import (
    ATTACH_NONCE,
    KEEP_ENTROPY,
    KEEP_NONCE,
    KEYS,
    NONCE,
    NOW,
    OWNER,
    SALT,
    Content,
    Exchange,
    frames,
    manifest,
    payload,
)
from tests.keep.core.driver import VANISHED
from tests.keep.core.pair import Pair
from tests.parties import NORTH, READER, SOUTH, accepted, granted, part_of, party

ATTEST_NONCE = b"\x77" * 32
CHAINS = (0, 1, (512 << 10) - 1, 512 << 10, (512 << 10) + 1, 1 << 20)
HERE = Path(__file__).resolve().parent


def package() -> dict[str, Any]:
    """Package and commitments."""
    content = Content()
    return {
        "salt": SALT.hex(),
        "owner_seed": OWNER.hex(),
        "args": list(content.args),
        "env": dict(content.env),
        "index": content.index.hex(),
        "wasm_sha256": hashlib.sha256(content.wasm).hexdigest(),
        "item_salt_args": item_salt(SALT, "args").hex(),
        "commitment_args": commit_args(SALT, content.args).hex(),
        "commitment_env": commit_env(SALT, content.env).hex(),
        "commitment_dir": {"guest": "/data", "value": commit_dir(SALT, "/data", content.index).hex()},
        "manifest": manifest().raw.hex(),
        "digest": manifest().digest.hex(),
        "plaintext_sha256": hashlib.sha256(content.plaintext()).hexdigest(),
    }


def chains(session: bytes) -> list[dict[str, Any]]:
    """Running hashes of stdout, stderr and results: this many bytes, each its offset modulo 251."""
    found = []
    for stream in (STDOUT, STDERR, FILES):
        for size in CHAINS:
            chain = Chain(session, stream)
            chain.update(bytes(i % 251 for i in range(size)))
            found.append({"stream": stream, "bytes": size, "digest": chain.digest.hex()})
    return found


def results() -> tuple[bytes, bytes]:
    """The stream of one output directory, and its digest."""
    script = b"#!/bin/sh\n"
    nodes = [
        (Node("d", "d", mtime=NOW * 10**9), b""),
        (Node("d/run", "f", len(script), executable=True, mtime=1), script),
        (Node("empty", "f", mtime=0), b""),
    ]
    stream, digest = len(nodes).to_bytes(4, "big"), DirectoryDigest(len(nodes))
    for node, content in nodes:
        stream += encode_entry(node) + content
        digest.add(node, hashlib.sha256(content).digest())
    return stream, digest.digest()


def delivery() -> dict[str, Any]:
    """A whole exchange."""
    exchange = Exchange()
    report = exchange.challenge()
    exchange.tenant.attestation(exchange.attestation())
    exchange.keep.delivery(exchange.delivery())
    confirmed = exchange.keep.received()
    exchange.receive(exchange.chunks(Content().plaintext()))
    attachment = exchange.attach()
    stdin = attachment.send(STDIN, 0, b"stdin")
    outputs = [exchange.keep.write(STDOUT, b"stdout"), exchange.keep.write(STDERR, b"stderr")]
    stream, digest = results()
    outputs = [exchange.accepted, *outputs, exchange.keep.write(FILES, stream)]
    assert exchange.session is not None
    fresh = Freshness(exchange.session, nonce=ATTEST_NONCE)
    session_report = exchange.keep.attest(payload(fresh.request()))
    evidence = exchange.keep.evidence("simulated", b"fresh", (b"endorsement",))
    status = Status(cause="exit", code=3, message="m", time=NOW)
    outputs += frames(exchange.keep.final(status, {"/out": digest}))
    opener = exchange.session.opener()
    final = [opener.open(payload(frame)) for frame in outputs][-1].final
    assert final is not None
    return {
        "inputs": {
            "owner_seed": OWNER.hex(),
            "nonce": NONCE.hex(),
            "keep_entropy": KEEP_ENTROPY.hex(),
            "stream_key_and_session_secret": KEYS.hex(),
            "time": NOW,
            "attach_nonce": ATTACH_NONCE.hex(),
            "keep_nonce": KEEP_NONCE.hex(),
            "attest_nonce": ATTEST_NONCE.hex(),
        },
        "report_data": report.hex(),
        "session": exchange.session.transcript.hex(),
        "frames": [frame.hex() for frame in exchange.sent],
        "stdin_frame": stdin.hex(),
        "output_frames": [frame.hex() for frame in outputs],
        "output_payload_0": payload(outputs[0]).hex(),
        "results": {"stream": stream.hex(), "directory": "/out", "digest": digest.hex()},
        "received_frame": confirmed.hex(),
        "attest_frame": fresh.request().hex(),
        "session_report_data": session_report.hex(),
        "evidence_frame": evidence.hex(),
        "receipt": Receipt.make(exchange.session, final).to_bytes().hex(),
        "chains": chains(exchange.session.transcript),
    }


class Counted:
    """In place of randomness: the SHA-256 of `label` and a counter."""

    def __init__(self, label: str) -> None:
        self._label, self._count = label, 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.sha256(f"{self._label} {self._count}".encode()).digest()[:size]


def waiting() -> Pair:
    """A Keep that waits for two parts; the bytes that come with its frames are `Counted("frame")`."""
    return accepted(READER, fresh=Counted("frame"))


def contributions() -> dict[str, Any]:
    """The exchanges of two providers and a recipient with one Keep, and its output."""
    pair, nonces, keys = waiting(), Counted("join"), Counted("keys")
    sides = []
    for seed in (NORTH, SOUTH):
        side = party(pair, seed, nonce=nonces(32))
        report_data = side.join()
        part, plaintext = part_of(seed)
        entropy = keys(32) + keys(32)
        join = side.sent[0]
        frames_of_part = side.frames(part, plaintext, entropy=entropy)
        side.send(*frames_of_part)
        sides.append(
            {
                "seed": seed.hex(),
                "stream_key_and_secret": entropy.hex(),
                "plaintext": plaintext.hex(),
                "digest": part.digest.hex(),
                "join_frame": join.hex(),
                "report_data": report_data.hex(),
                "invitation": next(p for kind, p in side.seen if kind is FrameType.INVITATION).hex(),
                "contribution_frame": frames_of_part[0].hex(),
                "part_frames": [data.hex() for data in frames_of_part[1:]],
                "contributed": next(p for kind, p in side.seen if kind is FrameType.CONTRIBUTED).hex(),
            }
        )
        pair.frames += side.seen
    pair.keep.core.output(1, b"stdout")
    pair.keep.core.ended(encode({"cause": "exit", "code": 3}), VANISHED, pair.clock())
    pair.keep.act()
    pair.sent()
    grant = granted(pair)
    return {
        "manifest": pair.package.raw.hex(),
        "session": pair.session.transcript.hex(),
        "recipient_seed": bytes(range(96)).hex(),
        "providers": sides,
        "grant": next(p for kind, p in pair.frames if kind is FrameType.GRANT).hex(),
        "output_secret": grant.secret.hex(),
        "output": [p.hex() for kind, p in pair.frames if kind is FrameType.OUTPUT][1:],
    }


def main() -> None:
    """Write all files."""
    for name, value in (("package", package()), ("delivery", delivery()), ("contributions", contributions())):
        (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
