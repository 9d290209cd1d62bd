"""Whom to believe: the roots that chains of evidence must end in. The caller gives them, the evidence never does."""

from __future__ import annotations

import hashlib

from enarx.errors import UsageError
from enarx.record import record

SIMULATED_ROOT_SIZE = 32


@record()
class Roots:
    """For each kind its roots; a kind with none is believed by nobody.

    simulated  raw Ed25519 public keys, 32 bytes: the user's own, or given by hand. There is no public one.
    """

    simulated: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        for root in self.simulated:
            if not isinstance(root, bytes) or len(root) != SIMULATED_ROOT_SIZE:
                raise UsageError("simulated-root", f"a simulated root is a public key of {SIMULATED_ROOT_SIZE} bytes")


def simulated_anchor(root: bytes | None) -> str:
    """A simulated root by its name in results; None is a root that nobody gave."""
    return "none" if root is None else f"simulated root {hashlib.sha256(root).hexdigest()[:16]}"
