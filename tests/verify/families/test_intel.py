"""Intel quotes: each check fails by itself, no bit can be changed, and dcap-qvl finds the same wherever it does not stop."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import dcap_qvl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UnavailableError, UsageError, VerificationError
from enarx.formats.evidence.families.dcap import Quote, SgxReport
from enarx.verify import Roots, verify
from enarx.verify.certificates import pin
from enarx.verify.examination import Examination
from enarx.verify.families.intel.certificates import point, signed
from enarx.verify.families.intel.collateral import request
from enarx.verify.families.intel.machine import machine
from enarx.verify.families.intel.quote import DOMAIN_CHECKS, ENCLAVE_CHECKS
from enarx.verify.families.intel.tcb import STATUSES, together
from enarx.verify.kinds import KINDS, Examine, find
from enarx.verify.result import FAILED, NOT_CHECKED, NOT_REACHED, PASSED
from enarx.verify.values import Unknown
from tests.controls import Control
from tests.forge import intel as forge
from tests.forge.intel import NOW, SGX, TDX

Json = dict[str, Any]
OF_TEE = {SGX: "sgx", TDX: "tdx"}


def examiner(tee: int) -> Examine:
    """The examiner of the kind for a TEE; skips the test if that kind is not in this tree."""
    if OF_TEE[tee] not in KINDS:
        pytest.skip(f"no kind {OF_TEE[tee]}")
    return find(OF_TEE[tee]).examiner()


@lru_cache
def roots() -> Roots:
    return Roots(intel=(pin(forge.root()),))


@lru_cache
def good(tee: int = TDX, version: int = 0) -> Control[Examination]:
    evidence, given = forge.quote(tee, version=version), (forge.collateral(tee),)
    return Control(examiner(tee), evidence=evidence, endorsements=given, roots=roots(), now=NOW)


def examined(
    data: bytes,
    *given: bytes,
    now: int = NOW,
    trusted: Roots | None = None,
    control: Control[Examination] | None = None,
) -> Examination:
    control = control or good(SGX if data[4:8] == bytes(4) else TDX)
    return control.but(evidence=data, endorsements=given, roots=trusted or roots(), now=now)


def outcomes(examination: Examination) -> dict[str, str]:
    return {check.id: check.outcome for check in examination.checks}


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def forged(*, tcb: Json | None = None, qe: Json | None = None, **quote: Any) -> Examination:
    given = forge.collateral(tcb=tcb, qe=qe)
    of_these = good().with_(endorsements=(given,)) if quote and (tcb or qe) else None
    return examined(forge.quote(**quote), given, control=of_these)


def levels(**low: Any) -> list[Json]:
    return [forge.platform_level(**low)]


def now_under(svn: bytes, made: list[Json] | None = None, **more: Any) -> Examination:
    """A domain of TD 1.5 whose machine has a module of these versions now."""
    body = forge.domain(648, tee_tcb_svn_2=(584, svn))
    return forged(version=5, body=body, tcb=forge.info(**({"tcbLevels": made} if made else {}), **more))


def launched_under(svn: bytes, made: list[Json]) -> Examination:
    """The reverse: its machine had a module of these versions at launch."""
    body = forge.domain(648, tee_tcb_svn=(0, svn))
    return forged(version=5, body=body, tcb=forge.info(tcbLevels=made))


ONLY: dict[str, Callable[[], Examination]] = {
    "quoting-enclave": lambda: forged(vendor=bytes(16)),
    "root": lambda: examined(forge.quote(), forge.collateral(), trusted=Roots()),
    "pck-chain": lambda: forged(
        chain=(
            forge.certificate(forge.PCK, forge.PLATFORM, extension=forge.machine(), signer=forge.ROOT),
            forge.platform(),
            forge.root(),
        )
    ),
    "qe-report": lambda: forged(qe_by="attestation"),
    "attestation-key": lambda: forged(reported={"report_data": (320, b"\7" * 64)}),
    "quote-signature": lambda: forged(by=forge.PCK),
    "collateral": lambda: examined(forge.quote()),
    "tcb-info": lambda: examined(forge.quote(), forge.collateral(info_by=forge.PCK)),
    "qe-identity": lambda: examined(forge.quote(), forge.collateral(identity_by=forge.PCK)),
    "revocation-lists": lambda: examined(
        forge.quote(), forge.collateral(machines=forge.revoked(forge.PLATFORM, signer=forge.ROOT))
    ),
    "validity": lambda: forged(tcb=forge.info(nextUpdate=forge.date(NOW - 1))),
    "revocation": lambda: examined(
        forge.quote(), forge.collateral(machines=forge.revoked(forge.PLATFORM, forge.SERIALS[forge.PCK]))
    ),
    "qe-measurement": lambda: forged(qe=forge.identity(mrsigner="03" * 32)),
    "qe-level": lambda: forged(qe=forge.identity(tcbLevels=[forge.level(svn=forge.QE_SVN + 1)])),
    "model": lambda: forged(tcb=forge.info(fmspc="00906ed50001")),
    "tdx-module": lambda: forged(body=forge.domain(signer=(64, b"\1" * 48))),
    "tcb-level": lambda: launched_under(bytes([5, 1, 2]) + bytes([3]) * 13, levels(tdx=(0, 0, 3, *(0,) * 13))),
    "current-tdx-module": lambda: now_under(bytes([4, 1]) + bytes([3]) * 14),
    "current-tcb-level": lambda: now_under(bytes([5, 1, 2]) + bytes([3]) * 13, levels(tdx=(0, 0, 3, *(0,) * 13))),
}
"""Of each check evidence that fails it, and nothing else but what rests on it."""


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = ONLY[id]()
    came = outcomes(found)
    assert came.pop(id) == (NOT_CHECKED if id == "collateral" else FAILED)
    assert set(came.values()) <= {PASSED, NOT_REACHED}
    assert found.status == ("undecided" if id == "collateral" else "not authentic")
    assert all(came[name] == PASSED for name in DOMAIN_CHECKS[: DOMAIN_CHECKS.index(id)])


def test_the_table_is_complete() -> None:
    assert set(ONLY) == set(DOMAIN_CHECKS) == {*ENCLAVE_CHECKS, *TDX_ALONE}


TDX_ALONE = {"tdx-module", "current-tdx-module", "current-tcb-level"}


@pytest.mark.parametrize(("tee", "version"), [(SGX, 3), (TDX, 4), (TDX, 5)])
def test_what_holds(tee: int, version: int) -> None:
    found = examined(forge.quote(tee, version=version), forge.collateral(tee))
    assert set(outcomes(found).values()) == {PASSED}
    said: Any = found.verified().claims
    assert (said.tcb_status, said.advisories, said.revoked) == ("UpToDate", (), False)
    assert (said.fmspc, said.ppid, said.chip_id) == (forge.FMSPC, b"\7" * 16, b"\x09" * 16)
    assert (said.dynamic_platform, said.cached_keys, said.smt_enabled) == (True, True, False)
    assert (said.tcb_evaluation_number, said.measurement[:1], said.debug) == (17, b"\1", False)
    assert min(f.until for f in found.forecast if f.until is not None) == NOW + 1000


@pytest.mark.parametrize("tee", [SGX, TDX])
def test_debug_is_for_the_policy_to_refuse(tee: int) -> None:
    body = forge.enclave(a=(48, b"\x07")) if tee == SGX else forge.domain(a=(120, b"\x10"))
    assert examined(forge.quote(tee, body=body), forge.collateral(tee)).verified().claims.debug


def test_the_wrong_tee() -> None:
    with pytest.raises(ParseError):
        examiner(SGX)(forge.quote(), endorsements=(), roots=roots(), now=NOW)


CHAINS: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "two": lambda: (forge.pck(), forge.root()),
    "no certificate": lambda: (b"0\0", forge.platform(), forge.root()),
    "no machine": lambda: (forge.certificate(forge.PCK, forge.PLATFORM), forge.platform(), forge.root()),
    "an authority at the end": lambda: (
        forge.certificate(forge.PCK, forge.PLATFORM, extension=forge.machine(), authority=True),
        *(forge.platform(), forge.root()),
    ),
    "another name at the end": lambda: (
        forge.certificate("Somebody", forge.PLATFORM, extension=forge.machine()),
        *(forge.platform(), forge.root()),
    ),
    "another name between": lambda: (
        forge.certificate(forge.PCK, "Somebody", extension=forge.machine()),
        forge.certificate("Somebody", forge.ROOT, authority=True),
        forge.root(),
    ),
    "no authority between": lambda: (
        forge.certificate(forge.PCK, forge.PROCESSOR, extension=forge.machine()),
        forge.certificate(forge.PROCESSOR, forge.ROOT),
        forge.root(),
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_that_do_not_hold(name: str) -> None:
    assert outcomes(forged(chain=CHAINS[name]()))["pck-chain"] == FAILED


def test_the_other_authority() -> None:
    leaf = forge.certificate(forge.PCK, forge.PROCESSOR, extension=forge.machine(instance=None, flags=None))
    authority = forge.certificate(forge.PROCESSOR, forge.ROOT, authority=True)
    data = forge.quote(SGX, chain=(leaf, authority, forge.root()))
    given = forge.collateral(SGX, machines=forge.revoked(forge.PROCESSOR))
    said: Any = examined(data, given).verified().claims
    assert said.chip_id == said.ppid == b"\7" * 16
    assert isinstance(said.smt_enabled, Unknown)
    found = examined(data, forge.collateral(SGX))  # with the list of the first authority alone
    assert (found.status, outcomes(found)["revocation-lists"]) == ("undecided", NOT_CHECKED)
    beside = forge.der(forge.revoked(forge.PROCESSOR))
    assert examined(data, forge.collateral(SGX), beside).status == "authentic"


@pytest.mark.parametrize("serial", [forge.SERIALS[forge.PLATFORM], forge.SERIALS[forge.SIGNING]])
def test_the_root_revokes(serial: int) -> None:
    given = forge.collateral(authorities=forge.revoked(forge.ROOT, serial))
    found = examined(forge.quote(), given)
    said: Any = found.unverified_claims
    assert (outcomes(found)["revocation"], said.revoked) == (FAILED, True)


def test_what_else_must_hold_now() -> None:
    for one in (
        forge.collateral(qe=forge.identity(nextUpdate=forge.date(NOW - 1))),
        forge.collateral(machines=forge.revoked(forge.PLATFORM, end=NOW - 1)),
        forge.collateral(authorities=forge.revoked(forge.ROOT, start=NOW + 1)),
        forge.collateral(info_signer=forge.certificate(forge.SIGNING, forge.ROOT, end=NOW - 1)),
    ):
        assert outcomes(examined(forge.quote(), one))["validity"] == FAILED


def test_who_may_sign_collateral() -> None:
    for signer, by in (
        (forge.certificate("Somebody", forge.ROOT), "Somebody"),
        (forge.certificate(forge.SIGNING, forge.PLATFORM), forge.SIGNING),
        (b"0\0", forge.SIGNING),
    ):
        found = examined(forge.quote(), forge.collateral(info_by=by, info_signer=signer))
        if signer == b"0\0":
            assert (found.status, outcomes(found)["collateral"]) == ("undecided", NOT_CHECKED)
        else:
            assert outcomes(found)["tcb-info"] == FAILED


def test_collateral_of_the_other_tee() -> None:
    came = outcomes(examined(forge.quote(), forge.collateral(SGX)))
    assert (came["tcb-info"], came["qe-identity"]) == (FAILED, FAILED)


def test_of_several_collaterals_the_one_that_fits() -> None:
    others = (
        forge.collateral(SGX),
        forge.collateral(tcb=forge.info(fmspc="000000000000")),
        forge.collateral(tcb=forge.info(nextUpdate=forge.date(NOW - 1))),
    )
    assert examined(forge.quote(), *others, forge.collateral(), b"0\x82").status == "authentic"


@pytest.mark.parametrize(
    "field", [(16, b"\1"), (48, b"\7"), (128, b"\3"), (256, b"\2")], ids=["misc", "debug", "signer", "product"]
)
def test_another_quoting_enclave(field: tuple[int, bytes]) -> None:
    assert outcomes(forged(reported={"changed": field}))["qe-measurement"] == FAILED


@pytest.mark.parametrize(
    ("svn", "holds"),
    [
        (bytes([5, 1]), True),
        (bytes([9, 1]), True),
        (bytes([4, 1]), False),
        (bytes([5, 2]), False),
        (bytes([5, 0]), True),
    ],
    ids=["as known", "newer", "older than any level", "of another major version", "of TDX 1.0"],
)
def test_modules(svn: bytes, holds: bool) -> None:
    found = forged(body=forge.domain(tee_tcb_svn=(0, svn + bytes(14))))
    assert outcomes(found)["tdx-module"] == (PASSED if holds else FAILED)


def test_a_module_with_other_attributes() -> None:
    assert outcomes(forged(body=forge.domain(a=(112, b"\1"))))["tdx-module"] == FAILED


def test_components_of_the_module_are_its_own() -> None:
    """Of a module with a major version the first two are not compared; of TDX 1.0 they are."""
    tcb = forge.info(tcbLevels=levels(tdx=(9, 9, *(0,) * 14)))
    given = forge.collateral(tcb=tcb)
    old = forge.quote(body=forge.domain(tee_tcb_svn=(0, bytes([5, 0]) + bytes(14))))
    found = examined(old, given, control=good().with_(endorsements=(given,)))
    assert outcomes(found)["tcb-level"] == FAILED


def test_one_word_for_all() -> None:
    tcb = forge.info(
        tcbLevels=[
            forge.platform_level(pce_svn=forge.PCE_SVN + 1),
            forge.platform_level("ConfigurationNeeded", advisories=("INTEL-SA-2",), date="2025-01-01"),
        ]
    )
    qe = forge.identity(
        tcbLevels=[
            forge.level(svn=forge.QE_SVN + 1),
            forge.level("OutOfDate", svn=1, advisories=("INTEL-SA-1",), date="2024-01-01"),
        ]
    )
    found = forged(tcb=tcb, qe=qe)
    said: Any = found.verified().claims
    assert said.tcb_status == "OutOfDateConfigurationNeeded"
    assert said.advisories == ("INTEL-SA-1", "INTEL-SA-2")
    assert said.tcb_date == datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert [f.reason for f in found.forecast if f.until is None] == ["1 levels behind the newest that Intel rates"]


@pytest.mark.parametrize(
    ("platform", "other", "word"),
    [
        ("UpToDate", "UpToDate", "UpToDate"),
        ("UpToDate", "OutOfDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate", "OutOfDate"),
        ("ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
        ("OutOfDateConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "UpToDate", "OutOfDate"),
        ("OutOfDate", "Revoked", "Revoked"),
        ("Revoked", "UpToDate", "Revoked"),
    ],
)
def test_words_together(platform: str, other: str, word: str) -> None:
    assert together(platform, (other, "UpToDate")) == word


def without(name: str) -> Callable[[Json], Json]:
    return lambda value: {k: v for k, v in value.items() if k != name}


def chained(change: Callable[[str], str]) -> bytes:
    """Collateral with another chain of the TCB info's signer."""
    return forge.collateral(change=lambda v: v | {"tcb_info_issuer_chain": change(v["tcb_info_issuer_chain"])})


