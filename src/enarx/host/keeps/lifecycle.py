"""The life of every Keep in the daemon: found at the start, watched until its processes are gone, erased on request.

A Keep counts against the bounds until its processes have provably ended. It is listed until its directory is erased.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine
from typing import Any

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.faults import refusal
from enarx.host.keeps import relay
from enarx.host.keeps.index import Index, Keep
from enarx.host.keeps.life import Life
from enarx.host.state.files import erase_scratch
from enarx.host.state.records import Record
from enarx.host.state.store import Store

AGAIN = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries, at first and at most."""

SLICE = 16
"""Keeps that are read, or removed, before other requests have their turn."""

LAST_REPORT = 0.5
"""Seconds to wait for the supervisor of an ended Keep. A supervisor with readers takes longer, and is not waited for."""

KILL = 10.0
TERM = 3.0
"""Seconds for a process to be gone after SIGKILL, or after SIGTERM."""


def fault(e: OSError) -> HostError:
    """The error that reports a failure of the operating system."""
    return HostError.of(refusal(e))


class Lifecycle:
    """All Keeps, and the tasks that watch and remove them. `refill` is set whenever there may be room for another Keep."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.index = Index()
        self.refill = asyncio.Event()
        self._loaded = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in the background until `close` cancels it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (e := task.exception()) is not None and not isinstance(e, HostError):
            events.log_bug("background", e)

    async def loaded(self) -> None:
        """Wait until every Keep that existed at the start is known."""
        await self._loaded.wait()

    async def close(self) -> None:
        """Stop watching. Keeps go on, except for those in the pool, which are erased: no tenant will claim them."""
        pooled = [keep for keep in self.index.live() if keep.record.pooled and self._loaded.is_set()]
        unwanted = [keep for keep in self.index if keep.removal is not None]
        for keep in unwanted:
            if keep.removal is not None and keep.removal.done():  # it failed: try once more now
                keep.removal = None
        await asyncio.gather(*map(self.erase, {*pooled, *unwanted}), return_exceptions=True)
        await relay.cancel(*self._tasks)
        for keep in self.index:
            if keep.life is not None:
                keep.life.close()

    # At the start

    async def load(self) -> None:
        """Find every Keep on disk, a few at a time."""
        for count, name in enumerate(await self._names()):
            while not self._register(name):
                await asyncio.sleep(AGAIN)
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        events.log("loaded", keeps=self.index.counts())
        self._loaded.set()

    async def _names(self) -> list[str]:
        while True:
            try:
                return self.store.names()
            except OSError as e:
                events.log("state-unreadable", level="error", message=str(e.strerror))
                await asyncio.sleep(AGAIN)

    def _register(self, name: str) -> bool:
        """Register the Keep in the directory `name`; False if that must wait for descriptors or memory."""
        try:
            if self.store.is_directory(name):
                self._register_record(self.store.read(name))
            else:
                events.log("foreign", level="error", name=name[:64], message="not the directory of a Keep: left alone")
        except FileNotFoundError:
            self.add_leftover(name)
        except (OSError, ValueError) as e:
            events.log("record-unreadable", level="error", keep=name, message=f"{type(e).__name__}: {str(e)[:80]}")
            if isinstance(e, OSError) and refusal(e)["code"] in ("descriptors", "host-memory"):
                return False
            self._register_unreadable(name)
        return True

    def _register_record(self, record: Record) -> None:
        keep = Keep(record)
        assert record.processes is not None  # every file has them
        keep.life = Life(record.processes)
        self.index.add(keep)
        if not keep.life.is_over:
            events.log("found", keep=record.id, pooled=record.pooled)
            keep.watcher = self.background(self._watch(keep))
        elif record.pooled:
            self._begin_removal(keep)
        else:
            self._conclude(keep)

    def _register_unreadable(self, name: str) -> None:
        """Count the Keep while any of its processes may run, then set its directory aside."""
        keep = Keep(nameless(name), hidden=True)
        self.index.add(keep)
        self.background(self._set_aside(keep))

    async def _set_aside(self, keep: Keep) -> None:
        name = keep.record.id
        try:
            while not await self._is_deserted(keep):
                await asyncio.sleep(LONGEST_PAUSE)
            events.log("set-aside", level="error", keep=name, where=self.store.set_aside(name))
        except OSError as e:
            events.log("left-behind", level="error", keep=name, message=str(e.strerror))
            return  # it counts, because its state is unknown
        self.index.remove(keep)

    async def _is_deserted(self, keep: Keep) -> bool:
        """Whether all of its processes have ended. Without a readable report, only the supervisor's socket can tell."""
        report = self.store.report(keep.record.id)
        if report is None:
            return not await relay.is_there(self.store.socket(keep.record.id))
        life = Life(report.processes)
        await life.until_ended(KILL)
        return life.is_over

    def add_leftover(self, name: str) -> asyncio.Task[None]:
        """Erase the remains of a failed launch or removal, and kill their processes. The Keep counts until that is done."""
        keep = Keep(nameless(name), hidden=True)
        self.index.add(keep)
        return self._begin_removal(keep)

    # Watching

    def add(self, record: Record) -> Keep:
        """Watch a Keep that has just been launched."""
        keep = Keep(record)
        self.index.add(keep)
        keep.watcher = self.background(self._watch(keep))
        return keep

    async def _watch(self, keep: Keep) -> None:
        """Wait until both processes of the Keep are gone, and record how it ended."""
        life = await self._opened(keep)
        await life.until_ended(LAST_REPORT)
        if life.supervisor.gone.is_set():
            self._conclude(keep)
        else:
            self.index.end(keep, "ended", time.time())
            self.refill.set()
            await life.supervisor.gone.wait()
            self._conclude(keep)
        events.log(keep.state, keep=keep.record.id, pooled=keep.record.pooled)
        if keep.record.pooled:
            self._begin_removal(keep)

    async def _opened(self, keep: Keep) -> Life:
        """Open pidfds for both processes; retry while the descriptor table is full."""
        while keep.life is None:
            try:
                keep.life = self.life(keep)
            except HostError as e:
                events.log("unwatched", level="error", keep=keep.record.id, message=e.message)
                await asyncio.sleep(AGAIN)
        return keep.life

    def life(self, keep: Keep) -> Life:
        """The Keep's two processes. HostError if no descriptors are left for their pidfds."""
        if keep.life is None:
            assert keep.record.processes is not None  # a live Keep's record has them
            try:
                keep.life = Life(keep.record.processes)
            except OSError as e:
                raise fault(e) from e
        return keep.life

    def _conclude(self, keep: Keep) -> None:
        """Record the end of the Keep, from its supervisor's last report, once its processes are gone."""
        try:
            report = self.store.report(keep.record.id)
        except OSError:
            report = None
        is_reported = report is not None and report.state == "ended"
        stored = report.stored if report is not None and is_reported else self.store.stored(keep.record.id)
        ended = report.ended if report is not None and report.ended is not None else keep.ended or keep.record.created
        self.index.end(keep, "ended" if is_reported else "lost", ended)
        if not keep.record.pooled:
            self.index.settle(keep, stored)
        self.refill.set()

    # Ending

    async def kill(self, keep: Keep) -> None:
        """Kill the Keep, and return once it is gone. HostError `not-gone` if it survives."""
        if keep.state != "running":
            return
        life = self.life(keep)
        life.keep.send()
        if not await life.keep.wait(KILL):
            raise _not_gone("its processes have survived SIGKILL")
        if keep.over is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(keep.over.wait(), KILL)

    async def erase(self, keep: Keep) -> None:
        """Erase the Keep and its output. HostError if that fails: the Keep is then listed as before, and erased later."""
        await asyncio.shield(self._begin_removal(keep))

    def _begin_removal(self, keep: Keep) -> asyncio.Task[None]:
        if keep.removal is None:
            keep.removal = self.background(self._remove(keep))
        return keep.removal

    async def _remove(self, keep: Keep) -> None:
        try:
            await self._try_removal(keep)
        except (HostError, OSError) as e:
            error = e if isinstance(e, HostError) else _not_removed(e)
            events.log("left-behind", level="error", keep=keep.record.id, message=error.message)
            self.background(self._remove_later(keep))
            raise error from e
        self.index.remove(keep)
        self.refill.set()

    async def _remove_later(self, keep: Keep) -> None:
        await asyncio.sleep(AGAIN)
        keep.removal = None
        await asyncio.sleep(LONGEST_PAUSE / 10)
        self._begin_removal(keep)

    async def _try_removal(self, keep: Keep) -> None:
        name = keep.record.id
        report = self.store.report(name)
        if keep.life is None and (keep.state == "running" or keep.hidden):
            processes = keep.record.processes or (report.processes if report is not None else None)
            keep.life = Life(processes) if processes is not None else None
        if keep.life is not None:
            await _end(keep.life)
        await relay.cancel(keep.watcher)
        if report is not None:
            await asyncio.to_thread(erase_scratch, report.scratch)
        await asyncio.to_thread(self.store.erase, name)
        if keep.life is not None:
            keep.life.close()


async def _end(life: Life) -> None:
    """End both processes, in any state. HostError `not-gone` if one survives."""
    life.keep.send()
    if not await life.keep.wait(KILL):
        raise _not_gone("its processes have survived SIGKILL")
    life.supervisor.send(signal.SIGTERM)
    if not await life.supervisor.wait(TERM):
        life.supervisor.send()
    if not await life.supervisor.wait(KILL):
        raise _not_gone("its supervisor has survived SIGKILL")


def _not_gone(message: str) -> HostError:
    return HostError("not-gone", f"the Keep is not gone: {message}", hint="it counts until it is gone; try again later")


def _not_removed(e: OSError) -> HostError:
    error = fault(e)
    if error.code == "launch":
        hint = "its directory contains files that the host did not create"
        error = HostError("not-removed", f"the Keep cannot be erased: {e.strerror}", hint=hint)
    return error


def nameless(name: str) -> Record:
    """A record for a directory without a readable record."""
    return Record(
        id=name,
        kind="",
        package_digest="",
        memory=0,
        compile=0,
        disk=0,
        created=0.0,
        tenant="",
        key="",
        request="",
        pooled=False,
        processes=None,
    )
