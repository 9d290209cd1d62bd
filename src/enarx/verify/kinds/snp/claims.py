"""The claims of an AMD SEV-SNP report, and the versions (TCBs) in them.

Sources: SEV Secure Nested Paging Firmware ABI Specification (AMD 56860, 1.58), tables ATTESTATION_REPORT, TCB_VERSION, Guest
Policy and PLATFORM_INFO; security bulletins AMD-SB-3019 and AMD-SB-3020.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import UsageError
from enarx.record import as_dict, names, record
from enarx.verify.claims import (
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    INSTANCE,
    NOT_ENCRYPTED,
    OPAQUE,
    VISIBLE,
    VULNERABLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, Unchecked
from enarx.verify.values import Bits, Unknown

PRODUCTS = ("milan", "genoa", "turin")


@record()
class Parts:
    """The security versions of one TCB, 0 to 255 each. Only Turin has an `fmc`."""

    fmc: int = 0
    bootloader: int = 0
    tee: int = 0
    snp: int = 0
    microcode: int = 0

    def __ge__(self, other: object) -> bool:
        return isinstance(other, Parts) and (
            self.fmc >= other.fmc
            and self.bootloader >= other.bootloader
            and self.tee >= other.tee
            and self.snp >= other.snp
            and self.microcode >= other.microcode
        )


@record()
class Tcb:
    """A TCB by product. A report has one; the floor of a policy has one for each product that the policy accepts."""

    milan: Parts | None = None
    genoa: Parts | None = None
    turin: Parts | None = None

    def __ge__(self, other: object) -> bool:
        return (
            isinstance(other, Tcb)
            and (self.milan or self.genoa or self.turin) is not None
            and (
                _reaches(self.milan, other.milan)
                and _reaches(self.genoa, other.genoa)
                and _reaches(self.turin, other.turin)
            )
        )

    def least(self) -> Tcb:
        """The lowest TCB of the same products. A floor that accepts it accepts every TCB of these products."""
        return Tcb(**{product: None if getattr(self, product) is None else Parts() for product in PRODUCTS})

    def is_behind(self) -> bool:
        """Whether the TCB is below the newest one known for its product."""
        return not any(
            (parts := getattr(self, product)) is not None and parts >= NEWEST[product] for product in PRODUCTS
        )

    def to_toml(self) -> dict[str, dict[str, int]]:
        """The TCB as in a policy file: a table of versions for each product."""
        return {
            product: {name: version for name, version in as_dict(parts).items() if name in part_names(product)}
            for product, parts in as_dict(self).items()
            if parts is not None
        }

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """The TCB of a policy file. UsageError if a part is missing: it would be a floor of nothing."""
        table = _table(value, PRODUCTS, "a TCB for each product")
        if not table:
            raise UsageError("policy-type", "policy: a TCB without a product", hint=f"one of {', '.join(PRODUCTS)}")
        return cls(**{product: _parts(parts, product) for product, parts in table.items()})


def part_names(product: str) -> tuple[str, ...]:
    """The names of the versions that a product's TCB has."""
    return tuple([name for name in names(Parts) if name != "fmc" or product == "turin"])


NEWEST = {
    "milan": Parts(bootloader=4, tee=0, snp=24, microcode=219),
    "genoa": Parts(bootloader=10, tee=0, snp=23, microcode=84),
    "turin": Parts(fmc=0, bootloader=1, tee=0, snp=2, microcode=71),
}
"""The TCB of a fully updated machine at the time of this release: AMD-SB-3019, AMD-SB-3020."""


def _reaches(parts: Parts | None, floor: Parts | None) -> bool:
    return parts is None or (floor is not None and parts >= floor)


def _parts(value: object, product: str) -> Parts:
    wanted = part_names(product)
    table = _table(value, wanted, "versions")
    missing = [name for name in wanted if name not in table]
    if missing:
        raise UsageError(
            "policy-type", f"policy: a TCB of {product} without {', '.join(missing)}: nothing set is an error"
        )
    for name, number in table.items():
        if type(number) is not int or not 0 <= number < 256:
            raise UsageError("policy-type", f"policy: {name} is {number!r:.40}, wanted 0 to 255")
    return Parts(**table)


