"""Launching Keeps: who may have how many, the pool of empty ones, and launches that are asked for more than once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from enarx.errors import BackendError, EnarxError
from enarx.host import backends, events
from enarx.host.errors import HostError
from enarx.host.keeps import relay
from enarx.host.keeps.bounds import Bounds
from enarx.host.keeps.index import Keep
from enarx.host.keeps.lifecycle import AGAIN, LONGEST_PAUSE, Keeping, fault
from enarx.host.launcher.client import Launcher
from enarx.host.state.records import Processes, Record, key_digest

ANY_PACKAGE = "0" * 64
POOL = {"memory": 1 << 30, "compile": 1 << 30, "disk": 128 << 20}
"""What a Keep in the pool is launched with, in bytes."""

REST = 0.2
"""Seconds that whoever has just claimed a Keep has the processors for, before the next one is made."""


class Launches:
    """Makes Keeps, one at a time, within the bounds."""

    def __init__(self, keeping: Keeping, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._keeping = keeping
        self._launcher = launcher
        self._bounds = bounds
        self._pool_kind = bounds.pool_kind or backends.default()
        self._skip = list(skip_layers)
        self._making = asyncio.Lock()
        self._by_key: dict[str, asyncio.Task[Record]] = {}
        self._filler: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the pool filled from now on."""
        self._filler = asyncio.create_task(self._fill_pool())

    async def close(self) -> None:
        """Make no more, and leave nothing half made."""
        await relay.cancel(self._filler, *self._by_key.values())

    async def launch(self, *, tenant: str, kind: str, package: str | None, key: str, sizes: dict[str, int]) -> Record:
        """A Keep: the one of that key, or one from the pool where it fits, else a new one."""
        digest = key_digest(tenant, key)
        if not digest:
            return await self._launch(tenant, kind, package, "", sizes)
        found = self._keeping.index.keyed(digest)
        if found is not None:
            return found.record
        if digest not in self._by_key:
            task = self._by_key[digest] = asyncio.create_task(self._launch(tenant, kind, package, digest, sizes))
            task.add_done_callback(lambda task: self._launched(digest, task))
        return await asyncio.shield(self._by_key[digest])

    def _launched(self, digest: str, task: asyncio.Task[Record]) -> None:
        del self._by_key[digest]
        if not task.cancelled():
            task.exception()  # whoever asked has it, if anybody still waits

    async def _launch(self, tenant: str, kind: str, package: str | None, digest: str, sizes: dict[str, int]) -> Record:
        _require(kind)
        if package is None and all(sizes[name] <= POOL[name] for name in POOL):
            for keep in self._pooled():
                if keep.record.kind == kind:
                    return self._claim(keep, tenant, digest)
        async with self._making:
            await self._make_room(tenant, sizes)
            return await self._make(kind, package or ANY_PACKAGE, sizes, tenant=tenant, key=digest)

    def _pooled(self) -> list[Keep]:
        return [keep for keep in self._keeping.index.live() if keep.record.pooled and keep.removal is None]

    # From the pool

    def _claim(self, keep: Keep, tenant: str, digest: str) -> Record:
        """It leaves the pool with what it was launched with."""
        self._check_store()
        self._check_tenant(tenant, _sizes(keep.record))
        try:
            record = self._keeping.store.claim(keep.record, tenant=tenant, key=digest, created=time.time())
        except OSError as e:
            raise fault(e) from e
        self._keeping.index.claim(keep, record)
        self._keeping.refill.set()
        events.log("claimed", keep=record.id)
        self._log_skipped(record.id)
        return record

    async def _fill_pool(self) -> None:
        """For ever: keep as many empty Keeps ready as the bounds say, and what is launched leaves room for."""
        await self._keeping.loaded()
        pause = AGAIN
        while True:
            self._keeping.refill.clear()
            try:
                while self._is_pool_short():
                    async with self._making:
                        if self._is_pool_short():
                            await self._make(self._pool_kind, ANY_PACKAGE, POOL, tenant="", key="", pooled=True)
            except HostError as e:
                events.log("pool", level="error", message=e.message, pause=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = AGAIN
            await self._keeping.refill.wait()
            await asyncio.sleep(REST)

    def _is_pool_short(self) -> bool:
        live = self._live()
        has_room = not self._bounds.lack(live, **POOL)
        return has_room and sum(record.pooled for record in live) < self._bounds.pool

    # Anew

    def _live(self) -> list[Record]:
        return [keep.record for keep in self._keeping.index.live()]

    async def _make_room(self, tenant: str, sizes: dict[str, int]) -> None:
        """HostError host-full where one more would be too much; Keeps in the pool give way."""
        self._check_store()
        self._check_tenant(tenant, sizes)
        lack = self._bounds.lack([r for r in self._live() if not r.pooled], **sizes)
        if lack:
            raise HostError("host-full", lack, hint="try again later, or ask for less")
        while lack := self._bounds.lack(self._live(), **sizes):
            pooled = self._pooled()
            if not pooled:
                raise HostError("host-full", lack, hint="try again later, or ask for less")
            await self._keeping.erase(pooled[0])

    def _check_store(self) -> None:
        counts, stored = self._keeping.index.counts(), self._keeping.index.stored
        live, finished = counts["running"], counts["ended"] + counts["lost"]
        lack = self._bounds.lack_of_store(live=live, finished=finished, stored=stored)
        if lack:
            raise HostError("host-full", lack, hint="enarx keep prune")

    def _check_tenant(self, tenant: str, sizes: dict[str, int]) -> None:
        own = [record for record in self._live() if record.tenant == tenant and not record.pooled]
        lack = self._bounds.lack_of_tenant(own, **sizes)
        if lack:
            raise HostError("host-full", lack, hint="stop or remove Keeps of your own first")

    async def _make(
        self, kind: str, package: str, sizes: dict[str, int], *, tenant: str, key: str, pooled: bool = False
    ) -> Record:
        store = self._keeping.store
        try:
            name = store.make()
        except OSError as e:
            raise fault(e) from e
        try:
            answer = await self._launcher.launch(self._order(name, kind, package, sizes))
            if not answer.pop("ok"):
                raise HostError.of(answer)
            record = Record(
                id=name,
                kind=kind,
                package_digest=package,
                **sizes,
                created=time.time(),
                tenant=tenant,
                key=key,
                pooled=pooled,
                processes=Processes.of(answer["processes"]),
            )
            store.write(record)
        except BaseException as e:
            clearing = self._keeping.add_rubbish(name)
            if isinstance(e, Exception):
                await asyncio.wait([clearing])
            if isinstance(e, OSError):
                raise fault(e) from e
            raise
        self._keeping.add(record)
        events.log("launched", keep=name, kind=kind, pooled=pooled)
        self._log_skipped(name)
        return record

    def _order(self, name: str, kind: str, package: str, sizes: dict[str, int]) -> dict[str, Any]:
        return {
            "kind": kind,
            "directory": self._keeping.store.directory(name),
            "host_data": package,
            **sizes,
            "skip_layers": self._skip,
            "stored_output": self._bounds.stored_output,
            "unused": self._bounds.unused,
        }

    def _log_skipped(self, name: str) -> None:
        if self._skip:
            text = f"UNPROTECTED: this host is not protected from Keep {name} by: {', '.join(self._skip)}"
            events.log("unprotected", level="warning", keep=name, skipped=self._skip, message=text)


def _require(kind: str) -> None:
    """HostError if Keeps of that kind cannot be launched here."""
    try:
        backends.find(kind).require()
    except EnarxError as e:
        raise HostError(e.code, e.message, hint=e.hint, checks=e.checks if isinstance(e, BackendError) else ()) from e


def _sizes(record: Record) -> dict[str, int]:
    return {"memory": record.memory, "compile": record.compile, "disk": record.disk}
