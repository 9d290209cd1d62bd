"""Kinds of Keep that a host can start. A kind without its hardware is an object all the same: one whose launch refuses."""

from __future__ import annotations

from enarx.host.backends.absent import ABSENT
from enarx.host.backends.kinds import Backend
from enarx.host.backends.process.backend import PROCESS

KINDS: dict[str, Backend] = {backend.kind: backend for backend in (PROCESS, *ABSENT)}


def probe() -> list[dict[str, str | bool]]:
    """Each kind: is it to be had here, and if not, what would mend that."""
    return [{"kind": kind, **backend.probe()} for kind, backend in KINDS.items()]


__all__ = ["KINDS", "Backend", "probe"]