BROKEN: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"{}",
    "not JSON": lambda: b"{",
    "not UTF-8": lambda: b'{"tcb_info": "\xff"}',
    "nested without end": lambda: b'{"a":' + b"[" * 100_000,
    "a field missing": lambda: forge.collateral(change=without("pck_crl")),
    "TCB info that is a list": lambda: forge.collateral(change=lambda v: v | {"tcb_info": "[]"}),
    "too long": lambda: forge.collateral(change=lambda v: v | {"tcb_info": " " * (5 << 20)}),
    "a list that is none": lambda: forge.collateral(change=lambda v: v | {"pck_crl": "00"}),
    "a short signature": lambda: forge.collateral(change=lambda v: v | {"tcb_info_signature": "00"}),
    "no hexadecimal": lambda: forge.collateral(change=lambda v: v | {"tcb_info_signature": "x"}),
    "no chain": lambda: forge.collateral(change=lambda v: v | {"tcb_info_issuer_chain": ""}),
    "a chain that is not base64": lambda: chained(lambda pem: pem.replace("-----END", "A-----END", 1)),
    "a chain that is cut off": lambda: chained(lambda pem: pem[:-10]),
    "a chain whose second certificate is malformed": lambda: chained(
        lambda pem: pem + "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
    ),
    "a chain with a surrogate": lambda: forge.collateral(change=lambda v: v | {"tcb_info_issuer_chain": "\ud800"}),
    "a text with a surrogate": lambda: forge.collateral(change=lambda v: v | {"tcb_info": "\ud800"}),
    **{
        f"{name} {value!r}": lambda name=name, value=value: forge.collateral(tcb=forge.info(**{name: value}))  # type: ignore[misc]
        for name, value in (
            ("id", "X"),
            ("id", 7),
            ("version", 2),
            ("issueDate", "yesterday"),
            ("issueDate", "2026-13-01T00:00:00Z"),
            ("fmspc", "00"),
            ("fmspc", "xx"),
            ("tcbEvaluationDataNumber", True),
            ("tcbEvaluationDataNumber", -1),
            ("tcbLevels", {}),
            ("tcbLevels", [1]),
            ("tcbLevels", [{}]),
            ("tcbLevels", [forge.level()]),
            ("tcbLevels", [{"tcbStatus": "Fine", "tcb": {}}]),
            ("tcbLevels", levels(components=(1,) * 15)),
            ("tcbLevels", levels(components=(256,) * 16)),
            ("tcbLevels", levels(tdx=None)),
            ("tcbLevels", levels(advisories=(7,))),
            ("tdxModule", 7),
            ("tdxModuleIdentities", [{"id": "TDX_XX"}]),
        )
    },
    "an identity of another version": lambda: forge.collateral(qe=forge.identity(version=1)),
}


