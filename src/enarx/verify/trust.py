"""The trustworthiness vector of a result (draft-ietf-rats-ar4si, 2.3.4), by the table in docs/attestation/results.md.

Each rule of a policy speaks for one claim of the vector. A rule that decides its claim must be set and must leave nothing open:
otherwise the claim falls to a warning. A rule that fails contradicts its claim. Some claims of evidence lower the vector even if
the policy accepts them: the policy says what its owner accepts, the vector tells other parties what the machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import dropwhile
from typing import Any, NamedTuple

from enarx.formats.evidence import SIMULATED
from enarx.verify.policies.snp import NEWEST, PRODUCTS, Parts, Tcb
from enarx.verify.policy import AnyOf, AtLeast, Bits, Exactly, Matcher
from enarx.verify.claims import Claims
from enarx.verify.result import FAILED, PASSED, AttestationResult
from enarx.verify.values import Unknown

INSTANCE, CONFIGURATION, EXECUTABLES, HARDWARE, OPAQUE = (
    "instance-identity",
    "configuration",
    "executables",
    "hardware",
    "runtime-opaque",
)
"""The claims of the vector that are made here."""


class Values(NamedTuple):
    """The values of a claim of the vector: after a rule that passed, after a deciding rule that leaves it open, after a rule
    that failed.
    """

    passed: int
    left_open: int
    failed: int


LEFT_OPEN = -33
"""A warning that AR4SI has no number for: the policy leaves open what decides the claim."""

VALUES = {
    INSTANCE: Values(2, 0, 97),
    CONFIGURATION: Values(2, 36, 96),
    EXECUTABLES: Values(3, 33, 96),
    HARDWARE: Values(2, LEFT_OPEN, 96),
    OPAQUE: Values(2, LEFT_OPEN, 96),
}
"""0 is no claim: a policy that takes any machine recognizes none, and affirms the rest all the same."""

NO_CLAIM = 0
VULNERABLE = 32
"""Of configuration or hardware: with known vulnerabilities."""

NOT_ENCRYPTED = 32
"""Of runtime-opaque: closed to other guests, not to the machine's operator."""

NOT_RECOGNIZED = 97
VISIBLE = 96


class Says(NamedTuple):
    """The claim of the vector that a rule speaks for ("" is none), and whether the rule decides it."""

    claim: str
    decides: bool = False


def _rules(claim: str, *ids: str, decide: bool = False) -> dict[str, Says]:
    return dict.fromkeys(ids, Says(claim, decide))


