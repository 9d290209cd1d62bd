"""The daemon's Keeps, as they are asked for: each tenant's own, and all others are not there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.keeps import relay
from enarx.host.keeps.bounds import Bounds, share_of_memory
from enarx.host.keeps.index import Keep
from enarx.host.keeps.launches import Launches
from enarx.host.keeps.lifecycle import KILL, SLICE, Keeping, fault
from enarx.host.launcher.client import Launcher
from enarx.host.state.records import Record
from enarx.host.state.store import Store

__all__ = ["Bounds", "Keeps", "share_of_memory"]

MAX_READERS = 64
"""Readers of the stored output of a Keep that has ended, at a time: as many as its supervisor would have served."""

STATES = ("", "running", "ended", "lost")


class Keeps:
    """All of them. Made and used within a running loop."""

    def __init__(self, store: Store, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._keeping = Keeping(store)
        self._store = store
        self._index = self._keeping.index
        self._launches = Launches(self._keeping, launcher, bounds, skip_layers)

    def start(self) -> None:
        """Find every Keep that is there; then keep the pool filled. What is asked meanwhile waits."""
        self._keeping.background(self._keeping.load())
        self._launches.start()

    async def close(self) -> None:
        """Let go of all of them: they go on, but for the pool."""
        await self._launches.close()
        await self._keeping.close()

    # What is there

    def counts(self) -> dict[str, int]:
        """Keeps of all tenants by state; `pooled` is a state of its own here."""
        return self._index.counts()

    async def page(self, *, tenant: str, after: str = "", limit: int = 100, state: str = "") -> dict[str, Any]:
        """Some of a tenant's Keeps, oldest first, and where to go on: `{"keeps": [...], "next": str or None}`."""
        if state not in STATES:
            raise HostError("usage", f"state: wanted one of {', '.join(STATES[1:])}")
        await self._keeping.loaded()
        return self._index.page(tenant=tenant, after=after, limit=max(1, limit), state=state)

    async def _known(self, name: str, tenant: str) -> Keep:
        await self._keeping.loaded()
        return self._index.known(name, tenant)

    async def info(self, name: str, *, tenant: str) -> dict[str, Any]:
        """The record, and what its supervisor says, or said last."""
        keep = await self._known(name, tenant)
        if keep.state == "running":
            with contextlib.suppress(HostError):
                asked = await relay.ask(self._store.socket(name), "info")
                return {**asked, **_shown(keep), "started": asked["started"]}
        try:
            words = self._store.words(name)
        except OSError as e:
            raise fault(e) from e
        self._index.known(name, tenant)  # else it has been removed meanwhile
        said = {} if words is None else {**words.shown, "reason": words.reason}
        return {**said, **_shown(keep)}

    async def wait(self, name: str, seconds: float, *, tenant: str) -> bool:
        """Has it ended, at once or within `seconds`?"""
        keep = await self._known(name, tenant)
        over = keep.over
        if over is None:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
        return over.is_set()

    # Making and ending

    async def launch(
        self, *, tenant: str, kind: str, package: str | None, memory: int, compile: int, disk: int, key: str = ""
    ) -> Record:
        """A Keep; the same for the same tenant and `key`, as long as that Keep is there."""
        await self._keeping.loaded()
        sizes = {"memory": memory, "compile": compile, "disk": disk}
        return await self._launches.launch(tenant=tenant, kind=kind, package=package, key=key, sizes=sizes)

    async def stop(self, name: str, *, tenant: str) -> None:
        """Kill it, and be sure that it is gone; its output stays."""
        await self._keeping.kill(await self._known(name, tenant))
        events.log("stopped", keep=name)

    async def remove(self, name: str, *, tenant: str, force: bool) -> None:
        """Erase it and everything of it, and be sure of that; not while it runs, unless `force`."""
        keep = await self._known(name, tenant)
        if not force and keep.state == "running":
            raise HostError("not-ended", "the Keep is running", hint="stop it first, or force")
        await self._keeping.erase(keep)
        events.log("removed", keep=name)

    async def prune(self, *, tenant: str) -> list[str]:
        """Remove all of a tenant's that have ended; their ids."""
        await self._keeping.loaded()
        removed: list[str] = []
        keeps = self._index.finished(tenant)
        for begin in range(0, len(keeps), SLICE):
            some = keeps[begin : begin + SLICE]
            ends = await asyncio.gather(*map(self._keeping.erase, some), return_exceptions=True)
            removed += [keep.record.id for keep, end in zip(some, ends, strict=True) if end is None]
        events.log("pruned", count=len(removed))
        return removed

    # Bytes through

    async def input(self, name: str, body: AsyncIterator[bytes], *, tenant: str) -> int:
        """Give a Keep frames; how many it got."""
        keep = await self._known(name, tenant)
        try:
            if keep.state == "running":
                return await relay.give(self._store.socket(name), body)
        except HostError as e:
            if e.code != "gone":
                raise
        raise HostError("ended", "the Keep has ended")

    async def output(self, name: str, start: int, *, tenant: str, follow: bool) -> tuple[int, AsyncIterator[bytes]]:
        """The number of the first frame that is there, and the entries from `start` on.

        A supervisor gives them as long as there is one, and the disk afterwards.
        """
        keep = await self._known(name, tenant)
        if keep.state == "running" or self._is_unfinished(keep):
            try:
                return await relay.take(self._store.socket(name), start, follow=follow)
            except HostError as e:
                if e.code != "gone":
                    raise
        await self._settled(keep)
        if keep.reading >= MAX_READERS:
            raise HostError("crowded", f"{MAX_READERS} readers have this Keep's output", hint="try again later")
        try:
            first, pieces = self._store.output(name, start)
        except FileNotFoundError:
            raise HostError("not-found", "no such Keep") from None
        except OSError as e:
            raise fault(e) from e
        return first, _paced(keep, pieces)

    def _is_unfinished(self, keep: Keep) -> bool:
        """Is its process gone, and its supervisor, which is still there, not done with its output?"""
        words = self._store.words(keep.record.id) if keep.life is not None else None
        return words is not None and words.state == "running"

    async def _settled(self, keep: Keep) -> None:
        """Until its supervisor has written all that it will, whether it has readers still or not."""
        over = keep.over
        if over is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), KILL)
            if not over.is_set():
                raise HostError("silent", "the Keep's supervisor does not answer", hint="try again later")


async def _paced(keep: Keep, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Piece by piece, with all others having their turn between two of them."""
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
