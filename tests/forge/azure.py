"""Evidence of Azure's confidential VMs: the paravisor's report over the hardware's, and a virtual TPM's quote."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.forge import tpm


def runtime(**changes: Any) -> bytes:
    numbers = tpm.rsa_key().public_key().public_numbers()
    e, n = (
        base64.urlsafe_b64encode(tpm.number(v, s)).decode().rstrip("=") for v, s in ((numbers.e, 3), (numbers.n, 256))
    )
    value = {
        "keys": [{"kid": "HCLEkPub"}, {"kid": "HCLAkPub", "kty": "RSA", "e": e, "n": n}],
        "vm-configuration": {"secure-boot": True, "vmUniqueId": "VM"},
    }
    return json.dumps(value | changes).encode()


def hcl(data: bytes, report: bytes | None = None, *, kind: int = 2, hashed: int = 1, tail: bytes = bytes(100)) -> bytes:
    """An HCL report over runtime data."""
    if report is None:
        from tests.forge import snp  # of the kind on SEV-SNP alone

        report = snp.sign(snp.blank(report_data=hashlib.sha256(data).digest().ljust(64, b"\0")))
    little = [len(data) + 20, 1, kind, hashed, len(data)]
    return b"HCLA" + bytes(28) + report + b"".join(v.to_bytes(4, "little") for v in little) + data + tail


def evidence(
    report: bytes | None = None,
    message: bytes | None = None,
    *,
    signed: bytes | None = None,
    pcrs: Any = tpm.PCRS,
    **changes: Any,
) -> bytes:
    """The evidence of a VM."""
    message = tpm.quote(pcrs) if message is None else message
    value = {
        "version": 1,
        "hcl_report": base64.urlsafe_b64encode(hcl(runtime()) if report is None else report).decode(),
        "tpm_quote": {
            "message": message.hex(),
            "signature": (tpm.rsa_signature(message) if signed is None else signed).hex(),
            "pcrs": [pcr.hex() for pcr in pcrs],
        },
    }
    return json.dumps(value | changes).encode()
