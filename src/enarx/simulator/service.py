"""The simulator's loop: it launches Keeps through its zygote, and signs evidence about each of them.

A Keep asks over its own report link, so evidence is always about the Keep that asks. One loop serves the host and all
Keeps, so it never blocks on any of them.
"""

from __future__ import annotations

import ctypes
import gc
import select
import socket
from typing import Any

from enarx.errors import EnarxError, ParseError, UnavailableError
from enarx.formats.wire import decode, encode
from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure
from enarx.record import record
from enarx.simulator import keys
from enarx.simulator.main import ORDERS
from enarx.simulator.orders import MAX_MESSAGE, Answer, Order, Orders, close, parse, refusal
from enarx.simulator.zygote_client import DIED, Zygote

PR_SET_DUMPABLE = 4
REPORT_DATA_SIZE = 64


@record()
class Keep:
    """A running Keep: the simulator's end of its report link, and the claims of its evidence."""

    link: socket.socket
    host_data: bytes
    measurement: bytes


class Service:
    """The simulator of one machine. `started` is the zygote's pidfd and link; `search` the directories to find code in."""

    def __init__(
        self, started: tuple[int, int], *, code: tuple[str, ...], search: tuple[str, ...], state: str, cache: str
    ) -> None:
        _undumpable()
        self._zygote = Zygote(started, code)
        self._search = search
        self._cache = f"{cache}/digests.json"
        self._chip = keys.load(state)
        gc.freeze()
        gc.enable()
        self._measurement: bytes | None = self._measure()
        self._keeps: dict[int, Keep] = {}
        self._orders: Orders | None = Orders(ORDERS)

    def serve(self) -> None:
        """Serve orders and reports, until the host has closed the link and every Keep has ended."""
        while self._orders is not None or self._keeps:
            poll = select.poll()
            for fd in (*([self._orders.fileno()] if self._orders is not None else []), *self._keeps):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll():
                if self._orders is not None and fd == self._orders.fileno():
                    self._order(self._orders)
                elif fd in self._keeps:
                    self._report(fd)

    def _order(self, orders: Orders) -> None:
        message, fds = orders.receive()
        if not message:
            orders.close()
            self._orders = None
            return
        pidfds: list[int] = []
        try:
            answer, pidfds = self._launch(parse(message, fds), fds)
        except (EnarxError, OSError) as e:
            answer = refusal(e)
        orders.answer(answer, pidfds)
        close([*fds, *pidfds])

    def _launch(self, order: Order, fds: list[int]) -> tuple[Answer, list[int]]:
        """Launch a Keep; if the zygote dies or hangs, try once more with a new one."""
        try:
            return self._try(order, fds)
        except UnavailableError as e:
            if e.code != DIED:
                raise
            return self._try(order, fds)

    def _try(self, order: Order, fds: list[int]) -> tuple[Answer, list[int]]:
        """Launch a Keep with the zygote at hand.

        A Keep reads its control socket only after the first message on its report link. A failed launch closes that link
        without one, so a Keep that the zygote may have forked exits.
        """
        if self._zygote.renew():
            self._measurement = None
        if self._measurement is None:
            self._measurement = self._measure()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                answer, pidfds = self._zygote.launch(order.message, [fds[0], theirs.fileno(), *fds[1:]])
        except EnarxError:
            ours.close()
            raise
        if not answer["ok"]:
            ours.close()
            return answer, pidfds
        self._keeps[ours.fileno()] = Keep(link=ours, host_data=order.host_data, measurement=self._measurement)
        self._send(ours.fileno(), {"host_data": order.host_data})
        return answer, pidfds

    def _measure(self) -> bytes:
        """Measure the files that the zygote was started from."""
        return measure(files(self._search), DigestCache(self._cache)).value

    def _report(self, fd: int) -> None:
        """Answer the Keep at the other end of a report link with evidence about it."""
        keep = self._keeps[fd]
        try:
            report_data = _report_data(keep.link.recv(MAX_MESSAGE, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return  # poll reported a link that was closed since; a new one has its number
        except (OSError, ParseError):
            self._forget(fd)
            return
        evidence = self._chip.sign(measurement=keep.measurement, host_data=keep.host_data, report_data=report_data)
        self._send(fd, {"evidence": evidence, "endorsements": [self._chip.certificate]})

    def _send(self, fd: int, value: Answer) -> None:
        """Send to a Keep without waiting: a Keep that does not read must not delay the others."""
        try:
            self._keeps[fd].link.send(encode(value), socket.MSG_DONTWAIT)
        except OSError:
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        self._keeps.pop(fd).link.close()


def _report_data(message: bytes) -> bytes:
    """Return the report data of a request; ParseError for any other message, and for the empty one that ends a link."""
    value: Any = decode(message, "report request")
    match value:
        case {"report_data": bytes(report_data)} if len(value) == 1 and len(report_data) == REPORT_DATA_SIZE:
            return report_data
    raise ParseError(
        "report-request", f"report request: wanted {REPORT_DATA_SIZE} bytes of report data", what="report request"
    )


def _undumpable() -> None:
    """Keep other processes of this user from reading the memory of the process that holds the root key."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise UnavailableError("hardware-exposed", "the simulated hardware cannot keep others from reading its memory")
