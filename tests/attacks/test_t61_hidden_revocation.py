"""T61: the sender of evidence hides a revocation list next to, behind or inside other endorsements."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from enarx.formats.bundle import Bundle, Item
from tests.attacks.handed import CHAIN, Party
from tests.forge import amd, intel, snp, tpm
from tests.verify.families.test_intel import GONE, HIDDEN, NOW, REVOKED


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("name", HIDDEN)
def test_of_intel(party: Party, name: str) -> None:
    given = HIDDEN[name]()
    for order in (given, given[::-1]):
        found = party.verify(intel.quote(), **{f"given-{i}": data for i, data in enumerate(order)})
        assert (found.exit, found.outcomes["revocation"]) == (126, "failed")
    assert party.verify(intel.quote(), only=intel.collateral()).exit == 0


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("serials", [REVOKED, GONE], ids=["the machine", "its authority"])
@pytest.mark.parametrize("form", ["DER", "PEM", "bundle", "directory"])
def test_of_intel_as_a_file_of_its_own(party: Party, serials: tuple[str, int], form: str) -> None:
    made = intel.revoked(*serials)
    data = made.public_bytes(Encoding.PEM if form == "PEM" else Encoding.DER)
    if form == "bundle":
        data = Bundle(items=(Item(what="", source="", until=None, data=data),)).to_bytes()
    if form == "directory":
        (party.directory / "lists").mkdir()
        (party.directory / "lists" / "x").write_bytes(data)
        found = party.verify(
            intel.quote(), "--endorsements", str(party.directory / "lists"), collateral=intel.collateral()
        )
    else:
        found = party.verify(intel.quote(), collateral=intel.collateral(), list=data)
    assert (found.exit, found.outcomes["revocation"]) == (126, "failed")


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("form", ["PEM", "bundle"])
def test_of_intel_beside_what_is_malformed(party: Party, form: str) -> None:
    made = intel.revoked(*REVOKED)
    if form == "PEM":
        data = b"-----BEGIN X509 CRL-----\nAAA\n-----END X509 CRL-----\n" + made.public_bytes(Encoding.PEM)
    else:
        value = json.loads(Bundle(items=(Item(what="", source="", until=None, data=intel.der(made)),)).to_bytes())
        data = json.dumps(value | {"items": [{"what": "broken"}, *value["items"]]}).encode()
    found = party.verify(intel.quote(), collateral=intel.collateral(), list=data)
    assert (found.exit, found.outcomes["revocation"]) == (126, "failed")
    assert f"unused: {party.directory / 'list'}: malformed" in found.err


def test_of_amd(party: Party) -> None:
    old = amd.crl(end=amd.earlier(1), start=amd.earlier(2))
    others = {
        "old": old,
        "false": amd.crl(by=amd.rsa_key("nobody")),
        "good": amd.crl(),
        "milan": amd.crl(product="Milan"),
    }
    report = snp.sign(snp.blank())
    assert party.verify(report, **CHAIN, **others).exit == 0
    for given in ({**others, "bad": amd.crl([7])}, {"bad": amd.crl([7]), **others}):
        assert party.verify(report, **CHAIN, **given).exit == 126
    table = amd.table(amd.crl([7]))
    assert party.verify(report + table, **CHAIN, **others).outcomes["revocation"] == "failed"


@pytest.mark.kinds("tpm")
def test_of_makers_of_tpms(party: Party) -> None:
    ak, issuer, root = tpm.maker()
    anchor = ("--trust-anchor", str(party.put("root.der", root)))
    evidence = tpm.attestation(certificates=(ak,))
    good = {"issuer": issuer, "good": tpm.revoked("issuer"), "old": tpm.revoked("root", end=NOW - 1)}
    assert party.verify(evidence, *anchor, **good).outcomes["revocation"] == "passed"
    for bad in (tpm.revoked("issuer", 7), tpm.revoked("root", 7)):
        found = party.verify(evidence, *anchor, **good, bad=bad)
        assert (found.exit, found.outcomes["revocation"]) == (126, "failed")


@pytest.mark.kinds("tdx")
def test_what_was_not_used_is_named_by_its_file(party: Party) -> None:
    """On stderr and in the JSON, so that the user does not believe that the file was used."""
    files = {
        "collateral": intel.collateral(),
        "nobodys": intel.der(intel.revoked(intel.PLATFORM, signer="nobody")),
        "ended": intel.der(intel.revoked(intel.ROOT, end=NOW - 1)),
        "others": intel.der(intel.revoked(intel.PROCESSOR)),
        "model": intel.collateral(tcb=intel.info(pceId="0100"), authorities=intel.revoked(intel.ROOT, end=NOW - 1)),
        "cut": intel.collateral()[:-9],
        "certificate": intel.pck(),
        "key": tpm.spki(tpm.rsa_key()),
    }
    found = party.verify(intel.quote(), **files)
    assert found.exit == 0
    left = {one["source"].rsplit("/", 1)[1]: one["reason"] for one in found.value["unused"]}
    assert {**left} == {
        "nobodys": "a revocation list that is not signed by Intel SGX PCK Platform CA",
        "ended": "expired: the revocation list ended 2026-05-28T20:26:39Z",
        "others": "a revocation list of an issuer outside the chain",
        "model": "collateral for another model of machine; expired: the revocation list ended 2026-05-28T20:26:39Z; "
        "its other revocation lists count",
        "cut": "malformed: not JSON",
        "certificate": "a certificate that the chain does not need",
        "key": "a public key: keys are trusted only with --trust-anchor",
    }
    for name in left:
        assert f"unused: {party.directory / name}: " in found.err


@pytest.mark.kinds("tdx")
def test_many_that_were_not_used_are_counted(party: Party) -> None:
    files = {f"f{i}": json.dumps({"n": i}).encode() for i in range(50)}
    found = party.verify(intel.quote(), **files, collateral=intel.collateral())
    assert len(found.value["unused"]) == 50
    assert "unused: 30 more" in found.err
