"""AMD SEV-SNP: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import UsageError
from enarx.record import as_dict, names, record
from enarx.verify.policy import AppraisalPolicy, Bits, Matcher
from enarx.verify.result import Claims, Unknown

PRODUCTS = ("milan", "genoa", "turin")


@record()
class Parts:
    """The security versions of one TCB, 0 to 255 each; `fmc` is Turin's alone."""

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
    """A TCB by product. A report's has one; a policy's floor one for each product that is accepted at all."""

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
        """The lowest TCB of the same products: a floor that takes it takes everything."""
        return Tcb(**{name: None if getattr(self, name) is None else Parts() for name in PRODUCTS})

    @classmethod
    def from_value(cls, value: object) -> Self:
        """Of a policy's table; UsageError."""
        table = _table(value, PRODUCTS, "a TCB for each product")
        if not table:
            raise UsageError("policy-type", "policy: a TCB without a product", hint=f"one of {', '.join(PRODUCTS)}")
        return cls(**{product: _parts(parts, product) for product, parts in table.items()})


def _reaches(parts: Parts | None, floor: Parts | None) -> bool:
    return parts is None or (floor is not None and parts >= floor)


def _parts(value: object, product: str) -> Parts:
    """Every part that the product has: one that is left out would be a floor of nothing."""
    wanted = [name for name in names(Parts) if name != "fmc" or product == "turin"]
    table = _table(value, tuple(wanted), "versions")
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


@record()
class SnpClaims(Claims):
    """What an SNP report says besides. `svn` is the guest's.

    product       milan, genoa (its whole family) or turin
    policy_*      what the guest's owner allowed at launch
    platform_*    PLATFORM_INFO: how the machine is set up
    *_tcb         the report's key was made for the reported one; the machine cannot go below the committed one
    *_mitigations bit masks of what the firmware mitigates, from version 5 of the report on
    chip_id       64 bytes; unknown where the host masks it
    csp_id        the provider's name in a VLEK, else empty
    """

    version: int
    product: str
    signing_key: str
    vmpl: int
    family_id: bytes
    image_id: bytes
    policy_migration_agent: bool
    policy_smt: bool
    policy_single_socket: bool
    policy_cxl: bool
    policy_aes_256_xts: bool
    policy_rapl_disabled: bool
    policy_ciphertext_hiding: bool
    policy_page_swap_disabled: bool
    policy_abi: int
    platform_smt: bool
    platform_tsme: bool
    platform_ecc: bool
    platform_rapl_disabled: bool
    platform_ciphertext_hiding: bool
    platform_alias_check: bool
    platform_tio: bool
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: Tcb
    committed_tcb: Tcb
    launch_tcb: Tcb
    current_tcb: Tcb
    launch_mitigations: Bits | Unknown
    current_mitigations: Bits | Unknown
    csp_id: str
    revoked: bool | Unknown


@record()
class SnpPolicy(AppraisalPolicy):
    """The rules for that."""

    version: Matcher
    product: Matcher
    signing_key: Matcher
    vmpl: Matcher
    family_id: Matcher
    image_id: Matcher
    policy_migration_agent: Matcher
    policy_smt: Matcher
    policy_single_socket: Matcher
    policy_cxl: Matcher
    policy_aes_256_xts: Matcher
    policy_rapl_disabled: Matcher
    policy_ciphertext_hiding: Matcher
    policy_page_swap_disabled: Matcher
    policy_abi: Matcher
    platform_smt: Matcher
    platform_tsme: Matcher
    platform_ecc: Matcher
    platform_rapl_disabled: Matcher
    platform_ciphertext_hiding: Matcher
    platform_alias_check: Matcher
    platform_tio: Matcher
    id_key_digest: Matcher
    author_key_digest: Matcher
    report_id: Matcher
    report_id_ma: Matcher
    reported_tcb: Matcher
    committed_tcb: Matcher
    launch_tcb: Matcher
    current_tcb: Matcher
    launch_mitigations: Matcher
    current_mitigations: Matcher
    csp_id: Matcher
    revoked: Matcher

    _types = AppraisalPolicy._types | {
        **dict.fromkeys(("version", "vmpl", "policy_abi"), int),
        **dict.fromkeys(("product", "signing_key", "csp_id"), str),
        **dict.fromkeys(("family_id", "image_id", "id_key_digest", "author_key_digest"), bytes),
        **dict.fromkeys(("report_id", "report_id_ma"), bytes),
        **dict.fromkeys(("policy_migration_agent", "policy_smt", "policy_single_socket", "policy_cxl"), bool),
        **dict.fromkeys(("policy_aes_256_xts", "policy_ciphertext_hiding", "policy_rapl_disabled"), bool),
        **dict.fromkeys(("policy_page_swap_disabled", "platform_smt", "platform_tsme"), bool),
        **dict.fromkeys(("platform_ecc", "platform_rapl_disabled", "platform_ciphertext_hiding"), bool),
        **dict.fromkeys(("platform_alias_check", "platform_tio", "revoked"), bool),
        **dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb"), Tcb),
        **dict.fromkeys(("launch_mitigations", "current_mitigations"), Bits),
    }
    _hints = {
        "measurement": "the launch digest covers firmware, number and model of vCPUs, and with direct boot kernel, initrd and "
        "command line: another of any of these gives another digest",
        "debug": "the guest was launched with a policy that lets the host read its memory (bit 19)",
        "reported-tcb": "the machine's firmware or microcode is behind, or the host reports an older one",
        "committed-tcb": "newer firmware is loaded provisionally: the machine can still be taken back below the floor",
        "launch-tcb": "the guest was launched before the machine was updated: launch it anew",
        "platform-alias-check": "firmware without the check for memory aliases (BadRAM), or it has not completed",
        "vmpl": "another layer of the guest, such as a paravisor or an SVSM, asked for the report",
        "policy-smt": "the guest allows that another runs on the same core",
        "host-data": "the host launched the guest with another configuration",
        "revoked": "a list of the product's root revokes the chain",
    }


