"""Azure's confidential VMs on SEV-SNP: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.families.azure_claims import GUEST, HINTS, TYPES, begin
from enarx.verify.kinds.snp import claims as snp
from enarx.verify.kinds.snp.claims import SnpClaims, SnpPolicy
from enarx.verify.policy import Matcher
from enarx.verify.result import Unknown


@record()
class AzSnpClaims(SnpClaims):
    """What the SNP report says, but report_data, which is the quote's fresh data; and besides

    pcrs           all registers of SHA-256, each as index:value
    secure_boot    and vm_id, as the paravisor says
    reset_count    of the virtual TPM, and restart_count
    """

    pcrs: tuple[str, ...]
    secure_boot: bool | Unknown
    vm_id: str | Unknown
    reset_count: int
    restart_count: int


@record()
class AzSnpPolicy(SnpPolicy):
    """The rules for that."""

    pcrs: Matcher
    secure_boot: Matcher
    vm_id: Matcher
    reset_count: Matcher
    restart_count: Matcher

    _types = SnpPolicy._types | TYPES
    _hints = SnpPolicy._hints | HINTS


TEMPLATE = begin(snp.TEMPLATE.replace("an AMD SEV-SNP guest", "an Azure VM on SEV-SNP"), kind=f'"az-snp-vtpm"\n{GUEST}')
