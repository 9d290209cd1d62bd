"""Whom to believe: the roots that chains of evidence must end in. The caller gives them, the evidence never does."""

from __future__ import annotations

import hashlib

from enarx.errors import UsageError
from enarx.record import record

SIMULATED_ROOT_SIZE = 32

AMD = (
    bytes.fromhex("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
    bytes.fromhex("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
    bytes.fromhex("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),
)
"""ARK-Milan, ARK-Genoa, ARK-Turin."""

INTEL = (bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"),)
"""Intel SGX Root CA."""

AWS = (bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"),)
"""aws.nitro-enclaves, G1."""

MICROSOFT = (
    bytes.fromhex("e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95"),
    bytes.fromhex("8c2bb9144d4970c94fb8105cc5d860a58e2e675eb360fdd8c14b30833aaaec1d"),
)
"""Azure Virtual TPM Root Certificate Authority 2023, Microsoft RSA Devices Root CA 2021."""


@record(kw_only=False)
class TrustAnchor:
    """A public key (DER SubjectPublicKeyInfo) that the caller believes.

    A type of its own, so that bytes that came with evidence cannot become one by mistake: only the caller makes one, of a key
    that the caller names.
    """

    key: bytes

    def __post_init__(self) -> None:
        if type(self.key) is not bytes or not self.key:
            raise UsageError("trust-anchor", "a trust anchor is a public key, DER SubjectPublicKeyInfo")


@record()
class Roots:
    """For each kind its roots; a kind with none is believed by nobody.

    simulated  raw Ed25519 public keys, 32 bytes: the user's own, or given by hand. There is no public one.
    amd, intel, aws
               SHA-256 of the vendor's root certificates in DER. The certificates come with endorsements.
    cca, tpm   trust anchors: keys that sign platform tokens, and keys that the caller knows to be TPMs' attestation keys.
               There is no public root for either.
    tpm_makers SHA-256 of the root certificates of who certifies TPMs' attestation keys.
    """

    simulated: tuple[bytes, ...] = ()
    amd: tuple[bytes, ...] = AMD
    intel: tuple[bytes, ...] = INTEL
    aws: tuple[bytes, ...] = AWS
    cca: tuple[TrustAnchor, ...] = ()
    tpm: tuple[TrustAnchor, ...] = ()
    tpm_makers: tuple[bytes, ...] = MICROSOFT

    def __post_init__(self) -> None:
        for pin in (*self.amd, *self.intel, *self.aws, *self.tpm_makers):
            if not isinstance(pin, bytes) or len(pin) != 32:
                raise UsageError("root-pin", "a vendor's root is given by its SHA-256, 32 bytes")
        for anchor in (*self.cca, *self.tpm):
            if type(anchor) is not TrustAnchor:
                raise UsageError("trust-anchor", "a key is believed as a TrustAnchor, and only if the caller names it")
        for root in self.simulated:
            if not isinstance(root, bytes) or len(root) != SIMULATED_ROOT_SIZE:
                raise UsageError("simulated-root", f"a simulated root is a public key of {SIMULATED_ROOT_SIZE} bytes")


def simulated_anchor(root: bytes | None) -> str:
    """A simulated root by its name in results; None is a root that nobody gave."""
    return "none" if root is None else f"simulated root {hashlib.sha256(root).hexdigest()[:16]}"
