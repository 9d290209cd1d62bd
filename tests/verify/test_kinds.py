"""The types are for every kind of TEE: here a kind of hardware with claims of its own is put through them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from enarx.errors import AppraisalError, UnavailableError, UsageError, VerificationError
from enarx.record import as_dict, names, record, replace
from enarx.verify.appraise import appraise, check_ids, unappraised, unverified
from enarx.verify.claims import Claims, claim, claims_of
from enarx.verify.examination import Examination, Ledger, VerifiedEvidence
from enarx.verify.kinds import HARDWARE
from enarx.verify.policy import AnyOf, AppraisalPolicy, AtLeast, Exactly, Unchecked, policy_for
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED, AttestationResult, Check, Forecast
from enarx.verify.values import Unknown
from tests.controls import Control

FRESH = bytes(range(64))
KIND = HARDWARE[0]
"""The name of a kind of hardware; the claims here are not its own."""

STEPS = ("vcek-chain", "revocation", "report-signature")


@record(kw_only=False)
class Tcb:
    """A version of four parts."""

    bootloader: int
    tee: int
    snp: int
    microcode: int

    def __ge__(self, other: Any) -> bool:
        return all(a >= b for a, b in zip(as_dict(self).values(), as_dict(other).values(), strict=True))


@claims_of(KIND)
class SnpClaims(Claims):
    """Claims of a kind of hardware, declared as in `verify/kinds`."""

    vmpl: int = claim("The privilege level.", suggest=Exactly(0))
    reported_tcb: Tcb = claim("The firmware's versions.")
    revoked: bool | Unknown = claim("Whether the chain is revoked.")


SnpPolicy = policy_for(SnpClaims)


def claims(**changes: Any) -> SnpClaims:
    values = {
        "kind": KIND,
        "measurement": b"\1" * 48,
        "host_data": bytes(32),
        "report_data": FRESH,
        "debug": False,
        "svn": 1,
        "chip_id": b"\2" * 64,
        "vmpl": 0,
        "reported_tcb": Tcb(4, 0, 20, 210),
        "revoked": False,
    }
    return SnpClaims(**{**values, **changes})


POLICY = SnpPolicy(
    kind=Exactly(KIND),
    measurement=Exactly(b"\1" * 48),
    host_data=Exactly(bytes(32)),
    debug=Exactly(False),
    svn=AtLeast(1),
    chip_id=Unchecked(reason="any machine of this provider"),
    vmpl=Exactly(0),
    reported_tcb=AtLeast(Tcb(4, 0, 20, 209)),
    revoked=Exactly(False),
)


def examining(said: Claims, *, chain: bool, crl: bool | None, until: int | None) -> Examination:
    ledger = Ledger(STEPS, anchor="AMD Milan ARK", where="the vendor's table", now=50)
    ledger.check("vcek-chain", lambda: chain, wanted="a pinned root", got="one", hint="another product's chain")
    ledger.check("revocation", lambda: crl, wanted="not revoked", got="a list", needs="vcek-chain")
    ledger.check("report-signature", lambda: True, wanted="the VCEK's", got="it", needs="vcek-chain")
    return ledger.examination(said, forecast=(Forecast(id="vcek-chain", until=until, reason="the VCEK ends"),))


def appraising(policy: AppraisalPolicy, **examination: Any) -> AttestationResult:
    return appraise(examining(**examination).verified(), policy=policy, report_data=FRESH, now=50)


EXAMINED = Control(examining, said=claims(), chain=True, crl=True, until=100)
APPRAISED = Control(appraising, policy=POLICY, **EXAMINED.inputs)


def examined(said: Claims, **changes: Any) -> Examination:
    return EXAMINED.but(said=said, **changes)


def appraised(said: Claims, policy: AppraisalPolicy = POLICY, **changes: Any) -> AttestationResult:
    return APPRAISED.but(said=said, policy=policy, **changes)


def unknown(**changes: Any) -> Control[AttestationResult]:
    """Evidence whose revocation is not known, under a policy that does not ask."""
    said = claims(revoked=Unknown(reason="no revocation list was given"), **changes)
    unchecked = Unchecked(reason="air-gapped")
    return APPRAISED.with_(said=said, crl=None, policy=replace(POLICY, revoked=unchecked, debug=AnyOf((False, True))))


def test_a_kind_with_claims_of_its_own() -> None:
    result = appraised(claims())
    assert result.status == "trusted"
    assert [check.id for check in result.checks] == [*STEPS, *check_ids(POLICY)]
    assert {"vmpl", "reported-tcb", "revoked"} < {check.id for check in result.checks}
    value = result.to_value()["claims"]
    assert value["reported_tcb"] == {"bootloader": 4, "tee": 0, "snp": 20, "microcode": 210}


def test_its_own_rules_refuse() -> None:
    result = appraised(claims(vmpl=1, reported_tcb=Tcb(5, 0, 20, 208)))
    assert [check.id for check in result.failed] == ["vmpl", "reported-tcb"]


def test_a_policy_that_has_no_rule_for_a_claim_is_no_policy_for_it() -> None:
    common = {name: value for name, value in as_dict(POLICY).items() if name in names(AppraisalPolicy)}
    with pytest.raises(UsageError, match="other fields"):
        appraised(claims(), AppraisalPolicy(**common))


def test_nor_is_one_with_a_rule_for_a_claim_that_is_not_there() -> None:
    common = {name: value for name, value in as_dict(claims()).items() if name in Claims.__fields__}  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="other fields"):
        appraised(Claims(**common))


def test_what_could_not_be_found_out_is_undecided() -> None:
    result = unknown().but(policy=POLICY)
    assert result.status == "undecided"
    assert [(check.id, check.outcome) for check in result.failed] == [
        ("revocation", NOT_CHECKED),
        ("revoked", NOT_CHECKED),
    ]
    with pytest.raises(UnavailableError):
        result.require_trusted()
    assert result.to_value()["claims"]["revoked"] is None


def test_unless_the_policy_says_in_words_that_it_does_not_matter() -> None:
    assert unknown().but().status == "trusted"


def test_a_failure_weighs_more_than_what_is_unknown() -> None:
    result = unknown(debug=True).but(policy=POLICY)
    assert (result.status, result.failed[0].id) == ("refused", "debug")
    with pytest.raises(AppraisalError):
        result.require_trusted()


def test_a_check_that_nothing_rests_on_may_be_left_out_of_authenticity() -> None:
    examination = examined(claims(), crl=None)
    assert examination.status == "authentic"
    assert unappraised(examination.verified()).status == "authentic"


def test_a_failed_check_leaves_those_that_rest_on_it_unreached() -> None:
    examination = examined(claims(), chain=False)
    assert [check.outcome for check in examination.checks] == [FAILED, NOT_REACHED, NOT_REACHED]
    with pytest.raises(VerificationError) as caught:
        examination.verified()
    assert (caught.value.code, caught.value.hint) == ("vcek-chain", "another product's chain")
    assert unverified(examination, policy=POLICY).status == "not authentic"


def test_a_hint_is_for_a_failure_only() -> None:
    assert examined(claims()).checks[0].hint == ""


def test_no_known_end_is_no_end() -> None:
    result = appraised(claims(), until=None)
    assert (result.status, result.expires) == ("trusted", None)


def test_authentic_evidence_can_not_pass_for_unverified() -> None:
    with pytest.raises(UsageError):
        unverified(examined(claims()), policy=POLICY)


def test_a_ledger_holds_a_verifier_to_its_list() -> None:
    ledger = Ledger(STEPS, anchor="", where="", now=0)
    with pytest.raises(RuntimeError, match="order"):
        ledger.check("report-signature", lambda: True, wanted="", got="")
    ledger.check("vcek-chain", lambda: True, wanted="", got="")
    with pytest.raises(RuntimeError, match="order"):
        ledger.check("vcek-chain", lambda: True, wanted="", got="")
    with pytest.raises(RuntimeError, match="revocation, report-signature"):
        ledger.examination(claims(), forecast=())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Examination(status="authentic", unverified_claims=claims(), checks=(), anchor="", forecast=(), at=0),
        lambda: VerifiedEvidence(claims=claims(), checks=(), anchor="", forecast=(), at=0),
        lambda: AttestationResult(
            status="trusted", kind=KIND, claims=claims(), checks=(), forecast=(), at=0, policy=None
        ),
        lambda: replace(examined(claims()).verified(), claims=claims(debug=True)),
        lambda: replace(appraised(claims(debug=True)), status="trusted"),
    ],
)
def test_what_verifiers_make_nobody_else_makes(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"only .* make"):
        make()


def test_a_result_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match="require_trusted"):
        bool(appraised(claims()))


def test_results_can_not_be_changed() -> None:
    result = appraised(claims(debug=True))
    with pytest.raises(AttributeError):
        result.status = "trusted"  # type: ignore[misc]


def test_no_policy_no_verdict() -> None:
    with pytest.raises(UsageError, match="needs a policy"):
        appraised(claims(), None)  # type: ignore[arg-type]


def test_checks_are_values() -> None:
    assert appraised(claims()) == appraised(claims())
    assert Check("a", PASSED, "", "", anchor="", where="").hint == ""


def test_importing_the_verifier_loads_little() -> None:
    """Verifying one kind loads what it needs; `enarx.verify` by itself not even cryptography."""
    code = (
        "import sys; import enarx.verify, enarx.verify.policy; before = set(sys.modules); "
        "import enarx.verify.kinds.simulated.examine; "
        "print(*(m for m in ('cryptography', 'dataclasses', 'inspect', 'socket', 'asyncio', 'json') if m in before)); "
        "print(*(m for m in ('dataclasses', 'ssl', 'cryptography.x509', 'wasmtime', 'asyncio') if m in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "\n\n"
