"""What a trustworthiness vector says of each rule of each policy that passed, failed or leaves something open."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.record import names, replace
from enarx.verify import AppraisalPolicy, AttestationResult
from enarx.verify.claims import declared
from enarx.verify.ear import status
from enarx.verify.kinds import HARDWARE, find
from enarx.verify.kinds.snp.claims import Parts, Tcb
from enarx.verify.policy import AnyOf, AtLeast, Bits, Exactly, NoneOf, Unchecked
from enarx.verify.replay import appraise_event_log
from enarx.verify.result import REFUSED, TRUSTED, UNDECIDED
from enarx.verify.trust import BOOT, INSTANCE, VALUES, rank, vector
from tests.controls import Control
from tests.forge import eventlog, tpm
from tests.verify import test_replay
from tests.verify.kinds.simulated import test_simulated
from tests.verify.test_rules import (
    FORGES,
    OLDER,
    REGISTERS,
    RULES,
    UNKNOWN,
    Varies,
    control,
    exact,
    fixed,
    judged,
    without,
)

LEFT = Unchecked(reason="nobody asked")


def tier(result: AttestationResult) -> str:
    return status(result, vector(result))


def under(kind: str, policy: AppraisalPolicy, **forged: Any) -> AttestationResult:
    """Evidence that the policy trusts."""
    return control(kind, given=FORGES[kind](**forged), policy=policy).but()


def rules() -> list[tuple[str, str]]:
    return [(kind, name) for kind in HARDWARE for name in names(exact(kind))]


CHECKED = [(kind, name) for kind, name in rules() if name != "kind"]


@pytest.mark.parametrize("kind", HARDWARE)
def test_with_every_rule_set_all_that_the_kind_can_say_is_affirmed(kind: str) -> None:
    result = under(kind, exact(kind))
    claims = {claim.trustworthiness_claim for claim in declared(find(kind).claims()).values()} - {""}
    assert vector(result) == {claim: VALUES[claim].passed for claim in claims}
    assert tier(result) == "affirming"


@pytest.mark.parametrize(("kind", "name"), CHECKED)
def test_a_rule_left_unchecked_lowers_what_it_decides(kind: str, name: str) -> None:
    says = declared(find(kind).claims())[name]
    before, result = vector(under(kind, exact(kind))), under(kind, replace(exact(kind), **{name: LEFT}))
    if not says.decides:
        left = vector(result)
        assert left == {
            claim: value for claim, value in before.items() if claim != says.trustworthiness_claim or claim in left
        }
        assert tier(result) == "affirming"
    elif says.trustworthiness_claim == INSTANCE:  # which machine it is decides nothing of what runs
        assert (vector(result), tier(result)) == ({k: v for k, v in before.items() if k != INSTANCE}, "affirming")
    else:
        assert vector(result) == {**before, says.trustworthiness_claim: VALUES[says.trustworthiness_claim].left_open}
        assert tier(result) == "warning"


def test_what_decides_what_runs_is_never_left_open_by_an_affirming_result() -> None:
    """Each by itself, written down by hand: the measurement, kernel registers, a realm's registers, PCRs."""
    for kind, fields in (
        *((kind, ("measurement",)) for kind in ("snp", "sgx", "tdx", "nitro", "cca", "az-snp-vtpm", "az-tdx-vtpm")),
        ("tdx", ("rtmr0", "rtmr1", "rtmr2", "rtmr3")),
        ("cca", ("rem0", "rem1", "rem2", "rem3", "software_components")),
        ("tpm", ("pcrs", "ak_certified")),
        ("az-snp-vtpm", ("pcrs", "secure_boot")),
        ("az-tdx-vtpm", ("pcrs", "secure_boot")),
    ):
        for field in fields:
            assert tier(under(kind, replace(exact(kind), **{field: LEFT}))) == "warning", (kind, field)


@pytest.mark.parametrize(("kind", "name"), [c for c in CHECKED if isinstance(RULES[c[0]][c[1]], Varies)])
def test_a_rule_that_fails_contradicts_its_claim(kind: str, name: str) -> None:
    row: Any = RULES[kind][name]
    result = judged(kind, FORGES[kind](**row.changes), without(exact(kind), *row.together))
    says = declared(find(kind).claims())[name]
    assert result.status == REFUSED
    assert tier(result) == "contraindicated"
    if says.trustworthiness_claim:
        assert rank(vector(result)[says.trustworthiness_claim]) == 3


