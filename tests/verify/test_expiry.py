"""A result carries the earliest end of everything that it rests on, says what ends then, and is not available from then on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.evidence_files import endorsements, trust_anchors, user_roots
from enarx.record import as_dict
from enarx.verify import AppraisalPolicy, AttestationResult, Roots, attestation_result, examine, unappraised
from enarx.verify.appraise import MIN_FRESH, unverified
from enarx.verify.claims import Claims
from enarx.verify.ear import MAX_LIFETIME, ear
from enarx.verify.kinds import HARDWARE, detect, find
from enarx.verify.policy import Exactly, Unchecked
from enarx.verify.policy_file import policy_type
from enarx.verify.result import AUTHENTIC, NOT_AUTHENTIC, REFUSED, TRUSTED
from enarx.verify.values import Unknown
from tests.cli.test_evidence import VECTORS as REAL
from tests.cli.test_evidence import evidence_file
from tests.controls import Control
from tests.forge.simulated import Forge
from tests.verify.kinds import VECTORS
from tests.verify.kinds.simulated import test_simulated
from tests.verify.test_rules import FORGES, RULES, control, exact, fixed, good, verdict_on
from tests.verify.vectors import NOW, Given, Varies

SOON = NOW + 50
KIND = HARDWARE[0]
"""A kind for tests that work with any."""

CASES = [(kind, thing) for kind, v in VECTORS.items() for thing in v.things]


@pytest.mark.parametrize("kind", HARDWARE)
def test_the_table_is_complete(kind: str) -> None:
    things = VECTORS[kind].things
    ends = [f.reason for f in verdict_on(kind, good(kind), exact(kind)).forecast if f.until is not None]
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
    if thing == "list" and "revoked" not in RULES[kind]:  # no rule asks for it: something else ends first
        assert (after.status, after.expires) == (TRUSTED, VECTORS[kind].ends)
    else:
        assert after.status != TRUSTED


def test_simulated_evidence_ends_with_its_chip_certificate() -> None:
    result = test_simulated.Vector(Forge(not_after=test_simulated.NOW + 3)).judge()
    assert (result.expires, result.ends_first) == (test_simulated.NOW + 3, "the chip's certificate ends")


@pytest.mark.parametrize("kind", [kind for kind, v in VECTORS.items() if not v.things])
def test_nothing_that_ends_is_no_expiry_but_a_result_for_others_has_one(kind: str) -> None:
    result = verdict_on(kind, good(kind), exact(kind))
    assert (result.expires, result.ends_first) == (None, None)
    assert ear(result, build="")["exp"] == NOW + MAX_LIFETIME


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_result_for_others_is_of_the_time_asked_about_and_lives_a_day_at_most(kind: str) -> None:
    result = verdict_on(kind, good(kind), exact(kind))
    value = ear(result, build="")
    assert value["iat"] == NOW
    assert NOW < value["exp"] == min(result.expires or 1 << 60, NOW + MAX_LIFETIME)


def test_what_is_not_authentic_rests_on_nothing() -> None:
    result = verdict_on(KIND, good(KIND)._replace(roots=Roots()), exact(KIND))
    assert (result.status, result.expires) == (NOT_AUTHENTIC, None)


def test_what_was_refused_or_not_appraised_ends_as_well() -> None:
    ends, measured = {VECTORS[KIND].things[0]: SOON}, RULES[KIND]["measurement"]
    assert isinstance(measured, Varies)
    given = FORGES[KIND](ends=ends)
    examined = examine(KIND, given.evidence, given.endorsements, roots=given.roots, now=NOW)
    alone = unappraised(examined.verified())
    assert (alone.status, alone.at, alone.expires) == (AUTHENTIC, NOW, SOON)
    other = FORGES[KIND](**measured.changes, ends=ends)
    refused = control(KIND, given=given).but(given=other)
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
    """A real vector: its kind, evidence with endorsements and roots, and a time at which it is valid."""
    path = evidence_file(directory, vector)
    data = path.read_bytes()
    near = [directory / vector / name for name in given]
    files = [
        str(one)
        for name, own in zip(given, near, strict=True)
        for one in ([own] if own.exists() else directory.glob(name))
    ]
    kind = detect(data)
    named = kind != "tpm" and any(roots.user for roots in find(kind).roots)
    trusted, found = trust_anchors(files if named else []), endorsements([] if named else files)
    own_time = find(kind).time
    if at == "evidence":
        assert own_time is not None
        now = own_time(data)
    else:
        now = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())
    return kind, Given(data, found.items, Roots(**user_roots(kind, trusted))), now


@pytest.mark.parametrize(("vector", "given", "at"), [v[:3] for v in REAL], ids=lambda v: str(v)[:40])
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
        assert any(roots.user for roots in find(kind).roots)
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