def malformed(given: bytes, said: str = "") -> None:
    """It decides nothing, and the result says which endorsement it was and what is wrong with it."""
    found = examined(forge.quote(), given)
    assert (found.status, outcomes(found)["collateral"]) == ("undecided", NOT_CHECKED)
    (left,) = found.unused
    assert (left.place, left.reason.startswith("malformed: "), said in left.reason) == (0, True, True)
    with pytest.raises(UnavailableError, match="malformed"):
        found.verified()
    assert examined(forge.quote(), given, forge.collateral()).status == "authentic"


@pytest.mark.parametrize("name", BROKEN)
def test_json_that_is_no_collateral(name: str) -> None:
    malformed(BROKEN[name]())


def test_tcb_info_without_modules_of_their_own() -> None:
    """As before TDX 1.5."""
    tcb = {k: v for k, v in forge.info().items() if k != "tdxModuleIdentities"}
    old = forge.domain(tee_tcb_svn=(0, bytes(16)))
    given = forge.collateral(tcb=tcb)
    before = good().with_(evidence=forge.quote(body=old), endorsements=(given,))
    assert outcomes(examined(forge.quote(), given, control=before))["tdx-module"] == FAILED


def renamed(old: bytes, new: bytes) -> bytes:
    """A machine's extension with other bytes in one place."""
    assert forge.machine().count(old) == 1
    return forge.machine().replace(old, new)


