"""The daemon's Keeps: their directories, their supervisors' sockets, launching, the pool, and what is allowed in all.

A Keep is a directory `keeps/<id>` with `record.json` (ours), `meta.json`, `sock` and `output.*` (the supervisor's). The
record is written first and erased first, so that a directory without one is rubbish, whenever this process was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from enarx.host import events
from enarx.host.backends import KINDS
from enarx.host.errors import HostError
from enarx.host.files import erase, write_json
from enarx.host.launching import Launcher

ANY_PACKAGE = "0" * 64
MAX_LINE = 64 << 10
PIECE = 1 << 18
POOL_MEMORY = 1 << 30
POOL_DISK = 128 << 20
FAR = 1 << 60
STORE_FACTOR = 10
"""Ended Keeps are kept up to this many times the Keeps that may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the daemon knows of a Keep; memory and disk in bytes."""

    id: str
    kind: str
    package_digest: str
    memory: int
    disk: int
    created: float
    pooled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What all Keeps together may take; 0 is no bound. Sizes in bytes."""

    keeps: int
    memory: int
    disk: int
    stored_output: int
    pool: int


class Keeps:
    """All of them."""

    def __init__(self, state: str, launcher: Launcher, bounds: Bounds, skip_layers: tuple[str, ...]) -> None:
        self._root = os.path.join(state, "keeps")
        self._launcher = launcher
        self.bounds = bounds
        self._skip = list(skip_layers)
        self._records: dict[str, Record] = {}
        self._ended: set[str] = set()
        self._making = asyncio.Lock()
        self._refill = asyncio.Event()

    async def start(self) -> None:
        """Find every Keep that is there; erase what is half made."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        for name in os.listdir(self._root):
            record = self._read(name)
            if record is None:
                erase(self._directory(name))
                continue
            self._records[name] = record
            state = (await self.info(name))["state"]
            events.log("found", keep=name, state=state)
            if state == "lost" and record.pooled:
                await self.remove(name, force=True)

    def _directory(self, keep: str) -> str:
        return os.path.join(self._root, keep)

    def _read(self, keep: str) -> Record | None:
        try:
            with open(f"{self._directory(keep)}/record.json", encoding="utf-8") as file:
                return Record(**json.load(file))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, record: Record) -> None:
        write_json(f"{self._directory(record.id)}/record.json", asdict(record))
        self._records[record.id] = record

    # What is there

    def ids(self) -> list[str]:
        """All but those in the pool."""
        return [r.id for r in self._records.values() if not r.pooled]

    def counts(self) -> dict[str, int]:
        """Keeps by state, as far as it is known without asking."""
        pooled = sum(r.pooled for r in self._records.values())
        ended = len(self._ended)
        return {"pooled": pooled, "ended": ended, "running": len(self._records) - pooled - ended}

    def _known(self, keep: str) -> Record:
        record = self._records.get(keep)
        if record is None or record.pooled:
            raise HostError("not-found", "no such Keep")
        return record

    async def info(self, keep: str) -> dict[str, Any]:
        """The record, and what its supervisor says; state `lost` if there is none to say anything."""
        record = self._records.get(keep)
        if record is None:
            raise HostError("not-found", "no such Keep")
        known = {k: v for k, v in asdict(record).items() if k != "pooled"}
        try:
            said, _, writer = await self._ask(keep, {"op": "info"})
            writer.close()
        except HostError as e:
            if e.code != "gone":
                raise
            self._ended.add(keep)
            return {**known, **self._last_words(keep)}
        if said["state"] == "ended":
            self._ended.add(keep)
        return {**known, **said}

    def _last_words(self, keep: str) -> dict[str, Any]:
        try:
            with open(f"{self._directory(keep)}/meta.json", encoding="utf-8") as file:
                return {**json.load(file), "state": "lost"}
        except (OSError, ValueError):
            return {"state": "lost"}

    async def _ask(
        self, keep: str, request: dict[str, object]
    ) -> tuple[dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter]:
        """One request to a supervisor; HostError gone if there is none."""
        try:
            path = f"{self._directory(keep)}/sock"
            reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
            writer.write(json.dumps(request).encode() + b"\n")
            line = await reader.readline()
            answer = json.loads(line)
        except (OSError, ValueError):
            raise HostError("gone", "the Keep's supervisor is gone") from None
        if not answer.pop("ok"):
            writer.close()
            raise HostError.of(answer)
        return answer, reader, writer

    # Making and ending

    async def launch(self, *, kind: str, package: str | None, memory: int, disk: int) -> Record:
        """A Keep: from the pool where it fits, else a new one."""
        backend = KINDS.get(kind)
        if backend is None:
            raise HostError("usage", f"no kind of Keep is called {kind[:32]!r}", hint=f"kinds: {', '.join(KINDS)}")
        backend.require()
        async with self._making:
            if package is None and memory <= POOL_MEMORY and disk <= POOL_DISK:
                for record in [r for r in self._records.values() if r.pooled and r.kind == kind]:
                    if (await self.info(record.id))["state"] == "running":
                        return self._claim(record, memory, disk)
                    await self._erase(record.id)
            await self._make_room(memory, disk)
            return await self._make(kind, package or ANY_PACKAGE, memory, disk, pooled=False)

    def _claim(self, record: Record, memory: int, disk: int) -> Record:
        claimed = replace(record, pooled=False, created=time.time(), memory=memory, disk=disk)
        self._write(claimed)
        self._refill.set()
        events.log("claimed", keep=record.id)
        return claimed

    async def _make_room(self, memory: int, disk: int) -> None:
        """HostError host-full where one more would be too much; a pooled Keep gives way."""
        if len(self._records) >= self.bounds.keeps:
            await asyncio.gather(*(self.info(k) for k in self.ids() if k not in self._ended))
        live = [r for r in self._records.values() if r.id not in self._ended]
        if len(live) >= self.bounds.keeps:
            pooled = [r for r in live if r.pooled]
            if not pooled:
                raise HostError(
                    "host-full", f"{len(live)} Keeps are running, which is all this host takes", hint="try again later"
                )
            await self._erase(pooled[0].id)
        if len(self._ended) >= STORE_FACTOR * self.bounds.keeps:
            raise HostError("host-full", f"{len(self._ended)} ended Keeps are kept", hint="enarx keep prune")
        for what, wanted, bound in (("memory", memory, self.bounds.memory), ("disk", disk, self.bounds.disk)):
            taken = sum(getattr(r, what) for r in live)
            if bound and taken + wanted > bound:
                raise HostError(
                    "host-full",
                    f"{what}: {taken} bytes taken, {wanted} more wanted, {bound} in all",
                    hint="ask for less",
                )

    async def _make(self, kind: str, package: str, memory: int, disk: int, *, pooled: bool) -> Record:
        keep = secrets.token_hex(8)
        directory = self._directory(keep)
        os.mkdir(directory, 0o700)
        record = Record(
            id=keep, kind=kind, package_digest=package, memory=memory, disk=disk, created=time.time(), pooled=pooled
        )
        order = {
            "directory": directory,
            "host_data": package,
            "memory": memory,
            "disk": disk,
            "skip_layers": self._skip,
            "stored_output": self.bounds.stored_output,
        }
        try:
            answer = await self._launcher.launch(order)
            if not answer.get("ok"):
                raise HostError.of(answer)
            self._write(record)
        except BaseException:
            erase(directory)
            raise
        events.log("launched", keep=keep, kind=kind, pooled=pooled, skipped=self._skip)
        return record

    async def stop(self, keep: str) -> None:
        """Kill it; its output stays."""
        self._known(keep)
        _, _, writer = await self._ask(keep, {"op": "stop"})
        writer.close()
        events.log("stopped", keep=keep)

    async def remove(self, keep: str, *, force: bool) -> None:
        """Erase it and everything of it; not while it runs, unless `force`."""
        if not force:
            self._known(keep)
            if (await self.info(keep))["state"] == "running":
                raise HostError("not-ended", "the Keep is running", hint="stop it first, or force")
        await self._erase(keep)
        events.log("removed", keep=keep)

    async def _erase(self, keep: str) -> None:
        directory = self._directory(keep)
        try:
            os.unlink(f"{directory}/record.json")
        except FileNotFoundError:
            if keep not in self._records:
                raise HostError("not-found", "no such Keep") from None
        self._records.pop(keep, None)
        self._ended.discard(keep)
        try:
            _, _, writer = await self._ask(keep, {"op": "remove", "force": True})
            writer.close()
        except HostError:
            erase(directory)

    async def prune(self) -> list[str]:
        """Remove all that have ended; their ids."""
        removed = []
        for keep in self.ids():
            if (await self.info(keep))["state"] != "running":
                await self.remove(keep, force=True)
                removed.append(keep)
        return removed

    async def fill_pool(self) -> None:
        """For ever: keep as many empty Keeps ready as the bounds say."""
        while True:
            self._refill.clear()
            try:
                while self.counts()["pooled"] < self.bounds.pool and len(self._records) < self.bounds.keeps:
                    async with self._making:
                        await self._make("process", ANY_PACKAGE, POOL_MEMORY, POOL_DISK, pooled=True)
            except HostError as e:
                events.log("pool", level="error", code=e.code, message=e.message)
                await asyncio.sleep(5)
                continue
            await self._refill.wait()

    async def drop_pool(self) -> None:
        """Nobody has claimed these, and after an orderly end nobody will."""
        for record in [r for r in self._records.values() if r.pooled]:
            await self._erase(record.id)

    # Bytes through

    async def input(self, keep: str, body: AsyncIterator[bytes]) -> int:
        """Give a Keep frames; how many it got."""
        self._known(keep)
        _, reader, writer = await self._ask(keep, {"op": "input"})
        try:
            async for piece in body:
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
            line = await reader.readline()
            answer = json.loads(line)
        except (OSError, ValueError):
            line = b"" if reader.at_eof() else await reader.readline()
            raise (HostError.of(json.loads(line)) if line else HostError("ended", "the Keep has ended")) from None
        finally:
            writer.close()
        if not answer.get("ok"):
            raise HostError.of(answer)
        return int(answer["frames"])

    async def output(self, keep: str, start: int, *, follow: bool) -> tuple[int, AsyncIterator[bytes]]:
        """The number of the first frame that is there, and the entries from `start` on."""
        self._known(keep)
        answer, reader, writer = await self._ask(keep, {"op": "output", "from": start, "follow": follow})
        return int(answer["first"]), _pieces(reader, writer)

    async def wait(self, keep: str, seconds: float) -> bool:
        """Has it ended, at once or within `seconds`?"""
        self._known(keep)
        try:
            _, reader, writer = await self._ask(keep, {"op": "output", "from": FAR, "follow": True})
        except HostError:
            return True
        try:
            await asyncio.wait_for(reader.read(1), seconds)
        except TimeoutError:
            return False
        finally:
            writer.close()
        return True


async def _pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    try:
        while piece := await reader.read(PIECE):
            yield piece
    finally:
        writer.close()
