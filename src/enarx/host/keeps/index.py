"""The daemon's Keeps in memory: what is asked of many at once is answered from here, and never by going through all."""

from __future__ import annotations

import asyncio
import bisect
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
"""Keeps that are looked at for one page; where few of them match, the page is short, and the next goes on."""

DIGITS = 16
PLACE = re.compile(r"[0-9a-f]{32}")
"""Hexadecimal digits of an id, and of the time of creation behind it in the name of a place among Keeps."""


class Keep:
    """A Keep as far as it is known. One that has ended is a record and some numbers, and nothing more.

    `hidden`: what is left of a launch or a removal that did not come to its end. It counts, but nobody's it is.
    """

    __slots__ = (
        "ended",
        "hidden",
        "life",
        "over",
        "reading",
        "record",
        "removal",
        "started",
        "state",
        "stored",
        "watcher",
    )

    def __init__(self, record: Record, *, hidden: bool = False) -> None:
        self.record = record
        self.hidden = hidden
        self.state = "running"
        self.started = record.created
        self.ended: float | None = None
        self.stored = self.reading = 0
        self.life: Life | None = None
        self.over: asyncio.Event | None = asyncio.Event()
        self.watcher: asyncio.Task[None] | None = None
        self.removal: asyncio.Task[None] | None = None

    @property
    def order(self) -> tuple[float, str]:
        """Its place among all Keeps."""
        return self.record.created, self.record.id

    def item(self) -> dict[str, Any]:
        """As in a list."""
        record = self.record
        return {
            "id": record.id,
            "kind": record.kind,
            "state": self.state,
            "created": record.created,
            "started": self.started,
            "ended": self.ended,
            "package_digest": record.package_digest,
            "memory": record.memory,
            "disk": record.disk,
        }


class Index:
    """All Keeps by id; those that are live, pooled, finished; those of each tenant in order."""

    def __init__(self) -> None:
        self._all: dict[str, Keep] = {}
        self._live: dict[str, Keep] = {}
        self._keys: dict[str, Keep] = {}
        self._places: dict[str, list[tuple[float, str]]] = {}
        self._states: Counter[str] = Counter()
        self.stored = 0

    def add(self, keep: Keep) -> None:
        """A Keep that runs, as far as is known."""
        record = keep.record
        self._all[record.id] = self._live[record.id] = keep
        if not (record.pooled or keep.hidden):
            self._place(keep)

    def _place(self, keep: Keep) -> None:
        bisect.insort(self._places.setdefault(keep.record.tenant, []), keep.order)
        if keep.record.key:
            self._keys[keep.record.key] = keep

    def claim(self, keep: Keep, record: Record) -> None:
        """It has left the pool."""
        keep.record = record
        self._place(keep)

    def end(self, keep: Keep, state: str, ended: float) -> None:
        """Its processes are gone, but for a supervisor perhaps that has readers."""
        if keep.record.id in self._live:
            del self._live[keep.record.id]
        else:
            self._states[keep.state] -= 1
        keep.state, keep.ended = state, ended
        self._states[state] += 1
        if keep.over is not None:
            keep.over.set()

    def settle(self, keep: Keep, stored: int) -> None:
        """Nothing is left of it but what is on disk."""
        self.stored += stored - keep.stored
        keep.stored = stored
        if keep.life is not None:
            keep.life.close()
        keep.record = replace(keep.record, processes=None)
        keep.life = keep.watcher = keep.over = None

    def remove(self, keep: Keep) -> None:
        """It is no more."""
        record = keep.record
        if self._all.pop(record.id, None) is None:
            return
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

    def live(self) -> list[Keep]:
        """Those whose processes are not proven to be gone."""
        return list(self._live.values())

    def counts(self) -> dict[str, int]:
        """Keeps by state; `pooled` is a state of its own here."""
        pooled = sum(keep.record.pooled for keep in self._live.values())
        running = len(self._live) - pooled
        return {"running": running, "pooled": pooled, "ended": self._states["ended"], "lost": self._states["lost"]}

    def known(self, name: str, tenant: str) -> Keep:
        """That tenant's Keep of that name; HostError `not-found` for everything else."""
        keep = self._all.get(name)
        if keep is None or keep.record.pooled or keep.hidden or keep.record.tenant != tenant:
            raise HostError("not-found", "no such Keep")
        return keep

    def keyed(self, key: str) -> Keep | None:
        """The Keep that was launched with that key, if it is there."""
        return self._keys.get(key)

    def finished(self, tenant: str) -> list[Keep]:
        """Those of a tenant that have ended, in order."""
        places = self._places.get(tenant, ())
        return [self._all[name] for _, name in places if name not in self._live]

    def page(self, *, tenant: str, after: str, limit: int, state: str) -> dict[str, Any]:
        """Up to `limit` of a tenant's Keeps behind the place `after`, and the place to go on from, if there are more."""
        places = self._places.get(tenant, [])
        begin = bisect.bisect_right(places, self._after(after, tenant)) if after else 0
        items: list[dict[str, Any]] = []
        at = begin
        for at in range(begin, min(len(places), begin + SCAN)):
            keep = self._all[places[at][1]]
            if not state or keep.state == state:
                items.append(keep.item())
            if len(items) == limit:
                break
        has_more = at + 1 < len(places)
        return {"keeps": items, "next": _place_name(places[at]) if has_more else None}

    def _after(self, name: str, tenant: str) -> tuple[float, str]:
        """The place that `next` named, whether that Keep is still there or not; of a Keep that is, its id will do."""
        keep = self._all.get(name)
        if keep is not None and keep.record.tenant == tenant:
            return keep.order
        if not PLACE.fullmatch(name):
            raise HostError("usage", "after: wanted the `next` of a page before")
        return struct.unpack(">d", bytes.fromhex(name[DIGITS:]))[0], name[:DIGITS]

    def __iter__(self) -> Iterator[Keep]:
        return iter(list(self._all.values()))


def _place_name(place: tuple[float, str]) -> str:
    created, name = place
    return name + struct.pack(">d", created).hex()
