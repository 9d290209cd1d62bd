"""Kinds of Keep with real hardware that this release cannot launch, each with what a launch would need.

Each is a backend that refuses with a remedy, so that no caller needs a special case.
"""

from __future__ import annotations

import os

from enarx.errors import BackendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from enarx.host.backends.backend import Request, Site


class Absent:
    """A backend whose launch refuses. `device` is the file that shows that its hardware is present."""

    warning = ""

    def __init__(self, kind: str, device: str, remedy: str) -> None:
        self.kind, self._device, self._remedy = kind, device, remedy

    def probe(self) -> dict[str, str | bool]:
        """Never available; the detail says whether the hardware is present."""
        detail = f"no {self._device}"
        if os.path.exists(self._device):
            detail = f"{self._device} exists, but this release does not start such Keeps"
        return {"available": False, "detail": detail, "remedy": self._remedy}

    def require(self) -> NoReturn:
        """Raise BackendError `no-hardware`, with the remedy."""
        message = f"no Keep of kind {self.kind}: {self.probe()['detail']}"
        raise BackendError("no-hardware", message, hint=self._remedy)

    def trust_anchor(self, site: Site) -> str:
        """None: the vendor's root is pinned."""
        return ""

    def prepare(self, site: Site) -> None:
        """Return; there is nothing to start."""

    def launch(self, request: Request) -> NoReturn:
        """Raise BackendError `no-hardware`, with the remedy."""
        self.require()


SNP = Absent("snp", "/dev/sev", "an AMD EPYC host with SEV-SNP, and a release that builds its image")
TDX = Absent(
    "tdx", "/sys/module/kvm_intel/parameters/tdx", "an Intel Xeon host with TDX, and a release that builds its image"
)
SGX = Absent("sgx", "/dev/sgx_enclave", "an Intel host with SGX2, and a release that builds its manifest")
NITRO = Absent(
    "nitro", "/dev/nitro_enclaves", "an AWS instance with Nitro Enclaves, and a release that builds its image"
)
CCA = Absent("cca", "/dev/rmm", "an Arm host with CCA, and a release that builds its realm")
QEMU = Absent("qemu", "/dev/kvm", "a release that builds the micro-VM image")
