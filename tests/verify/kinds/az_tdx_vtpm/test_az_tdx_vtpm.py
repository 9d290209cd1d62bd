"""Azure's evidence on TDX: each check fails by itself; what binds the virtual TPM to the hardware holds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from enarx.errors import ParseError
from enarx.verify import Roots, verify
from enarx.verify.examination import Examination
from enarx.verify.kinds.az_tdx_vtpm import examine as az_tdx
from enarx.verify.replay import PCRS, registers
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from tests.controls import Control
from tests.forge import azure, intel, tpm
from tests.forge.intel import NOW
from tests.verify.families import test_intel

BOUND = hashlib.sha256(azure.runtime()).digest().ljust(64, b"\0")


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


def td_evidence(quote: bytes, message: bytes | None = None, **changes: Any) -> bytes:
    report = azure.hcl(azure.runtime(), bytes(1184), kind=4)
    return azure.evidence(report, message, td_quote=base64.urlsafe_b64encode(quote).decode(), **changes)


def td_bound(**changes: Any) -> bytes:
    return intel.quote(body=intel.domain(report_data=(520, BOUND), td_attributes=(120, bytes(8)), **changes))


@lru_cache
def td_good() -> Control[Examination]:
    """With the quote that `td_failed` makes where nothing is to fail."""
    evidence = td_evidence(intel.quote(body=intel.domain(report_data=(520, BOUND))))
    given = (intel.collateral(),)
    return Control(az_tdx.examine, evidence=evidence, endorsements=given, roots=test_intel.roots(), now=NOW)


def td_quoted(quote: bytes, given: tuple[bytes, ...], message: bytes | None = None, **changes: Any) -> Examination:
    return td_good().but(evidence=td_evidence(quote, message, **changes), endorsements=given)


def td_failed(id: str) -> Callable[[], Examination]:
    """The evidence that fails this check of a quote, in an Azure machine."""

    def examination() -> Examination:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intel, "domain", lambda size=584, **f: domain(size, **{"report_data": (520, BOUND), **f}))
            seen: list[tuple[bytes, tuple[bytes, ...], Roots]] = []
            patch.setattr(
                test_intel,
                "examined",
                lambda data, *given, trusted=None, **_: seen.append((data, given, trusted or test_intel.roots())),
            )
            test_intel.ONLY[id]()
        ((quote, given, roots),) = seen
        evidence, control = td_evidence(quote), td_good()
        if evidence != control.inputs["evidence"]:
            control = control.with_(endorsements=given)
        return control.but(evidence=evidence, endorsements=given, roots=roots)

    domain = intel.domain
    return examination


ONLY: dict[str, Callable[[], Examination]] = {
    **{f"td-{id}": td_failed(id) for id in test_intel.ONLY},
    "runtime-data": lambda: td_quoted(intel.quote(), (intel.collateral(),)),
    "pcr-selection": lambda: td_quoted(td_bound(), (intel.collateral(),), tpm.quote(select=tpm.selection(range(8)))),
    "pcr-digest": lambda: td_quoted(td_bound(), (intel.collateral(),), tpm.quote(digest=bytes(32))),
    "quote-signature": lambda: td_quoted(
        td_bound(), (intel.collateral(),), signed=tpm.rsa_signature(tpm.quote(), tpm.rsa_key("another"))
    ),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = outcomes(ONLY[id]())
    assert found[id] == (NOT_CHECKED if id == "td-collateral" else FAILED)
    assert {outcome for name, outcome in found.items() if name != id} <= {PASSED, NOT_REACHED}


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == az_tdx.CHECKS


def test_good_evidence_is_authentic() -> None:
    found = td_quoted(td_bound(), (intel.collateral(),))
    assert set(outcomes(found).values()) == {PASSED}
    claims: Any = found.verified().claims
    assert (claims.kind, claims.report_data, claims.vm_id) == ("az-tdx-vtpm", tpm.FRESH, "VM")
    assert (claims.sept_ve_disable, claims.tcb_status, claims.pcrs[0]) == (False, "UpToDate", "0:" + "00" * 32)


def test_it_takes_no_other_hardware() -> None:
    without_a_quote = azure.evidence(azure.hcl(azure.runtime(), bytes(1184)))
    with pytest.raises(ParseError):
        verify("az-tdx-vtpm", without_a_quote, (), roots=test_intel.roots(), now=NOW)


def test_event_logs_are_about_the_virtual_tpm() -> None:
    layout, bank, values = registers(td_good().but().unverified_claims)
    assert (layout, bank, values) == (PCRS, "sha256", dict(enumerate(tpm.PCRS)))
