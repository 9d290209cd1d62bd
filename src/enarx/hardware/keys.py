"""The simulated hardware's keys: a root, and one chip that it certifies; files of mode 0600 in a directory of 0700."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enarx.formats.evidence.simulated import (
    CHIP_LABEL,
    EVIDENCE_LABEL,
    ChipCertificate,
    chip_body,
    evidence_body,
    signed,
)
from enarx.record import record

ROOT_PUBLIC = "root.pub"
YEARS_10 = 10 * 365 * 86400
SVN = 1


@record(kw_only=False)
class Chip:
    """A chip that can sign evidence."""

    key: Ed25519PrivateKey
    chip_id: bytes
    certificate: bytes

    def sign(self, *, measurement: bytes, host_data: bytes, report_data: bytes) -> bytes:
        """Evidence over these; sizes as in formats.evidence.simulated."""
        body = evidence_body(
            chip_id=self.chip_id,
            measurement=measurement,
            host_data=host_data,
            report_data=report_data,
            svn=SVN,
            debug=False,
        )
        return signed(body, self.key.sign(EVIDENCE_LABEL + body))


def load(state: str) -> Chip:
    """The chip of this state directory; everything in it is made on first use, by one process at a time."""
    os.makedirs(state, mode=0o700, exist_ok=True)
    lock = os.open(f"{state}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = Ed25519PrivateKey.from_private_bytes(_kept(f"{state}/root.key", lambda: os.urandom(32)))
        public = root.public_key().public_bytes_raw()
        _kept(f"{state}/{ROOT_PUBLIC}", lambda: public.hex().encode() + b"\n")
        key = Ed25519PrivateKey.from_private_bytes(_kept(f"{state}/chip.key", lambda: os.urandom(32)))
        certificate = _kept(f"{state}/chip.cert", lambda: _certify(root, key))
    finally:
        os.close(lock)
    return Chip(key, ChipCertificate.from_bytes(certificate).chip_id, certificate)


def _certify(root: Ed25519PrivateKey, key: Ed25519PrivateKey) -> bytes:
    public = key.public_key().public_bytes_raw()
    now = int(time.time())
    body = chip_body(
        chip_id=hashlib.sha256(public).digest(), public_key=public, not_before=now - 86400, not_after=now + YEARS_10
    )
    return signed(body, root.sign(CHIP_LABEL + body))


def _kept(path: str, make: Callable[[], bytes]) -> bytes:
    """The file's content; made whole or not at all if it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        data = make()
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    return data
