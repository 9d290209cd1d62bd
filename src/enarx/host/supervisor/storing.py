"""From a Keep to its store: frame by frame, and no further than readers, limits and the disk allow."""

from __future__ import annotations

from enarx.host.supervisor.frames import Frame, FrameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from enarx.host.state.output_store import Cursor, OutputStore


class Storing:
    """Stores what a Keep sends. `readers` returns the places of all who read the store.

    `stuck` is whether the disk has no room for a frame that must not be dropped, and `over` whether no more frames can come.
    If the store `forgets`, no later reader can ask for results that all readers have read, so these may be dropped.
    """

    def __init__(self, store: OutputStore, readers: Callable[[], list[Cursor]], *, forgets: bool) -> None:
        self._store = store
        self._readers = readers
        self._forgets = forgets
        self._frame = Frame()
        self.stuck = self.over = False

    def held(self) -> bool:
        """Whether the Keep must pause: the store is full, and its oldest segment must not be dropped."""
        if self.stuck or (self._store.crammed and not self._is_read()):
            return True
        return self._store.full and any(reader.holds for reader in self._readers())

    def _is_read(self) -> bool:
        readers = self._readers()
        return self._forgets and bool(readers) and not any(reader.holds for reader in readers)

    def receive(self, keep: socket.socket) -> bool:
        """Store one whole frame; False if none has arrived, or if it is stuck."""
        try:
            self._frame.read(keep)
        except BlockingIOError:
            return False
        except (EOFError, OSError, FrameError):
            self.over = True
            return False
        while (self._store.full or self._store.crammed) and not self.held():
            self._store.drop()
        self.stuck = not self._store.append(self._frame.data)
        if not self.stuck:
            self._frame.clear()
        return not self.stuck
