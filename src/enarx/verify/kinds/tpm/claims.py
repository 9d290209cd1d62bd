"""The claims of a TPM 2.0 quote. Source: TCG, Trusted Platform Module Library, part 2, TPMS_ATTEST.

A TPM alone does not protect a workload from the machine's operator.
"""

from __future__ import annotations

from enarx.verify.claims import (
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    INSTANCE,
    OPAQUE,
    VISIBLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)
from enarx.verify.matchers import AnyOf, Exactly, Unchecked
from enarx.verify.values import Unknown


@claims_of("tpm")
class TpmClaims(Claims):
    """The claims of a TPM quote, and of the key that signed it."""

    measurement: bytes = claim(
        "Digest of the quoted registers' values.",
        suggest=Exactly(bytes(32)),
        advice="Replace the zeros, which match nothing. The digest does not say which registers were quoted.",
        supports=EXECUTABLES,
        hint="some register differs: compare pcrs",
    )
    host_data: bytes = claim(
        "Zeros: a TPM has no such claim.", suggest=Unchecked(reason="TPMs have none"), supports=CONFIGURATION
    )
    report_data: bytes = claim("The quote's extra data.")
    debug: bool = claim(
        "False: a TPM has no such claim, and does not keep the host out.",
        suggest=Exactly(False),
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
    )
    svn: int = claim("0: a TPM has no such claim.", suggest=Unchecked(reason="TPMs have none"))
    chip_id: bytes | Unknown = claim(
        "SHA-256 of the signing key (DER SubjectPublicKeyInfo).",
        suggest=Unchecked(reason="any of the keys given"),
        decides=INSTANCE,
    )
    ak_certified: bool | Unknown = claim(
        "Whether the signing key is known to be a TPM's: the caller gave it, or a known maker certified it.",
        suggest=Exactly(True),
        advice="Give the key with --trust-anchor. A quote under an unknown key proves nothing.",
        decides=HARDWARE,
        hint="a quote under a key that nobody vouches for proves nothing: anybody can make one in software",
    )
    pcr_bank: str = claim(
        "The hash algorithm of the quoted registers.", suggest=AnyOf(("sha256", "sha384")), supports=EXECUTABLES
    )
    pcrs: tuple[str, ...] = claim(
        "The quoted registers, each as index:value.",
        suggest=Unchecked(reason="ANY REGISTERS with these values: name them"),
        advice='Name those that matter, as { at_least = ["4:00ff...", "9:00ff..."] }.',
        decides=EXECUTABLES,
    )
    firmware: int = claim("The TPM's firmware version.", suggest=Unchecked(reason="any"), supports=HARDWARE)
    reset_count: int = claim("How often the TPM was reset.", suggest=Unchecked(reason="a machine may start again"))
    restart_count: int = claim(
        "How often the TPM was restarted or resumed since its last reset.",
        suggest=Unchecked(reason="a machine may sleep"),
    )
    clock_safe: bool = claim(
        "Whether the TPM's clock has never gone back.", suggest=Unchecked(reason="the clock is not used")
    )
