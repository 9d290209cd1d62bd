"""TPM 2.0 part 2, 10.12."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from enarx.verify import Roots
from tests.forge import tpm
from tests.verify.families.tpm_rules import FIRMWARE, OF_QUOTE, OTHER_PCRS, REGISTERS, SAFE, in_quote
from tests.verify.vectors import LEFT, NOW, At, Ends, Fixed, Given, Rows, Varies, Vectors, be, over

SHA512 = 0x000D


@cache
def ak(name: str) -> bytes:
    return tpm.certificate(name, "issuer")


def tpm_quoted(
    quote: At | None = None,
    *,
    pcrs: tuple[bytes, ...] = tpm.PCRS,
    bank: int = 0x000B,
    name: str = "ak",
    ends: Ends | None = None,
    **roots: Any,
) -> Given:
    _, issuer, root = tpm.maker()
    own = ak(name)
    if ends:

        def ending(name: str) -> dict[str, int]:
            return {"end": ends[name]} if ends and name in ends else {}

        own = tpm.certificate(name, "issuer", **ending("certificate of the key"))
        issuer = tpm.certificate("issuer", "root", depth=0, **ending("issuer 1"))
        root = tpm.certificate("root", "root", depth=1, **ending("issuer 2"))
    message = over(tpm.quote(pcrs, select=tpm.selection(range(24), bank)), quote)
    evidence = tpm.attestation(message, key=tpm.rsa_key(name), pcrs=pcrs, certificates=(own,))
    return Given(
        evidence,
        (issuer, root, tpm.revoked("issuer", **(ending("list") if ends else {}))),
        Roots(**{"tpm_makers": (hashlib.sha256(root).digest(),), **roots}),
    )


TPM: Rows = OF_QUOTE | {
    "measurement": Varies(hashlib.sha256(b"".join(tpm.PCRS)).digest(), {"pcrs": OTHER_PCRS}, ("pcrs",)),
    "host_data": Fixed(bytes(32), b"\7" * 32, "TPMs have none"),
    "debug": Fixed(False, True, "TPMs have no such thing"),
    "svn": Fixed(0, 1, "TPMs have none"),
    "chip_id": Varies(hashlib.sha256(tpm.spki(tpm.rsa_key("ak"))).digest(), {"name": "another"}),
    "ak_certified": Fixed(True, False, "under a key that is not the caller's nothing is authentic, or it is unknown"),
    "pcr_bank": Varies(
        "sha256", {"bank": SHA512, "pcrs": tuple(bytes([i]) * 64 for i in range(24))}, ("measurement", "pcrs")
    ),
    "pcrs": Varies(REGISTERS, {"pcrs": OTHER_PCRS}, ("measurement",)),
    "firmware": in_quote(FIRMWARE, be(0x2021, 8), 0x2020),
    "clock_safe": in_quote(SAFE, b"\0", True),
}

VECTORS = Vectors(
    forge=tpm_quoted,
    rows=TPM,
    ends=NOW + 1000,
    together={
        "measurement": "it is the digest of all registers",
        "pcrs": "the measurement is their digest",
    },
    beginning=frozenset({"debug", "pcr_bank", "ak_certified"}),
    unknown={"ak_certified": ({"tpm_makers": ()}, ())},
    things=("certificate of the key", "issuer 1", "issuer 2", "list"),
    policy_id="V32mV4KxmPUIomxto0__WC7_Ad-APYvn5hslbwRyl2A",
    decisive=("pcrs", "ak_certified"),
    vacuous={"the digest of registers, not which": {"pcrs": LEFT}},
)
