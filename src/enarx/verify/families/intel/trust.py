"""Intel's word for a machine, in a trustworthiness vector: the rules and facts that SGX and TDX share."""

from __future__ import annotations

from enarx.verify.trust import HARDWARE, INSTANCE, VULNERABLE, Fact, rules

RULES = {
    **rules(HARDWARE, "tcb-status", "revoked", decide=True),
    **rules(HARDWARE, "tcb-date", "advisories", "tcb-evaluation-number", "fmspc"),
    **rules(HARDWARE, "dynamic-platform", "cached-keys", "smt-enabled"),
    **rules(INSTANCE, "ppid"),
}

FACTS = (
    Fact("tcb_status", HARDWARE, VULNERABLE, lambda status: status != "UpToDate"),
    Fact("advisories", HARDWARE, VULNERABLE, bool),
)
