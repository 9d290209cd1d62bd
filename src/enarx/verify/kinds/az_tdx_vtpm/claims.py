"""The claims of an Azure confidential VM on TDX: the TDX quote's, and those of the virtual TPM that it vouches for."""

from __future__ import annotations

from enarx.verify.claims import CONFIGURATION, EXECUTABLES, claim, claims_of
from enarx.verify.families import azure_claims as azure
from enarx.verify.kinds.tdx.claims import TdxClaims
from enarx.verify.matchers import Unchecked
from enarx.verify.values import Unknown

_IN_PCRS = Unchecked(reason="zeros: the PCRs say it")


@claims_of("az-tdx-vtpm")
class AzTdxClaims(TdxClaims):
    """The claims of the TDX quote, but for the report data, and of the virtual TPM and the paravisor."""

    measurement: bytes = azure.MEASUREMENT
    report_data: bytes = azure.REPORT_DATA
    sept_ve_disable: bool = claim(
        "SEPT_VE_DISABLE: clear on every Azure machine, because the paravisor handles these exceptions.",
        suggest=Unchecked(reason="clear on every Azure machine: the paravisor is in between"),
        supports=CONFIGURATION,
    )
    rtmr0: bytes = claim("RTMR 0: zeros.", suggest=_IN_PCRS, supports=CONFIGURATION)
    rtmr1: bytes = claim("RTMR 1: zeros.", suggest=_IN_PCRS, supports=EXECUTABLES)
    rtmr2: bytes = claim("RTMR 2: zeros.", suggest=_IN_PCRS, supports=EXECUTABLES)
    rtmr3: bytes = claim("RTMR 3: zeros.", suggest=Unchecked(reason="nothing is expected there"), supports=EXECUTABLES)
    pcrs: tuple[str, ...] = azure.PCRS
    secure_boot: bool | Unknown = azure.SECURE_BOOT
    vm_id: str | Unknown = azure.VM_ID
    reset_count: int = azure.RESET_COUNT
    restart_count: int = azure.RESTART_COUNT
