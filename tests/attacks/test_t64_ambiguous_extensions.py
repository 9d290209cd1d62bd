"""T64: a certificate's vendor extensions can be parsed in two ways, or seem to name another machine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.handed import CHAIN, CRL, Party
from tests.forge import amd, intel
from tests.forge import snp as forge_snp
from tests.verify.families.test_intel import EXTENSIONS


def snp(party: Party, *, chip_id: bytes = amd.CHIP, **vcek: Any) -> dict[str, str]:
    return party.verify(
        forge_snp.sign(forge_snp.blank(chip_id=chip_id)), **CHAIN | {"vcek": amd.vcek(**vcek)}, crl=CRL
    ).outcomes


@pytest.mark.parametrize("shown", [(b"\5" * 8).ljust(64, b"\0"), bytes(64)], ids=["zeros follow", "masked"])
def test_an_id_of_8_bytes_is_of_no_genoa(party: Party, shown: bytes) -> None:
    assert snp(party, chip_id=shown, chip=b"\5" * 8)["certificate-chip"] == "failed"
    assert snp(party)["certificate-chip"] == "passed"


@pytest.mark.parametrize("oid", [oid for name, oid in amd.PARTS.items() if name != "fmc"])
@pytest.mark.parametrize("value", ["02020000", "0202000a", "020100ff", "0200", "02810100"])
def test_integers_of_amd_are_as_short_as_can_be(party: Party, oid: str, value: str) -> None:
    found = snp(party, extensions_over={oid: bytes.fromhex(value)})
    assert found["certificate-tcb"] == "failed"


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize("name", EXTENSIONS)
def test_extensions_of_intel_are_der(party: Party, name: str) -> None:
    leaf = intel.certificate(intel.PCK, intel.PLATFORM, extension=EXTENSIONS[name])
    found = party.verify(intel.quote(chain=(leaf, intel.platform(), intel.root())), collateral=intel.collateral())
    assert (found.exit, found.outcomes["pck-chain"]) == (126, "failed")


@pytest.mark.kinds("tdx")
def test_lengths_that_need_two_bytes_have_them(party: Party) -> None:
    """The extension is longer than 127 bytes: a strict parser must still accept correct lengths."""
    for size in (124, 125, 126, 127, 128, 251, 252, 253):
        padding = intel.field(b"\x09", intel.tlv(0x04, b"\1" * size))
        whole = intel.machine()
        inside = whole[4:] + padding
        leaf = intel.certificate(intel.PCK, intel.PLATFORM, extension=intel.tlv(0x30, inside))
        found = party.verify(intel.quote(chain=(leaf, intel.platform(), intel.root())), collateral=intel.collateral())
        assert found.exit == 0, size
