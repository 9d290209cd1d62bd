from __future__ import annotations

import base64
from typing import Any

from enarx.verify.matchers import AnyOf, AtLeast, NoneOf
from tests.forge import azure, tpm
from tests.verify.families.azure_rules import BEGINNING, OF_AZURE, UNKNOWN, virtual
from tests.verify.families.tpm_rules import REGISTERS
from tests.verify.kinds.tdx.rules import VECTORS as PART
from tests.verify.kinds.tdx.rules import tdx
from tests.verify.vectors import At, Given


def az_tdx(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = tdx({520: bound, **(report or {})}, **more)
    hcl = azure.hcl(runtime, bytes(1184), kind=4)
    beside = base64.urlsafe_b64encode(found.evidence).decode()
    return found._replace(evidence=azure.evidence(hcl, message, pcrs=pcrs, td_quote=beside))


VECTORS = PART._replace(
    forge=az_tdx,
    rows=PART.rows | OF_AZURE,
    beginning=PART.beginning - {"sept_ve_disable"} | BEGINNING,
    unknown=UNKNOWN,
    revoked=({"revoked": (4,)}, "td-revocation"),
    policy_id="IpES1-OkFLAsdDukT0CcgkpGkm4Jvgtm1cZpvdRcnT8",
    decisive=("measurement", "pcrs", "secure_boot"),
    vacuous={
        "boot loader and kernel, not the firmware": {"pcrs": AtLeast((*REGISTERS[4:5], *REGISTERS[8:15]))},
        "any registers but these": {"pcrs": NoneOf((f"4:{'77' * 32}",))},
    },
    enough=({"pcrs": AnyOf(REGISTERS)},),
    lowered={},
)
