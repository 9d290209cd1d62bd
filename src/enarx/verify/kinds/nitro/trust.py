"""AWS Nitro Enclaves: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.trust import COMMON, CONFIGURATION, EXECUTABLES, INSTANCE, Trust, rules

RULES = {
    **COMMON,
    **rules(EXECUTABLES, "pcr1", "pcr2", "pcr8"),
    **rules(CONFIGURATION, "user-data", "public-key"),
    **rules(INSTANCE, "pcr3", "pcr4", "module-id"),
    **rules("", "svn"),
}

TRUST = Trust(RULES)
