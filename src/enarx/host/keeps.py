"""The daemon's Keeps: launching, the pool, what is allowed in all, and bytes to and from their supervisors."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from enarx.host import events, relay
from enarx.host.backends import KINDS
from enarx.host.bounds import Bounds
from enarx.host.contact import Contact
from enarx.host.errors import HostError
from enarx.host.launching import Launcher
from enarx.host.store import Record, Store

__all__ = ["Bounds", "Keep", "Keeps"]

ANY_PACKAGE = "0" * 64
POOL_MEMORY = 1 << 30
POOL_DISK = 128 << 20
STORE_FACTOR = 10
"""Ended Keeps are kept up to this many times the Keeps that may run."""

LONGEST_PAUSE = 60.0
AGAIN = 1.0
REST = 0.2
"""Seconds that whoever has just claimed a Keep has the processors for, before the next one is made."""


class Keep:
    """One of them: its record, its state as far as is known, and an event that it is over."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.state = "running"
        self.over = asyncio.Event()
        self.watcher: asyncio.Task[None] | None = None


class Keeps:
    """All of them. Made and used within a running loop."""

    def __init__(self, store: Store, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._store = store
        self._launcher = launcher
        self._bounds = bounds
        self._skip = list(skip_layers)
        self._keeps: dict[str, Keep] = {}
        self._making = asyncio.Lock()
        self._refill = asyncio.Event()
        self._filler: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Find every Keep that is there; then keep the pool filled."""
        for record in self._store.found():
            events.log("found", keep=record.id, pooled=record.pooled)
            self._add(record)
        self._filler = asyncio.create_task(self._fill_pool())

    async def close(self) -> None:
        """Let go of all of them: they go on, but for the pool, which nobody has claimed and now nobody will."""
        await relay.cancel(self._filler)
        for keep in [keep for keep in self._keeps.values() if keep.record.pooled]:
            await self._erase(keep)
        await relay.cancel(*(keep.watcher for keep in self._keeps.values()))

    # What is there

    def _add(self, record: Record) -> None:
        keep = self._keeps[record.id] = Keep(record)
        keep.watcher = asyncio.create_task(self._watch(keep))

    async def _watch(self, keep: Keep) -> None:
        """Until it has ended."""
        state = ""
        while not state:
            try:
                state = str((await self._ask(keep.record.id, "wait", patience=None))["state"])
            except HostError as e:
                state = "lost" if e.code == "gone" else ""
                await asyncio.sleep(0 if state else AGAIN)
        keep.state = state
        keep.over.set()
        self._refill.set()
        events.log(state, keep=keep.record.id, pooled=keep.record.pooled)
        if keep.record.pooled:
            await self._erase(keep)

    async def _ask(self, keep: str, op: str, **more: Any) -> dict[str, Any]:
        contact = Contact(self._store.socket(keep))
        try:
            return await contact.ask(op, **more)
        finally:
            contact.close()

    def counts(self) -> dict[str, int]:
        """Keeps by state; `pooled` is a state of its own here."""
        found = {"running": 0, "pooled": 0, "ended": 0, "lost": 0}
        for keep in self._keeps.values():
            found["pooled" if keep.record.pooled and keep.state == "running" else keep.state] += 1
        return found

    def _known(self, name: str, tenant: str) -> Keep:
        keep = self._keeps.get(name)
        if keep is None or keep.record.pooled or keep.record.tenant != tenant:
            raise HostError("not-found", "no such Keep")
        return keep

    async def page(self, *, tenant: str, after: str, limit: int, state: str) -> dict[str, Any]:
        """The tenant's Keeps, oldest first, from behind `after` on."""
        own = [k for k in self._keeps.values() if not k.record.pooled and k.record.tenant == tenant]
        own = sorted((k for k in own if state in ("", k.state)), key=lambda k: (k.record.created, k.record.id))
        names = [k.record.id for k in own]
        rest = own[names.index(after) + 1 if after in names else 0 :]
        following = rest[limit - 1].record.id if len(rest) > limit else None
        return {"keeps": [_listed(keep) for keep in rest[:limit]], "next": following}

    async def info(self, name: str, *, tenant: str) -> dict[str, Any]:
        """The record, and what its supervisor says; state `lost` and its last words if there is none to ask."""
        keep = self._known(name, tenant)
        try:
            return {**_shown(keep.record), **await self._ask(name, "info")}
        except HostError as e:
            if e.code != "gone" or name not in self._keeps:
                raise
            keep.state = "lost"
            return {**_shown(keep.record), **self._store.last_words(name), "state": "lost"}

    async def wait(self, name: str, seconds: float, *, tenant: str) -> bool:
        """Has it ended, at once or within `seconds`?"""
        keep = self._known(name, tenant)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keep.over.wait(), seconds)
        return keep.over.is_set()

    # Making

    async def launch(
        self, *, tenant: str, kind: str, package: str | None, memory: int, compile: int, disk: int, key: str
    ) -> Record:
        """A Keep: from the pool where it fits, else a new one."""
        backend = KINDS.get(kind)
        if backend is None:
            raise HostError("usage", f"no kind of Keep is called {kind[:32]!r}", hint=f"kinds: {', '.join(KINDS)}")
        backend.require()
        if package is None and memory <= POOL_MEMORY and disk <= POOL_DISK:
            for keep in self._keeps.values():
                if keep.record.pooled and keep.record.kind == kind and keep.state == "running":
                    return self._claim(keep, tenant)
        async with self._making:
            await self._make_room(memory, disk)
            return await self._make(kind, package or ANY_PACKAGE, memory, disk, tenant)

    def _claim(self, keep: Keep, tenant: str) -> Record:
        """It leaves the pool with what it was launched with."""
        keep.record = self._store.claim(keep.record, tenant)
        self._refill.set()
        events.log("claimed", keep=keep.record.id)
        self._log_skipped(keep.record.id)
        return keep.record

    async def _make_room(self, memory: int, disk: int) -> None:
        """HostError host-full where one more would be too much; Keeps in the pool give way."""
        ended = len(self._keeps) - len(self._live())
        if ended >= STORE_FACTOR * self._bounds.keeps:
            raise HostError("host-full", f"{ended} ended Keeps are kept, and no more", hint="enarx keep prune")
        lack = self._bounds.lack([r for r in self._live() if not r.pooled], memory=memory, disk=disk)
        if lack:
            raise HostError("host-full", lack, hint="try again later, or ask for less")
        while self._bounds.lack(self._live(), memory=memory, disk=disk):
            await self._erase(next(keep for keep in self._keeps.values() if keep.record.pooled))

    def _live(self) -> list[Record]:
        return [keep.record for keep in self._keeps.values() if keep.state == "running"]

    async def _make(self, kind: str, package: str, memory: int, disk: int, tenant: str) -> Record:
        name = self._store.make()
        record = Record(
            id=name,
            kind=kind,
            package_digest=package,
            memory=memory,
            disk=disk,
            created=time.time(),
            pooled=not tenant,
            tenant=tenant,
        )
        try:
            answer = await self._launcher.launch(self._order(record))
            if not answer.pop("ok"):
                raise HostError.of(answer)
            self._store.write(record)
        except BaseException:
            self._store.discard(name)
            raise
        self._add(record)
        events.log("launched", keep=name, kind=kind, pooled=not tenant)
        self._log_skipped(name)
        return record

    def _order(self, record: Record) -> dict[str, Any]:
        return {
            "directory": self._store.directory(record.id),
            "host_data": record.package_digest,
            "memory": record.memory,
            "disk": record.disk,
            "skip_layers": self._skip,
            "stored_output": self._bounds.stored_output,
        }

    def _log_skipped(self, name: str) -> None:
        if self._skip:
            text = f"UNPROTECTED: this host is not protected from Keep {name} by: {', '.join(self._skip)}"
            events.log("unprotected", level="warning", keep=name, skipped=self._skip, message=text)

    async def _fill_pool(self) -> None:
        """For ever: keep as many empty Keeps ready as the bounds say, and what is launched leaves room for."""
        pause = AGAIN
        while True:
            self._refill.clear()
            try:
                while self._is_pool_short():
                    async with self._making:
                        if self._is_pool_short():
                            await self._make("process", ANY_PACKAGE, POOL_MEMORY, POOL_DISK, "")
            except (HostError, OSError) as e:
                events.log("pool", level="error", message=str(e), pause=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = AGAIN
            await self._refill.wait()
            await asyncio.sleep(REST)

    def _is_pool_short(self) -> bool:
        live = self._live()
        has_room = not self._bounds.lack(live, memory=POOL_MEMORY, disk=POOL_DISK)
        return has_room and sum(record.pooled for record in live) < self._bounds.pool

    # Ending

    async def stop(self, name: str, *, tenant: str) -> None:
        """Kill it; its output stays."""
        self._known(name, tenant)
        await self._ask(name, "stop")
        events.log("stopped", keep=name)

    async def remove(self, name: str, *, tenant: str, force: bool) -> None:
        """Erase it and everything of it; not while it runs, unless `force`."""
        keep = self._known(name, tenant)
        if not force and (await self.info(name, tenant=tenant))["state"] == "running":
            raise HostError("not-ended", "the Keep is running", hint="stop it first, or force")
        await self._erase(keep)
        events.log("removed", keep=name)

    async def _erase(self, keep: Keep) -> None:
        name = keep.record.id
        if self._keeps.pop(name, None) is None:
            return  # another request is at it
        keep.over.set()
        self._refill.set()
        if keep.watcher is not None and keep.watcher is not asyncio.current_task():
            keep.watcher.cancel()
        self._store.forget(name)
        try:
            await self._ask(name, "remove", force=True)
        except HostError as e:
            if e.code == "gone":
                self._store.erase(name)
            else:
                events.log("left-behind", level="error", keep=name, message=e.message)  # the next start tries again

    async def prune(self, *, tenant: str) -> list[str]:
        """Remove all of the tenant's that have ended; their ids."""
        own = [k for k in self._keeps.values() if not k.record.pooled and k.record.tenant == tenant]
        names = [keep.record.id for keep in own if keep.state != "running"]
        for name in names:
            with contextlib.suppress(HostError):
                await self.remove(name, tenant=tenant, force=True)
        return names

    # Bytes through

    async def input(self, name: str, body: AsyncIterator[bytes], *, tenant: str) -> int:
        """Give a Keep frames; how many it got."""
        self._known(name, tenant)
        return await relay.give(self._store.socket(name), body)

    async def output(self, name: str, start: int, *, tenant: str, follow: bool) -> tuple[int, AsyncIterator[bytes]]:
        """The number of the first frame that is there, and the entries from `start` on."""
        self._known(name, tenant)
        return await relay.take(self._store.socket(name), start, follow=follow)


def _listed(keep: Keep) -> dict[str, Any]:
    names = ("id", "kind", "created", "package_digest", "memory", "disk")
    return {name: getattr(keep.record, name) for name in names} | {"state": keep.state, "started": None, "ended": None}


def _shown(record: Record) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name not in ("pooled", "tenant")}