@pytest.mark.parametrize(("kind", "name"), [one for one in UNKNOWN if declared(find(one[0]).claims())[one[1]].decides])
def test_what_is_not_known_is_as_good_as_unchecked(kind: str, name: str) -> None:
    changes, together = UNKNOWN[kind, name]
    result = judged(kind, FORGES[kind](**changes), without(exact(kind), *(one for one in together if one != name)))
    says = declared(find(kind).claims())[name]
    assert result.status == UNDECIDED
    assert vector(result).get(says.trustworthiness_claim, 0) == VALUES[says.trustworthiness_claim].left_open
    assert tier(result) != "affirming"


VACUOUS: dict[str, tuple[str, dict[str, Any]]] = {
    "any measurement but one": ("snp", {"measurement": NoneOf((bytes(48),))}),
    "any kernel but one": ("tdx", {"rtmr1": NoneOf((b"\7" * 48,))}),
    "no bit is forbidden": ("tdx", {"td_attributes": NoneOf((Bits(0),))}),
    "no bit is asked for": ("sgx", {"attributes": AtLeast(Bits(0))}),
    "any status but one": ("sgx", {"tcb_status": NoneOf(("OutOfDate",))}),
    "any privilege level": ("snp", {"vmpl": AtLeast(0)}),
    "a floor of nothing": ("snp", {"reported_tcb": AtLeast(Tcb(genoa=Parts()))}),
    "a floor of nothing, of another product as well": (
        *("az-snp-vtpm", {"launch_tcb": AtLeast(Tcb(milan=Parts(snp=1), genoa=Parts(), turin=Parts(snp=1)))}),
    ),
    "one component among others": ("cca", {"software_components": AtLeast((f"BL:{'04' * 32}:{'05' * 32}",))}),
    "a floor of one register": ("az-snp-vtpm", {"pcrs": AtLeast(REGISTERS[7:8])}),
    "boot loader and kernel, not the firmware": ("az-tdx-vtpm", {"pcrs": AtLeast((*REGISTERS[4:5], *REGISTERS[8:15]))}),
    "any registers but these": ("az-tdx-vtpm", {"pcrs": NoneOf((f"4:{'77' * 32}",))}),
    "the digest of registers, not which": ("tpm", {"pcrs": LEFT}),
}


@pytest.mark.parametrize("name", VACUOUS)
def test_a_rule_that_leaves_open_what_it_decides_is_as_good_as_unchecked(name: str) -> None:
    kind, changes = VACUOUS[name]
    ((field, _),) = changes.items()
    result = under(kind, replace(exact(kind), **changes))
    claim = declared(find(kind).claims())[field].trustworthiness_claim
    assert (vector(result)[claim], tier(result)) == (VALUES[claim].left_open, "warning")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("snp", {"measurement": AnyOf((b"\1" * 48, b"\2" * 48))}),
        ("tdx", {"td_attributes": NoneOf((Bits(1 << 20),)), "sept_ve_disable": NoneOf((False,))}),
        ("tdx", {"td_attributes": AtLeast(Bits(1 << 28))}),
        ("snp", {"committed_tcb": AtLeast(Tcb(genoa=Parts(microcode=1)))}),
        ("az-snp-vtpm", {"pcrs": AtLeast(tuple(REGISTERS[i] for i in BOOT))}),
        ("az-tdx-vtpm", {"pcrs": AnyOf(REGISTERS)}),
        ("sgx", {"tcb_status": AnyOf(("UpToDate", "ConfigurationNeeded"))}),
    ],
)
def test_a_rule_that_says_enough_need_not_say_more(kind: str, changes: dict[str, Any]) -> None:
    assert tier(under(kind, replace(exact(kind), **changes))) == "affirming"


ALL_OLD = {0x180: OLDER, 0x1E0: OLDER, 0x1F0: OLDER}
FLOOR = AtLeast(Tcb(genoa=Parts()))