def within(inside: bytes, wide: bytes) -> bytes:
    """A field of the extension, whose length is written in more bytes than it needs."""
    return renamed(forge.field(b"\4", forge.tlv(0x04, forge.FMSPC)), forge.tlv(0x30, inside + wide))


LONG = {
    "a length in two bytes that fits in one": b"\4\x81\6" + forge.FMSPC,
    "a length that begins with zeros": b"\4\x82\0\6" + forge.FMSPC,
}
NAMED = forge.tlv(0x06, forge.ARC + b"\4")
EXTENSIONS = {
    **{name: within(NAMED, wide) for name, wide in LONG.items()},
    "a length of an OID": within(b"\6\x81\x0a" + forge.ARC + b"\4", forge.tlv(0x04, forge.FMSPC)),
    "an OID of another arc": within(forge.tlv(0x06, b"\x2a\3\4"), forge.tlv(0x04, forge.FMSPC)),
    "an OID below another field": within(forge.tlv(0x06, forge.ARC + b"\2\4"), forge.tlv(0x04, forge.FMSPC)),
    "an arc of two bytes": within(forge.tlv(0x06, forge.ARC + b"\x81\4"), forge.tlv(0x04, forge.FMSPC)),
    "a SET": renamed(
        forge.field(b"\4", forge.tlv(0x04, forge.FMSPC)), forge.tlv(0x31, NAMED + forge.tlv(4, forge.FMSPC))
    ),
    "an INTEGER with a zero before it": renamed(
        forge.field(b"\2\x11", b"\2\1\x0b"), forge.field(b"\2\x11", b"\2\2\0\x0b")
    ),
    "a negative INTEGER": forge.machine().replace(b"\2\1\x0b", b"\2\1\x8b"),
    "an INTEGER without bytes": renamed(forge.field(b"\2\x11", b"\2\1\x0b"), forge.field(b"\2\x11", b"\2\0")),
    "a BOOLEAN that is 1": forge.machine().replace(b"\1\1\xff", b"\1\1\1"),
    "a BOOLEAN of two bytes": forge.machine().replace(b"\1\1\xff", b"\1\2\xff\xff"),
    "something behind it": forge.machine() + b"\5\0",
    "a short instance": forge.machine(instance=b"\1" * 15),
    "empty": b"",
    "not DER": b"\x30\x81",
    "cut": forge.machine()[:-1],
    "indefinite": b"\x30\x80\0\0",
    "too long a length": b"\x30\x84\0\0\0\0",
    "fields missing": forge.tlv(0x30, b""),
    "one field twice": forge.tlv(0x30, 2 * forge.field(b"\1", forge.tlv(0x04, bytes(16)))),
    "no OID": forge.tlv(0x30, forge.tlv(0x30, forge.tlv(0x04, b"\1") + forge.tlv(0x04, b""))),
    "an empty OID": forge.tlv(0x30, forge.tlv(0x30, forge.tlv(0x06, b"") + forge.tlv(0x04, b""))),
    "three in one field": forge.tlv(0x30, forge.tlv(0x30, 3 * forge.tlv(0x06, b"\1"))),
    "a version of two bytes": forge.machine(pce_svn=1 << 16),
    "a short model": forge.machine(fmspc=b"\1"),
}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_certificates_that_name_no_machine(name: str) -> None:
    assert machine(forge.certificate(forge.PCK, forge.PLATFORM, extension=EXTENSIONS[name])) is None


def test_a_root_with_another_curve() -> None:
    assert outcomes(forged(chain=(forge.pck(), forge.platform(), _p384())))["root"] == FAILED
    trusted = Roots(intel=(pin(_p384()), pin(forge.root())))
    odd = forge.quote(chain=(forge.pck(), forge.platform(), _p384()))
    found = examined(odd, forge.collateral(), trusted=trusted, control=good().with_(roots=trusted))
    assert outcomes(found)["pck-chain"] == FAILED


@lru_cache
def _p384() -> bytes:
    from tests.forge import aws

    return aws.certificate(forge.ROOT, forge.ROOT)


def test_a_key_that_is_no_point() -> None:
    data = forge.quote()
    at = 48 + 584 + 4 + 64
    assert (
        outcomes(examined(data[:at] + b"\xff" * 64 + data[at + 64 :], forge.collateral()))["attestation-key"] == FAILED
    )
    assert point(b"\xff" * 64) is None


def test_no_bit_can_be_changed() -> None:
    data, given = forge.quote(), forge.collateral()
    for bit in random.Random(1).sample(range(len(data) * 8), 600):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = examined(bytes(changed), given)
        except ParseError:
            continue
        if found.status == "authentic":  # white space around the PEM, and its end
            assert Quote.from_bytes(bytes(changed)).chain == Quote.from_bytes(data).chain
            assert bit // 8 > 48 + 584 + 4 + 128 + 6 + 384


def test_no_signed_text_can_be_changed() -> None:
    for name in ("tcb_info", "qe_identity"):
        given = forge.collateral(change=lambda v, name=name: v | {name: v[name] + " "})  # type: ignore[misc]
        assert examined(forge.quote(), given).status == "not authentic"


@given(st.binary(max_size=2000))
def test_whatever_the_bytes(data: bytes) -> None:
    for examine in [find(kind).examiner() for kind in OF_TEE.values() if kind in KINDS]:
        try:
            found = examine(data, endorsements=(), roots=Roots(), now=0)
        except ParseError:
            continue
        assert found.status == "undecided"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["tcbLevels", "tcb", "id", "version", "fmspc"]), v),
    )
)
def test_whatever_the_collateral(value: Any) -> None:
    for tcb in (value, forge.info() | value if isinstance(value, dict) else value):
        given = forge.collateral(change=lambda v, tcb=tcb: v | {"tcb_info": json.dumps(tcb)})  # type: ignore[misc]
        found = examined(forge.quote(), given)
        assert found.status in ("not authentic", "undecided") or tcb == forge.info()


