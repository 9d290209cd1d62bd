"""Azure's virtual TPM in a trustworthiness vector: the rules and facts that it adds to the hardware's."""

from __future__ import annotations

from enarx.verify.trust import CONFIGURATION, EXECUTABLES, INSTANCE, VULNERABLE, Fact, rules

RULES = {
    **rules(EXECUTABLES, "pcrs", decide=True),
    **rules(CONFIGURATION, "secure-boot", decide=True),
    **rules(INSTANCE, "vm-id"),
    **rules("", "reset-count", "restart-count"),
}

FACTS = (Fact("secure_boot", CONFIGURATION, VULNERABLE, lambda on: not on),)
