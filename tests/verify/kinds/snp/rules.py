"""AMD 56860 (1.58): "ATTESTATION_REPORT Structure", "Guest Policy Structure", "PLATFORM_INFO"."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import Any

from enarx.formats.evidence.snp import Report
from enarx.verify import Roots
from enarx.verify.kinds.snp.claims import Parts, Tcb
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, NoneOf
from enarx.verify.values import Bits
from tests.forge import amd
from tests.forge import snp as forge
from tests.verify.vectors import NOW, At, Ends, Fixed, Given, Rows, Varies, Vectors, at, le, over

GENOA, CHIP = bytes([10, 0, 0, 0, 0, 0, 25, 84]), bytes(range(1, 65))
OLDER = GENOA[:7] + b"\x53"
"""With microcode 83: below what the policy to begin with asks for."""

POLICY, PLATFORM_INFO = 0x30000, 0x25


def ending(ends: Ends | None, name: str) -> dict[str, datetime]:
    """For AMD's forge, which takes dates."""
    return {"end": datetime.fromtimestamp(ends[name], UTC)} if ends and name in ends else {}


@cache
def amd_issuers(product: str, vlek: bool) -> tuple[bytes, ...]:
    return amd.ark(product), amd.ask(product, vlek=vlek)


def snp(
    report: At | None = None,
    *,
    product: str = "Genoa",
    revoked: tuple[int, ...] | None = (),
    ends: Ends | None = None,
    **vcek: Any,
) -> Given:
    """`revoked` are serial numbers on the list; None for no list at all."""
    base = forge.encode(forge.blank(report_data=b"\3" * 64, reported_tcb=GENOA, chip_id=CHIP))
    signed = forge.sign(Report.from_bytes(over(base, report)))
    ark, ask = amd_issuers(product, "csp" in vcek)
    if ends:
        ark, ask = amd.ark(product, **ending(ends, "ARK")), amd.ask(product, **ending(ends, "ASK"))
    lists = () if revoked is None else (amd.crl(revoked, product=product, **ending(ends, "list")),)
    endorsed = (ark, ask, amd.vcek(product, **{"tcb": GENOA, "chip": CHIP, **ending(ends, "VCEK"), **vcek}), *lists)
    return Given(signed, endorsed, Roots(amd=(hashlib.sha256(ark).digest(),)))


def guest(bit: int, *, said: bool = False) -> Varies:
    """A bit of the guest's policy."""
    return at(0x08, le(POLICY ^ 1 << bit), said=said)


def platform(bit: int, *, said: bool = False) -> Varies:
    """A bit of PLATFORM_INFO."""
    return at(0x40, le(PLATFORM_INFO ^ 1 << bit), said=said)


TCB = Tcb(genoa=Parts(bootloader=10, tee=0, snp=25, microcode=84))
TCBS = ("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb")
MITIGATIONS = ("launch_mitigations", "current_mitigations")
OLD = {"report": {0x00: le(3, 4), 0x1F8: bytes(16)}}
"""A report of version 3."""

