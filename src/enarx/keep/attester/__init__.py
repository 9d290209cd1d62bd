"""Attesters: how a Keep gets evidence about itself, with one module for each kind of TEE.

An attester may need to open a device, or to create a directory for each report. The keeper holds the keys and must be able
to do neither. So it asks a process without keys (`process`) over a socket (`link`), and that process runs one attester.
docs/extending/attester.md describes how to add one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from enarx.keep.sandbox import Profile

ATTESTERS = {
    "simulated": "enarx.keep.attester.simulated:SimulatedAttester",
}
"""The registry: module and class of each attester, by the kind of its evidence."""


class Attester(Protocol):
    """What each attester provides. The constructor takes over `device`: a descriptor of a socket, directory or device.

    kind         the format of its evidence, as verifiers name it
    profile      the system calls that it may make (`enarx.keep.sandbox.profiles`)
    directories  the directories beneath which it may create and open files
    host_data    32 bytes that the hardware bound to the launch: a package digest, or zeros in a pool
    """

    kind: str
    profile: Profile
    directories: tuple[str, ...]
    host_data: bytes

    def __init__(self, device: int) -> None: ...

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Return evidence over 64 bytes of report data, and its endorsements. UnavailableError if the device has none now."""
        ...


def load(kind: str) -> type[Attester]:
    """Import and return the class of an attester. Call it in the zygote: a sandboxed process cannot import."""
    module, _, name = ATTESTERS[kind].partition(":")
    attester: type[Attester] = getattr(import_module(module), name)
    return attester
