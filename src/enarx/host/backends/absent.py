"""Kinds of Keep with real hardware, which this release does not start: each says what it would need."""

from __future__ import annotations

import os
from dataclasses import dataclass

from enarx.host.errors import HostError


@dataclass(frozen=True, slots=True)
class Absent:
    """A kind that refuses. `device` is where its hardware would show."""

    kind: str
    device: str
    needs: str

    def probe(self) -> dict[str, str | bool]:
        """As Backend."""
        there = os.path.exists(self.device)
        detail = f"{self.device} is there, but this release does not start such Keeps" if there else f"no {self.device}"
        return {"available": False, "detail": detail, "remedy": self.needs}

    def require(self) -> None:
        """As Backend."""
        found = self.probe()
        raise HostError("no-hardware", f"no Keep of kind {self.kind}: {found['detail']}", hint=self.needs)


ABSENT = (
    Absent("snp", "/dev/sev", "an AMD EPYC host with SEV-SNP, and a release that builds its image"),
    Absent(
        "tdx",
        "/sys/module/kvm_intel/parameters/tdx",
        "an Intel Xeon host with TDX, and a release that builds its image",
    ),
    Absent("sgx", "/dev/sgx_enclave", "an Intel host with SGX2, and a release that builds its manifest"),
    Absent("nitro", "/dev/nitro_enclaves", "an AWS instance with Nitro Enclaves, and a release that builds its image"),
    Absent("cca", "/dev/rmm", "an Arm host with CCA, and a release that builds its realm"),
    Absent("qemu", "/dev/kvm", "a release that builds the micro-VM image"),
)