SNP: Rows = {
    "report_data": at(0x50, b"\7" * 64, said=b"\3" * 64),
    "measurement": at(0x90, b"\7" * 48, said=b"\1" * 48),
    "host_data": at(0xC0, b"\7" * 32),
    "debug": guest(19),
    "svn": at(0x04, le(1, 4), said=0),
    "chip_id": at(0x1A0, b"\7" * 64, said=CHIP, chip=b"\7" * 64),
    "version": Varies(5, OLD, MITIGATIONS),
    "product": at(0x188, bytes([0x19, 0x01, 1]), *TCBS, said="genoa", product="Milan"),
    "signing_key": at(0x48, le(1 << 2, 4), "csp_id", said="vcek", csp="CN=cc.example"),
    "vmpl": at(0x30, le(1, 4), said=0),
    "family_id": at(0x10, b"\7" * 16),
    "image_id": at(0x20, b"\7" * 16),
    "policy_migration_agent": guest(18),
    "policy_smt": guest(16, said=True),
    "policy_single_socket": guest(20),
    "policy_cxl": guest(21),
    "policy_aes_256_xts": guest(22),
    "policy_rapl_disabled": guest(23),
    "policy_ciphertext_hiding": guest(24),
    "policy_page_swap_disabled": guest(25),
    "policy_abi": at(0x08, le(POLICY | 0x0137), said=0),
    "platform_smt": platform(0, said=True),
    "platform_tsme": platform(1),
    "platform_ecc": platform(2, said=True),
    "platform_rapl_disabled": platform(3),
    "platform_ciphertext_hiding": platform(4),
    "platform_alias_check": platform(5, said=True),
    "platform_tio": platform(7),
    "id_key_digest": at(0xE0, b"\7" * 48),
    "author_key_digest": at(0x110, b"\7" * 48),
    "report_id": at(0x140, b"\7" * 32),
    "report_id_ma": at(0x160, b"\7" * 32),
    "reported_tcb": at(0x180, OLDER, said=TCB, tcb=OLDER),
    "committed_tcb": at(0x1E0, OLDER, said=TCB),
    "launch_tcb": at(0x1F0, OLDER, said=TCB),
    "current_tcb": at(0x38, OLDER, said=TCB),
    "launch_mitigations": at(0x1F8, le(3), said=Bits(1)),
    "current_mitigations": at(0x200, le(3), said=Bits(1)),
    "csp_id": at(0x48, le(1 << 2, 4), "signing_key", said="", csp="CN=cc.example"),
    "revoked": Fixed(False, True, "what is revoked is not authentic"),
}

WIDE = {
    "version": "every version that is read is accepted",
    "product": "every product that is known",
    "signing_key": "VCEK and VLEK",
}

VECTORS = Vectors(
    forge=snp,
    rows=SNP,
    ends=NOW + 86400 * 300,
    together={
        **dict.fromkeys(TCBS, "TCBs are told by product"),
        **dict.fromkeys(MITIGATIONS, "reports have them from version 5 on"),
        "version": "reports have mitigations from 5 on",
        "signing_key": "a VLEK alone names a provider",
        "csp_id": "a VLEK names a provider",
    },
    beginning=frozenset(
        {"debug", "vmpl", "policy_migration_agent", "platform_alias_check", *TCBS[:3], "revoked", *WIDE}
    ),
    wide=WIDE,
    unknown={
        "revoked": ({"revoked": None}, ()),
        "chip_id": ({"report": {0x1A0: bytes(64)}}, ()),
        **dict.fromkeys(MITIGATIONS, (OLD, ("version", *MITIGATIONS))),
    },
    revoked=({"revoked": (7,)}, "revocation"),
    things=("ARK", "ASK", "VCEK", "list"),
    policy_id="dERRxFOcLYTF7g4qGJ7OOOP5TjtIBJJNLa0xmPq8CB0",
    decisive=("measurement",),
    vacuous={
        "any measurement but one": {"measurement": NoneOf((bytes(48),))},
        "any privilege level": {"vmpl": AtLeast(0)},
        "a floor of nothing": {"reported_tcb": AtLeast(Tcb(genoa=Parts()))},
        "a floor of nothing, of another product as well": {
            "launch_tcb": AtLeast(Tcb(milan=Parts(snp=1), genoa=Parts(), turin=Parts(snp=1)))
        },
    },
    enough=(
        {"measurement": AnyOf((b"\1" * 48, b"\2" * 48))},
        {"committed_tcb": AtLeast(Tcb(genoa=Parts(microcode=1)))},
    ),
    lowered={
        "a guest that can be read": (
            *({"report": {0x08: le(0x30000 | 1 << 19)}}, {"debug": AnyOf((True, False))}),
            *("runtime-opaque", 96),
        ),
        "a guest that may migrate": (
            *({"report": {0x08: le(0x30000 | 1 << 18)}}, {"policy_migration_agent": Exactly(True)}),
            *("runtime-opaque", 32),
        ),
        "a machine without the alias check": (
            *({"report": {0x40: le(0x05)}}, {"platform_alias_check": Exactly(False)}),
            *("hardware", 32),
        ),
        "a machine behind, above a floor of nothing": (
            {"report": {0x180: OLDER, 0x1E0: OLDER, 0x1F0: OLDER}, "tcb": OLDER},
            dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb"), AtLeast(Tcb(genoa=Parts()))),
            *("hardware", 32),
        ),
    },
)