def _table(value: object, keys: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError("policy-type", f"policy: {value!r:.40}, wanted a table with {what}")
    unknown = [key for key in value if key not in keys]
    if unknown:
        raise UsageError("policy-type", f"policy: unknown key {unknown[0]!r:.40}", hint=f"one of {', '.join(keys)}")
    return value


_FLOOR = AtLeast(Tcb(**NEWEST))
_NO_ID_BLOCK = Unchecked(reason="needs an id block")
_NOT_ASKED = Unchecked(reason="no reason to ask for it")


@claims_of("snp")
class SnpClaims(Claims):
    """The claims of an SNP report, and of the certificate that its signature was verified with."""

    measurement: bytes = claim(
        "Launch digest of the guest: firmware, number and model of vCPUs, and with direct boot kernel, initrd and command line.",
        suggest=Exactly(bytes(48)),
        advice="Replace the zeros, which match nothing. `enarx image measure` computes the digest.",
        decides=EXECUTABLES,
        hint="the launch digest covers firmware, number and model of vCPUs, and with direct boot kernel, initrd and "
        "command line: another of any of these gives another digest",
    )
    host_data: bytes = claim(
        "HOST_DATA: what the host bound the launch to.",
        suggest=Unchecked(reason="set by the host at launch; name it where you bind a configuration to it"),
        supports=CONFIGURATION,
        hint="the host launched the guest with another configuration",
    )
    report_data: bytes = claim("REPORT_DATA: 64 bytes that the guest had the firmware sign.")
    debug: bool = claim(
        "Whether the guest was launched with a policy that lets the host read its memory (bit 19).",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
        hint="the guest was launched with a policy that lets the host read its memory (bit 19)",
    )
    svn: int = claim(
        "GUEST_SVN: the guest owner's own numbering of releases.",
        suggest=Unchecked(reason="the guest owner's own numbering; needs an id block"),
        supports=EXECUTABLES,
        hint="the platform lacks an update",
    )
    chip_id: bytes | Unknown = claim(
        "CHIP_ID: the machine's identity, 64 bytes; unknown if the host masks it.",
        suggest=Unchecked(reason="any machine"),
        advice="Anyone with physical access can extract a machine's keys (Battering RAM, TEE.fail). Where that matters, list "
        "the machines that you believe to be physically secure with any_of. Exclude machines with leaked keys with none_of.",
        decides=INSTANCE,
    )
    version: int = claim(
        "Version of the report's format.",
        suggest=AnyOf((2, 3, 4, 5)),
        supports=HARDWARE,
    )
    product: str = claim(
        "Product line of the processor: milan, genoa (with Bergamo and Siena) or turin.",
        suggest=AnyOf(PRODUCTS),
        advice="Software can extract the seed of all keys of a Milan (arXiv 2605.12990): remove it unless you control the "
        "machine.",
        supports=HARDWARE,
    )
    signing_key: str = claim(
        "The key that signed the report: vcek (the chip's own) or vlek (the provider's).",
        suggest=AnyOf(("vcek", "vlek")),
        supports=INSTANCE,
    )
    vmpl: int = claim(
        "Privilege level of the software in the guest that asked for the report.",
        suggest=Exactly(0),
        decides=CONFIGURATION,
        hint="another layer of the guest, such as a paravisor or an SVSM, asked for the report",
    )
    family_id: bytes = claim(
        "FAMILY_ID: the family of the guest, from its id block.", suggest=_NO_ID_BLOCK, supports=EXECUTABLES
    )
    image_id: bytes = claim(
        "IMAGE_ID: the image of the guest, from its id block.", suggest=_NO_ID_BLOCK, supports=EXECUTABLES
    )
    policy_migration_agent: bool = claim(
        "Whether the guest's owner allows a migration agent, which can read the guest.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, NOT_ENCRYPTED, bool),),
    )
    policy_smt: bool = claim(
        "Whether the guest's owner allows SMT, by which others may run on the same core.",
        suggest=Unchecked(reason="most machines have SMT on"),
        supports=CONFIGURATION,
        hint="the guest allows that another runs on the same core",
    )
    policy_single_socket: bool = claim(
        "Whether the guest's owner restricts the guest to one socket.", suggest=_NOT_ASKED, supports=CONFIGURATION
    )
    policy_cxl: bool = claim(
        "Whether the guest's owner allows CXL devices and memory.", suggest=_NOT_ASKED, supports=CONFIGURATION
    )
    policy_aes_256_xts: bool = claim(
        "Whether the guest's owner requires AES-256-XTS for memory.", suggest=_NOT_ASKED, supports=CONFIGURATION
    )
    policy_rapl_disabled: bool = claim(
        "Whether the guest's owner requires that the host cannot measure power (RAPL).",
        suggest=_NOT_ASKED,
        supports=CONFIGURATION,
    )
    policy_ciphertext_hiding: bool = claim(
        "Whether the guest's owner requires that the host cannot read ciphertext.",
        suggest=_NOT_ASKED,
        supports=CONFIGURATION,
    )
    policy_page_swap_disabled: bool = claim(
        "Whether the guest's owner forbids the host to move or swap out the guest's pages.",
        suggest=_NOT_ASKED,
        supports=CONFIGURATION,
    )
    policy_abi: int = claim(
        "The least version of the firmware ABI that the guest's owner accepts: major and minor, a byte each.",
        suggest=_NOT_ASKED,
        supports=CONFIGURATION,
    )
    platform_smt: bool = claim(
        "Whether SMT is enabled on the machine.",
        suggest=Unchecked(reason="most machines have SMT on"),
        supports=HARDWARE,
    )
    platform_tsme: bool = claim(
        "Whether the machine encrypts all of its memory (TSME).",
        suggest=Unchecked(reason="SNP encrypts by itself"),
        supports=HARDWARE,
    )
    platform_ecc: bool = claim(
        "Whether the machine's memory corrects errors.",
        suggest=Unchecked(reason="not on every machine"),
        supports=HARDWARE,
    )
    platform_rapl_disabled: bool = claim(
        "Whether the machine's power measurement (RAPL) is disabled.",
        suggest=Unchecked(reason="most machines measure power"),
        supports=HARDWARE,
    )
    platform_ciphertext_hiding: bool = claim(
        "Whether the machine hides ciphertext from the host.",
        suggest=Unchecked(reason="Turin alone has it"),
        supports=HARDWARE,
    )
    platform_alias_check: bool = claim(
        "Whether the check for memory aliases has completed since the last reset.",
        suggest=Exactly(True),
        advice="This check is AMD's answer to BadRAM.",
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, lambda complete: not complete),),
        hint="firmware without the check for memory aliases (BadRAM), or it has not completed",
    )
    platform_tio: bool = claim(
        "Whether trusted I/O (SEV-TIO) is enabled.",
        suggest=Unchecked(reason="no device is trusted here"),
        supports=HARDWARE,
    )
    id_key_digest: bytes = claim(
        "Digest of the key that signed the id block; zeros without one.", suggest=_NO_ID_BLOCK, supports=EXECUTABLES
    )
    author_key_digest: bytes = claim(
        "Digest of the key that certified the id block's key; zeros without one.",
        suggest=_NO_ID_BLOCK,
        supports=EXECUTABLES,
    )
    report_id: bytes = claim(
        "Identity of this launch of the guest.", suggest=Unchecked(reason="new at each launch"), supports=INSTANCE
    )
    report_id_ma: bytes = claim(
        "Identity of this launch of the guest's migration agent.",
        suggest=Unchecked(reason="no migration agent is allowed below"),
        supports=INSTANCE,
    )
    reported_tcb: Tcb = claim(
        "The firmware versions that the signing key was derived for.",
        suggest=_FLOOR,
        advice="Floors as of AMD-SB-3019 and AMD-SB-3020. A product without a floor is not accepted.",
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, Tcb.is_behind),),
        hint="the machine's firmware or microcode is behind, or the host reports an older one",
    )
    committed_tcb: Tcb = claim(
        "The firmware versions that the machine can no longer be taken back below.",
        suggest=_FLOOR,
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, Tcb.is_behind),),
        hint="newer firmware is loaded provisionally: the machine can still be taken back below the floor",
    )
    launch_tcb: Tcb = claim(
        "The firmware versions at the launch of the guest.",
        suggest=_FLOOR,
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, Tcb.is_behind),),
        hint="the guest was launched before the machine was updated: launch it anew",
    )
    current_tcb: Tcb = claim(
        "The firmware versions that the machine runs now.",
        suggest=Unchecked(reason="never below the committed one"),
        supports=HARDWARE,
    )
    launch_mitigations: Bits | Unknown = claim(
        "Bit mask of what the firmware mitigated at the launch of the guest; unknown before report version 5.",
        suggest=Unchecked(reason="not in every report"),
        advice="{ at_least = 0x1 } asks for bits.",
        supports=HARDWARE,
    )
    current_mitigations: Bits | Unknown = claim(
        "Bit mask of what the firmware mitigates now; unknown before report version 5.",
        suggest=Unchecked(reason="not in every report"),
        supports=HARDWARE,
    )
    csp_id: str = claim(
        "The provider's name in a VLEK; empty for a VCEK.",
        suggest=Unchecked(reason="any provider; a VLEK names it"),
        supports=INSTANCE,
    )
    revoked: bool | Unknown = claim(
        "Whether a revocation list names a certificate of the chain; unknown without a current list.",
        suggest=Exactly(False),
        decides=HARDWARE,
        hint="a list of the product's root revokes the chain",
    )
