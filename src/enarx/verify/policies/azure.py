"""Azure's confidential VMs on SEV-SNP and TDX: claims, the policies for them, and policies to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policies import snp, tdx
from enarx.verify.policies.snp import SnpClaims, SnpPolicy
from enarx.verify.policies.tdx import TdxClaims, TdxPolicy
from enarx.verify.policy import Matcher
from enarx.verify.values import Unknown

_TYPES = {"pcrs": tuple, "secure_boot": bool, "vm_id": str, "reset_count": int, "restart_count": int}


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

    _types = SnpPolicy._types | _TYPES
    _hints = SnpPolicy._hints | {
        "measurement": "another version of Azure's paravisor: it alone is measured at launch, the guest is in the PCRs",
        "pcrs": "another firmware (0), boot loader (4), kernel or command line (8 to 11) of the guest",
        "secure-boot": "the VM was made without secure boot",
    }


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

    _types = TdxPolicy._types | _TYPES
    _hints = TdxPolicy._hints | {
        "measurement": "another version of Azure's paravisor: it alone is measured at launch, the guest is in the PCRs",
        "pcrs": "another firmware (0), boot loader (4), kernel or command line (8 to 11) of the guest",
        "secure-boot": "the VM was made without secure boot",
    }


_GUEST = """
# THE GUEST ITSELF IS IN THE VIRTUAL TPM'S REGISTERS, not in the measurement: until you name them, this policy takes any guest of
# anybody on Azure. At least these: pcrs = { at_least = ["4:00ff...", "9:00ff...", "11:00ff..."] }; all that say what runs are
# 0, 2, 4, 8, 9, 11, 12, 13, 14.
pcrs = { unchecked = "ANY GUEST: name what firmware, boot loader and kernel it runs" }
secure_boot = true
vm_id = { unchecked = "any VM" }
reset_count = { unchecked = "a VM may start again" }
restart_count = { unchecked = "a VM may sleep" }
"""


def _begin(template: str, **lines: str) -> str:
    """Another kind's policy with some of its lines changed; each must be there."""
    for old, new in lines.items():
        ((line,),) = ([text for text in template.split("\n") if text.startswith(f"{old} = ")],)
        template = template.replace(line, f"{old} = {new}")
    return template


SNP_TEMPLATE = _begin(
    snp.TEMPLATE.replace("an AMD SEV-SNP guest", "an Azure VM on SEV-SNP"), kind=f'"az-snp-vtpm"\n{_GUEST}'
)
TDX_TEMPLATE = _begin(
    tdx.TEMPLATE.replace("an Intel TDX trust domain", "an Azure VM on TDX"),
    kind=f'"az-tdx-vtpm"\n{_GUEST}',
    sept_ve_disable='{ unchecked = "clear on every Azure machine: the paravisor is in between" }',
    rtmr0='{ unchecked = "zeros: the PCRs say it" }',
    rtmr1='{ unchecked = "zeros: the PCRs say it" }',
    rtmr2='{ unchecked = "zeros: the PCRs say it" }',
)
