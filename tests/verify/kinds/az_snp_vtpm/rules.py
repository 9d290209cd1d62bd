from __future__ import annotations

from typing import Any

from tests.forge import tpm
from tests.verify.families.azure_rules import BEGINNING, OF_AZURE, UNKNOWN, virtual
from tests.verify.kinds.snp.rules import VECTORS as PART
from tests.verify.kinds.snp.rules import snp
from tests.verify.vectors import At, Given


def az_snp(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = snp({0x50: bound, **(report or {})}, **more)
    return found._replace(evidence=tpm.azure(tpm.hcl(runtime, found.evidence), message, pcrs=pcrs))


VECTORS = PART._replace(
    forge=az_snp,
    rows=PART.rows | OF_AZURE,
    beginning=PART.beginning | BEGINNING,
    unknown=UNKNOWN,
    revoked=({"revoked": (7,)}, "snp-revocation"),
)
