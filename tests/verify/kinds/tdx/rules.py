"""Intel TDX module: TDREPORT_STRUCT and ATTRIBUTES."""

from __future__ import annotations

from typing import Any

from enarx.verify.matchers import AtLeast, Exactly, NoneOf
from enarx.verify.values import Bits
from tests.forge import intel
from tests.verify.families.intel_rules import BEGINNING, ENDS, OF_VENDOR, REVOKED, THINGS, TOGETHER, UNKNOWN, quoted
from tests.verify.vectors import At, Given, Rows, Varies, Vectors, at, le, over

DOMAIN_SIZE, EXTENDED_SIZE = 648, 885
MODULE = bytes([5, 1]) + bytes([3]) * 14
"""TEE_TCB_SVN: version 5 of the TDX module of major version 1."""


def tdx(report: At | None = None, *, size: int = DOMAIN_SIZE, version: int = 5, **more: Any) -> Given:
    return quoted(intel.TDX, over(intel.domain(size), report), version=version, **more)


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

VECTORS = Vectors(
    forge=tdx,
    rows=TDX,
    ends=ENDS,
    together={
        **TOGETHER,
        "td_attributes": "it has a bit for each of these",
        "tee_tcb_svn": "its first byte is the module's version",
        "tee_tcb_svn_2": "the machine's levels go by it",
        "svn": "it is the module's version at launch",
        "tcb_status": "it is no better than the module's",
        "current_tcb_status": "the platform is the same at launch and now, and it is no better than the module's",
        "current_module_status": "the status of the machine is no better",
        "current_tcb_date": "the platform is the same at launch and now",
        "current_advisories": "the platform is the same at launch and now",
    },
    beginning=BEGINNING
    | {
        "current_tcb_status",
        "version",
        "migratable",
        "td_attributes",
        "mr_signer_seam",
        "seam_attributes",
        "sept_ve_disable",
        *SERVICES,
    },
    wide={"version": "every version that is read is accepted"},
    unknown=UNKNOWN,
    revoked=REVOKED,
    things=THINGS,
    policy_id="LorluEeTaN1p-JDzEti0urCXqukiunrS7DIzlIOG2i4",
    decisive=("measurement", "rtmr0", "rtmr1", "rtmr2", "rtmr3"),
    vacuous={
        "any kernel but one": {"rtmr1": NoneOf((b"\7" * 48,))},
        "no bit is forbidden": {"td_attributes": NoneOf((Bits(0),))},
    },
    enough=(
        {"td_attributes": NoneOf((Bits(1 << 20),)), "sept_ve_disable": NoneOf((False,))},
        {"td_attributes": AtLeast(Bits(1 << 28))},
    ),
    lowered={
        "pages that can be taken away": (
            {"report": {120: bytes(8)}},
            {"sept_ve_disable": Exactly(False), "td_attributes": Exactly(Bits(0))},
            *("configuration", 32),
        ),
    },
)
