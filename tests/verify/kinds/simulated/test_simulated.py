"""For every check a vector that fails only it, and the other way round: each id that a result shows has its vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import AppraisalError, EnarxError, ParseError, UnavailableError, UsageError, VerificationError
from enarx.record import replace
from enarx.verify import (
    AttestationResult,
    Roots,
    appraise,
    attestation_result,
    examine,
    unappraised,
    verify,
    verify_and_appraise,
)
from enarx.verify.appraise import check_ids
from enarx.verify.kinds.simulated.examine import CHECKS
from enarx.verify.kinds.simulated.roots import SIMULATED_ROOTS
from enarx.verify.policy import AnyOf, AtLeast, Exactly, SimulatedPolicy, Unchecked
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, OUTCOMES, PASSED, SKIPPED, STATUSES
from tests.controls import Control
from tests.forge.simulated import NOW, Forge, key, raw

GOOD = Forge()
ROOTS = Roots(simulated=(raw(key(8)), raw(GOOD.root)))
POLICY = SimulatedPolicy(
    measurement=AnyOf((b"\0" * 48, GOOD.measurement)),
    host_data=Exactly(GOOD.host_data),
    debug=Exactly(False),
    svn=AtLeast(4),
    chip_id=Exactly(GOOD.chip_id),
)


@dataclass(frozen=True)
class Vector:
    """Evidence in which one thing is wrong, and what has to come of it."""

    forge: Forge = GOOD
    kind: str = "simulated"
    endorsed: bool = True
    status: str = "refused"
    error: type[EnarxError] = AppraisalError

    def judge(self, *, by: Callable[..., AttestationResult] = attestation_result, **changes: Any) -> AttestationResult:
        """The verdict; the control is good evidence under the same function."""
        changes = {"kind": self.kind, "forge": self.forge, "endorsed": self.endorsed, **changes}
        return Control(partial(verifying, by), **ACCEPTED).but(**changes)


def verifying(
    by: Callable[..., AttestationResult], *, kind: str, forge: Forge, endorsed: bool, **given: Any
) -> AttestationResult:
    return by(kind, forge.evidence(), forge.endorsements() if endorsed else (), **given)


ACCEPTED: dict[str, Any] = {
    "kind": "simulated",
    "forge": GOOD,
    "endorsed": True,
    "policy": POLICY,
    "roots": ROOTS,
    "report_data": GOOD.report_data,
    "now": NOW,
}
EXAMINED = Control(
    partial(examine, "simulated"),
    evidence=GOOD.evidence(),
    endorsements=GOOD.endorsements(),
    roots=ROOTS,
    now=NOW,
)
VERIFIED = Control(partial(verify, "simulated"), **EXAMINED.inputs)


def wrong(**changes: object) -> Vector:
    return Vector(GOOD.but(**changes))


def forged(**changes: object) -> Vector:
    return Vector(GOOD.but(**changes), status="not authentic", error=VerificationError)


VECTORS = {
    "chip-certificate": Vector(endorsed=False, status="undecided", error=UnavailableError),
    "chip-signature": forged(root=key(9)),
    "chip-validity": forged(not_after=NOW - 1),
    "chip-identity": forged(certified_chip_id=b"\7" * 32),
    "evidence-signature": forged(signer=key(9)),
    "report-data": wrong(report_data=b"\4" * 64),
    "kind": Vector(kind="snp"),
    "measurement": wrong(measurement=b"\5" * 48),
    "host-data": wrong(host_data=bytes(32)),
    "debug": wrong(debug=True),
    "svn": wrong(svn=3),
    "chip-id": wrong(chip_id=b"\6" * 32),
}
"""`endorsements-current` has its own test: it can only fail where evidence is verified once and appraised later."""


CODES = {"chip-validity": "expired"}
"""Of the errors that tell more than which check it was."""


def outcomes(result: AttestationResult) -> dict[str, str]:
    return {check.id: check.outcome for check in result.checks}


def test_every_check_has_a_vector() -> None:
    assert set(VECTORS) | {"endorsements-current"} == {*CHECKS, *check_ids(POLICY)}


def test_good_evidence_passes_every_check() -> None:
    result = Vector().judge()
    assert outcomes(result) == dict.fromkeys((*CHECKS, *check_ids(POLICY)), PASSED)
    assert (result.status, result.kind, result.failed) == ("trusted", "simulated", ())
    result.require_trusted()


@pytest.mark.parametrize("check", VECTORS)
def test_one_thing_wrong_fails_one_check(check: str) -> None:
    result = VECTORS[check].judge()
    found = outcomes(result)
    against = [id for id, outcome in found.items() if outcome not in (PASSED, NOT_REACHED)]
    assert against == [check]
    assert result.status == VECTORS[check].status
    assert list(found) == [*CHECKS, *check_ids(POLICY)] or check == "kind"


@pytest.mark.parametrize("check", VECTORS)
def test_it_is_an_error_of_the_right_class_and_says_which(check: str) -> None:
    with pytest.raises(VECTORS[check].error) as caught:
        VECTORS[check].judge().require_trusted()
    assert caught.value.code == CODES.get(check, check)
    assert VECTORS[check].status in caught.value.message


def test_evaluate_returns_what_is_trusted() -> None:
    assert Vector().judge(by=verify_and_appraise) == Vector().judge()


@pytest.mark.parametrize("check", VECTORS)
def test_evaluate_raises_the_same(check: str) -> None:
    vector = VECTORS[check]
    with pytest.raises(vector.error) as caught:
        vector.judge(by=verify_and_appraise)
    assert caught.value.code == CODES.get(check, check)
    if isinstance(caught.value, AppraisalError):
        assert isinstance(caught.value.result, AttestationResult)


@pytest.mark.parametrize("check", CHECKS)
def test_claims_are_given_only_of_authentic_evidence(check: str) -> None:
    result = VECTORS[check].judge()
    assert result.claims is None
    assert {outcomes(result)[id] for id in check_ids(POLICY)} == {NOT_REACHED}


def test_checks_that_do_not_rest_on_a_failed_one_are_still_made() -> None:
    found = outcomes(forged(not_after=NOW - 1, signer=key(9)).judge())
    assert [id for id, outcome in found.items() if outcome == FAILED] == ["chip-validity", "evidence-signature"]
    assert found["chip-identity"] == PASSED


def test_what_an_unknown_root_signed_is_not_read() -> None:
    found = outcomes(VECTORS["chip-signature"].judge())
    assert {found[id] for id in ("chip-validity", "chip-identity", "evidence-signature")} == {NOT_REACHED}


@pytest.mark.parametrize(("now", "holds"), [(NOW - 11, False), (NOW - 10, True), (NOW + 10, True), (NOW + 11, False)])
def test_validity_holds_from_its_first_second_to_its_last(now: int, holds: bool) -> None:
    assert (EXAMINED.but(now=now).status == "authentic") is holds


@pytest.mark.parametrize(("now", "holds"), [(NOW - 11, False), (NOW - 10, True), (NOW + 9, True), (NOW + 10, False)])
def test_a_verdict_can_be_had_from_then_until_before_the_last_second(now: int, holds: bool) -> None:
    assert (Vector().judge(now=now).status == "trusted") is holds


def test_nobody_is_believed_without_a_root() -> None:
    with pytest.raises(VerificationError, match="none of the 0 simulated roots"):
        VERIFIED.but(roots=Roots())


@pytest.mark.parametrize("root", [b"", bytes(31), bytes(33), "0" * 32])
def test_roots_are_keys(root: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        Roots(simulated=(root,))


def test_a_root_that_is_no_point_believes_nobody() -> None:
    with pytest.raises(VerificationError):
        VERIFIED.but(roots=Roots(simulated=(b"\xff" * 32,)))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (GOOD.but(root=key(9)).certificate(), "another certificate, of this chip or of another"),
        (GOOD.but(certified_chip_id=b"\7" * 32).certificate(), "another certificate, of this chip or of another"),
        (b"\xff", "malformed: "),
    ],
    ids=["not signed", "of another chip", "malformed"],
)
def test_of_several_certificates_the_one_that_fits(other: bytes, reason: str) -> None:
    for both, place in (((other, GOOD.certificate()), 0), ((GOOD.certificate(), other), 1)):
        found = VERIFIED.but(endorsements=both)
        assert [(one.place, reason in one.reason) for one in found.unused] == [(place, True)]


def test_a_certificate_that_is_malformed_decides_nothing() -> None:
    with pytest.raises(UnavailableError, match="malformed"):
        VERIFIED.but(endorsements=(b"\xff",))


def test_a_certificate_that_does_not_hold_yet() -> None:
    with pytest.raises(VerificationError, match="not yet valid: the chip's certificate begins") as caught:
        VERIFIED.but(now=0)
    assert caught.value.code == "not-yet-valid"


def test_the_labels_keep_the_signatures_apart() -> None:
    """A root that is also a chip: what it signed as the one is nothing as the other."""
    both = GOOD.but(root=key(2), chip=key(2))
    roots = Roots(simulated=(raw(key(2)),))
    verify("simulated", both.evidence(), endorsements=both.endorsements(), roots=roots, now=NOW)
    with pytest.raises(ParseError):
        verify("simulated", both.certificate(), endorsements=(both.evidence(),), roots=roots, now=NOW)


def test_another_kind_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    accepting = Control(partial(verifying, verify_and_appraise), **ACCEPTED)
    assert accepting.but().status == "trusted"
    monkeypatch.setattr("enarx.verify.examine", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(AppraisalError, check=lambda e: e.code == "kind"):
        accepting.but(kind="snp")


def test_a_kind_is_a_name_and_not_text_for_a_terminal() -> None:
    result = Vector(kind="\x1b[2J").judge()
    assert (result.kind, result.status) == ("unknown", "refused")
    assert "\x1b" not in repr(result)
    with pytest.raises(UsageError) as caught:
        examine("\x1b[2J", b"", (), roots=ROOTS, now=NOW)
    assert "\x1b" not in caught.value.message


def test_evidence_that_was_verified_before_ages() -> None:
    verified = Control(partial(appraise, VERIFIED.but()), policy=POLICY, report_data=GOOD.report_data, now=NOW)
    later = verified.but(now=NOW + 11)
    assert [check.id for check in later.failed] == ["endorsements-current"]
    assert later.status == "refused"


def test_all_failures_are_reported() -> None:
    result = wrong(debug=True, svn=0, measurement=b"\5" * 48).judge()
    assert [check.id for check in result.failed] == ["measurement", "debug", "svn"]
    with pytest.raises(AppraisalError, match="and 2 more"):
        result.require_trusted()


def test_a_failure_says_what_was_wanted_and_what_usually_causes_it() -> None:
    check = wrong(measurement=b"\5" * 48).judge().failed[0]
    assert GOOD.measurement.hex() in check.wanted
    assert check.got == (b"\5" * 48).hex()
    assert check.anchor.startswith("simulated root ")
    assert "another release" in check.hint
    assert check.where == "policy, measurement"


def test_leaving_a_check_out_is_written_down() -> None:
    policy = replace(POLICY, svn=Unchecked(reason="there is one version"))
    result = Vector(GOOD.but(svn=0)).judge(policy=policy)
    check = next(check for check in result.checks if check.id == "svn")
    assert (check.outcome, result.status) == (SKIPPED, "trusted")
    assert "there is one version" in check.wanted


def test_without_a_policy_the_most_is_authentic() -> None:
    verified = verify("simulated", GOOD.evidence(), endorsements=GOOD.endorsements(), roots=ROOTS, now=NOW)
    result = unappraised(verified)
    assert result.status == "authentic"
    with pytest.raises(AppraisalError, check=lambda e: e.code == "not-appraised"):
        result.require_trusted()


@pytest.mark.parametrize("size", [0, 15])
@pytest.mark.parametrize("kind", ["simulated", "snp"])
def test_no_verdict_without_fresh_report_data(kind: str, size: int) -> None:
    with pytest.raises(UsageError, match="do not prove freshness"):
        attestation_result(
            kind,
            GOOD.evidence(),
            GOOD.endorsements(),
            policy=POLICY,
            roots=ROOTS,
            report_data=bytes(size),
            now=NOW,
        )


@pytest.mark.parametrize("report_data", [GOOD.report_data[:63], GOOD.report_data + b"\3"])
def test_report_data_of_another_length_is_other_report_data(report_data: bytes) -> None:
    result = Vector().judge(report_data=report_data)
    assert [check.id for check in result.failed] == ["report-data"]


def test_the_forecast_is_the_end_of_the_certificate() -> None:
    result = Vector().judge()
    assert result.expires == NOW + 10
    assert [(f.id, f.until) for f in result.forecast] == [("chip-validity", NOW + 10)]


def test_plain_values() -> None:
    value = Vector().judge().to_value()
    assert value["claims"]["measurement"] == GOOD.measurement.hex()
    assert value["claims"]["debug"] is False
    assert value["expires"] == NOW + 10
    assert value["status"] in STATUSES
    assert {check["outcome"] for check in value["checks"]} <= set(OUTCOMES)
    assert VECTORS["chip-signature"].judge().to_value()["claims"] is None
    undecided = VECTORS["chip-certificate"].judge().to_value()
    assert undecided["expires"] is None
    assert undecided["checks"][0]["outcome"] == NOT_CHECKED


@given(st.binary(max_size=400), st.lists(st.binary(max_size=400), max_size=3))
def test_any_bytes_end_in_an_error_of_ours(evidence: bytes, endorsements: list[bytes]) -> None:
    with pytest.raises(EnarxError):
        verify("simulated", evidence, endorsements=tuple(endorsements), roots=ROOTS, now=NOW)


@given(st.integers(0, 1), st.data())
def test_any_flipped_bit_is_refused(which: int, data: st.DataObject) -> None:
    pair = [GOOD.evidence(), GOOD.certificate()]
    at = data.draw(st.integers(0, 8 * len(pair[which]) - 1))
    broken = bytearray(pair[which])
    broken[at // 8] ^= 1 << at % 8
    pair[which] = bytes(broken)
    with pytest.raises((ParseError, VerificationError) if which == 0 else (UnavailableError, VerificationError)):
        VERIFIED.but(evidence=pair[0], endorsements=(pair[1],))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "root": st.integers(1, 3).map(key),
            "signer": st.integers(1, 3).map(key),
            "not_after": st.integers(NOW - 2, NOW + 2),
            "svn": st.integers(0, 8),
            "debug": st.booleans(),
            "measurement": st.sampled_from((GOOD.measurement, b"\5" * 48)),
            "report_data": st.sampled_from((GOOD.report_data, b"\5" * 64)),
        },
    )
)
def test_trusted_is_exactly_when_nothing_is_wrong(changes: dict[str, object]) -> None:
    forge = GOOD.but(**changes)
    good = (
        raw(forge.root) in ROOTS.pins(SIMULATED_ROOTS)
        and raw(forge.signer or forge.chip) == raw(forge.chip)
        and forge.not_after > NOW
        and forge.svn >= 4
        and not forge.debug
        and forge.measurement == GOOD.measurement
        and forge.report_data == GOOD.report_data
    )
    assert (Vector(forge).judge().status == "trusted") is good
