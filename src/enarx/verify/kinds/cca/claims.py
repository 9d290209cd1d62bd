"""The claims of an Arm CCA token: the realm's and the platform's.

Source: Realm Management Monitor specification (Arm DEN0137), attestation. There is no public root: the caller gives the keys
that sign for platforms.
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

_EXTENDED = Unchecked(reason="the realm extends it")
_ANY_PLATFORM = Unchecked(reason="any platform under the keys given")


@claims_of("cca")
class CcaClaims(Claims):
    """The claims of a CCA token."""

    measurement: bytes = claim(
        "The realm's initial measurement: 32, 48 or 64 bytes.",
        suggest=Exactly(bytes(32)),
        advice="Replace the zeros, which match no honest realm.",
        decides=EXECUTABLES,
        hint="another image, memory layout or number of vCPUs of the realm",
    )
    host_data: bytes = claim(
        "The realm's personalization value.",
        suggest=Unchecked(reason="the personalization value; name it where you bind a configuration to it"),
        supports=CONFIGURATION,
        hint="the realm was created for another owner or configuration",
    )
    report_data: bytes = claim("The realm's challenge.")
    debug: bool = claim(
        "Whether the platform's lifecycle is any other than secured.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
        hint="the platform is not secured: its lifecycle allows debugging",
    )
    svn: int = claim("0: CCA has no such claim.", suggest=Unchecked(reason="CCA has none"))
    chip_id: bytes | Unknown = claim(
        "The platform's instance id.",
        suggest=Unchecked(reason="any machine under the keys given"),
        advice="Anyone with physical access may extract a machine's keys. Where that matters, list the machines that you believe "
        "to be physically secure with any_of.",
        decides=INSTANCE,
    )
    rem0: bytes = claim("Extensible measurement 0.", suggest=_EXTENDED, decides=EXECUTABLES)
    rem1: bytes = claim("Extensible measurement 1.", suggest=_EXTENDED, decides=EXECUTABLES)
    rem2: bytes = claim("Extensible measurement 2.", suggest=_EXTENDED, decides=EXECUTABLES)
    rem3: bytes = claim("Extensible measurement 3.", suggest=_EXTENDED, decides=EXECUTABLES)
    profile: str = claim(
        "The profile of the platform token.",
        suggest=AnyOf(
            (
                "http://arm.com/CCA-SSD/1.0.0",
                "tag:arm.com,2023:cca_platform#1.0.0",
                "tag:arm.com,2024:cca_platform#2.0.0",
            )
        ),
        supports=HARDWARE,
    )
    lifecycle: int = claim(
        "The platform's lifecycle state: 0x3000 to 0x30ff is secured.",
        suggest=Unchecked(reason="debug = false asks for a secured one"),
        supports=OPAQUE,
    )
    implementation_id: bytes = claim("The platform's implementation.", suggest=_ANY_PLATFORM, supports=HARDWARE)
    platform_config: bytes = claim("The platform's configuration.", suggest=_ANY_PLATFORM, supports=HARDWARE)
    software_components: tuple[str, ...] = claim(
        "The platform's firmware: each component as type:measurement:signer, bytes in hexadecimal.",
        suggest=Unchecked(reason="any firmware; { any_of = [...] } lists what is known"),
        decides=HARDWARE,
        hint="the platform runs other firmware",
    )
