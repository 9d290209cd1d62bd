from __future__ import annotations

from typing import Any

from enarx.verify.matchers import AtLeast, Exactly
from enarx.verify.trust import BOOT
from tests.forge import azure, tpm
from tests.verify.families.azure_rules import BEGINNING, OF_AZURE, UNKNOWN, virtual
from tests.verify.families.tpm_rules import REGISTERS
from tests.verify.kinds.snp.rules import VECTORS as PART
from tests.verify.kinds.snp.rules import snp
from tests.verify.vectors import At, Given


def az_snp(
    report: At | None = None, *, quote: At | None = None, pcrs: Any = tpm.PCRS, vm: Any = None, **more: Any
) -> Given:
    runtime, bound, message = virtual(quote, pcrs, vm)
    found = snp({0x50: bound, **(report or {})}, **more)
    return found._replace(evidence=azure.evidence(azure.hcl(runtime, found.evidence), message, pcrs=pcrs))


VECTORS = PART._replace(
    forge=az_snp,
    rows=PART.rows | OF_AZURE,
    beginning=PART.beginning | BEGINNING,
    unknown=UNKNOWN,
    revoked=({"revoked": (7,)}, "snp-revocation"),
    policy_id="vWaCRHuJNdEblKrn8q7VA4Ol24Iu16RqotEMVhr4Um0",
    decisive=("measurement", "pcrs", "secure_boot"),
    vacuous={"a floor of one register": {"pcrs": AtLeast(REGISTERS[7:8])}},
    enough=({"pcrs": AtLeast(tuple(REGISTERS[i] for i in BOOT))},),
    lowered={
        "no secure boot": (
            *({"vm": {"secure-boot": False, "vmUniqueId": "VM"}}, {"secure_boot": Exactly(False)}),
            *("configuration", 32),
        ),
    },
)