def peer(data: bytes, given: bytes, *, now: int = NOW, root: bytes | None = None) -> tuple[str, tuple[str, ...]] | None:
    """What dcap-qvl finds; None if it refuses."""
    try:
        collateral = dcap_qvl.QuoteCollateralV3.from_json(given.decode())
        report = dcap_qvl.verify_with_root_ca(data, collateral, root or forge.root(), now)
    except ValueError:
        return None
    return report.status, tuple(sorted(set(report.advisory_ids)))


def ours(found: Examination) -> tuple[str, tuple[str, ...]] | None:
    said: Any = found.unverified_claims
    return (said.tcb_status, said.advisories) if found.status == "authentic" else None


@pytest.mark.parametrize("id", [id for id in ONLY if id not in ("collateral", "root")])
def test_the_peer_refuses_the_same(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(f"{__name__}.examined", lambda data, *given, **_: seen.append((data, *given)))
    ONLY[id]()
    assert peer(*seen[0]) is None
    assert peer(forge.quote(), forge.collateral()) == ("UpToDate", ())


def test_the_peer_finds_the_same_levels() -> None:
    """Over many machines and TCB infos."""
    dice = random.Random(7)
    statuses = [s for s in STATUSES if s != "Revoked"]
    for _ in range(60):
        tdx = dice.random() < 0.5
        machine = [dice.choice((4, 5, 6)) for _ in range(16)]
        made = [
            forge.platform_level(
                dice.choice(statuses),
                components=[dice.choice((3, 4, 5)) if dice.random() < 0.2 else 3 for _ in range(16)],
                pce_svn=dice.choice((10, 11, 12)),
                tdx=[dice.choice((0, 3, 4)) if dice.random() < 0.1 else 0 for _ in range(16)] if tdx else None,
                advisories=(f"INTEL-SA-{dice.randrange(9)}",),
            )
            for _ in range(4)
        ]
        made.sort(key=_versions, reverse=True)  # as the vendor lists them
        kind = TDX if tdx else SGX
        chain = (
            forge.certificate(forge.PCK, forge.PLATFORM, extension=forge.machine(components=machine)),
            *(forge.platform(), forge.root()),
        )
        body = None
        if tdx:
            launch, current = (
                bytes([5, dice.choice((0, 1, 1)), *(dice.choice((3, 4)) for _ in range(14))]) for _ in "12"
            )
            body = forge.domain(648, tee_tcb_svn=(0, launch), tee_tcb_svn_2=(584, current))
        data = forge.quote(kind, version=5 if tdx else 3, body=body, chain=chain)
        given = forge.collateral(kind, tcb=forge.info(kind, tcbLevels=made))
        lowest = forge.platform_level(components=(3,) * 16, pce_svn=10, tdx=(0,) * 16 if tdx else None)
        below = forge.collateral(kind, tcb=forge.info(kind, tcbLevels=[lowest]))
        control = good(kind).with_(evidence=data, endorsements=(below,))
        assert ours(control.but(endorsements=(given,))) == peer(data, given)


def _versions(level: Json) -> tuple[list[int], int, list[int]]:
    tcb = level["tcb"]
    sgx, tdx = ([c["svn"] for c in tcb.get(f"{name}tcbcomponents", ())] for name in ("sgx", "tdx"))
    return sgx, tcb["pcesvn"], tdx


REAL = (
    ("tdx/dcap-qvl", "own-tdx_dcap-qvl", "2025-07-01"),
    ("tdx/go-tdx-guest-v5", "lunal2026-90c06f", "2026-04-01"),
    ("tdx/automata-v4", "solana2025-00806f05", "2025-07-20"),
    ("tdx/dcap-qvl-outdated", "own-tdx_dcap-qvl-outdated", "2026-03-01"),
    ("sgx/dcap-qvl", "own-sgx_dcap-qvl", "2025-07-01"),
    ("sgx/automata-v3", "automata0825-00606a", "2025-08-20"),
)


@pytest.mark.parametrize(("vector", "name", "day"), REAL)
def test_the_peer_finds_the_same_of_real_ones(evidence_dir: Path, vector: str, name: str, day: str) -> None:
    data = (evidence_dir / vector / "quote.bin").read_bytes()
    given = (evidence_dir / f"collateral/assembled/{name}.json").read_bytes()
    now = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    root = Quote.from_bytes(data).chain[-1]
    examine = examiner(SGX if vector.startswith("sgx") else TDX)
    real = Control(examine, evidence=data, endorsements=(given,), roots=Roots(), now=now)
    if vector == "tdx/dcap-qvl-outdated":
        assert ours(real.failing("tcb-level", "current-tcb-level").but()) is None
        assert peer(data, given, now=now, root=root) is None
        return
    assert ours(real.but()) == peer(data, given, now=now, root=root)
    for when in (now - 10**8, now + 10**8):
        assert ours(real.but(now=when)) is None
        assert peer(data, given, now=when, root=root) is None


def test_sgx(evidence_dir: Path) -> None:
    data = (evidence_dir / "sgx/dcap-qvl/quote.bin").read_bytes()
    given = (evidence_dir / "collateral/assembled/own-sgx_dcap-qvl.json").read_bytes()
    examiner(SGX)
    claims: Any = verify("sgx", data, endorsements=(given,), roots=Roots(), now=1_751_328_000).claims
    assert claims.tcb_status == "ConfigurationAndSWHardeningNeeded"
    assert claims.advisories == ("INTEL-SA-00289", "INTEL-SA-00615")
    assert claims.measurement == SgxReport.from_bytes(Quote.from_bytes(data).body).mr_enclave


def test_tdx(evidence_dir: Path) -> None:
    data = (evidence_dir / "tdx/dcap-qvl/quote.bin").read_bytes()
    given = (evidence_dir / "collateral/assembled/own-tdx_dcap-qvl.json").read_bytes()
    examiner(TDX)
    real = Control(partial(verify, "tdx"), evidence=data, endorsements=(given,), roots=Roots(), now=1_751_328_000)
    claims: Any = real.but().claims
    assert (claims.tcb_status, claims.advisories, claims.sept_ve_disable) == ("UpToDate", (), True)
    assert (claims.fmspc.hex(), claims.tcb_date, claims.revoked) == ("b0c06f000000", 1_710_288_000, False)
    assert claims.mr_service_td == bytes(48)
    assert claims.chip_id.hex().startswith("0782847460")
    with pytest.raises(VerificationError):
        real.but(now=0)


def test_out_of_date_is_authentic(evidence_dir: Path) -> None:
    """The platform is; its TDX module alone would not be."""
    data = (evidence_dir / "tdx/automata-v4/quote.bin").read_bytes()
    given = (evidence_dir / "collateral/assembled/solana2025-00806f05.json").read_bytes()
    examiner(TDX)
    claims: Any = verify("tdx", data, endorsements=(given,), roots=Roots(), now=1_752_969_600).claims
    assert claims.tcb_status == "OutOfDate"
    assert claims.advisories == ("INTEL-SA-00960", "INTEL-SA-00982", "INTEL-SA-00986")


def test_no_key_signs_nothing() -> None:
    assert not signed(None, b"", b"")


def chain(**changes: Any) -> Examination:
    """A quote with one of its certificates changed; `of` says which, 0 is the machine's."""
    of = changes.pop("of")
    made: list[bytes] = [forge.pck(), forge.platform(), forge.root()]
    names = ((forge.PCK, forge.PLATFORM), (forge.PLATFORM, forge.ROOT), (forge.ROOT, forge.ROOT))
    made[of] = forge.certificate(*names[of], authority=of > 0, extension=None if of else forge.machine(), **changes)
    trusted = Roots(intel=(pin(made[2]), pin(forge.root())))
    changed = forge.quote(chain=tuple(made))
    return examined(changed, forge.collateral(), trusted=trusted, control=good().with_(roots=trusted))


@pytest.mark.parametrize("of", [0, 1, 2])
def test_a_critical_extension_that_nobody_knows(of: int) -> None:
    assert outcomes(chain(of=of, more=((forge.ODD, True),)))["pck-chain"] == FAILED
    assert outcomes(chain(of=of, more=((forge.ODD, False),)))["pck-chain"] == PASSED


@pytest.mark.parametrize("of", [1, 2])
@pytest.mark.parametrize("usage", [forge.usage(certificates=True), forge.usage(lists=True)])
def test_an_authority_may_sign_certificates_and_lists(of: int, usage: Any) -> None:
    assert outcomes(chain(of=of, more=((usage, True),)))["pck-chain"] == FAILED
    good = forge.usage(certificates=True, lists=True)
    assert outcomes(chain(of=of, more=((good, True),)))["pck-chain"] == PASSED


@pytest.mark.parametrize("extension", [x509.DeltaCRLIndicator(1), forge.ODD])
def test_a_list_of_a_part_is_none(extension: Any) -> None:
    malformed(forge.collateral(machines=forge.revoked(forge.PLATFORM, more=(extension,))), "a partial revocation list")


def as_pem(*lists: x509.CertificateRevocationList) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in lists)


