"""How a Keep gets evidence about itself: one module for each kind of TEE, each in a process of its own.

An attester may have to open devices, or make a directory for each report. The keeper, which holds the keys, must not be
able to do either. So the keeper has only the end of a socket (`link`), at whose other end a process without keys
(`process`) serves it with one attester. `docs/extending/attester.md` says how to add one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from enarx.keep.sandbox import Profile

ATTESTERS = {
    "simulated": "enarx.keep.attester.simulated:SimulatedAttester",
}
"""Module and class of each attester, by the kind of evidence that it gives."""


class Attester(Protocol):
    """One kind of attester. It is made from `device`, a descriptor of what it asks: a socket, a directory, or a device.

    kind         names the evidence's format: the `kind` of Attestation and Evidence
    profile      the system calls that it needs (`enarx.keep.sandbox.profiles`)
    directories  beneath which it may make and open files
    host_data    32 bytes that the launch was bound to: a package digest, or zeros in a pool
    """

    kind: str
    profile: Profile
    directories: tuple[str, ...]
    host_data: bytes

    def __init__(self, device: int) -> None: ...

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Evidence over 64 bytes of report data, and its endorsements. UnavailableError if there is none this time."""
        ...


def load(kind: str) -> type[Attester]:
    """The attester for a kind. A sandboxed process cannot import anything, so a zygote loads it beforehand."""
    module, _, name = ATTESTERS[kind].partition(":")
    attester: type[Attester] = getattr(import_module(module), name)
    return attester
