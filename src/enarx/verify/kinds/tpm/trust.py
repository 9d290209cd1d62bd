"""TPM 2.0: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.trust import COMMON, EXECUTABLES, HARDWARE, Trust, rules

RULES = {
    **COMMON,
    **rules(EXECUTABLES, "pcrs", decide=True),
    **rules(EXECUTABLES, "measurement", "pcr-bank"),
    **rules(HARDWARE, "ak-certified", decide=True),
    **rules(HARDWARE, "firmware"),
    **rules("", "debug", "svn", "reset-count", "restart-count", "clock-safe"),
}

TRUST = Trust(RULES)