def test_lists_as_pem() -> None:
    one = as_pem(forge.revoked(forge.PLATFORM))
    for lists in (one, one + one, f"one\n{one} and another\n{one}"):
        assert examined(forge.quote(), forge.collateral(change=lambda v: {**v, "pck_crl": lists})).status == "authentic"  # noqa: B023
    for lists in (one[:60], one + one[:60], one[:60] + one, one.replace("M", "+"), "no list"):
        given = forge.collateral(change=lambda v: {**v, "pck_crl": lists})  # noqa: B023
        malformed(given, "pck_crl: a malformed revocation list")


def test_an_enclave_or_a_module_can_not_be_configured() -> None:
    for status in ("ConfigurationNeeded", "SWHardeningNeeded", "OutOfDateConfigurationNeeded"):
        malformed(forge.collateral(qe=forge.identity(tcbLevels=[forge.level(status, svn=forge.QE_SVN)])), status)


@pytest.mark.parametrize("advisory", ["\x1b[2J", "A" * 65, "\ud800", "\u4e00"])
def test_an_advisory_that_is_no_name(advisory: str) -> None:
    tcb = forge.info(tcbLevels=[forge.platform_level(advisories=(advisory,))])
    malformed(forge.collateral(tcb=tcb), "malformed advisories")


def test_a_module_of_major_version_0_is_the_one_beside_the_levels() -> None:
    other = {"id": "TDX_00", "mrsigner": "11" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8, "tcbLevels": []}
    body = forge.domain(tee_tcb_svn=(0, bytes([5, 0]) + bytes([3]) * 14))
    given = (forge.collateral(tcb=forge.info(tdxModuleIdentities=[other])),)
    assert good().with_(evidence=forge.quote(body=body), endorsements=given).but().status == "authentic"


WORSE: dict[str, Callable[[], bytes]] = {
    "another authority's list": lambda: forge.collateral(
        tcb=forge.info(tcbEvaluationDataNumber=1), machines=forge.revoked(forge.PROCESSOR)
    ),
    "an identity that has ended": lambda: forge.collateral(qe=forge.identity(nextUpdate=forge.date(NOW - 1))),
    "TCB info that nobody signed": lambda: forge.collateral(info_by="nobody"),
    "for another PCE": lambda: forge.collateral(tcb=forge.info(pceId="0100")),
    "for the other TEE": lambda: forge.collateral(forge.SGX),
    "an older evaluation": lambda: forge.collateral(tcb=forge.info(tcbEvaluationDataNumber=1)),
    "the same TCB info with an older identity": lambda: forge.collateral(qe=forge.identity(tcbEvaluationDataNumber=1)),
    "newer TCB info with an older identity": lambda: forge.collateral(
        tcb=forge.info(tcbEvaluationDataNumber=18), qe=forge.identity(tcbEvaluationDataNumber=1)
    ),
    "no collateral": lambda: b'{"tcb_info": ""}',
}


@pytest.mark.parametrize("name", WORSE)
def test_of_several_collaterals_the_newest_that_holds(name: str) -> None:
    for both in ((WORSE[name](), forge.collateral()), (forge.collateral(), WORSE[name]())):
        claims: Any = examined(forge.quote(), *both).verified().claims
        assert claims.tcb_evaluation_number == 17


REVOKED = (forge.PLATFORM, forge.SERIALS[forge.PCK])
GONE = (forge.ROOT, forge.SERIALS[forge.PLATFORM])