NEWEST = {
    "milan": Parts(bootloader=4, tee=0, snp=24, microcode=219),
    "genoa": Parts(bootloader=10, tee=0, snp=23, microcode=84),
    "turin": Parts(fmc=0, bootloader=1, tee=0, snp=2, microcode=71),
}
"""What a machine that is kept up to date has at least, when this was written: AMD-SB-3019, AMD-SB-3020."""


def _line(product: str, parts: Parts) -> str:
    shown = [f"{name} = {value}" for name, value in as_dict(parts).items() if name != "fmc" or product == "turin"]
    return f"{product} = {{ {', '.join(shown)} }}\n"


_FLOORS = "".join(_line(product, parts) for product, parts in NEWEST.items())

TEMPLATE = """# What is accepted of an AMD SEV-SNP guest. Each field is a value, { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error.

kind = "snp"

# Launch digest. Put yours here: zeros match nothing. sev-snp-measure computes it from firmware, vCPUs, kernel and initrd.
measurement = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
host_data = { unchecked = "set by the host at launch; name it where you bind a configuration to it" }
debug = false
svn = { unchecked = "the guest owner's own numbering; needs an id block" }

# Which machine. Whoever holds a machine in hand can take its keys (Battering RAM, TEE.fail): where that matters, list the
# chip ids that you believe to be locked away, with any_of. Take out those whose keys have leaked with none_of.
chip_id = { unchecked = "any machine" }
csp_id = { unchecked = "any provider; a VLEK names it" }
signing_key = { any_of = ["vcek", "vlek"] }

# The seed of all keys of a Milan can be taken by software (arXiv 2605.12990). Drop it if the machine is not in your hands.
product = { any_of = ["milan", "genoa", "turin"] }
version = { any_of = [2, 3, 4, 5] }
vmpl = 0
family_id = { unchecked = "needs an id block" }
image_id = { unchecked = "needs an id block" }
id_key_digest = { unchecked = "needs an id block" }
author_key_digest = { unchecked = "needs an id block" }
report_id = { unchecked = "new at each launch" }
report_id_ma = { unchecked = "no migration agent is allowed below" }

# What the guest's owner allowed.
policy_migration_agent = false
policy_smt = { unchecked = "most machines have SMT on" }
policy_single_socket = { unchecked = "no reason to ask for it" }
policy_cxl = { unchecked = "no reason to ask for it" }
policy_aes_256_xts = { unchecked = "no reason to ask for it" }
policy_rapl_disabled = { unchecked = "no reason to ask for it" }
policy_ciphertext_hiding = { unchecked = "no reason to ask for it" }
policy_page_swap_disabled = { unchecked = "no reason to ask for it" }
policy_abi = { unchecked = "no reason to ask for it" }
revoked = false

# How the machine is set up. The alias check answers BadRAM.
platform_smt = { unchecked = "most machines have SMT on" }
platform_tsme = { unchecked = "SNP encrypts by itself" }
platform_ecc = { unchecked = "not on every machine" }
platform_rapl_disabled = { unchecked = "most machines measure power" }
platform_ciphertext_hiding = { unchecked = "Turin alone has it" }
platform_alias_check = true
platform_tio = { unchecked = "no device is trusted here" }

current_tcb = { unchecked = "never below the committed one" }

# Only reports of version 5 have these; { at_least = 0x1 } asks for bits.
launch_mitigations = { unchecked = "not in every report" }
current_mitigations = { unchecked = "not in every report" }

# Floors as of AMD-SB-3019 and AMD-SB-3020. A product without a floor is not accepted.
""" + "\n".join(f"[{name}.at_least]\n{_FLOORS}" for name in ("reported_tcb", "committed_tcb", "launch_tcb"))