ACCEPTED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, int]] = {
    "a guest that can be read": (
        *("snp", {"report": {0x08: (0x30000 | 1 << 19).to_bytes(8, "little")}}),
        *({"debug": AnyOf((True, False))}, "runtime-opaque", 96),
    ),
    "a guest that may migrate": (
        *("snp", {"report": {0x08: (0x30000 | 1 << 18).to_bytes(8, "little")}}),
        *({"policy_migration_agent": Exactly(True)}, "runtime-opaque", 32),
    ),
    "a machine without the alias check": (
        *("snp", {"report": {0x40: (0x05).to_bytes(8, "little")}}),
        *({"platform_alias_check": Exactly(False)}, "hardware", 32),
    ),
    "a machine behind, above a floor of nothing": (
        *("snp", {"report": ALL_OLD, "tcb": OLDER}),
        *(dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb"), FLOOR), "hardware", 32),
    ),
    "a status with advisories": (
        *("sgx", {"level": {"status": "ConfigurationNeeded", "advisories": ("INTEL-SA-00837",)}}),
        *({"tcb_status": AnyOf(("UpToDate", "ConfigurationNeeded")), "advisories": LEFT}, "hardware", 32),
    ),
    "advisories of an enclave that is up to date": (
        *("sgx", {"level": {"advisories": ("INTEL-SA-00837",)}}),
        *({"advisories": LEFT}, "hardware", 32),
    ),
    "pages that can be taken away": (
        *("tdx", {"report": {120: bytes(8)}}),
        *({"sept_ve_disable": Exactly(False), "td_attributes": Exactly(Bits(0))}, "configuration", 32),
    ),
    "no secure boot": (
        *("az-snp-vtpm", {"vm": {"secure-boot": False, "vmUniqueId": "VM"}}),
        *({"secure_boot": Exactly(False)}, "configuration", 32),
    ),
    "a platform that is not secured": (
        *("cca", {"platform": {"c2395": 0x4003}}),
        *({"debug": Exactly(True), "lifecycle": LEFT}, "runtime-opaque", 96),
    ),
}
"""Kind, what to forge, the rules that accept it, and what it is all the same."""


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_a_policy_accepts_may_be_worth_a_warning_to_others(name: str) -> None:
    kind, forged, changes, claim, value = ACCEPTED[name]
    policy = replace(exact(kind), **changes)
    result = under(kind, policy, **forged)
    assert vector(result)[claim] == value
    assert tier(result) == ("warning" if value < 96 else "contraindicated")


def test_azures_paravisor_is_in_between() -> None:
    policy = replace(exact("az-tdx-vtpm"), sept_ve_disable=LEFT, td_attributes=Exactly(Bits(0)))
    assert tier(under("az-tdx-vtpm", policy, report={120: bytes(8)})) == "affirming"


def test_simulated_hardware_is_none() -> None:
    result = test_simulated.Vector().judge()
    assert result.status == TRUSTED
    assert (vector(result)["hardware"], vector(result)["runtime-opaque"]) == (97, 96)
    assert tier(result) == "contraindicated"


def test_a_tpm_keeps_nobody_out_and_does_not_say_so() -> None:
    assert "runtime-opaque" not in vector(under("tpm", exact("tpm")))


def test_of_stale_evidence_nothing_is_claimed() -> None:
    verified = fixed("snp")
    assert vector(verified.but())
    for result in (verified.but(report_data=b"\7" * 64), verified.but(now=1 << 40)):
        assert (vector(result), tier(result)) == ({}, "contraindicated")


def test_a_log_that_does_not_lead_to_the_registers_contradicts_them() -> None:
    """A log beside the quote does not stand in for a rule."""
    log = test_replay.LOG
    pcrs = tuple(eventlog.extended(log).get(i, bytes(32)) for i in range(24))
    changes: dict[str, Any] = {
        "measurement": LEFT,
        "pcrs": Exactly(tuple(f"{i}:{value.hex()}" for i, value in enumerate(pcrs))),
    }
    quoted = under("tpm", replace(exact("tpm"), **changes), pcrs=pcrs)
    assert len(pcrs) == len(tpm.PCRS)
    beside = Control(appraise_event_log, found=quoted, log=log)
    good_log, bad_log = beside.but(), beside.but(log=test_replay.without(0))
    assert (tier(good_log), vector(good_log)) == ("affirming", vector(quoted))
    assert (tier(bad_log), vector(bad_log)["executables"]) == ("contraindicated", 96)
    unnamed = under("tpm", replace(exact("tpm"), measurement=LEFT, pcrs=LEFT), pcrs=pcrs)
    assert vector(appraise_event_log(unnamed, log))["executables"] == 33


def test_tiers_by_value() -> None:
    tiers = {0: (2, 31, -2, -32), 1: (0, 1, -1), 2: (32, 95, -33, -96), 3: (96, 127, -97, -128)}
    assert {value: rank(value) for values in tiers.values() for value in values} == {
        value: place for place, values in tiers.items() for value in values
    }