HIDDEN: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "a list beside the collateral": lambda: (forge.collateral(), forge.der(forge.revoked(*REVOKED))),
    "a list of the root beside it": lambda: (forge.collateral(), forge.der(forge.revoked(*GONE))),
    "one whose JSON has another that has ended": lambda: (
        forge.collateral(),
        forge.collateral(machines=forge.revoked(*REVOKED), authorities=forge.revoked(forge.ROOT, end=NOW - 1)),
    ),
    "one of the root, whose JSON has another that has ended": lambda: (
        forge.collateral(),
        forge.collateral(machines=forge.revoked(forge.PLATFORM, end=NOW - 1), authorities=forge.revoked(*GONE)),
    ),
    "one of the root in collateral of the other authority": lambda: (
        forge.collateral(),
        forge.collateral(machines=forge.revoked(forge.PROCESSOR), authorities=forge.revoked(*GONE)),
    ),
    "one in collateral of the other TEE": lambda: (
        forge.collateral(),
        forge.collateral(SGX, machines=forge.revoked(*REVOKED)),
    ),
    "one in collateral whose TCB info has ended": lambda: (
        forge.collateral(),
        forge.collateral(tcb=forge.info(nextUpdate=forge.date(NOW - 1)), machines=forge.revoked(*REVOKED)),
    ),
    "one in collateral that is malformed": lambda: (
        forge.collateral(),
        forge.collateral(change=lambda v: v | {"tcb_info": "[]"}, machines=forge.revoked(*REVOKED)),
    ),
    "one in JSON with nothing else": lambda: (
        forge.collateral(),
        json.dumps({"pck_crl": forge.der(forge.revoked(*REVOKED)).hex()}).encode(),
    ),
    "one behind another in the same PEM": lambda: (
        forge.collateral(
            change=lambda v: v | {"pck_crl": as_pem(forge.revoked(forge.PLATFORM), forge.revoked(*REVOKED))}
        ),
    ),
    "one of the root in the PEM of the machines' list": lambda: (
        forge.collateral(change=lambda v: v | {"pck_crl": as_pem(forge.revoked(forge.PLATFORM), forge.revoked(*GONE))}),
    ),
    "one behind another that is malformed, in the same PEM": lambda: (
        forge.collateral(),
        json.dumps({"pck_crl": as_pem(forge.revoked(forge.PLATFORM))[:60] + as_pem(forge.revoked(*REVOKED))}).encode(),
    ),
    "one whose JSON has another that is malformed": lambda: (
        forge.collateral(),
        forge.collateral(change=lambda v: v | {"root_ca_crl": "00"}, machines=forge.revoked(*REVOKED)),
    ),
    "an older one that still holds": lambda: (
        forge.collateral(),
        forge.der(forge.revoked(*REVOKED, start=NOW - 5000)),
    ),
    "lists in each other's place": lambda: (
        forge.collateral(machines=forge.revoked(*GONE), authorities=forge.revoked(forge.PLATFORM)),
    ),
}
"""Endorsements with a list that revokes, in places where it could be overlooked."""


@pytest.mark.parametrize("name", HIDDEN)
def test_each_list_is_judged_by_itself(name: str) -> None:
    given = HIDDEN[name]()
    for order in (given, given[::-1]):
        assert outcomes(examined(forge.quote(), *order))["revocation"] == FAILED


@pytest.mark.parametrize(
    "one",
    [
        forge.revoked(*REVOKED, end=NOW - 1),
        forge.revoked(*REVOKED, start=NOW + 1),
        forge.revoked(*REVOKED, signer="nobody"),
        forge.revoked(forge.ROOT, forge.SERIALS[forge.PCK]),
    ],
    ids=["ended", "not yet", "not signed", "of another authority"],
)
def test_lists_that_say_nothing_revoke_nothing(one: x509.CertificateRevocationList) -> None:
    found = examined(forge.quote(), forge.collateral(), forge.der(one))
    assert found.status == "authentic"


def test_the_newest_list_that_holds_is_the_one_that_counts_for_time() -> None:
    """So one in the collateral that has ended does no harm beside a newer."""
    old = forge.collateral(machines=forge.revoked(forge.PLATFORM, start=NOW - 9000, end=NOW - 1))
    came = outcomes(examined(forge.quote(), old))
    assert came["validity"] == FAILED
    found = examined(forge.quote(), old, forge.der(forge.revoked(forge.PLATFORM, end=NOW + 500)))
    assert found.status == "authentic"
    assert min(f.until for f in found.forecast if f.until is not None) == NOW + 500
    (left,) = found.unused
    assert (left.place, "expired: the revocation list ended" in left.reason) == (0, True)
    assert left.reason.endswith("its other revocation lists count")


UNUSED: dict[str, Callable[[], bytes]] = {
    "another is as new, or newer": lambda: forge.collateral(tcb=forge.info(tcbEvaluationDataNumber=1)),
    "another TEE": lambda: forge.collateral(SGX),
    "another model": lambda: forge.collateral(tcb=forge.info(pceId="0100")),
    "did not sign": lambda: forge.collateral(info_by="nobody"),
    "expired: the quoting enclave's identity ended": lambda: forge.collateral(
        qe=forge.identity(nextUpdate=forge.date(NOW - 1))
    ),
    "not yet valid: the TCB info begins": lambda: forge.collateral(tcb=forge.info(issueDate=forge.date(NOW + 1))),
    "malformed": lambda: b"{",
    "a certificate that the chain does not need": forge.pck,
    "neither a certificate nor a revocation list": lambda: b"0",
    "an issuer outside the chain": lambda: forge.der(forge.revoked(forge.PROCESSOR)),
    "not signed by Intel SGX Root CA": lambda: forge.der(forge.revoked(forge.ROOT, signer="nobody")),
    "expired: the revocation list ended": lambda: forge.der(forge.revoked(forge.ROOT, end=NOW - 1)),
}


@pytest.mark.parametrize("reason", UNUSED)
def test_what_is_not_used_is_named(reason: str) -> None:
    found = examined(forge.quote(), forge.collateral(), UNUSED[reason]())
    (left,) = found.unused
    assert (found.status, left.place, reason in left.reason) == ("authentic", 1, True)
    assert not examined(forge.quote(), forge.collateral(), forge.der(forge.revoked(forge.ROOT))).unused


