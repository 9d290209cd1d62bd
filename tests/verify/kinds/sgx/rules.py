"""Intel SDM 3D, 38.15 and 38.7."""

from __future__ import annotations

from typing import Any

from enarx.verify.matchers import AnyOf, AtLeast, NoneOf
from enarx.verify.values import Bits
from tests.forge import intel
from tests.verify.families.intel_rules import BEGINNING, ENDS, OF_VENDOR, REVOKED, THINGS, TOGETHER, UNKNOWN, quoted
from tests.verify.vectors import LEFT, At, Given, Rows, Vectors, at, le, over


def sgx(report: At | None = None, **more: Any) -> Given:
    return quoted(intel.SGX, over(intel.enclave(), report), **more)


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

VECTORS = Vectors(
    forge=sgx,
    rows=SGX,
    ends=ENDS,
    together=TOGETHER | {"attributes": "it has the bit DEBUG"},
    beginning=BEGINNING | {"attributes"},
    unknown=UNKNOWN,
    revoked=REVOKED,
    things=THINGS,
    policy_id="UEHPkj7_l9xptmKN8d6u2_u1icDlYfiBbEWdZ-C-Pjg",
    decisive=("measurement",),
    vacuous={
        "no bit is asked for": {"attributes": AtLeast(Bits(0))},
        "any status but one": {"tcb_status": NoneOf(("OutOfDate",))},
    },
    enough=({"tcb_status": AnyOf(("UpToDate", "ConfigurationNeeded"))},),
    lowered={
        "a status with advisories": (
            {"level": {"status": "ConfigurationNeeded", "advisories": ("INTEL-SA-00837",)}},
            {"tcb_status": AnyOf(("UpToDate", "ConfigurationNeeded")), "advisories": LEFT},
            *("hardware", 32),
        ),
        "advisories of an enclave that is up to date": (
            *({"level": {"advisories": ("INTEL-SA-00837",)}}, {"advisories": LEFT}),
            *("hardware", 32),
        ),
    },
)