COMMON = {
    **_rules(HARDWARE, "kind", decide=True),
    **_rules(EXECUTABLES, "measurement", decide=True),
    **_rules(CONFIGURATION, "host-data"),
    **_rules(OPAQUE, "debug", decide=True),
    **_rules(EXECUTABLES, "svn"),
    **_rules(INSTANCE, "chip-id", decide=True),
}
VENDOR = {
    **_rules(HARDWARE, "tcb-status", "revoked", decide=True),
    **_rules(HARDWARE, "tcb-date", "advisories", "tcb-evaluation-number", "fmspc"),
    **_rules(HARDWARE, "dynamic-platform", "cached-keys", "smt-enabled"),
    **_rules(INSTANCE, "ppid"),
}
SNP = {
    **COMMON,
    **_rules(OPAQUE, "policy-migration-agent", decide=True),
    **_rules(CONFIGURATION, "vmpl", decide=True),
    **_rules(CONFIGURATION, "policy-smt", "policy-single-socket", "policy-cxl", "policy-aes-256-xts", "policy-abi"),
    **_rules(CONFIGURATION, "policy-rapl-disabled", "policy-ciphertext-hiding", "policy-page-swap-disabled"),
    **_rules(HARDWARE, "reported-tcb", "committed-tcb", "launch-tcb", "revoked", "platform-alias-check", decide=True),
    **_rules(HARDWARE, "version", "product", "current-tcb", "launch-mitigations", "current-mitigations"),
    **_rules(HARDWARE, "platform-smt", "platform-tsme", "platform-ecc", "platform-rapl-disabled"),
    **_rules(HARDWARE, "platform-ciphertext-hiding", "platform-tio"),
    **_rules(EXECUTABLES, "family-id", "image-id", "id-key-digest", "author-key-digest"),
    **_rules(INSTANCE, "signing-key", "csp-id", "report-id", "report-id-ma"),
}
SGX = {
    **COMMON,
    **VENDOR,
    **_rules(EXECUTABLES, "mr-signer", "isv-prod-id", "isv-ext-prod-id", "isv-family-id"),
    **_rules(CONFIGURATION, "attributes", decide=True),
    **_rules(CONFIGURATION, "config-svn", "xfrm", "misc-select"),
}
TDX = {
    **COMMON,
    **VENDOR,
    **_rules(EXECUTABLES, "rtmr1", "rtmr2", "rtmr3", decide=True),
    **_rules(CONFIGURATION, "rtmr0", "td-attributes", "sept-ve-disable", decide=True),
    **_rules(CONFIGURATION, "xfam", "mr-owner", "mr-owner-config"),
    **_rules(OPAQUE, "migratable", "mr-service-td", "current-service-td", decide=True),
    **_rules(HARDWARE, "mr-signer-seam", "seam-attributes", "current-tcb-status", decide=True),
    **_rules(HARDWARE, "svn", "version", "mr-seam", "tee-tcb-svn", "tee-tcb-svn-2"),
    **_rules(HARDWARE, "current-tcb-date", "current-advisories", "module-status", "current-module-status"),
}
NITRO = {
    **COMMON,
    **_rules(EXECUTABLES, "pcr1", "pcr2", "pcr8"),
    **_rules(CONFIGURATION, "user-data", "public-key"),
    **_rules(INSTANCE, "pcr3", "pcr4", "module-id"),
    **_rules("", "svn"),
}
CCA = {
    **COMMON,
    **_rules(EXECUTABLES, "rem0", "rem1", "rem2", "rem3", decide=True),
    **_rules(HARDWARE, "software-components", decide=True),
    **_rules(HARDWARE, "profile", "implementation-id", "platform-config"),
    **_rules(OPAQUE, "lifecycle"),
    **_rules("", "svn"),
}
TPM = {
    **COMMON,
    **_rules(EXECUTABLES, "pcrs", decide=True),
    **_rules(EXECUTABLES, "measurement", "pcr-bank"),
    **_rules(HARDWARE, "ak-certified", decide=True),
    **_rules(HARDWARE, "firmware"),
    **_rules("", "debug", "svn", "reset-count", "restart-count", "clock-safe"),
}
AZURE = {
    **_rules(EXECUTABLES, "pcrs", decide=True),
    **_rules(CONFIGURATION, "secure-boot", decide=True),
    **_rules(INSTANCE, "vm-id"),
    **_rules("", "reset-count", "restart-count"),
}
TABLE: Mapping[str, Mapping[str, Says]] = {
    SIMULATED: COMMON,
    "snp": SNP,
    "sgx": SGX,
    "tdx": TDX,
    "nitro": NITRO,
    "cca": CCA,
    "tpm": TPM,
    "az-snp-vtpm": SNP | AZURE,
    "az-tdx-vtpm": {
        **(TDX | AZURE),
        **_rules(EXECUTABLES, "rtmr1", "rtmr2", "rtmr3"),  # zeros: the guest is in the PCRs
        **_rules(CONFIGURATION, "rtmr0", "sept-ve-disable"),
    },
}
"""Every rule of every kind. `tests/house/test_results.py` compares it with the policies and the docs."""

LOG = Says(EXECUTABLES)
"""The claim that the replay of a boot event log speaks for (`enarx.verify.replay`)."""

BOOT = frozenset((0, 2, 4, 8, 9, 11, 12, 13, 14))
"""The registers of a TPM that tell what runs: firmware and its drivers, boot loaders, the files that GRUB or systemd-stub load
(kernel, command line, initrd, extensions), and the keys that shim trusts (TCG PFP 3.3.4; UAPI, Linux TPM PCR Registry)."""


def vector(result: AttestationResult) -> dict[str, int]:
    """The trustworthiness claims of an appraisal, by name. Empty for evidence that was held against no policy, is not fresh, or
    has endorsements that have ended.
    """
    claims, policy = result.claims, result.policy
    if claims is None or policy is None:
        return {}
    found = dict(_despite(claims))
    appraisal = dropwhile(lambda check: check.id != "endorsements-current", result.checks)
    outcomes = {check.id: check.outcome for check in appraisal}
    if FAILED in (outcomes.pop("endorsements-current"), outcomes.pop("report-data")):
        return {}
    for id, outcome in outcomes.items():
        claim, decides = TABLE[claims.kind].get(id, LOG)
        if not claim:
            continue
        passed, left_open, failed = VALUES[claim]
        if outcome == FAILED:
            value = failed
        elif outcome == PASSED and not (decides and _leaves_open(id, getattr(policy, id.replace("-", "_")), claims)):
            value = passed
        elif decides:
            value = left_open
        else:
            continue
        found[claim] = max(found.get(claim, value), value, key=rank)
    return {claim: value for claim, value in found.items() if value != NO_CLAIM}


