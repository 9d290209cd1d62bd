"""Azure's confidential VMs on TDX: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.families.azure_claims import GUEST, HINTS, TYPES, begin
from enarx.verify.kinds.tdx import claims as tdx
from enarx.verify.kinds.tdx.claims import TdxClaims, TdxPolicy
from enarx.verify.policy import Matcher
from enarx.verify.result import Unknown


@record()
class AzTdxClaims(TdxClaims):
    """What the TDX quote says, but report_data, which is the virtual TPM's; and besides as AzSnpClaims."""

    pcrs: tuple[str, ...]
    secure_boot: bool | Unknown
    vm_id: str | Unknown
    reset_count: int
    restart_count: int


@record()
class AzTdxPolicy(TdxPolicy):
    """The rules for that."""

    pcrs: Matcher
    secure_boot: Matcher
    vm_id: Matcher
    reset_count: Matcher
    restart_count: Matcher

    _types = TdxPolicy._types | TYPES
    _hints = TdxPolicy._hints | HINTS


TEMPLATE = begin(
    tdx.TEMPLATE.replace("an Intel TDX trust domain", "an Azure VM on TDX"),
    kind=f'"az-tdx-vtpm"\n{GUEST}',
    sept_ve_disable='{ unchecked = "clear on every Azure machine: the paravisor is in between" }',
    rtmr0='{ unchecked = "zeros: the PCRs say it" }',
    rtmr1='{ unchecked = "zeros: the PCRs say it" }',
    rtmr2='{ unchecked = "zeros: the PCRs say it" }',
)
