"""What all Keeps of a host together may take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from enarx.host.store import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`keeps` at once, `memory` and `disk` of them together, `stored_output` of each, `pool` of them empty and ready.

    Sizes in bytes. 0 is no bound for memory and disk, and no pool.
    """

    keeps: int
    memory: int
    disk: int
    stored_output: int
    pool: int
    tenant_keeps: int = 0
    tenant_memory: int = 0

    def lack(self, live: Collection[Record], *, memory: int, disk: int) -> str:
        """What there is not enough of for one more beside those that are `live`; empty if there is enough."""
        if len(live) >= self.keeps:
            return f"{len(live)} Keeps are running, which is all this host takes"
        for what, wanted, bound in (("memory", memory, self.memory), ("disk", disk, self.disk)):
            taken = sum(record.memory if what == "memory" else record.disk for record in live)
            if bound and taken + wanted > bound:
                return f"{what}: {taken} bytes are taken of {bound} in all, {wanted} more wanted"
        return ""
