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


def main() -> None:
    """Write both files."""
    for name, value in (("package", package()), ("delivery", delivery())):
        (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
