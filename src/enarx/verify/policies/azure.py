"""Azure's confidential VMs on SEV-SNP: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policies.snp import TEMPLATE, SnpClaims, SnpPolicy
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

    _types = SnpPolicy._types | {
        "pcrs": tuple,
        "secure_boot": bool,
        "vm_id": str,
        "reset_count": int,
        "restart_count": int,
    }
    _hints = SnpPolicy._hints | {
        "measurement": "another version of Azure's paravisor: it alone is measured at launch, the guest is in the PCRs",
        "pcrs": "another firmware (0), boot loader (4), kernel or command line (8 to 11) of the guest",
        "secure-boot": "the VM was made without secure boot",
    }


SNP_TEMPLATE = TEMPLATE.replace("an AMD SEV-SNP guest", "an Azure VM on SEV-SNP").replace(
    'kind = "snp"\n',
    """kind = "az-snp-vtpm"

# The guest itself is in the virtual TPM's registers: name them, as ["0:00ff...", ...], all 24 of them.
pcrs = { unchecked = "name them: what firmware, boot loader and kernel the guest runs" }
secure_boot = true
vm_id = { unchecked = "any VM" }
reset_count = { unchecked = "a VM may start again" }
restart_count = { unchecked = "a VM may sleep" }
""",
)
