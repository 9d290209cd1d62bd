"""The keeper: the Keep's first process. It drives the core (`enarx.keep.core`) with sockets, storage and child processes.

One loop over poll turns descriptors and deadlines into events for the core, and performs the actions that the core requests.
The loop never blocks on a peer, so neither a host that stops reading nor a guest that sleeps in a host call can keep a limit
from being enforced, or the final record from being sealed. The process exits with status 0 whatever the workload did: only the
sealed final record says how the workload ended.
"""

from __future__ import annotations

import os
import resource
import select
import time
from collections.abc import Callable
from typing import Any

from enarx.delivery.content import FilePiece
from enarx.delivery.keep import ENTROPY_SIZE
from enarx.delivery.session import Status
from enarx.delivery.states import SESSION
from enarx.errors import DeliveryError, EnarxError, ParseError, UnavailableError
from enarx.formats import bounds
from enarx.keep import sandbox
from enarx.keep.attester.link import AttesterLink
from enarx.keep.core.actions import (
    AskEvidence,
    CloseStdin,
    Collect,
    Compile,
    CreateTrees,
    Done,
    DropStdin,
    Kill,
    ReplaceTrees,
    Send,
    Start,
    StoreSecrets,
    WriteStdin,
)
from enarx.keep.core.deadlines import Deadlines, Now
from enarx.keep.core.limits import Limits
from enarx.keep.core.machine import NONCE_SIZE, Core
from enarx.keep.files import Storage
from enarx.keep.frames import ANSWERS, HIGH_WATER, TURN, Frames
from enarx.keep.guest import runner
from enarx.keep.hashing import AHEAD, Hashing
from enarx.keep.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.keep.core.gathering import Gathering

REST_FILES = 64
"""The keeper's limit on descriptors once the runner is forked."""

LONGEST_WAIT = 3600.0
"""Seconds that the keeper waits at a time. Waking early costs nothing: it checks its deadline and waits on."""


def _gathering() -> type[Gathering] | None:
    try:
        from enarx.keep.core import gathering
    except ImportError:
        return None
    return gathering.Gathering


GATHERING = _gathering()
"""The code for several owners of data; None in a Keep without the profile `providers`."""


def now() -> Now:
    """Return the time of an event."""
    return Now(time.monotonic(), int(time.time()))