def test_expired_and_not_yet_valid_are_told_apart() -> None:
    now = "2026-05-28T20:26:40Z"
    for change, code, said in (
        ({"nextUpdate": forge.date(NOW - 1)}, "expired", "expired: the TCB info ended 2026-05-28T20:26:39Z"),
        (
            {"issueDate": forge.date(NOW + 1)},
            "not-yet-valid",
            "not yet valid: the TCB info begins 2026-05-28T20:26:41Z",
        ),
    ):
        found = forged(tcb=forge.info(**change))
        (check,) = [one for one in found.checks if one.outcome == FAILED]
        assert (check.id, check.code, check.got) == ("validity", code, f"{now}: {said}")
        with pytest.raises(VerificationError, match=said) as caught:
            found.verified()
        assert caught.value.code == code


def test_a_machine_below_every_level_is_told_the_nearest() -> None:
    made = [
        forge.platform_level(components=(9,) * 16, date="2026-02-01"),
        forge.platform_level("OutOfDate", components=(5,) * 15 + (7,), pce_svn=12, date="2025-02-01"),
    ]
    found = {check.id: check for check in forged(tcb=forge.info(tcbLevels=made)).checks}["tcb-level"]
    assert found.got == f"SGX {'05' * 16}, PCE 11, TDX {forge.MODULE.hex()}"
    said = "the nearest, OutOfDate of 2025-02-01, wants SGX component 16 at least 7 (is 5), PCE at least 12 (is 11)"
    assert found.wanted.endswith(said)
    sgx = examined(forge.quote(SGX), forge.collateral(SGX, tcb=forge.info(SGX, tcbLevels=[])))
    (check,) = [one for one in sgx.checks if one.outcome == FAILED]
    assert (check.got, check.wanted.endswith("no level is listed")) == (f"SGX {'05' * 16}, PCE 11", True)
    tdx = forged(tcb=forge.info(tcbLevels=levels(tdx=(9,) * 16)))
    assert "TDX component 3 at least 9 (is 3)" in {check.id: check for check in tdx.checks}["tcb-level"].wanted


MODULES = [
    forge.level(svn=7),
    forge.level("OutOfDate", svn=5, advisories=("INTEL-SA-5",), date="2025-01-01"),
    forge.level("Revoked", svn=3),
]


@pytest.mark.parametrize(
    ("launch", "current", "platform", "word", "now"),
    [
        (7, 7, "UpToDate", "UpToDate", "UpToDate"),
        (5, 7, "UpToDate", "TDRelaunchAdvised", "UpToDate"),
        (5, 7, "SWHardeningNeeded", "TDRelaunchAdvised", "SWHardeningNeeded"),
        (5, 7, "ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded", "ConfigurationNeeded"),
        (5, 5, "UpToDate", "OutOfDate", "OutOfDate"),
        (5, 3, "UpToDate", "OutOfDate", "Revoked"),
        (7, 5, "UpToDate", "UpToDate", "OutOfDate"),
        (7, 3, "UpToDate", "UpToDate", "Revoked"),
        (3, 7, "UpToDate", "Revoked", "UpToDate"),
        (5, 7, "OutOfDate", "OutOfDate", "OutOfDate"),
        (7, 5, "ConfigurationNeeded", "ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
def test_the_module_at_launch_and_the_one_now(launch: int, current: int, platform: str, word: str, now: str) -> None:
    identities = [{**forge.info()["tdxModule"], "id": "TDX_01", "tcbLevels": MODULES}]
    tcb = forge.info(tdxModuleIdentities=identities, tcbLevels=levels(status=platform))
    body = forge.domain(
        648,
        tee_tcb_svn=(0, bytes([launch]) + forge.MODULE[1:]),
        tee_tcb_svn_2=(584, bytes([current]) + forge.MODULE[1:]),
    )
    data, given = forge.quote(version=5, body=body), forge.collateral(tcb=tcb)
    said: Any = examined(data, given).verified().claims
    assert (said.tcb_status, said.current_tcb_status) == (word, now)
    assert (said.tee_tcb_svn[0], said.tee_tcb_svn_2[0]) == (launch, current)
    names = {7: "UpToDate", 5: "OutOfDate", 3: "Revoked"}
    assert (said.module_status, said.current_module_status) == (names[launch], names[current])
    assert ("INTEL-SA-5" in said.advisories, "INTEL-SA-5" in said.current_advisories) == (launch == 5, current == 5)
    assert said.current_tcb_date == (1_735_689_600 if current == 5 else 1_767_225_600)
    if "Revoked" not in (word, now):
        assert peer(data, given) == (word, said.advisories)


def test_a_report_of_tdx_1_0_has_one_module() -> None:
    said: Any = forged().verified().claims
    assert said.tee_tcb_svn == said.tee_tcb_svn_2 == forge.MODULE
    assert said.tcb_status == said.current_tcb_status == said.module_status == said.current_module_status == "UpToDate"


def test_any_list_may_revoke() -> None:
    old = forge.collateral(
        tcb=forge.info(tcbEvaluationDataNumber=1), machines=forge.revoked(forge.PLATFORM, forge.SERIALS[forge.PCK])
    )
    assert outcomes(examined(forge.quote(), old, forge.collateral()))["revocation"] == FAILED
    nobody = forge.revoked(forge.PLATFORM, forge.SERIALS[forge.PCK], signer=forge.ROOT)
    assert examined(forge.quote(), forge.collateral(machines=nobody), forge.collateral()).status == "authentic"


def test_two_certificates_are_no_chain_for_two_collaterals() -> None:
    short = forge.quote(chain=(forge.pck(), forge.root()))
    both = (forge.collateral(), forge.collateral(tcb=forge.info(tcbEvaluationDataNumber=1)))
    found = examined(short, *both, control=good().with_(endorsements=both))
    assert outcomes(found)["pck-chain"] == FAILED


def test_extended_reports() -> None:
    """TD 1.5 with what is bound now beside what was bound at first."""
    body = forge.domain(885, now=(829, b"\5" * 48))
    claims: Any = examined(forge.quote(version=5, body=body), forge.collateral()).verified().claims
    assert (claims.mr_service_td, claims.current_service_td) == (bytes(48), b"\5" * 48)


def test_a_quote_that_names_no_machine_is_endorsed_by_nobody() -> None:
    quote = Quote.from_bytes(forge.quote(chain=(forge.certificate("x", "y"),)))
    with pytest.raises(UsageError, match="do not identify its machine"):
        request(quote)
