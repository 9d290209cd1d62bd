"""Intel TDX: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.families.intel import trust as intel
from enarx.verify.trust import (
    COMMON,
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    NOT_ENCRYPTED,
    OPAQUE,
    VULNERABLE,
    Fact,
    Trust,
    rules,
)

RULES = {
    **COMMON,
    **intel.RULES,
    **rules(EXECUTABLES, "rtmr1", "rtmr2", "rtmr3", decide=True),
    **rules(CONFIGURATION, "rtmr0", "td-attributes", "sept-ve-disable", decide=True),
    **rules(CONFIGURATION, "xfam", "mr-owner", "mr-owner-config"),
    **rules(OPAQUE, "migratable", "mr-service-td", "current-service-td", decide=True),
    **rules(HARDWARE, "mr-signer-seam", "seam-attributes", "current-tcb-status", decide=True),
    **rules(HARDWARE, "svn", "version", "mr-seam", "tee-tcb-svn", "tee-tcb-svn-2"),
    **rules(HARDWARE, "current-tcb-date", "current-advisories", "module-status", "current-module-status"),
}

BELOW_A_PARAVISOR = (
    *intel.FACTS,
    Fact("migratable", OPAQUE, NOT_ENCRYPTED, bool),
    Fact("current_tcb_status", HARDWARE, VULNERABLE, lambda status: status != "UpToDate"),
    Fact("current_advisories", HARDWARE, VULNERABLE, bool),
)
"""What lowers the vector of a trust domain that a paravisor stands in: SEPT_VE_DISABLE is the paravisor's business then."""

FACTS = (*BELOW_A_PARAVISOR, Fact("sept_ve_disable", CONFIGURATION, VULNERABLE, lambda on: not on))
TRUST = Trust(RULES, FACTS)
