"""The claims of an Azure confidential VM on SEV-SNP: the SNP report's, and those of the virtual TPM that it vouches for."""

from __future__ import annotations

from enarx.verify.claims import claims_of
from enarx.verify.families import azure_claims as azure
from enarx.verify.kinds.snp.claims import SnpClaims
from enarx.verify.values import Unknown


@claims_of("az-snp-vtpm")
class AzSnpClaims(SnpClaims):
    """The claims of the SNP report, but for the report data, and of the virtual TPM and the paravisor."""

    measurement: bytes = azure.MEASUREMENT
    report_data: bytes = azure.REPORT_DATA
    pcrs: tuple[str, ...] = azure.PCRS
    secure_boot: bool | Unknown = azure.SECURE_BOOT
    vm_id: str | Unknown = azure.VM_ID
    reset_count: int = azure.RESET_COUNT
    restart_count: int = azure.RESTART_COUNT
