"""A Keep in memory: the real core, with a dict for storage and a workload that sends its stdin back.

The driver performs actions and reports what comes of them. It decides nothing about the protocol, so whatever an attack on
it shows, it shows of the core.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable
from typing import Any

from enarx.delivery.content import FilePiece
from enarx.delivery.keep import ANY_PACKAGE, ENTROPY_SIZE
from enarx.delivery.session import Status
from enarx.errors import ParseError
from enarx.formats.wire import HEADER, FrameType, encode, frame_header
from enarx.keep.core.actions import (
    Action,
    AskEvidence,
    CloseStdin,
    Collect,
    Compile,
    CreateTrees,
    Done,
    DropStdin,
    Kill,
    Send,
    Start,
    StoreSecrets,
    WriteStdin,
)
from enarx.keep.core.deadlines import Deadlines, Now
from enarx.keep.core.limits import Limits
from enarx.keep.core.machine import NONCE_SIZE, Core
from tests.exchange import frames

Frame = tuple[FrameType, bytes]
Attest = Callable[[bytes], tuple[str, bytes, tuple[bytes, ...]]]
"""Report data to the kind of evidence, the evidence and its endorsements."""

ROOMY = Limits(memory=1 << 30, compile=1 << 30, disk=1 << 30, open_files=1 << 16)
DEADLINES = Deadlines()
EXIT_CODE = 7
EXITED = encode({"cause": "exit", "code": EXIT_CODE})
VANISHED = Status(cause="failed", message="the workload is gone")


def now() -> Now:
    return Now(time.monotonic(), int(time.time()))


class MemoryKeep:
    """`out` are the frames that the Keep has sent, then None at its end. `actions` are all that it asked for.

    Its collector answers with the stream `results`, in pieces, and with `report`.
    """

    def __init__(
        self,
        attest: Attest,
        *,
        host_data: bytes = ANY_PACKAGE,
        limits: Limits = ROOMY,
        entropy: bytes | None = None,
        clock: Callable[[], Now] = now,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        self._attest = attest
        self._clock = clock
        self.out: queue.Queue[Frame | None] = queue.Queue()
        self.actions: list[Action] = []
        self.secrets: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.module = b""
        self.start: Start | None = None
        self.over = False
        self.results: list[bytes] = []
        self.report = b""
        self.core = Core(
            entropy=entropy or os.urandom(ENTROPY_SIZE),
            host_data=host_data,
            limits=limits,
            now=clock(),
            deadlines=deadlines,
        )

    def receive(self, data: bytes) -> None:
        """Take one whole frame from the host."""
        if self.over:
            return
        try:
            kind, _ = frame_header(data[: HEADER.size])
        except ParseError as e:
            self.core.malformed(e, self._clock())
        else:
            self.core.frame(kind, memoryview(data)[HEADER.size :], self._clock(), os.urandom(NONCE_SIZE))
        self.act()

    def tick(self) -> None:
        self.core.tick(self._clock())
        self.act()

    def die(self) -> None:
        """End without a word, as a process that is killed."""
        self.over = True
        self.out.put(None)

    def act(self) -> None:
        while (action := self.core.next_action(self._clock())) is not None:
            self.actions.append(action)
            getattr(self, f"_{type(action).__name__}")(action)

    def of(self, kind: type[Any]) -> list[Any]:
        """The actions of one kind."""
        return [action for action in self.actions if type(action) is kind]

    @property
    def stored(self) -> list[Action]:
        """The actions that put something of a package somewhere."""
        return [a for a in self.actions if isinstance(a, StoreSecrets | Compile | CreateTrees | FilePiece)]

    def _Send(self, action: Send) -> None:  # noqa: N802
        for frame in frames(action.data):
            self.out.put((frame_header(frame[: HEADER.size])[0], frame[HEADER.size :]))

    def _AskEvidence(self, action: AskEvidence) -> None:  # noqa: N802
        self.core.evidence(*self._attest(action.report_data), self._clock())

    def _StoreSecrets(self, action: StoreSecrets) -> None:  # noqa: N802
        self.secrets = dict(action.secrets)

    def _Compile(self, action: Compile) -> None:  # noqa: N802
        self.module = action.module

    def _CreateTrees(self, action: CreateTrees) -> None:  # noqa: N802
        self.files = {f"{i}/{n.path}": b"" for i, nodes in enumerate(action.trees) for n in nodes if n.kind == "f"}

    def _FilePiece(self, action: FilePiece) -> None:  # noqa: N802
        self.files[f"{action.tree}/{action.node.path}"] += bytes(action.data)

    def _Start(self, action: Start) -> None:  # noqa: N802
        self.start = action
        self.core.loaded(self._clock())

    def _WriteStdin(self, action: WriteStdin) -> None:  # noqa: N802
        self.core.output(1, action.data)
        self.core.stdin_written(len(action.data))

    def _DropStdin(self, action: DropStdin) -> None:  # noqa: N802
        return  # this workload takes everything at once

    def _CloseStdin(self, action: CloseStdin) -> None:  # noqa: N802
        self.core.ended(EXITED, VANISHED, self._clock())

    def _Kill(self, action: Kill) -> None:  # noqa: N802
        self.core.ended(b"", VANISHED, self._clock())

    def _Collect(self, action: Collect) -> None:  # noqa: N802
        for piece in self.results:
            self.core.files(piece)
        self.core.collected(self.report, self._clock())

    def _Done(self, action: Done) -> None:  # noqa: N802
        self.die()