TIERS = ("affirming", "none", "warning", "contraindicated")
"""The best first."""


def rank(value: int) -> int:
    """The place in `TIERS` of a trustworthiness claim's value (AR4SI, 2.3.2)."""
    if -1 <= value <= 1:
        return 1
    least = value if value > 0 else -value - 1
    return 0 if least < 32 else 2 if least < 96 else 3


def _leaves_open(id: str, matcher: Matcher, claims: Claims) -> bool:
    """Does a rule that passed only exclude some values, or none?"""
    if id == "pcrs":
        return not registers_named(matcher, getattr(claims, id)) >= BOOT
    match matcher:
        case Exactly() | AnyOf():
            return False
        case AtLeast():
            return type(matcher.value) is tuple or matcher.accepts(_least(getattr(claims, id.replace("-", "_"))))
        case _:
            return any(type(one) is not bool and not (type(one) is Bits and one.mask) for one in matcher.values)


def _least(claim: Any) -> Any:
    """The least value that a claim with an order may have: a floor that takes it takes everything."""
    if type(claim) is not Tcb:
        return type(claim)(0)
    return Tcb(**{name: None if getattr(claim, name) is None else Parts() for name in PRODUCTS})


def registers_named(matcher: Matcher, pcrs: tuple[str, ...]) -> set[int]:
    """The registers whose values a rule names, of those in the evidence that it accepted."""
    match matcher:
        case Exactly() | AnyOf():
            named = pcrs
        case _:
            named = matcher.values[0] if isinstance(matcher, AtLeast) else ()
    return {int(one.partition(":")[0]) for one in named}


def _despite(claims: Claims) -> Iterator[tuple[str, int]]:
    """The facts of `FACTS` that this evidence has: claim of the vector and value."""
    for fact in FACTS:
        found = getattr(claims, fact.name, None)
        known = found is not None and type(found) is not Unknown
        if known and (claims.kind, fact.name) not in MEANT and fact.bad(found):
            yield fact.claim, fact.value


def _behind(tcb: Any) -> bool:
    """Is a TCB behind the newest known for its product?"""
    return not any((parts := getattr(tcb, name)) is not None and parts >= NEWEST[name] for name in PRODUCTS)


class Fact(NamedTuple):
    """A claim of evidence that lowers a claim of the vector to a value, if `bad` says so."""

    name: str
    claim: str
    value: int
    bad: Callable[[Any], bool]


FACTS = (
    Fact("policy_migration_agent", OPAQUE, NOT_ENCRYPTED, bool),
    Fact("migratable", OPAQUE, NOT_ENCRYPTED, bool),
    Fact("secure_boot", CONFIGURATION, VULNERABLE, lambda on: not on),
    Fact("sept_ve_disable", CONFIGURATION, VULNERABLE, lambda on: not on),
    Fact("tcb_status", HARDWARE, VULNERABLE, lambda status: status != "UpToDate"),
    Fact("current_tcb_status", HARDWARE, VULNERABLE, lambda status: status != "UpToDate"),
    Fact("advisories", HARDWARE, VULNERABLE, bool),
    Fact("current_advisories", HARDWARE, VULNERABLE, bool),
    Fact("platform_alias_check", HARDWARE, VULNERABLE, lambda complete: not complete),
    Fact("reported_tcb", HARDWARE, VULNERABLE, _behind),
    Fact("committed_tcb", HARDWARE, VULNERABLE, _behind),
    Fact("launch_tcb", HARDWARE, VULNERABLE, _behind),
    Fact("debug", OPAQUE, VISIBLE, bool),
    Fact("kind", HARDWARE, NOT_RECOGNIZED, lambda kind: kind == SIMULATED),
    Fact("kind", OPAQUE, VISIBLE, lambda kind: kind == SIMULATED),
)
"""Whatever the policy accepts; the worst last."""

MEANT = {("az-tdx-vtpm", "sept_ve_disable")}
"""Clear on every Azure machine: the paravisor is in between."""