class Keeper:
    """One Keep's life. `limits` are the host's: bytes of `memory`, `compile` and `disk`."""

    def __init__(
        self,
        frames: Frames,
        attester: AttesterLink,
        handle: runner.Handle,
        isolation: sandbox.Isolation,
        limits: dict[str, int],
        skip: frozenset[str],
        deadlines: Deadlines = Deadlines(),  # noqa: B008  # it cannot be changed
    ) -> None:
        self._frames = frames
        self._deadlines = deadlines
        self._handle = handle
        self._isolation = isolation
        self._limits = limits
        self._skip = skip
        self._attester = attester
        self._asked = False
        self._storage = Storage(isolation, sized=self._confine)
        self._watch: Watch | None = None
        self._done = False
        self._perform: dict[type, Callable[[Any], None]] = {
            AskEvidence: self._ask,
            CloseStdin: lambda _: self._running().close_stdin(),
            Collect: lambda action: self._running().collect(action.trees, action.room),
            Compile: self._compile,
            CreateTrees: lambda action: self._storage.trees(action.trees, action.size),
            Done: self._end,
            DropStdin: lambda _: self._running().drop_stdin(),
            FilePiece: self._storage.piece,
            Kill: self._kill,
            ReplaceTrees: self._storage.replace_trees,
            Send: self._send,
            Start: self._start,
            StoreSecrets: lambda action: self._storage.secrets(action.secrets),
            WriteStdin: lambda action: self._running().write_stdin(action.data),
        }

    def serve(self) -> None:
        """Run the core to its end; UnavailableError if the host closes the control socket before that."""
        with Hashing() as hashing:
            self._core = Core(
                entropy=os.urandom(ENTROPY_SIZE),
                host_data=self._attester.host_data,
                limits=Limits(**self._limits, open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
                now=now(),
                deadlines=self._deadlines,
                sha256=hashing.sha256,
                buffers=AHEAD + 1,
                gathering=GATHERING,
            )
            while self._watch is None and not self._done:
                self._turn()
        while not self._done:
            self._turn()
        self._frames.drain()

    def _turn(self) -> None:
        """Wait for a ready descriptor or the deadline, and handle it."""
        poll, queued = select.poll(), self._frames.queued
        poll.register(self._frames, (select.POLLIN if queued < ANSWERS else 0) | (select.POLLOUT if queued else 0))
        if self._asked:
            poll.register(self._attester, select.POLLIN)
        if self._watch is not None:
            self._watch.register(poll, output=queued < HIGH_WATER)
        before = time.monotonic()
        ready = dict(poll.poll(self._timeout()))
        if queued >= HIGH_WATER:
            self._core.held(time.monotonic() - before)
        self._core.tick(now())
        self._act()
        if ready.get(self._frames.fileno(), 0) & select.POLLOUT:
            self._frames.flush()
        if ready.get(self._frames.fileno(), 0) & ~select.POLLOUT:
            self._read_frames()
        if self._asked and self._attester.fileno() in ready:
            self._take_evidence()
        if self._watch is not None:
            self._watch.turn(ready)
            self._act()

    def _timeout(self) -> float | None:
        """Milliseconds to wait at most. A limit may be years away, and poll takes no more than 24 days."""
        deadline = self._core.deadline
        return None if deadline is None else min(LONGEST_WAIT, max(0.0, deadline - time.monotonic())) * 1000 + 1

    def _read_frames(self) -> None:
        for _ in range(TURN):
            frame = self._frames.read() if self._frames.queued < ANSWERS and not self._done else None
            if frame is None:
                return
            kind, payload = frame
            if isinstance(kind, ParseError):
                self._core.malformed(kind, now())
            else:
                self._core.frame(kind, payload, now(), os.urandom(NONCE_SIZE))
            self._act()

    def _take_evidence(self) -> None:
        self._asked = False
        try:
            evidence, endorsements = self._attester.answer()
        except EnarxError:
            self._core.no_evidence()
        else:
            self._core.evidence(self._attester.kind, evidence, endorsements, now())
        self._act()

    # --- actions -------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Perform all actions that the core requests."""
        while (action := self._core.next_action(now())) is not None:
            try:
                self._perform[type(action)](action)
            except UnavailableError:
                raise  # the host is gone: no peer is left to report to
            except EnarxError as e:
                self._core.failed(e, now())
            except MemoryError:
                self._core.out_of_memory(now())
            except OSError as e:
                code, what = (
                    ("run", "run the workload") if self._core.state == SESSION else ("storage", "store the package")
                )
                message = f"this Keep cannot {what}: {e.strerror}"  # without the path, which only the owner may see
                self._core.failed(DeliveryError(code, message, state=self._core.state), now())

    def _send(self, action: Send) -> None:
        self._frames.write(action.data)

    def _ask(self, action: AskEvidence) -> None:
        try:
            self._attester.ask(action.report_data)
        except UnavailableError:
            self._core.no_evidence()
        else:
            self._asked = True

    def _compile(self, action: Compile) -> None:
        self._handle.compilation.start(action.module, fuel=action.fuel, memory=action.memory)

    def _confine(self) -> None:
        """Give up the right to resize storage after its one use, and before `Hashing` starts a thread."""
        sandbox.confine(
            sandbox.KEEPER,
            skip=self._skip,
            nofile=REST_FILES,
            nproc=runner.MAX_PROCESSES,
            read_write=(self._isolation.data, self._isolation.secrets),
        )

    def _start(self, action: Start) -> None:
        bound = bounds.keep_memory(**self._limits)
        order = {
            "args": list(action.args),
            "env": dict(action.env),
            "dirs": self._storage.guest_dirs(action.dirs, secrets=action.secrets),
            "limits": action.limits.public(),
            "tty": action.tty,
            "data": bounds.process_memory(memory=action.limits.memory, compile=self._limits["compile"]),
        }
        self._handle.collection.prepare(wanted=action.results)
        self._watch = Watch(self._handle, self._core, order, bound=bound, now=now)

    def _running(self) -> Watch:
        assert self._watch is not None  # the core requests these actions only after Start
        return self._watch

    def _kill(self, action: Kill) -> None:
        if self._watch is None:  # it still waits for parts
            self._core.ended(b"", Status(cause="failed"), now())
        else:
            self._watch.kill()

    def _end(self, action: Done) -> None:
        self._done = True
