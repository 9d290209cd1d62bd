"""Claims of Azure's virtual TPM and paravisor, which stand beside the hardware's claims."""

from __future__ import annotations

from enarx.verify.claims import CONFIGURATION, EXECUTABLES, INSTANCE, VULNERABLE, Lowers, claim
from enarx.verify.matchers import Exactly, Unchecked

MEASUREMENT = claim(
    "Launch measurement of Azure's paravisor. The guest is in the virtual TPM's registers.",
    suggest=Exactly(bytes(48)),
    advice="Replace the zeros, which match nothing.",
    decides=EXECUTABLES,
    hint="another version of Azure's paravisor: it alone is measured at launch, the guest is in the PCRs",
)
REPORT_DATA = claim("The fresh data in the virtual TPM's quote.")
PCRS = claim(
    "All SHA-256 registers of the virtual TPM, each as index:value.",
    suggest=Unchecked(reason="ANY GUEST: name what firmware, boot loader and kernel it runs"),
    advice="THE GUEST ITSELF IS MEASURED HERE, not in the measurement: until you name registers, this policy accepts any guest "
    'of any Azure customer. Name at least these: pcrs = { at_least = ["4:00ff...", "9:00ff...", "11:00ff..."] }. All '
    "registers that say what runs are 0, 2, 4, 8, 9, 11, 12, 13, 14.",
    decides=EXECUTABLES,
    hint="another firmware (0), boot loader (4), kernel or command line (8 to 11) of the guest",
)
SECURE_BOOT = claim(
    "Whether secure boot is on, according to the paravisor.",
    suggest=Exactly(True),
    decides=CONFIGURATION,
    lowers=(Lowers(CONFIGURATION, VULNERABLE, lambda on: not on),),
    hint="the VM was made without secure boot",
)
VM_ID = claim("The VM's id, according to the paravisor.", suggest=Unchecked(reason="any VM"), supports=INSTANCE)
RESET_COUNT = claim("How often the virtual TPM was reset.", suggest=Unchecked(reason="a VM may start again"))
RESTART_COUNT = claim(
    "How often the virtual TPM was restarted or resumed since its last reset.",
    suggest=Unchecked(reason="a VM may sleep"),
)
