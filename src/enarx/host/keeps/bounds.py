"""The bounds on all Keeps of a host together."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from enarx.formats.bounds import keep_memory
from enarx.host import cgroups
from enarx.host.state.output_store import sealed_results
from enarx.host.state.records import Record

SHARE = 80
"""Percent of the available memory that all Keeps together may take by default."""


def share_of_memory() -> int:
    """The default memory of all Keeps together, in bytes: a share of the machine's, or of the daemon's cgroup's if less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *cgroups.memory_limits()]) * SHARE // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much Keeps may take. Sizes in bytes; 0 means unbounded, and for `pool` an empty pool.

    `keeps` run at once, with `memory` and `disk` of all together, and `stored_output` of each. `pool` Keeps of `pool_kind`
    (empty: the registry's default) are kept empty and ready. `tenant_keeps` and `tenant_memory` are each tenant's share.
    At most `finished` ended Keeps are kept, and no Keep is launched that could bring stored output over `stored_total`. A
    Keep that gets no frame within `unused` seconds ends.
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
        """The bound that one more Keep in addition to the `live` ones would exceed, as text; empty if it fits."""
        if len(live) >= self.keeps:
            return f"{len(live)} Keeps are running, the most that this host takes"
        wanted = keep_memory(memory=memory, compile=compile, disk=disk)
        return _lack("memory", _memory(live), wanted, self.memory) or _lack(
            "disk", sum(record.disk for record in live), disk, self.disk
        )

    def lack_of_tenant(self, own: Collection[Record], *, memory: int, compile: int, disk: int) -> str:
        """The bound of a tenant with the live Keeps `own` that one more would exceed, as text; empty if it fits."""
        if self.tenant_keeps and len(own) >= self.tenant_keeps:
            return f"{len(own)} Keeps of this tenant are running, the most that a tenant may have"
        wanted = keep_memory(memory=memory, compile=compile, disk=disk)
        return _lack("a tenant's memory", _memory(own), wanted, self.tenant_memory)

    def lack_of_store(self, *, live: int, finished: int, stored: int, disk: int) -> str:
        """The bound on kept output that one more Keep could exceed, as text; empty if it fits.

        There are `finished` ended Keeps, `stored` bytes of output, and `live` Keeps that may still write theirs. `disk` is
        that of the live Keeps and of the new one, which limits their results.
        """
        if self.finished and finished >= self.finished:
            return f"{finished} ended Keeps are kept, the most that this host keeps"
        taken = stored + live * self.stored_output
        return _lack("stored output", taken, self.stored_output + sealed_results(disk), self.stored_total)


def _memory(records: Collection[Record]) -> int:
    return sum(keep_memory(memory=r.memory, compile=r.compile, disk=r.disk) for r in records)


def _lack(what: str, taken: int, wanted: int, limit: int) -> str:
    if limit and taken + wanted > limit:
        return f"{what}: {taken} of {limit} bytes are taken, {wanted} more wanted"
    return ""
