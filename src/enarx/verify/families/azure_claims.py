"""Claims of Azure's virtual TPM, beside the hardware's: their types, hints, and lines of a policy to begin with."""

from __future__ import annotations

TYPES = {"pcrs": tuple, "secure_boot": bool, "vm_id": str, "reset_count": int, "restart_count": int}

HINTS = {
    "measurement": "another version of Azure's paravisor: it alone is measured at launch, the guest is in the PCRs",
    "pcrs": "another firmware (0), boot loader (4), kernel or command line (8 to 11) of the guest",
    "secure-boot": "the VM was made without secure boot",
}

GUEST = """
# THE GUEST ITSELF IS IN THE VIRTUAL TPM'S REGISTERS, not in the measurement: until you name them, this policy takes any guest of
# anybody on Azure. At least these: pcrs = { at_least = ["4:00ff...", "9:00ff...", "11:00ff..."] }; all that say what runs are
# 0, 2, 4, 8, 9, 11, 12, 13, 14.
pcrs = { unchecked = "ANY GUEST: name what firmware, boot loader and kernel it runs" }
secure_boot = true
vm_id = { unchecked = "any VM" }
reset_count = { unchecked = "a VM may start again" }
restart_count = { unchecked = "a VM may sleep" }
"""


def begin(template: str, **lines: str) -> str:
    """Another kind's policy with some of its lines changed; each must be there."""
    for old, new in lines.items():
        ((line,),) = ([text for text in template.split("\n") if text.startswith(f"{old} = ")],)
        template = template.replace(line, f"{old} = {new}")
    return template
