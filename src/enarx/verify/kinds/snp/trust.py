"""AMD SEV-SNP: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from typing import Any

from enarx.verify.kinds.snp.claims import NEWEST, PRODUCTS
from enarx.verify.trust import (
    COMMON,
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    INSTANCE,
    NOT_ENCRYPTED,
    OPAQUE,
    VULNERABLE,
    Fact,
    Trust,
    rules,
)

RULES = {
    **COMMON,
    **rules(OPAQUE, "policy-migration-agent", decide=True),
    **rules(CONFIGURATION, "vmpl", decide=True),
    **rules(CONFIGURATION, "policy-smt", "policy-single-socket", "policy-cxl", "policy-aes-256-xts", "policy-abi"),
    **rules(CONFIGURATION, "policy-rapl-disabled", "policy-ciphertext-hiding", "policy-page-swap-disabled"),
    **rules(HARDWARE, "reported-tcb", "committed-tcb", "launch-tcb", "revoked", "platform-alias-check", decide=True),
    **rules(HARDWARE, "version", "product", "current-tcb", "launch-mitigations", "current-mitigations"),
    **rules(HARDWARE, "platform-smt", "platform-tsme", "platform-ecc", "platform-rapl-disabled"),
    **rules(HARDWARE, "platform-ciphertext-hiding", "platform-tio"),
    **rules(EXECUTABLES, "family-id", "image-id", "id-key-digest", "author-key-digest"),
    **rules(INSTANCE, "signing-key", "csp-id", "report-id", "report-id-ma"),
}


def _behind(tcb: Any) -> bool:
    """Is a TCB behind the newest known for its product?"""
    return not any((parts := getattr(tcb, name)) is not None and parts >= NEWEST[name] for name in PRODUCTS)


FACTS = (
    Fact("policy_migration_agent", OPAQUE, NOT_ENCRYPTED, bool),
    Fact("platform_alias_check", HARDWARE, VULNERABLE, lambda complete: not complete),
    Fact("reported_tcb", HARDWARE, VULNERABLE, _behind),
    Fact("committed_tcb", HARDWARE, VULNERABLE, _behind),
    Fact("launch_tcb", HARDWARE, VULNERABLE, _behind),
)
TRUST = Trust(RULES, FACTS)
