"""The daemon's Keeps in memory, indexed so that no request walks through all of them."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import hmac
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from enarx.host.errors import HostError
from enarx.host.keeps.life import Life
from enarx.host.state.records import Record

SCAN = 2000
"""Keeps that are examined for one page. If few of them match, the page is short, and `next` goes on from there."""

DIGITS = 16
PLACE = re.compile(r"[0-9a-f]{32}")
"""The name of a Keep's place: its id and its time of creation, 16 hexadecimal digits each."""


NOBODY = "-" * 64
"""Compared with in place of a missing invitation: no digest has this form."""


class Keep:
    """A Keep. Once it has ended it is a record and a few numbers, because a host keeps thousands of those.

    `hidden` is what a failed launch or removal has left: it counts, but belongs to no tenant. `over` is set once it has
    ended, `reading` counts its readers, `stored` is bytes of output, `ended` unix seconds.
    """

    __slots__ = (
        "ended",
        "hidden",
        "life",
        "over",
        "reading",
        "record",
        "removal",
        "state",
        "stored",
        "watcher",
    )

    def __init__(self, record: Record, *, hidden: bool = False) -> None:
        self.record = record
        self.hidden = hidden
        self.state = "running"
        self.ended: float | None = None
        self.stored = self.reading = 0
        self.life: Life | None = None
        self.over: asyncio.Event | None = asyncio.Event()
        self.watcher: asyncio.Task[None] | None = None
        self.removal: asyncio.Task[None] | None = None

    @property
    def order(self) -> tuple[float, str]:
        """Sort key among all Keeps."""
        return self.record.created, self.record.id

    def item(self) -> dict[str, Any]:
        """Like `schemas.Listed`. It started for its tenant when it was launched or, from the pool, claimed."""
        record = self.record
        return {
            "id": record.id,
            "name": record.name,
            "kind": record.kind,
            "state": self.state,
            "created": record.created,
            "started": record.created,
            "ended": self.ended,
            "package_digest": record.package_digest,
            "declared_package": record.declared_package,
            "memory": record.memory,
            "disk": record.disk,
        }


