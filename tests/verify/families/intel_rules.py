"""Quotes of SGX and TDX, forged with what a vendor says of the machine."""

from __future__ import annotations

import hashlib
from typing import Any

from enarx.verify import Roots
from tests.forge import intel
from tests.verify.vectors import NOW, Ends, Fixed, Given, Rows, Varies


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

TOGETHER = dict.fromkeys(FLAGS, "a machine's certificate has all three or none")
UNKNOWN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    flag: ({"machine": {"flags": None}}, FLAGS) for flag in FLAGS
}
BEGINNING = frozenset({"debug", "tcb_status", "revoked"})
REVOKED: tuple[dict[str, Any], str] = ({"revoked": (4,)}, "revocation")
ENDS = NOW + 1000
THINGS = (
    *("PCK", "Platform CA", "Root CA", "TCB Signing"),
    *("TCB info", "identity", "list of Intel SGX PCK Platform CA", "list of Intel SGX Root CA"),
)
