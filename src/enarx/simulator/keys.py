"""The simulator's keys: a root, and one chip that the root certifies. Files of mode 0600 in a directory of mode 0700."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enarx.errors import ParseError, UnavailableError
from enarx.files import write_atomically
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
KEY_SIZE = 32
MAX_FILE = 4096
DAY = 86400
YEARS_10 = 3652 * DAY
SVN = 1


@record(kw_only=False, hidden=("key",))
class Chip:
    """A chip that can sign evidence. `certificate` is its endorsement, encoded."""

    key: Ed25519PrivateKey
    chip_id: bytes
    certificate: bytes

    def sign(self, *, measurement: bytes, host_data: bytes, report_data: bytes) -> bytes:
        """Return signed evidence with these claims; `formats.evidence.simulated` has their sizes."""
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
    """Return the chip in the state directory, under a lock; creates the directory and the keys on first use.

    Keys are never replaced. What follows from them is written again if it does not match: the root's public key, and a
    certificate that has expired. UnavailableError if a key is damaged, or readable by others.
    """
    os.makedirs(state, mode=0o700, exist_ok=True)
    os.chmod(state, 0o700)
    lock = os.open(f"{state}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root, key = _key(f"{state}/root.key"), _key(f"{state}/chip.key")
        public = f"{root.public_key().public_bytes_raw().hex()}\n".encode()
        if _read(f"{state}/{ROOT_PUBLIC}") != public:
            write_atomically(f"{state}/{ROOT_PUBLIC}", public)
        return Chip(key, _chip_id(key), _certificate(f"{state}/chip.cert", root, key))
    finally:
        os.close(lock)


def _key(path: str) -> Ed25519PrivateKey:
    seed = _read(path)
    if seed is None:
        seed = os.urandom(KEY_SIZE)
        write_atomically(path, seed)
    if len(seed) != KEY_SIZE:
        raise UnavailableError(
            "hardware-key",
            f"{path}: {len(seed)} bytes, a key has {KEY_SIZE}",
            hint="restore it, or remove the directory to begin with a new root",
        )
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise UnavailableError("hardware-key", f"{path}: others can read it (mode {mode:o})", hint=f"chmod 600 {path}")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _chip_id(key: Ed25519PrivateKey) -> bytes:
    return hashlib.sha256(key.public_key().public_bytes_raw()).digest()


def _certificate(path: str, root: Ed25519PrivateKey, key: Ed25519PrivateKey) -> bytes:
    """Return the stored certificate if it matches both keys and is valid for another day, else a new one."""
    now = int(time.time())
    kept = _read(path)
    if kept is not None and _fits(kept, root.public_key(), key.public_key(), now):
        return kept
    body = chip_body(
        chip_id=_chip_id(key),
        public_key=key.public_key().public_bytes_raw(),
        not_before=now - DAY,
        not_after=now + YEARS_10,
    )
    certificate = signed(body, root.sign(CHIP_LABEL + body))
    write_atomically(path, certificate)
    return certificate


def _fits(certificate: bytes, root: Ed25519PublicKey, key: Ed25519PublicKey, now: int) -> bool:
    try:
        chip = ChipCertificate.from_bytes(certificate)
        root.verify(chip.signature, CHIP_LABEL + chip.signed)
    except (ParseError, InvalidSignature):
        return False
    return chip.public_key == key.public_bytes_raw() and chip.not_before <= now <= chip.not_after - DAY


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_FILE)
    except FileNotFoundError:
        return None
