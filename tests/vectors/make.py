"""Makes the test vectors of docs/spec from fixed seeds: `python -m tests.vectors.make`. Only HPKE's ciphertext is random; it is
kept as it is once made, so that another implementation can open it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from enarx.delivery.session import STDERR, STDIN, STDOUT, Status
from enarx.formats.package import commit_args, commit_dir, commit_env, item_salt
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
    manifest,
    payload,
)

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


def delivery() -> dict[str, Any]:
    """A whole exchange."""
    exchange = Exchange()
    report = exchange.challenge()
    exchange.tenant.attestation(exchange.attestation())
    exchange.keep.delivery(exchange.delivery())
    exchange.receive(exchange.chunks(Content().plaintext()))
    attachment = exchange.attach()
    stdin = attachment.send(STDIN, 0, b"stdin")
    outputs = [exchange.keep.write(STDOUT, b"stdout"), exchange.keep.write(STDERR, b"stderr")]
    outputs.append(exchange.keep.final(Status(cause="exit", code=3, message="m", stdout=6, stderr=6, time=NOW)))
    assert exchange.session is not None
    return {
        "inputs": {
            "owner_seed": OWNER.hex(),
            "nonce": NONCE.hex(),
            "keep_entropy": KEEP_ENTROPY.hex(),
            "stream_key_and_session_secret": KEYS.hex(),
            "time": NOW,
            "attach_nonce": ATTACH_NONCE.hex(),
            "keep_nonce": KEEP_NONCE.hex(),
        },
        "report_data": report.hex(),
        "session": exchange.session.transcript.hex(),
        "frames": [frame.hex() for frame in exchange.sent],
        "stdin_frame": stdin.hex(),
        "output_frames": [frame.hex() for frame in outputs],
        "output_payload_0": payload(outputs[0]).hex(),
    }


def main() -> None:
    """Write both files."""
    for name, value in (("package", package()), ("delivery", delivery())):
        (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
