"""Launching Keeps: the bounds on them, the pool of empty ones, and launches that are requested more than once."""

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
from enarx.host.keeps.lifecycle import AGAIN, LONGEST_PAUSE, Lifecycle, fault
from enarx.host.launcher.client import Launcher
from enarx.host.state.records import Processes, Record, key_digest, request_digest

ANY_PACKAGE = "0" * 64
"""The package digest of a Keep that was launched for no package in particular."""

POOL = {"memory": 1 << 30, "compile": 1 << 30, "disk": 128 << 20}
"""Sizes of a Keep in the pool, in bytes."""

REST = 0.2
"""Seconds from a claim to the refill of the pool: until then the claimed Keep has the processors to itself."""


class Launches:
    """Launches Keeps, one at a time, within the bounds."""

    def __init__(self, lifecycle: Lifecycle, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._lifecycle = lifecycle
        self._launcher = launcher
        self._bounds = bounds
        self._pool_kind = bounds.pool_kind or backends.default()
        self._skip = list(skip_layers)
        self._turn = asyncio.Lock()
        self._by_key: dict[str, tuple[str, asyncio.Task[Record]]] = {}
        self._filler: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the pool filled from now on."""
        self._filler = asyncio.create_task(self._fill_pool())

    async def close(self) -> None:
        """Stop launching, and leave no launch half done."""
        await relay.cancel(self._filler, *(task for _, task in self._by_key.values()))

    async def launch(self, *, tenant: str, kind: str, package: str | None, key: str, sizes: dict[str, int]) -> Record:
        """The Keep of this idempotency key if it exists, else a Keep from the pool if one fits, else a new Keep. HostError."""
        digest = key_digest(tenant, key)
        if not digest:
            return await self._launch(tenant, kind, package, sizes)
        request = request_digest(kind=kind, package=package or "", **sizes)
        known = self._lifecycle.index.keyed(digest)
        if known is not None:
            _require_same(known.record.request, request)
            return known.record
        if digest not in self._by_key:
            task = asyncio.create_task(self._launch(tenant, kind, package, sizes, digest, request))
            self._by_key[digest] = request, task
            task.add_done_callback(lambda task: self._launched(digest, task))
        first, task = self._by_key[digest]
        _require_same(first, request)
        return await asyncio.shield(task)

    def _launched(self, digest: str, task: asyncio.Task[Record]) -> None:
        del self._by_key[digest]
        if not task.cancelled():
            task.exception()  # mark it as retrieved: every client that waited may be gone

    async def _launch(
        self, tenant: str, kind: str, package: str | None, sizes: dict[str, int], digest: str = "", request: str = ""
    ) -> Record:
        _require(kind)
        if package is None and all(sizes[name] <= POOL[name] for name in POOL):
            for keep in self._pooled():
                if keep.record.kind == kind:
                    return self._claim(keep, tenant, digest, request)
        async with self._turn:
            await self._make_room(tenant, sizes)
            return await self._make(kind, package or ANY_PACKAGE, sizes, tenant=tenant, key=digest, request=request)

    def _pooled(self) -> list[Keep]:
        return [keep for keep in self._lifecycle.index.live() if keep.record.pooled and keep.removal is None]

    # From the pool

    def _claim(self, keep: Keep, tenant: str, digest: str, request: str) -> Record:
        """Give a pooled Keep to a tenant. It keeps the sizes that it was launched with."""
        self._check_store(keep.record.disk)
        self._check_tenant(tenant, _sizes(keep.record))
        try:
            record = self._lifecycle.store.claim(
                keep.record, tenant=tenant, key=digest, request=request, created=time.time()
            )
        except OSError as e:
            raise fault(e) from e
        self._lifecycle.index.claim(keep, record)
        self._lifecycle.refill.set()
        events.log("claimed", keep=record.id)
        self._log_skipped(record.id)
        return record

    async def _fill_pool(self) -> None:
        """Keep as many empty Keeps ready as the bounds allow and launches leave room for. Never returns."""
        await self._lifecycle.loaded()
        pause = AGAIN
        while True:
            self._lifecycle.refill.clear()
            try:
                while self._is_pool_short():
                    async with self._turn:
                        if self._is_pool_short():
                            await self._make(self._pool_kind, ANY_PACKAGE, POOL, pooled=True)
            except HostError as e:
                events.log("pool", level="error", message=e.message, pause=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = AGAIN
            await self._lifecycle.refill.wait()
            await asyncio.sleep(REST)

    def _is_pool_short(self) -> bool:
        live = self._live()
        has_room = not self._bounds.lack(live, **POOL)
        return has_room and sum(record.pooled for record in live) < self._bounds.pool

    # New Keeps

    def _live(self) -> list[Record]:
        return [keep.record for keep in self._lifecycle.index.live()]

    async def _make_room(self, tenant: str, sizes: dict[str, int]) -> None:
        """Erase pooled Keeps until one more Keep fits. HostError `host-full` if it cannot fit."""
        self._check_store(sizes["disk"])
        self._check_tenant(tenant, sizes)
        lack = self._bounds.lack([r for r in self._live() if not r.pooled], **sizes)
        if lack:
            raise HostError("host-full", lack, hint="try again later, or ask for less")
        while lack := self._bounds.lack(self._live(), **sizes):
            pooled = self._pooled()
            if not pooled:
                raise HostError("host-full", lack, hint="try again later, or ask for less")
            await self._lifecycle.erase(pooled[0])

    def _check_store(self, disk: int) -> None:
        """HostError `host-full` if there could be no room for the output of one more Keep, of `disk` bytes."""
        counts, stored = self._lifecycle.index.counts(), self._lifecycle.index.stored
        live, finished = counts["running"], counts["ended"] + counts["lost"]
        disk += sum(record.disk for record in self._live() if not record.pooled)
        lack = self._bounds.lack_of_store(live=live, finished=finished, stored=stored, disk=disk)
        if lack:
            raise HostError("host-full", lack, hint="enarx keep prune")

    def _check_tenant(self, tenant: str, sizes: dict[str, int]) -> None:
        own = [record for record in self._live() if record.tenant == tenant and not record.pooled]
        lack = self._bounds.lack_of_tenant(own, **sizes)
        if lack:
            raise HostError("host-full", lack, hint="stop or remove Keeps of your own first")

    async def _make(
        self,
        kind: str,
        package: str,
        sizes: dict[str, int],
        *,
        tenant: str = "",
        key: str = "",
        request: str = "",
        pooled: bool = False,
    ) -> Record:
        store = self._lifecycle.store
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
                request=request,
                pooled=pooled,
                processes=Processes.of(answer["processes"]),
            )
            store.write(record)
        except BaseException as e:
            clearing = self._lifecycle.add_leftover(name)
            if isinstance(e, Exception):
                await asyncio.wait([clearing])
            if isinstance(e, OSError):
                raise fault(e) from e
            raise
        self._lifecycle.add(record)
        events.log("launched", keep=name, kind=kind, pooled=pooled)
        self._log_skipped(name)
        return record

    def _order(self, name: str, kind: str, package: str, sizes: dict[str, int]) -> dict[str, Any]:
        return {
            "kind": kind,
            "directory": self._lifecycle.store.directory(name),
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


def _require_same(first: str, request: str) -> None:
    """HostError `key-reused` if the key was first sent with another request. An old record may lack its request."""
    if first and first != request:
        raise HostError(
            "key-reused", "this Idempotency-Key was first sent with another body", hint="use a new key for each launch"
        )


def _sizes(record: Record) -> dict[str, int]:
    return {"memory": record.memory, "compile": record.compile, "disk": record.disk}
