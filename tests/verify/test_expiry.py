"""A result carries the earliest end of everything that it rests on, says what ends then, and cannot be had from then on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.evidence_files import believed, endorsements, trust_anchors
from enarx.formats.evidence.nitro import Evidence
from enarx.record import as_dict
from enarx.verify import AppraisalPolicy, AttestationResult, Roots, attestation_result, examine, unappraised
from enarx.verify.appraise import MIN_FRESH, unverified
from enarx.verify.claims import Claims
from enarx.verify.ear import MAX_LIFETIME, ear
from enarx.verify.kinds import HARDWARE, detect
from enarx.verify.policy import Exactly, Unchecked
from enarx.verify.policy_file import policy_type
from enarx.verify.result import AUTHENTIC, NOT_AUTHENTIC, REFUSED, TRUSTED
from enarx.verify.values import Unknown
from tests.cli.test_evidence import VECTORS, evidence_file
from tests.controls import Control
from tests.forge.simulated import Forge
from tests.verify.kinds.simulated import test_simulated
from tests.verify.test_rules import FORGES, NOW, Given, control, exact, fixed, good, judged, over

SOON = NOW + 50
AMD = ("ARK", "ASK", "VCEK", "list")
INTEL = (
    *("PCK", "Platform CA", "Root CA", "TCB Signing"),
    *("TCB info", "identity", "list of Intel SGX PCK Platform CA", "list of Intel SGX Root CA"),
)
THINGS = {
    "snp": AMD,
    "sgx": INTEL,
    "tdx": INTEL,
    "nitro": ("certificate 0", "certificate 1", "the document's certificate"),
    "cca": (),
    "tpm": ("certificate of the key", "issuer 1", "issuer 2", "list"),
    "az-snp-vtpm": AMD,
    "az-tdx-vtpm": INTEL,
}
"""Of each kind what ends that its evidence is judged by, by a name that the result has for it."""

CASES = [(kind, thing) for kind, things in THINGS.items() for thing in things]


def test_the_table_is_complete() -> None:
    assert tuple(THINGS) == HARDWARE
    for kind, things in THINGS.items():
        ends = [f.reason for f in judged(kind, good(kind), exact(kind)).forecast if f.until is not None]
        assert len(ends) == len(set(ends)) == len(things)
        assert all(any(thing in reason for reason in ends) for thing in things), ends


@pytest.mark.parametrize(("kind", "thing"), CASES)
def test_what_ends_first_ends_the_result(kind: str, thing: str) -> None:
    accepting = control(kind, given=FORGES[kind](ends={thing: SOON}))
    result = accepting.but()
    assert (result.status, result.expires) == (TRUSTED, SOON)
    assert thing in str(result.ends_first)
    value = result.to_value()
    assert (value["expires"], value["ends_first"], value["at"]) == (SOON, result.ends_first, NOW)
    assert ear(result, build="")["exp"] == SOON
    assert accepting.but(now=SOON - 1).status == TRUSTED
    assert accepting.but(now=SOON).status != TRUSTED
    after = accepting.but(now=SOON + 1)
    if (kind, thing) == ("tpm", "list"):  # no rule asks for it: without a list that holds, something else ends first
        assert (after.status, after.expires) == (TRUSTED, NOW + 1000)
    else:
        assert after.status != TRUSTED


def test_simulated_evidence_ends_with_its_chip_certificate() -> None:
    result = test_simulated.Vector(Forge(not_after=test_simulated.NOW + 3)).judge()
    assert (result.expires, result.ends_first) == (test_simulated.NOW + 3, "the chip's certificate ends")


def test_nothing_that_ends_is_no_expiry_but_a_result_for_others_has_one() -> None:
    result = judged("cca", good("cca"), exact("cca"))
    assert (result.expires, result.ends_first) == (None, None)
    assert ear(result, build="")["exp"] == NOW + MAX_LIFETIME


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_result_for_others_is_of_the_time_asked_about_and_lives_a_day_at_most(kind: str) -> None:
    result = judged(kind, good(kind), exact(kind))
    value = ear(result, build="")
    assert value["iat"] == NOW
    assert NOW < value["exp"] == min(result.expires or 1 << 60, NOW + MAX_LIFETIME)


def test_what_is_not_authentic_rests_on_nothing() -> None:
    given = good("snp")
    result = judged("snp", given._replace(evidence=over(given.evidence, {0x50: b"\1"})), exact("snp"))
    assert (result.status, result.expires) == (NOT_AUTHENTIC, None)


def test_what_was_refused_or_not_appraised_ends_as_well() -> None:
    given = FORGES["tdx"](ends={"identity": SOON})
    examined = examine("tdx", given.evidence, given.endorsements, roots=given.roots, now=NOW)
    alone = unappraised(examined.verified())
    assert (alone.status, alone.at, alone.expires) == (AUTHENTIC, NOW, SOON)
    other = FORGES["tdx"]({136: b"\7" * 48}, ends={"identity": SOON})
    refused = control("tdx", given=FORGES["tdx"](ends={"identity": SOON})).but(given=other)
    assert (refused.status, refused.expires) == (REFUSED, SOON)


def found_exactly(claims: Claims) -> AppraisalPolicy:
    """The policy that accepts this and nothing else, and leaves unchecked what is not known."""
    rules: dict[str, Any] = {
        name: Unchecked(reason="not known") if isinstance(value, Unknown) else Exactly(value)
        for name, value in as_dict(claims).items()
        if name != "report_data"
    }
    return policy_type(claims.kind)(**rules)


def real(directory: Path, vector: str, given: list[str], at: str) -> tuple[str, Given, int]:
    """A real vector: its kind, what it is judged by, and a time at which it is valid."""
    path = evidence_file(directory, vector)
    data = path.read_bytes()
    near = [directory / vector / name for name in given]
    files = [
        str(one)
        for name, own in zip(given, near, strict=True)
        for one in ([own] if own.exists() else directory.glob(name))
    ]
    kind = detect(data)
    trusted = trust_anchors(files if kind == "cca" else [])
    found = endorsements([] if kind == "cca" else files)
    now = (
        Evidence.from_bytes(data).time
        if at == "evidence"
        else int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())
    )
    return kind, Given(data, found.items, Roots(**believed(kind, trusted))), now


@pytest.mark.parametrize(("vector", "given", "at"), [v[:3] for v in VECTORS], ids=lambda v: str(v)[:40])
def test_real_evidence_is_trusted_until_then_and_not_after(
    evidence_dir: Path, vector: str, given: list[str], at: str
) -> None:
    kind, case, now = real(evidence_dir, vector, given, at)
    verified = examine(kind, case.evidence, case.endorsements, roots=case.roots, now=now).verified()
    fresh = verified.claims.report_data

    def at_time(now: int) -> AttestationResult:
        """The verdict; without fresh data in the evidence there is none, but only whether it is authentic."""
        if len(fresh) < MIN_FRESH:
            found = examine(kind, case.evidence, case.endorsements, roots=case.roots, now=now)
            return unappraised(found.verified()) if found.status == AUTHENTIC else unverified(found)
        policy = found_exactly(verified.claims)
        return attestation_result(
            kind, case.evidence, case.endorsements, policy=policy, roots=case.roots, report_data=fresh, now=now
        )

    accepted = (TRUSTED, AUTHENTIC)[len(fresh) < MIN_FRESH]
    accepting = Control(at_time, now=now)
    assert accepting.but().status == accepted
    until = accepting.but().expires
    if until is None:
        assert kind in ("cca", "tpm")
        return
    assert until > now
    assert accepting.but(now=until - 1).status == accepted
    assert accepting.but(now=until).status != TRUSTED
    assert accepting.but(now=until + 1).status == NOT_AUTHENTIC


@pytest.mark.parametrize("kind", HARDWARE)
def test_nothing_is_known_of_the_time_before_the_verification(kind: str) -> None:
    accepting = fixed(kind)
    for now in (NOW - 1, 0):
        (check,) = accepting.but(now=now).failed
        assert (check.id, check.code) == ("endorsements-current", "not-yet-valid")
    assert accepting.but(now=NOW + 1).status == TRUSTED
