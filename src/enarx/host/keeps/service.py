"""The daemon's Keeps as tenants see them: each tenant's own; another tenant's Keep does not exist."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.keeps import relay
from enarx.host.keeps.bounds import Bounds
from enarx.host.keeps.index import Keep
from enarx.host.keeps.launches import Launches
from enarx.host.keeps.lifecycle import KILL, SLICE, Lifecycle, fault
from enarx.host.launcher.client import Launcher
from enarx.host.state.records import Record
from enarx.host.state.store import Store

MAX_READERS = 64
"""Concurrent readers of an ended Keep's stored output: as many as its supervisor would have served."""

MAX_INVITED = 32
"""Readers of an ended Keep's stored output beyond which no holder of an invitation is admitted; the tenant still is."""


class Keeps:
    """All Keeps of this daemon. Made and used within a running loop."""

    def __init__(self, store: Store, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._lifecycle = Lifecycle(store)
        self._store = store
        self._index = self._lifecycle.index
        self._launches = Launches(self._lifecycle, launcher, bounds, skip_layers)

    def start(self) -> None:
        """Load every Keep on disk, then keep the pool filled. Requests wait until all are loaded."""
        self._lifecycle.background(self._lifecycle.load())
        self._launches.start()

    async def close(self) -> None:
        """Stop watching. Keeps go on, except for the pool, which is erased."""
        await self._launches.close()
        await self._lifecycle.close()

    # Reading

    def counts(self) -> dict[str, int]:
        """Keeps of all tenants by state; here `pooled` is a state of its own."""
        return self._index.counts()

    async def page(
        self, *, tenant: str, after: str = "", limit: int = 100, state: str = "", name: str = ""
    ) -> dict[str, Any]:
        """Some of a tenant's Keeps, oldest first, as `schemas.Page`. An empty `state` or `name` means any."""
        await self._lifecycle.loaded()
        return self._index.page(tenant=tenant, after=after, limit=max(1, limit), state=state, name=name)

    async def _known(self, name: str, tenant: str) -> Keep:
        await self._lifecycle.loaded()
        return self._index.known(name, tenant)

    async def info(self, name: str, *, tenant: str) -> dict[str, Any]:
        """The record, with what the supervisor reports or last reported, as `schemas.Keep`."""
        keep = await self._known(name, tenant)
        if keep.state == "running":
            with contextlib.suppress(HostError):
                reported = await relay.ask(self._store.socket(name), "info")
                return {**reported, **_shown(keep)}
        try:
            report = self._store.report(name)
        except OSError as e:
            raise fault(e) from e
        self._index.known(name, tenant)  # raises if it has been removed meanwhile
        return {**({} if report is None else report.shown), **_shown(keep)}

    async def wait(self, name: str, seconds: float, *, tenant: str) -> bool:
        """Whether the Keep ends within `seconds`, or has already ended."""
        keep = await self._known(name, tenant)
        over = keep.over
        if over is None:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
        return over.is_set()

    # Launching and ending

    async def launch(
        self,
        *,
        tenant: str,
        kind: str,
        package: str | None,
        sizes: dict[str, int],
        key: str = "",
        declared: dict[str, str] | None = None,
    ) -> Record:
        """Launch a Keep; `sizes` are `memory`, `compile` and `disk` in bytes, `declared` fields of its record. HostError.

        While the Keep exists, the same tenant and `key` return it again. HostError `key-reused` if they come with another
        request; `name-taken` if a running Keep of the tenant has the name.
        """
        await self._lifecycle.loaded()
        return await self._launches.launch(
            tenant=tenant, kind=kind, package=package, key=key, sizes=sizes, declared=declared or {}
        )

    async def stop(self, name: str, *, tenant: str) -> None:
        """Kill the Keep, and return once it is gone; its output stays."""
        await self._lifecycle.kill(await self._known(name, tenant))
        events.log("stopped", keep=name)

    async def remove(self, name: str, *, tenant: str, force: bool) -> None:
        """Erase the Keep, and return once no part of it is left. HostError `not-ended` if it runs, unless `force`."""
        keep = await self._known(name, tenant)
        if not force and keep.state == "running":
            raise HostError("not-ended", "the Keep is running", hint="stop it first, or use force")
        await self._lifecycle.erase(keep)
        events.log("removed", keep=name)

    async def prune(self, *, tenant: str) -> list[str]:
        """Erase all of a tenant's Keeps that have ended; their ids."""
        await self._lifecycle.loaded()
        removed: list[str] = []
        keeps = self._index.finished(tenant)
        for begin in range(0, len(keeps), SLICE):
            some = keeps[begin : begin + SLICE]
            ends = await asyncio.gather(*map(self._lifecycle.erase, some), return_exceptions=True)
            removed += [keep.record.id for keep, end in zip(some, ends, strict=True) if end is None]
        events.log("pruned", count=len(removed))
        return removed

    # Frames

    async def invited(self, name: str, secret: str) -> str:
        """The tenant of the Keep whose invitation has this secret. HostError `not-found` if there is none."""
        await self._lifecycle.loaded()
        return self._index.invited(name, secret).record.tenant

    async def input(self, name: str, body: AsyncIterator[bytes], *, tenant: str, invited: bool = False) -> int:
        """Send frames to a Keep; returns how many it got. From someone `invited`, only frames for contributions."""
        keep = await self._known(name, tenant)
        try:
            if keep.state == "running":
                return await relay.send_input(self._store.socket(name), body, invited=invited)
        except HostError as e:
            if e.code != "gone":
                raise
        raise HostError("ended", "the Keep has ended")

    async def output(
        self, name: str, start: int, *, tenant: str, follow: bool, invited: bool = False
    ) -> tuple[int, AsyncIterator[bytes]]:
        """The number of the first frame that is stored, and the entries from frame `start` on.

        They come from the supervisor while it lives, and from disk afterwards.
        """
        keep = await self._known(name, tenant)
        if keep.state == "running" or self._is_unfinished(keep):
            try:
                return await relay.open_output(self._store.socket(name), start, follow=follow, invited=invited)
            except HostError as e:
                if e.code != "gone":
                    raise
        await self._settled(keep)
        most = MAX_INVITED if invited else MAX_READERS
        if keep.reading >= most:
            raise HostError("crowded", f"{most} readers have this Keep's output", hint="try again later")
        try:
            first, pieces = self._store.output(name, start)
        except FileNotFoundError:
            raise HostError("not-found", "no such Keep") from None
        except OSError as e:
            raise fault(e) from e
        return first, _paced(keep, pieces)

    def _is_unfinished(self, keep: Keep) -> bool:
        """Whether the Keep's process has ended while its supervisor still stores output."""
        report = self._store.report(keep.record.id) if keep.life is not None else None
        return report is not None and report.state == "running"

    async def _settled(self, keep: Keep) -> None:
        """Wait until the Keep's supervisor has stored all output; it may still have readers then."""
        over = keep.over
        if over is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), KILL)
            if not over.is_set():
                raise HostError("silent", "the Keep's supervisor does not answer", hint="try again later")


async def _paced(keep: Keep, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces from disk, and let other requests run between two of them."""
    keep.reading += 1
    try:
        for piece in pieces:
            await asyncio.sleep(0)
            if piece:
                yield piece
    finally:
        keep.reading -= 1
        pieces.close()  # type: ignore[attr-defined]  # a generator


def _shown(keep: Keep) -> dict[str, Any]:
    return {**keep.item(), "compile": keep.record.compile}
