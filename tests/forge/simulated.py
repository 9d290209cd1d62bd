"""A simulated-hardware vendor of our own: signs any evidence and any certificate that a test asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enarx.formats.evidence.simulated import CHIP_LABEL, EVIDENCE_LABEL, chip_body, evidence_body, signed

NOW = 1_800_000_000


def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


@dataclass(frozen=True)
class Forge:
    """Good evidence as it stands; `but` changes what a test wants to be wrong."""

    root: Ed25519PrivateKey = field(default_factory=lambda: key(1))
    chip: Ed25519PrivateKey = field(default_factory=lambda: key(2))
    signer: Ed25519PrivateKey | None = None
    chip_id: bytes = hashlib.sha256(b"chip").digest()
    certified_chip_id: bytes | None = None
    not_before: int = NOW - 10
    not_after: int = NOW + 10
    measurement: bytes = b"\1" * 48
    host_data: bytes = b"\2" * 32
    report_data: bytes = b"\3" * 64
    svn: int = 4
    debug: bool = False

    def but(self, **changes: Any) -> Forge:
        return replace(self, **changes)

    def evidence(self) -> bytes:
        body = evidence_body(
            chip_id=self.chip_id,
            measurement=self.measurement,
            host_data=self.host_data,
            report_data=self.report_data,
            svn=self.svn,
            debug=self.debug,
        )
        return signed(body, (self.signer or self.chip).sign(EVIDENCE_LABEL + body))

    def certificate(self) -> bytes:
        body = chip_body(
            chip_id=self.certified_chip_id or self.chip_id,
            public_key=raw(self.chip),
            not_before=self.not_before,
            not_after=self.not_after,
        )
        return signed(body, self.root.sign(CHIP_LABEL + body))

    def endorsements(self) -> tuple[bytes, ...]:
        return (self.certificate(),)
