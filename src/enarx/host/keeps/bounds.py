"""What all Keeps of a host together may take."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from enarx.formats.bounds import keep_memory
from enarx.host import cgroups
from enarx.host.state.records import Record

SHARE = 80
"""Percent of the memory to be had that all Keeps together may take, where nobody says."""


def share_of_memory() -> int:
    """Bytes for all Keeps together: of this machine's memory, or of what the daemon's cgroup lets it have if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *cgroups.memory_limits()]) * SHARE // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`keeps` at once, `memory` and `disk` of them together, `stored_output` of each, `pool` of them empty and ready.

    `tenant_keeps` and `tenant_memory` are what each tenant may have of that. Of Keeps that have ended, `finished` are
    kept, and no Keep is launched that could bring their output over `stored_total`. A Keep that nobody
    gives a frame within `unused` seconds ends. Sizes in bytes; 0 is no bound, and no pool.
    """

    keeps: int
    memory: int
    disk: int
    stored_output: int
    pool: int
    pool_kind: str = ""
    tenant_keeps: int = 0
    tenant_memory: int = 0
    finished: int = 10_000
    stored_total: int = 0
    unused: float = 300.0

    def lack(self, live: Collection[Record], *, memory: int, compile: int, disk: int) -> str:
        """What there is not enough of for one more beside those that are `live`; empty if there is enough."""
        if len(live) >= self.keeps:
            return f"{len(live)} Keeps are running, which is all this host takes"
        wanted = keep_memory(memory=memory, compile=compile, disk=disk)
        return _lack("memory", _memory(live), wanted, self.memory) or _lack(
            "disk", sum(record.disk for record in live), disk, self.disk
        )

    def lack_of_tenant(self, own: Collection[Record], *, memory: int, compile: int, disk: int) -> str:
        """The same for a tenant whose live Keeps are its `own`."""
        if self.tenant_keeps and len(own) >= self.tenant_keeps:
            return f"{len(own)} Keeps of this tenant are running, which is all a tenant may have"
        wanted = keep_memory(memory=memory, compile=compile, disk=disk)
        return _lack("a tenant's memory", _memory(own), wanted, self.tenant_memory)

    def lack_of_store(self, *, live: int, finished: int, stored: int) -> str:
        """The same for what is kept of Keeps that have ended: so many of them, with so many bytes of output."""
        if self.finished and finished >= self.finished:
            return f"{finished} ended Keeps are kept, and no more"
        return _lack("stored output", stored + live * self.stored_output, self.stored_output, self.stored_total)


def _memory(records: Collection[Record]) -> int:
    return sum(keep_memory(memory=r.memory, compile=r.compile, disk=r.disk) for r in records)


def _lack(what: str, taken: int, wanted: int, limit: int) -> str:
    if limit and taken + wanted > limit:
        return f"{what}: {taken} bytes are taken of {limit} in all, {wanted} more wanted"
    return ""
