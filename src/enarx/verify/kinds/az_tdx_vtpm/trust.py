"""Azure's confidential VMs on TDX: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.families import azure_trust as azure
from enarx.verify.kinds.tdx import trust as tdx
from enarx.verify.trust import CONFIGURATION, EXECUTABLES, Trust, rules

RULES = {
    **tdx.RULES,
    **azure.RULES,
    **rules(EXECUTABLES, "rtmr1", "rtmr2", "rtmr3"),  # zeros: the guest is in the PCRs
    **rules(CONFIGURATION, "rtmr0", "sept-ve-disable"),
}
TRUST = Trust(RULES, (*tdx.BELOW_A_PARAVISOR, *azure.FACTS))
