"""T63: the sender supplies malformed, expired or not yet valid endorsements, to discredit good evidence or to pass as current."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.attacks.handed import CHAIN, CRL, Party
from tests.forge import amd, intel, snp
from tests.verify.families.test_intel import BROKEN, NOW
from tests.verify.kinds.simulated.test_simulated import EXAMINED

QUOTE = intel.quote()


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("name", BROKEN)
def test_malformed_collateral_is_undecided_and_named(party: Party, name: str) -> None:
    found = party.verify(QUOTE, given=BROKEN[name]())
    assert (found.exit, found.value["status"], found.outcomes["collateral"]) == (127, "undecided", "not checked")
    source = str(party.directory / "given")
    assert [one["source"] for one in found.value["unused"]] == [source]
    assert f"unused: {source}: malformed: " in found.err
    assert party.verify(QUOTE, given=BROKEN[name](), good=intel.collateral()).exit == 0


CUT: dict[str, Callable[[], bytes]] = {
    "collateral": lambda: intel.collateral()[:-100],
    "half of a PEM": lambda: intel.pem(intel.pck()).encode()[:300],
    "PEM of something else": lambda: b"-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n",
    "a list": lambda: intel.der(intel.revoked(intel.PLATFORM))[:-1],
    "a certificate": lambda: intel.pck()[:-1],
    "bytes": lambda: b"\xff" * 100,
    "nothing": lambda: b"",
    "JSON of something else": lambda: b"[]",
    "a bundle": lambda: json.dumps({"enarx": "endorsements", "version": 1, "items": [{}]}).encode(),
    "a key": lambda: json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}).encode(),
}


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("where", ["file", "directory"])
@pytest.mark.parametrize("name", CUT)
def test_so_is_whatever_else_can_not_be_read(party: Party, name: str, where: str) -> None:
    (party.directory / "given").mkdir()
    path = party.directory / "given" / "file"
    path.write_bytes(CUT[name]())
    found = party.verify(QUOTE, "--endorsements", str(path if where == "file" else path.parent))
    assert (found.exit, found.value["status"]) == (127, "undecided")
    assert [one["source"] for one in found.value["unused"]] == [str(path)]
    assert f"unused: {path}: malformed" in found.err


def test_of_a_malformed_list_nothing_is_known(party: Party) -> None:
    found = party.verify(snp.sign(snp.blank()), **CHAIN, crl=amd.crl()[:-1])
    assert (found.outcomes["revocation"], found.value["claims"]["revoked"]) == ("not checked", None)
    assert f"unused: {party.directory / 'crl'}: malformed" in found.err


def test_of_a_malformed_certificate_of_a_simulated_chip() -> None:
    for given in ((b"",), (b"\xff", b"{}")):
        assert EXAMINED.but(endorsements=given).status == "undecided"


EARLY_AND_LATE: dict[str, tuple[Callable[[], dict[str, bytes]], str, str]] = {
    "TCB info": (
        lambda: {"c": intel.collateral(tcb=intel.info(nextUpdate=intel.date(NOW - 1)))},
        "expired",
        "the TCB info ended 2026-05-28T20:26:39Z",
    ),
    "an identity": (
        lambda: {"c": intel.collateral(qe=intel.identity(issueDate=intel.date(NOW + 1)))},
        "not-yet-valid",
        "the quoting enclave's identity begins 2026-05-28T20:26:41Z",
    ),
    "a list": (
        lambda: {"c": intel.collateral(machines=intel.revoked(intel.PLATFORM, end=NOW - 1))},
        "expired",
        "the revocation list of Intel SGX PCK Platform CA ended 2026-05-28T20:26:39Z",
    ),
    "a list of the root": (
        lambda: {"c": intel.collateral(authorities=intel.revoked(intel.ROOT, start=NOW + 1))},
        "not-yet-valid",
        "the revocation list of Intel SGX Root CA begins 2026-05-28T20:26:41Z",
    ),
    "a signer": (
        lambda: {"c": intel.collateral(info_signer=intel.certificate(intel.SIGNING, intel.ROOT, end=NOW - 1))},
        "expired",
        "the certificate Intel SGX TCB Signing ended 2026-05-28T20:26:39Z",
    ),
}


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("name", EARLY_AND_LATE)
def test_expired_is_told_from_not_yet_valid(party: Party, name: str) -> None:
    files, code, said = EARLY_AND_LATE[name]
    found = party.verify(QUOTE, **files())
    check = found.check("validity")
    assert (found.exit, check["outcome"], check["code"]) == (126, "failed", code)
    assert check["got"] == f"2026-05-28T20:26:40Z: {code.replace('-', ' ')}: {said}"
    assert f"failed: validity ({code}): got 2026-05-28T20:26:40Z" in found.err


@pytest.mark.parametrize(
    ("at", "code"), [("2020-01-01T00:00:00Z", "not-yet-valid"), ("2040-01-01T00:00:00Z", "expired")]
)
def test_of_amd_too(party: Party, at: str, code: str) -> None:
    found = party.verify(snp.sign(snp.blank()), at=at, **CHAIN, crl=CRL)
    assert (found.exit, found.check("validity")["code"]) == (126, code)
    assert found.check("validity")["got"].startswith(at)


@pytest.mark.kinds("tdx")
def test_a_machine_below_every_level_is_told_which(party: Party) -> None:
    levels = [
        intel.platform_level(components=(9,) * 16),
        intel.platform_level(components=(5,) * 15 + (6,), date="2025-03-12"),
    ]
    found = party.verify(QUOTE, collateral=intel.collateral(tcb=intel.info(tcbLevels=levels)))
    said = "the nearest, UpToDate of 2025-03-12, wants SGX component 16 at least 6 (is 5)"
    assert (found.exit, said in found.check("tcb-level")["wanted"]) == (126, True)
    assert said in found.err
    assert f"got SGX {'05' * 16}, PCE 11, TDX {intel.MODULE.hex()}" in found.err
