"""Appraisal: for every rule of every policy, evidence that is authentic and fails that rule alone.

Each kind has one piece of good evidence, and what it claims is written down here by hand. Everything else is that with something
changed, and signed anew. Where a field stands, and what a bit means, is from the vendors' tables and not from our parsers:
AMD 56860 (1.58), "ATTESTATION_REPORT Structure", "Guest Policy Structure", "PLATFORM_INFO"; Intel SDM 3D, 38.15 and 38.7;
Intel TDX module, TDREPORT_STRUCT and ATTRIBUTES; TPM 2.0 part 2, 10.12; the claims of AWS and of Arm by their names and numbers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NamedTuple

import pytest

from enarx.formats.evidence.snp import Report, encode
from enarx.record import names, replace
from enarx.verify import AppraisalPolicy, AttestationResult, Roots, TrustAnchor, appraise, attestation_result, examine
from enarx.verify.kinds.snp.claims import Parts, Tcb
from enarx.verify.policy import AnyOf, Bits, Exactly, Unchecked
from enarx.verify.policy_file import read_policy, template
from enarx.verify.result import FAILED, NOT_AUTHENTIC, NOT_CHECKED, NOT_REACHED, PASSED, REFUSED, TRUSTED, UNDECIDED
from tests.controls import Control
from tests.forge import amd, arm, aws, intel, tpm

NOW = 1_780_000_000
At = dict[int, bytes]
"""Bytes by their offset."""


class Given(NamedTuple):
    """Evidence with what it is judged by."""

    evidence: bytes
    endorsements: tuple[bytes, ...]
    roots: Roots


class Varies(NamedTuple):
    """A claim that evidence can have otherwise: what the good one says, what to forge for another value, and the rules that have
    to be left unchecked then, for they hang on the same bits (TOGETHER)."""

    said: Any
    changes: dict[str, Any]
    together: tuple[str, ...] = ()


class Fixed(NamedTuple):
    """A claim that all authentic evidence has alike; so the rule asks for another value."""

    said: Any
    other: Any
    why: str


Rows = dict[str, Varies | Fixed]


def le(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "little")


def be(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def over(data: bytes, at: At | None) -> bytes:
    """The data with other bytes at these offsets."""
    made = bytearray(data)
    for start, value in (at or {}).items():
        made[start : start + len(value)] = value
    assert len(made) == len(data)
    return bytes(made)


def at(offset: int, value: bytes, *together: str, said: Any = None, **more: Any) -> Varies:
    """A field of the report that the hardware signs; zeros in the good one if nothing else is said."""
    return Varies(bytes(len(value)) if said is None else said, {"report": {offset: value}, **more}, together)


# AMD SEV-SNP

GENOA, CHIP = bytes([10, 0, 0, 0, 0, 0, 25, 84]), bytes(range(1, 65))
OLDER = GENOA[:7] + b"\x53"
"""With microcode 83: below what the policy to begin with asks for."""

POLICY, PLATFORM_INFO = 0x30000, 0x25


Ends = dict[str, int]
"""When the things of this name end that evidence is judged by (unix seconds)."""


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
    """`revoked` are serial numbers on the list; None is no list."""
    base = encode(amd.blank(report_data=b"\3" * 64, reported_tcb=GENOA, chip_id=CHIP))
    signed = amd.sign(Report.from_bytes(over(base, report)))
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

# Intel SGX and TDX

DOMAIN_SIZE, EXTENDED_SIZE = 648, 885
MODULE = bytes([5, 1]) + bytes([3]) * 14
"""TEE_TCB_SVN: version 5 of the TDX module of major version 1."""


def quoted(
    tee: int,
    body: bytes,
    *,
    version: int = 0,
    machine: dict[str, Any] | None = None,
    info: dict[str, Any] | None = None,
    level: dict[str, Any] | None = None,
    revoked: tuple[int, ...] = (),
    ends: Ends | None = None,
) -> Given:
    def ending(name: str) -> dict[str, int]:
        return {"end": ends[name]} if ends and name in ends else {}

    def updated(name: str) -> dict[str, str]:
        return {"nextUpdate": intel.date(ends[name])} if ends and name in ends else {}

    leaf = intel.certificate(intel.PCK, intel.PLATFORM, extension=intel.machine(**(machine or {})), **ending("PCK"))
    levels = [intel.platform_level(tdx=(0,) * 16 if tee == intel.TDX else None, **(level or {}))]
    tcb = intel.info(tee, **{"tcbLevels": levels, **updated("TCB info"), **(info or {})})
    platform, root, signing = intel.platform(), intel.root(), None
    if ends:
        platform = intel.certificate(intel.PLATFORM, intel.ROOT, authority=True, **ending("Platform CA"))
        root = intel.certificate(intel.ROOT, intel.ROOT, authority=True, **ending("Root CA"))
        signing = intel.certificate(intel.SIGNING, intel.ROOT, **ending("TCB Signing"))
    collateral = intel.collateral(
        tee,
        tcb=tcb,
        qe=intel.identity(tee, **updated("identity")),
        info_signer=signing,
        machines=intel.revoked(intel.PLATFORM, *revoked, **ending("list of Intel SGX PCK Platform CA")),
        authorities=intel.revoked(intel.ROOT, **ending("list of Intel SGX Root CA")),
    )
    chain = (leaf, platform, root)
    roots = Roots(intel=(hashlib.sha256(root).digest(),))
    return Given(intel.quote(tee, version=version, body=body, chain=chain), (collateral,), roots)


def sgx(report: At | None = None, **more: Any) -> Given:
    return quoted(intel.SGX, over(intel.enclave(), report), **more)


def tdx(report: At | None = None, *, size: int = DOMAIN_SIZE, version: int = 5, **more: Any) -> Given:
    return quoted(intel.TDX, over(intel.domain(size), report), version=version, **more)


FLAGS = ("dynamic_platform", "cached_keys", "smt_enabled")
OF_VENDOR: Rows = {
    "tcb_status": Varies("UpToDate", {"level": {"status": "ConfigurationNeeded"}}),
    "tcb_date": Varies(1_767_225_600, {"level": {"date": "2025-01-01"}}),
    "advisories": Varies((), {"level": {"advisories": ("INTEL-SA-00837",)}}),
    "tcb_evaluation_number": Varies(17, {"info": {"tcbEvaluationDataNumber": 16}}),
    "fmspc": Varies(
        bytes.fromhex("00906ed50000"), {"machine": {"fmspc": b"\7" * 6}, "info": {"fmspc": (b"\7" * 6).hex()}}
    ),
    "ppid": Varies(b"\7" * 16, {"machine": {"ppid": b"\6" * 16}}),
    "chip_id": Varies(b"\x09" * 16, {"machine": {"instance": b"\6" * 16}}),
    "dynamic_platform": Varies(True, {"machine": {"flags": (False, True, False)}}),
    "cached_keys": Varies(True, {"machine": {"flags": (True, False, False)}}),
    "smt_enabled": Varies(False, {"machine": {"flags": (True, True, True)}}),
    "revoked": Fixed(False, True, "what is revoked is not authentic"),
}

SGX: Rows = OF_VENDOR | {
    "report_data": at(320, b"\7" * 64, said=b"\3" * 64),
    "measurement": at(64, b"\7" * 32, said=b"\1" * 32),
    "host_data": at(192, b"\7" * 32),
    "debug": at(48, le(0b111), "attributes", said=False),
    "svn": at(258, le(9, 2), said=8),
    "mr_signer": at(128, b"\7" * 32, said=b"\2" * 32),
    "isv_prod_id": at(256, le(2, 2), said=1),
    "isv_ext_prod_id": at(32, b"\7" * 16),
    "isv_family_id": at(304, b"\7" * 16),
    "config_svn": at(260, le(1, 2), said=0),
    "attributes": at(48, le(0b001), said=Bits(0b101)),
    "xfrm": at(56, le(3), said=Bits(7)),
    "misc_select": at(16, le(1, 4), said=0),
}

OTHER_SEAM = {"mrsigner": "07" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8}
OTHER_ATTRIBUTES = {"mrsigner": "00" * 48, "attributes": "01" + "00" * 7, "attributesMask": "ff" * 8}
SEPT_VE_DISABLE = 1 << 28
SERVICES = ("mr_service_td", "current_service_td")


def module(identity: dict[str, str]) -> dict[str, Any]:
    """TCB info that knows this module of major version 1."""
    return {"tdxModuleIdentities": [{"id": "TDX_01", **identity, "tcbLevels": [intel.level(svn=5)]}]}


def older(status: str, **more: Any) -> dict[str, Any]:
    """TCB info that says this of version 4 of the module."""
    known = module({"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8})
    known["tdxModuleIdentities"][0]["tcbLevels"].append(intel.level(status, svn=4, **more))
    return known


NOW_OLDER = {584: b"\4"}
"""TEE_TCB_SVN_2: the machine has version 4 of the module now."""

LOWER = [
    intel.platform_level(tdx=(0, 0, 3, *(0,) * 13)),
    intel.platform_level(date="2025-01-01"),
]
"""Of platforms, by the third TDX component."""

TDX: Rows = OF_VENDOR | {
    "tcb_status": Varies("UpToDate", {"level": {"status": "ConfigurationNeeded"}}, ("current_tcb_status",)),
    "tcb_date": Varies(1_767_225_600, {"level": {"date": "2025-01-01"}}, ("current_tcb_date",)),
    "advisories": Varies((), {"level": {"advisories": ("INTEL-SA-00837",)}}, ("current_advisories",)),
    "current_tcb_status": Varies(
        "UpToDate",
        {"report": NOW_OLDER, "info": older("OutOfDate")},
        ("tee_tcb_svn_2", "current_module_status"),
    ),
    "current_tcb_date": Varies(
        1_767_225_600, {"report": {586: b"\2"}, "info": {"tcbLevels": LOWER}}, ("tee_tcb_svn_2",)
    ),
    "current_advisories": Varies(
        (), {"report": NOW_OLDER, "info": older("UpToDate", advisories=("INTEL-SA-00837",))}, ("tee_tcb_svn_2",)
    ),
    "module_status": Varies(
        "UpToDate", {"report": {0: b"\4"}, "info": older("OutOfDate")}, ("svn", "tee_tcb_svn", "tcb_status")
    ),
    "current_module_status": Varies(
        "UpToDate",
        {"report": NOW_OLDER, "info": older("OutOfDate")},
        ("tee_tcb_svn_2", "current_tcb_status"),
    ),
    "tee_tcb_svn_2": at(599, b"\4", said=MODULE),
    "report_data": at(520, b"\7" * 64, said=b"\3" * 64),
    "measurement": at(136, b"\7" * 48, said=b"\1" * 48),
    "host_data": at(184, b"\7" * 32),
    "debug": at(120, le(SEPT_VE_DISABLE | 1), "td_attributes", said=False),
    "svn": at(0, b"\6", "tee_tcb_svn", said=5),
    "version": Varies(5, {"version": 4, "size": 584}),
    "sept_ve_disable": at(120, le(0), "td_attributes", said=True),
    "migratable": at(120, le(SEPT_VE_DISABLE | 1 << 29), "td_attributes", said=False),
    "td_attributes": at(120, le(SEPT_VE_DISABLE | 1 << 20), said=Bits(SEPT_VE_DISABLE)),
    "xfam": at(128, le(3), said=Bits(7)),
    "mr_owner": at(232, b"\7" * 48),
    "mr_owner_config": at(280, b"\7" * 48),
    "rtmr0": at(328, b"\7" * 48, said=b"\4" * 48),
    "rtmr1": at(376, b"\7" * 48),
    "rtmr2": at(424, b"\7" * 48),
    "rtmr3": at(472, b"\7" * 48),
    "mr_seam": at(16, b"\7" * 48),
    "mr_signer_seam": at(64, b"\7" * 48, info=module(OTHER_SEAM)),
    "seam_attributes": at(112, le(1), info=module(OTHER_ATTRIBUTES)),
    "tee_tcb_svn": at(15, b"\4", said=MODULE),
    "mr_service_td": at(600, b"\7" * 48),
    "current_service_td": at(829, b"\7" * 48, size=EXTENDED_SIZE),
}

# AWS Nitro


def nitro(pcrs: dict[int, bytes | None] | None = None, ends: Ends | None = None, **fields: Any) -> Given:
    """`pcrs` are those that differ; None is one that is not there."""
    root = aws.root()
    if ends:

        def ending(name: str) -> dict[str, int]:
            return {"end": ends[name]} if ends and name in ends else {}

        root = aws.certificate("root", "root", **ending("certificate 0"))
        fields["cabundle"] = [root, aws.certificate("zone", "root", depth=0, **ending("certificate 1"))]
        fields["certificate"] = aws.certificate("leaf", "zone", authority=False, **ending("the document's certificate"))
    registers = {**{i: bytes([i + 1]) * 48 for i in range(16)}, **(pcrs or {})}
    document = aws.payload(pcrs={i: value for i, value in registers.items() if value is not None}, **fields)
    return Given(aws.document(document), (), Roots(aws=(hashlib.sha256(root).digest(),)))


def pcr(index: int) -> Varies:
    return Varies(bytes([index + 1]) * 48, {"pcrs": {index: b"\x77" * 48}})


NITRO: Rows = {
    "report_data": Varies(b"\7" * 32, {"nonce": b"\6" * 32}),
    "measurement": pcr(0),
    "host_data": Fixed(bytes(32), b"\7" * 32, "Nitro has none"),
    "debug": Varies(False, {"pcrs": dict.fromkeys(range(3), bytes(48))}, ("measurement", "pcr1", "pcr2")),
    "svn": Fixed(0, 1, "Nitro has none"),
    "chip_id": Varies(b"i-0123456789abcdef0", {"module_id": "i-7777777777abcdef0-enc0123456789abcdef"}, ("module_id",)),
    **{f"pcr{i}": pcr(i) for i in (1, 2, 3, 4, 8)},
    "module_id": Varies(
        "i-0123456789abcdef0-enc0123456789abcdef", {"module_id": "i-0123456789abcdef0-enc7777777777abcdef"}
    ),
    "user_data": Varies(b"", {"user_data": b"\7"}),
    "public_key": Varies(b"", {"public_key": b"\7"}),
}

# Arm CCA


def cca(platform: dict[str, Any] | None = None, realm: dict[str, Any] | None = None) -> Given:
    token = arm.token(arm.platform(**(platform or {})), arm.realm(**(realm or {})))
    return Given(token, (), Roots(cca=(TrustAnchor(arm.spki("platform")),)))


def rem(index: int) -> Varies:
    return Varies(bytes(32), {"realm": {"c44239": [b"\7" * 32 if i == index else bytes(32) for i in range(4)]}})


CCA: Rows = {
    "report_data": Varies(bytes(range(64)), {"realm": {"c10": b"\7" * 64}}),
    "measurement": Varies(b"\1" * 32, {"realm": {"c44238": b"\7" * 32}}),
    "host_data": Varies(bytes(32), {"realm": {"c44235": b"\7" * 64}}),
    "debug": Varies(False, {"platform": {"c2395": 0x4003}}, ("lifecycle",)),
    "svn": Fixed(0, 1, "CCA has none"),
    "chip_id": Varies(b"\1" + b"\3" * 32, {"platform": {"c256": b"\1" + b"\7" * 32}}),
    **{f"rem{i}": rem(i) for i in range(4)},
    "profile": Varies("http://arm.com/CCA-SSD/1.0.0", {"platform": {"c265": "http://example.org/CCA"}}),
    "lifecycle": Varies(0x3003, {"platform": {"c2395": 0x30FF}}),
    "implementation_id": Varies(b"\2" * 32, {"platform": {"c2396": b"\7" * 32}}),
    "platform_config": Varies(b"config", {"platform": {"c2401": b"another"}}),
    "software_components": Varies(
        (f"BL:{'04' * 32}:{'05' * 32}", f":{'06' * 32}:{'07' * 32}"),
        {"platform": {"c2399": [{1: "BL", 2: b"\4" * 32, 5: b"\5" * 32}]}},
    ),
}

# TPM, and Azure's virtual ones

SHA512 = 0x000D
EXTRA, RESETS, RESTARTS, SAFE, FIRMWARE = 16, 56, 60, 64, 65
"""Where these stand in the quote, whose signer is named in 6 bytes and whose extra data are 32."""

REGISTERS = tuple(f"{i}:{bytes([i]).hex() * 32}" for i in range(24))
OTHER_PCRS = (b"\x77" * 32, *tpm.PCRS[1:])


@cache
def ak(name: str) -> bytes:
    return tpm.certificate(name, "issuer")


def tpm_quoted(
    quote: At | None = None,
    *,
    pcrs: tuple[bytes, ...] = tpm.PCRS,
    bank: int = 0x000B,
    name: str = "ak",
    ends: Ends | None = None,
    **roots: Any,
) -> Given:
    _, issuer, root = tpm.maker()
    own = ak(name)
    if ends:

        def ending(name: str) -> dict[str, int]:
            return {"end": ends[name]} if ends and name in ends else {}

        own = tpm.certificate(name, "issuer", **ending("certificate of the key"))
        issuer = tpm.certificate("issuer", "root", depth=0, **ending("issuer 1"))
        root = tpm.certificate("root", "root", depth=1, **ending("issuer 2"))
    message = over(tpm.quote(pcrs, select=tpm.selection(range(24), bank)), quote)
    evidence = tpm.attestation(message, key=tpm.rsa_key(name), pcrs=pcrs, certificates=(own,))
    return Given(
        evidence,
        (issuer, root, tpm.revoked("issuer", **(ending("list") if ends else {}))),
        Roots(**{"tpm_makers": (hashlib.sha256(root).digest(),), **roots}),
    )


def in_quote(offset: int, value: bytes, said: Any) -> Varies:
    return Varies(said, {"quote": {offset: value}})


TPM: Rows = {
    "report_data": in_quote(EXTRA, b"\7" * 32, bytes(range(32))),
    "measurement": Varies(hashlib.sha256(b"".join(tpm.PCRS)).digest(), {"pcrs": OTHER_PCRS}, ("pcrs",)),
    "host_data": Fixed(bytes(32), b"\7" * 32, "TPMs have none"),
    "debug": Fixed(False, True, "TPMs have no such thing"),
    "svn": Fixed(0, 1, "TPMs have none"),
    "chip_id": Varies(hashlib.sha256(tpm.spki(tpm.rsa_key("ak"))).digest(), {"name": "another"}),
    "ak_certified": Fixed(True, False, "under a key that is not the caller's nothing is authentic, or it is unknown"),
    "pcr_bank": Varies(
        "sha256", {"bank": SHA512, "pcrs": tuple(bytes([i]) * 64 for i in range(24))}, ("measurement", "pcrs")
    ),
    "pcrs": Varies(REGISTERS, {"pcrs": OTHER_PCRS}, ("measurement",)),
    "firmware": in_quote(FIRMWARE, be(0x2021, 8), 0x2020),
    "reset_count": in_quote(RESETS, be(9), 2),
    "restart_count": in_quote(RESTARTS, be(9), 3),
    "clock_safe": in_quote(SAFE, b"\0", True),
}


def virtual(quote: At | None, pcrs: tuple[bytes, ...], vm: dict[str, Any] | None) -> tuple[bytes, bytes, bytes]:
    """Runtime data, the report data that binds it, and the quote."""
    configuration = {"secure-boot": True, "vmUniqueId": "VM"} if vm is None else vm
    runtime = tpm.runtime(**{"vm-configuration": configuration})
    return runtime, hashlib.sha256(runtime).digest() + bytes(32), over(tpm.quote(pcrs), quote)


def az_snp(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = snp({0x50: bound, **(report or {})}, **more)
    return found._replace(evidence=tpm.azure(tpm.hcl(runtime, found.evidence), message, pcrs=pcrs))


def az_tdx(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = tdx({520: bound, **(report or {})}, **more)
    hcl = tpm.hcl(runtime, bytes(1184), kind=4)
    beside = base64.urlsafe_b64encode(found.evidence).decode()
    return found._replace(evidence=tpm.azure(hcl, message, pcrs=pcrs, td_quote=beside))


OF_AZURE: Rows = {
    "report_data": TPM["report_data"],
    "pcrs": Varies(REGISTERS, {"pcrs": OTHER_PCRS}),
    "secure_boot": Varies(True, {"vm": {"secure-boot": False, "vmUniqueId": "VM"}}),
    "vm_id": Varies("VM", {"vm": {"secure-boot": True, "vmUniqueId": "another"}}),
    "reset_count": TPM["reset_count"],
    "restart_count": TPM["restart_count"],
}

KINDS: dict[str, tuple[Callable[..., Given], Rows, int | None, str]] = {
    "snp": (snp, SNP, NOW + 86400 * 300, "tdx"),
    "sgx": (sgx, SGX, NOW + 1000, "tdx"),
    "tdx": (tdx, TDX, NOW + 1000, "sgx"),
    "nitro": (nitro, NITRO, NOW + 3600, "cca"),
    "cca": (cca, CCA, None, "nitro"),
    "tpm": (tpm_quoted, TPM, NOW + 1000, "snp"),
    "az-snp-vtpm": (az_snp, SNP | OF_AZURE, NOW + 86400 * 300, "snp"),
    "az-tdx-vtpm": (az_tdx, TDX | OF_AZURE, NOW + 1000, "tdx"),
}
"""Of each kind how it is forged, its claims, when the endorsements end that the good evidence is judged by (of CCA nothing does),
and another kind."""

FORGES = {kind: forge for kind, (forge, _, _, _) in KINDS.items()}
ENDS = {kind: end for kind, (_, _, end, _) in KINDS.items()}
RULES: dict[str, Rows] = {
    kind: rows | {"kind": Fixed(kind, other, "the caller says it")} for kind, (_, rows, _, other) in KINDS.items()
}
"""Every claim of every kind. `tests/house/test_checks.py` holds that to the policies."""

TOGETHER = {
    **dict.fromkeys(TCBS, "TCBs are told by product"),
    **dict.fromkeys(MITIGATIONS, "reports have them from version 5 on"),
    **dict.fromkeys(FLAGS, "a machine's certificate has all three or none"),
    "version": "reports have mitigations from 5 on",
    "signing_key": "a VLEK alone names a provider",
    "csp_id": "a VLEK names a provider",
    "attributes": "it has the bit DEBUG",
    "td_attributes": "it has a bit for each of these",
    "tee_tcb_svn": "its first byte is the module's version",
    "tee_tcb_svn_2": "the machine's levels go by it",
    "svn": "it is the module's version at launch",
    "tcb_status": "it is no better than the module's",
    "current_tcb_status": "the platform is the same at launch and now, and it is no better than the module's",
    "current_module_status": "the status of the machine is no better",
    "current_tcb_date": "the platform is the same at launch and now",
    "current_advisories": "the platform is the same at launch and now",
    "module_id": "it begins with the parent instance's id",
    "lifecycle": "debug is every one but secured",
    "measurement": "it is zeros in debug mode (Nitro), or the digest of all registers (TPM)",
    "pcrs": "the measurement is their digest",
    "pcr1": "zeros in debug mode",
    "pcr2": "zeros in debug mode",
}
"""Why a rule is left unchecked where another is tried."""

WIDE = {
    "version": "every version that is read is accepted",
    "product": "every product that is known",
    "signing_key": "VCEK and VLEK",
}
"""What the policies to begin with have a rule for that accepts all that there is."""

OF_SNP = {"debug", "vmpl", "policy_migration_agent", "platform_alias_check", *TCBS[:3], "revoked", *WIDE}
OF_SGX = {"debug", "tcb_status", "revoked"}
OF_TDX = OF_SGX | {
    "current_tcb_status",
    "version",
    "migratable",
    "td_attributes",
    "mr_signer_seam",
    "seam_attributes",
    *SERVICES,
}
BEGINNINGS = {
    "snp": OF_SNP,
    "sgx": OF_SGX | {"attributes"},
    "tdx": OF_TDX | {"sept_ve_disable"},
    "nitro": {"debug"},
    "cca": {"debug", "profile"},
    "tpm": {"debug", "pcr_bank", "ak_certified"},
    "az-snp-vtpm": OF_SNP | {"secure_boot"},
    "az-tdx-vtpm": OF_TDX | {"secure_boot"},
}
"""What the policies to begin with have a rule for, beside kind and measurement."""

UNKNOWN: dict[tuple[str, str], tuple[dict[str, Any], tuple[str, ...]]] = {
    ("snp", "revoked"): ({"revoked": None}, ()),
    ("snp", "chip_id"): ({"report": {0x1A0: bytes(64)}}, ()),
    **{("snp", name): (OLD, ("version", *MITIGATIONS)) for name in MITIGATIONS},
    **{("sgx", flag): ({"machine": {"flags": None}}, FLAGS) for flag in FLAGS},
    **{("tdx", flag): ({"machine": {"flags": None}}, FLAGS) for flag in FLAGS},
    **{("nitro", f"pcr{i}"): ({"pcrs": {i: None}}, ()) for i in (1, 2, 3, 4, 8)},
    ("tpm", "ak_certified"): ({"tpm_makers": ()}, ()),
    ("az-snp-vtpm", "secure_boot"): ({"vm": {"vmUniqueId": "VM"}}, ()),
    ("az-snp-vtpm", "vm_id"): ({"vm": {"secure-boot": True}}, ()),
    ("az-tdx-vtpm", "secure_boot"): ({"vm": {"vmUniqueId": "VM"}}, ()),
    ("az-tdx-vtpm", "vm_id"): ({"vm": {"secure-boot": True}}, ()),
}
"""What evidence may leave open: how to forge that, and what is left unchecked with it."""


@cache
def good(kind: str) -> Given:
    return FORGES[kind]()


@cache
def beginning(kind: str) -> AppraisalPolicy:
    """The policy to begin with, with the measurement put in."""
    return replace(read_policy(template(kind), kind), measurement=Exactly(RULES[kind]["measurement"].said))


@cache
def exact(kind: str) -> AppraisalPolicy:
    """Every rule is exactly what the good evidence claims."""
    rules = {name: Exactly(row.said) for name, row in RULES[kind].items() if name != "report_data"}
    return replace(beginning(kind), **rules)


def without(policy: AppraisalPolicy, *together: str) -> AppraisalPolicy:
    return replace(policy, **{name: Unchecked(reason=TOGETHER[name]) for name in together})


def judging(given: Given, policy: AppraisalPolicy, *, kind: str, fresh: bytes, now: int) -> AttestationResult:
    """The judge of the controls here: what is given (evidence and all that it is judged by) is one input of it."""
    return attestation_result(
        kind, given.evidence, given.endorsements, policy=policy, roots=given.roots, report_data=fresh, now=now
    )


def control(
    kind: str, *, given: Given | None = None, policy: AppraisalPolicy | None = None
) -> Control[AttestationResult]:
    """Good evidence under a policy that accepts it, and nothing else."""
    return Control(
        judging,
        kind=kind,
        given=given or good(kind),
        policy=policy or exact(kind),
        fresh=RULES[kind]["report_data"].said,
        now=NOW,
    )


def judged(kind: str, given: Given, policy: AppraisalPolicy) -> AttestationResult:
    """The verdict on other evidence under a policy that accepts the good, or on the good under another policy."""
    if given is good(kind):
        return control(kind).but(policy=policy)
    return control(kind, policy=policy).but(given=given)


def fixed(kind: str, given: Given | None = None) -> Control[AttestationResult]:
    """Evidence that has been verified once, and is appraised by what a test says."""
    given = given or good(kind)
    verified = examine(kind, given.evidence, given.endorsements, roots=given.roots, now=NOW).verified()
    fresh = RULES[kind]["report_data"].said
    return Control(partial(appraise, verified), policy=exact(kind), report_data=fresh, now=NOW)


def ids(result: AttestationResult, outcome: str) -> set[str]:
    return {check.id for check in result.checks if check.outcome == outcome}


def id_of(name: str) -> str:
    return name.replace("_", "-")


def cases(form: type[Varies | Fixed]) -> list[Any]:
    found = [(kind, name) for kind, rows in RULES.items() for name, row in rows.items() if isinstance(row, form)]
    return [pytest.param(*one, id="-".join(one)) for one in found]


def refused_for_this_alone(kind: str, name: str, policy: AppraisalPolicy) -> None:
    """The policy trusts the good evidence, and refuses another that is as authentic, for this and nothing else."""
    row: Any = RULES[kind][name]
    policy = without(policy, *row.together)
    assert judged(kind, good(kind), policy).status == TRUSTED
    result = judged(kind, FORGES[kind](**row.changes), policy)
    assert (result.status, ids(result, FAILED)) == (REFUSED, {id_of(name)})
    assert not ids(result, NOT_CHECKED) | ids(result, NOT_REACHED)


@pytest.mark.parametrize(("kind", "name"), cases(Varies))
def test_evidence_fails_this_rule_alone(kind: str, name: str) -> None:
    refused_for_this_alone(kind, name, exact(kind))


@pytest.mark.parametrize(("kind", "name"), cases(Varies))
def test_the_policy_to_begin_with_has_the_rules_that_it_should(kind: str, name: str) -> None:
    if name in BEGINNINGS[kind] - WIDE.keys() | {"measurement", "report_data"}:
        refused_for_this_alone(kind, name, beginning(kind))
    else:
        row: Any = RULES[kind][name]
        policy = without(beginning(kind), *row.together)
        assert judged(kind, FORGES[kind](**row.changes), policy).status == TRUSTED


@pytest.mark.parametrize("kind", RULES)
def test_and_no_others(kind: str) -> None:
    policy = beginning(kind)
    rules = {name for name in names(policy) if type(getattr(policy, name)) is not Unchecked}
    assert rules == BEGINNINGS[kind] | {"kind", "measurement"}


@pytest.mark.parametrize(("kind", "name"), cases(Fixed))
def test_a_rule_for_what_no_evidence_has_refuses_all(kind: str, name: str) -> None:
    row: Any = RULES[kind][name]
    result = fixed(kind).but(policy=replace(exact(kind), **{name: Exactly(row.other)}))
    assert (result.status, ids(result, FAILED)) == (REFUSED, {id_of(name)})
    assert {check.outcome for check in result.checks if check.id != id_of(name)} == {PASSED}


@pytest.mark.parametrize("kind", RULES)
def test_the_policy_to_begin_with_lacks_a_measurement_and_nothing_else(kind: str) -> None:
    result = control(kind, policy=beginning(kind)).but(policy=read_policy(template(kind), kind))
    assert (result.status, ids(result, FAILED)) == (REFUSED, {"measurement"})


@pytest.mark.parametrize("kind", RULES)
def test_of_a_kind_that_is_not_accepted_nothing_is_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row: Any = RULES[kind]["kind"]
    accepting = control(kind)
    assert accepting.but().status == TRUSTED
    monkeypatch.setattr("enarx.verify.examine", lambda *_, **__: pytest.fail("it was read"))
    result = accepting.but(policy=replace(exact(kind), kind=Exactly(row.other)))
    assert (result.status, ids(result, FAILED), ids(result, PASSED)) == (REFUSED, {"kind"}, set())


@pytest.mark.parametrize("kind", RULES)
def test_endorsements_that_have_ended_fail_alone(kind: str) -> None:
    until, verified = ENDS[kind], fixed(kind)
    assert verified.but().expires == until
    assert verified.but(now=(until or 1 << 60) - 1).status == TRUSTED
    if until is not None:
        for late in (until, until + 1):
            result = verified.but(now=late)
            assert (result.status, ids(result, FAILED)) == (REFUSED, {"endorsements-current"})


@pytest.mark.parametrize(("kind", "name"), UNKNOWN, ids="-".join)
def test_what_is_not_known_is_undecided(kind: str, name: str) -> None:
    changes, together = UNKNOWN[kind, name]
    others = without(exact(kind), *(other for other in together if other != name))
    result = judged(kind, FORGES[kind](**changes), others)
    rules = result.checks[-len(others.rules) :]
    assert (result.status, ids(result, FAILED)) == (UNDECIDED, set())
    assert {check.id for check in rules if check.outcome == NOT_CHECKED} == {id_of(name)}
    left = replace(others, **{name: Unchecked(reason="it is not known")})
    assert judged(kind, FORGES[kind](**changes), left).status == TRUSTED


@pytest.mark.parametrize(
    ("kind", "changes", "failed"),
    [
        ("snp", {"revoked": (7,)}, "revocation"),
        ("sgx", {"revoked": (4,)}, "revocation"),
        ("tdx", {"revoked": (4,)}, "revocation"),
        ("az-snp-vtpm", {"revoked": (7,)}, "snp-revocation"),
        ("az-tdx-vtpm", {"revoked": (4,)}, "td-revocation"),
    ],
)
def test_what_is_revoked_does_not_get_as_far_as_a_rule(kind: str, changes: dict[str, Any], failed: str) -> None:
    policy = replace(exact(kind), revoked=AnyOf((False, True)))
    result = judged(kind, FORGES[kind](**changes), policy)
    assert (result.status, ids(result, FAILED)) == (NOT_AUTHENTIC, {failed})
    assert "revoked" in ids(result, NOT_REACHED)
