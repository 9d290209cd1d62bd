"""Intel SGX: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.families.intel import trust as intel
from enarx.verify.trust import COMMON, CONFIGURATION, EXECUTABLES, Trust, rules

RULES = {
    **COMMON,
    **intel.RULES,
    **rules(EXECUTABLES, "mr-signer", "isv-prod-id", "isv-ext-prod-id", "isv-family-id"),
    **rules(CONFIGURATION, "attributes", decide=True),
    **rules(CONFIGURATION, "config-svn", "xfrm", "misc-select"),
}

TRUST = Trust(RULES, intel.FACTS)
