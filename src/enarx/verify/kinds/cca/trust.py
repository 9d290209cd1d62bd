"""Arm CCA: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.trust import COMMON, EXECUTABLES, HARDWARE, OPAQUE, Trust, rules

RULES = {
    **COMMON,
    **rules(EXECUTABLES, "rem0", "rem1", "rem2", "rem3", decide=True),
    **rules(HARDWARE, "software-components", decide=True),
    **rules(HARDWARE, "profile", "implementation-id", "platform-config"),
    **rules(OPAQUE, "lifecycle"),
    **rules("", "svn"),
}

TRUST = Trust(RULES)
