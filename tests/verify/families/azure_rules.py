"""What stands on the hardware's report in Azure's confidential VMs."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.forge import azure, tpm
from tests.verify.families.tpm_rules import OF_QUOTE, OTHER_PCRS, REGISTERS
from tests.verify.vectors import At, Rows, Varies, over


def virtual(quote: At | None, pcrs: tuple[bytes, ...], vm: dict[str, Any] | None) -> tuple[bytes, bytes, bytes]:
    """Runtime data, the report data that binds it, and the quote."""
    configuration = {"secure-boot": True, "vmUniqueId": "VM"} if vm is None else vm
    runtime = azure.runtime(**{"vm-configuration": configuration})
    return runtime, hashlib.sha256(runtime).digest() + bytes(32), over(tpm.quote(pcrs), quote)


OF_AZURE: Rows = {
    "report_data": OF_QUOTE["report_data"],
    "pcrs": Varies(REGISTERS, {"pcrs": OTHER_PCRS}),
    "secure_boot": Varies(True, {"vm": {"secure-boot": False, "vmUniqueId": "VM"}}),
    "vm_id": Varies("VM", {"vm": {"secure-boot": True, "vmUniqueId": "another"}}),
    "reset_count": OF_QUOTE["reset_count"],
    "restart_count": OF_QUOTE["restart_count"],
}

UNKNOWN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "secure_boot": ({"vm": {"vmUniqueId": "VM"}}, ()),
    "vm_id": ({"vm": {"secure-boot": True}}, ()),
}
BEGINNING = frozenset({"secure_boot"})
