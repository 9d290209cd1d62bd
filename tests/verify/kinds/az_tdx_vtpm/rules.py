from __future__ import annotations

import base64
from typing import Any

from tests.forge import tpm
from tests.verify.families.azure_rules import BEGINNING, OF_AZURE, UNKNOWN, virtual
from tests.verify.kinds.tdx.rules import VECTORS as PART
from tests.verify.kinds.tdx.rules import tdx
from tests.verify.vectors import At, Given


def az_tdx(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = tdx({520: bound, **(report or {})}, **more)
    hcl = tpm.hcl(runtime, bytes(1184), kind=4)
    beside = base64.urlsafe_b64encode(found.evidence).decode()
    return found._replace(evidence=tpm.azure(hcl, message, pcrs=pcrs, td_quote=beside))


VECTORS = PART._replace(
    forge=az_tdx,
    rows=PART.rows | OF_AZURE,
    beginning=PART.beginning - {"sept_ve_disable"} | BEGINNING,
    unknown=UNKNOWN,
    revoked=({"revoked": (4,)}, "td-revocation"),
)
