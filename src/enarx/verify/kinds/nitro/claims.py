"""The claims of an AWS Nitro attestation document. Source: AWS, "Cryptographic attestation", table of PCRs.

Freshness is the document's nonce: the report data.
"""

from __future__ import annotations

from enarx.verify.claims import (
    CONFIGURATION,
    EXECUTABLES,
    INSTANCE,
    OPAQUE,
    VISIBLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)
from enarx.verify.matchers import Exactly, Unchecked
from enarx.verify.values import Unknown

_IN_PCR0 = Unchecked(reason="part of PCR0")
_NOT_BOUND = Unchecked(reason="nothing is bound by it here")


@claims_of("nitro")
class NitroClaims(Claims):
    """The claims of a Nitro document. A register that the document leaves out is unknown."""

    measurement: bytes = claim(
        "PCR0: digest of the enclave image.",
        suggest=Exactly(bytes(48)),
        advice="Replace the zeros, which match no enclave in production. nitro-cli prints PCR0 when it builds the image.",
        decides=EXECUTABLES,
        hint="another image, or the same built anew: nitro-cli prints PCR0 when it builds",
    )
    host_data: bytes = claim(
        "Zeros: Nitro has no such claim.", suggest=Unchecked(reason="Nitro has none"), supports=CONFIGURATION
    )
    report_data: bytes = claim("The document's nonce; empty if it has none.")
    debug: bool = claim(
        "Whether the enclave was started in debug mode: PCR0 to PCR2 are all zeros.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
        hint="the enclave was started in debug mode, where its console can be read and its PCRs are zero",
    )
    svn: int = claim("0: Nitro has no such claim.", suggest=Unchecked(reason="Nitro has none"))
    chip_id: bytes | Unknown = claim(
        "The parent instance's id, as ASCII.",
        suggest=Unchecked(reason="any instance"),
        advice="Write i-0123456789abcdef0 in hexadecimal. AWS alone holds the hardware.",
        decides=INSTANCE,
    )
    pcr1: bytes | Unknown = claim("PCR1: kernel and bootstrap.", suggest=_IN_PCR0, supports=EXECUTABLES)
    pcr2: bytes | Unknown = claim("PCR2: the application.", suggest=_IN_PCR0, supports=EXECUTABLES)
    pcr3: bytes | Unknown = claim(
        "PCR3: the IAM role of the parent instance.",
        suggest=Unchecked(reason="name the parent instance's role here, to tie the enclave to an account"),
        supports=INSTANCE,
        hint="the parent instance has another role",
    )
    pcr4: bytes | Unknown = claim(
        "PCR4: the id of the parent instance.",
        suggest=Unchecked(reason="any instance"),
        supports=INSTANCE,
        hint="the enclave was started on another instance",
    )
    pcr8: bytes | Unknown = claim(
        "PCR8: the certificate that signed the image.",
        suggest=Unchecked(reason="unsigned images are accepted by their PCR0"),
        supports=EXECUTABLES,
        hint="the image was signed with another certificate, or not at all",
    )
    module_id: str = claim(
        "The enclave's identity, new at each start.", suggest=Unchecked(reason="new at each start"), supports=INSTANCE
    )
    user_data: bytes = claim("Data that the enclave added.", suggest=_NOT_BOUND, supports=CONFIGURATION)
    public_key: bytes = claim("A public key that the enclave added.", suggest=_NOT_BOUND, supports=CONFIGURATION)