class Index:
    """All Keeps by id, live Keeps, Keeps by key, live Keeps by name, and each tenant's Keeps in order."""

    def __init__(self) -> None:
        self._all: dict[str, Keep] = {}
        self._live: dict[str, Keep] = {}
        self._keys: dict[str, Keep] = {}
        self._names: dict[tuple[str, str], Keep] = {}
        self._places: dict[str, list[tuple[float, str]]] = {}
        self._states: Counter[str] = Counter()
        self.stored = 0

    def add(self, keep: Keep) -> None:
        """Add a Keep, running as far as is known."""
        record = keep.record
        self._all[record.id] = self._live[record.id] = keep
        if not (record.pooled or keep.hidden):
            self._place(keep)

    def _place(self, keep: Keep) -> None:
        bisect.insort(self._places.setdefault(keep.record.tenant, []), keep.order)
        if keep.record.key:
            self._keys[keep.record.key] = keep
        if keep.record.name:
            self._names[keep.record.tenant, keep.record.name] = keep

    def claim(self, keep: Keep, record: Record) -> None:
        """Move a Keep from the pool to the tenant that `record` names."""
        keep.record = record
        self._place(keep)

    def end(self, keep: Keep, state: str, ended: float) -> None:
        """Note that it has ended; its supervisor may still have readers."""
        self._free_name(keep)
        if keep.record.id in self._live:
            del self._live[keep.record.id]
        else:
            self._states[keep.state] -= 1
        keep.state, keep.ended = state, ended
        self._states[state] += 1
        if keep.over is not None:
            keep.over.set()

    def settle(self, keep: Keep, stored: int) -> None:
        """Note that all that is left of it is on disk: `stored` bytes of output."""
        self.stored += stored - keep.stored
        keep.stored = stored
        if keep.life is not None:
            keep.life.close()
        keep.record = replace(keep.record, processes=None)
        keep.life = keep.watcher = keep.over = None

    def remove(self, keep: Keep) -> None:
        """Remove a Keep from the index."""
        record = keep.record
        if self._all.pop(record.id, None) is None:
            return
        self._free_name(keep)
        if self._live.pop(record.id, None) is None:
            self._states[keep.state] -= 1
        self.stored -= keep.stored
        if self._keys.get(record.key) is keep:
            del self._keys[record.key]
        places = self._places.get(record.tenant, [])
        at = bisect.bisect_left(places, keep.order)
        if at < len(places) and places[at] == keep.order:
            del places[at]
        if not places:
            self._places.pop(record.tenant, None)
        if keep.over is not None:
            keep.over.set()

    def _free_name(self, keep: Keep) -> None:
        name = keep.record.tenant, keep.record.name
        if self._names.get(name) is keep:
            del self._names[name]

    def named(self, tenant: str, name: str) -> Keep | None:
        """The tenant's live Keep of that name, if it has one."""
        return self._names.get((tenant, name))

    def live(self) -> list[Keep]:
        """The Keeps whose processes are not proven to be gone."""
        return list(self._live.values())

    def counts(self) -> dict[str, int]:
        """The number of Keeps in each state; here `pooled` is a state of its own."""
        pooled = sum(keep.record.pooled for keep in self._live.values())
        running = len(self._live) - pooled
        return {"running": running, "pooled": pooled, "ended": self._states["ended"], "lost": self._states["lost"]}

    def known(self, name: str, tenant: str) -> Keep:
        """The tenant's Keep of that name. HostError `not-found`, also for other tenants' Keeps."""
        keep = self._all.get(name)
        if keep is None or keep.record.pooled or keep.hidden or keep.record.tenant != tenant:
            raise HostError("not-found", "no such Keep")
        return keep

    def invited(self, name: str, secret: str) -> Keep:
        """The Keep of that name, for who presents the secret of its invitation. HostError `not-found`, also for a wrong secret."""
        keep = self._all.get(name)
        wanted = "" if keep is None or keep.record.pooled or keep.hidden else keep.record.invitation
        given = hashlib.sha256(secret.encode()).hexdigest()
        if not hmac.compare_digest(given, wanted or NOBODY) or keep is None:
            raise HostError("not-found", "no such Keep")
        return keep

    def keyed(self, key: str) -> Keep | None:
        """The Keep that was launched with that key, if it still exists."""
        return self._keys.get(key)

    def finished(self, tenant: str) -> list[Keep]:
        """A tenant's Keeps that have ended, oldest first."""
        places = self._places.get(tenant, ())
        return [self._all[name] for _, name in places if name not in self._live]

    def page(self, *, tenant: str, after: str, limit: int, state: str, name: str = "") -> dict[str, Any]:
        """Up to `limit` of a tenant's Keeps after the place `after`, and where the next page begins. HostError `usage`."""
        places = self._places.get(tenant, [])
        begin = bisect.bisect_right(places, self._after(after, tenant)) if after else 0
        items: list[dict[str, Any]] = []
        at = begin
        for at in range(begin, min(len(places), begin + SCAN)):
            keep = self._all[places[at][1]]
            if (not state or keep.state == state) and (not name or keep.record.name == name):
                items.append(keep.item())
            if len(items) == limit:
                break
        has_more = at + 1 < len(places)
        return {"keeps": items, "next": _place_name(places[at]) if has_more else None}

    def _after(self, name: str, tenant: str) -> tuple[float, str]:
        """The place that an earlier `next` named, even if that Keep is gone by now; the id of a Keep names its place too."""
        keep = self._all.get(name)
        if keep is not None and keep.record.tenant == tenant:
            return keep.order
        if not PLACE.fullmatch(name):
            raise HostError("usage", "after: wanted the `next` of an earlier page")
        return struct.unpack(">d", bytes.fromhex(name[DIGITS:]))[0], name[:DIGITS]

    def __iter__(self) -> Iterator[Keep]:
        return iter(list(self._all.values()))


def _place_name(place: tuple[float, str]) -> str:
    created, name = place
    return name + struct.pack(">d", created).hex()
