"""The processes of a Keep as the daemon holds them: by pidfds, so that "gone" is proven and never assumed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from enarx.host import processes
from enarx.host.state.records import Processes


class Watched:
    """One process; `gone` is set once it has ended. It takes a descriptor until then. OSError if none is left."""

    def __init__(self, pid: int, start: int, changed: asyncio.Event) -> None:
        self.gone = asyncio.Event()
        self._changed = changed
        self._fd = processes.open_process(pid, start)
        if self._fd < 0:
            self.gone.set()
            changed.set()
        else:
            asyncio.get_running_loop().add_reader(self._fd, self._ended)

    def _ended(self) -> None:
        self.close()
        self.gone.set()
        self._changed.set()

    def send(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, unless it has ended."""
        if self._fd >= 0:
            processes.send(self._fd, number)

    async def wait(self, seconds: float) -> bool:
        """Has it ended, now or within `seconds`?"""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)
        return self.gone.is_set()

    def close(self) -> None:
        """Stop watching; the process goes on."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class Life:
    """A Keep's first process, with which all of it ends, and its supervisor. OSError if they cannot be opened."""

    def __init__(self, known: Processes) -> None:
        here = known.boot == processes.boot()
        self.changed = asyncio.Event()
        self.keep = Watched(*(known.keep if here else (0, 0)), self.changed)
        try:
            self.supervisor = Watched(*(known.supervisor if here else (0, 0)), self.changed)
        except OSError:
            self.keep.close()
            raise

    @property
    def is_over(self) -> bool:
        """Are both processes proven gone?"""
        return self.keep.gone.is_set() and self.supervisor.gone.is_set()

    async def until_ended(self, patience: float) -> None:
        """Wait until the Keep's process is gone. It is killed if its supervisor goes first.

        Then give its supervisor `patience` seconds to go too, which is enough if nobody reads the output.
        """
        while not (self.keep.gone.is_set() or self.supervisor.gone.is_set()):
            self.changed.clear()
            await self.changed.wait()
        self.keep.send()
        await self.keep.gone.wait()
        await self.supervisor.wait(patience)

    def close(self) -> None:
        """Stop watching; both go on."""
        self.keep.close()
        self.supervisor.close()
