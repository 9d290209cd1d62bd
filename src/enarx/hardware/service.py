"""What the simulated hardware does once it is up: launches Keeps through its zygote, and signs their evidence."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import socket
from typing import Any

from enarx.errors import EnarxError
from enarx.formats.package import byte_strings
from enarx.formats.wire import decode, encode
from enarx.hardware import keys
from enarx.hardware.main import ORDERS, start_zygote
from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure

MAX_MESSAGE = 64 << 10
PR_SET_DUMPABLE = 4


class Service:
    """One machine's worth of simulated hardware. `zygote` is a descriptor, `search` where code is looked for."""

    def __init__(self, zygote: int, code: tuple[str, ...], search: tuple[str, ...], state: str, cache: str) -> None:
        _undumpable()
        self._orders: socket.socket | None = socket.socket(fileno=ORDERS)
        self._code = code
        self._zygote = socket.socket(fileno=zygote)
        self._reports: dict[int, tuple[socket.socket, bytes]] = {}
        self._chip = keys.load(state)
        gc.freeze()
        gc.enable()
        self._measurement = measure(files(search), DigestCache(f"{cache}/digests.json")).value

    def serve(self) -> None:
        """One loop over orders and report links."""
        while self._orders is not None or self._reports:
            poll = select.poll()
            for fd in (*([self._orders.fileno()] if self._orders is not None else []), *self._reports):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll():
                if self._orders is not None and fd == self._orders.fileno():
                    self._order()
                else:
                    self._report(fd)

    def _order(self) -> None:
        assert self._orders is not None  # polled
        message, fds, _, _ = socket.recv_fds(self._orders, MAX_MESSAGE, 1)
        if not message:
            self._orders.close()
            self._orders = None
            return
        answer, pidfds = self._launch(json.loads(message), fds)
        socket.send_fds(self._orders, [json.dumps(answer).encode()], pidfds)
        for fd in (*fds, *pidfds):
            os.close(fd)

    def _launch(self, order: dict[str, Any], fds: list[int]) -> tuple[dict[str, Any], list[int]]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            answer, pidfds = self._ask_zygote(encode(order), [*fds, theirs.fileno()])
        if not answer.get("ok"):
            ours.close()
            return answer, pidfds
        host_data = bytes.fromhex(order["host_data"])
        self._reports[ours.fileno()] = (ours, host_data)
        self._send(ours, {"host_data": host_data})
        return answer, pidfds

    def _ask_zygote(self, order: bytes, fds: list[int]) -> tuple[dict[str, Any], list[int]]:
        try:
            socket.send_fds(self._zygote, [order], fds)
            answer, pidfds, _, _ = socket.recv_fds(self._zygote, MAX_MESSAGE, 1)
        except OSError:
            answer, pidfds = b"", []
        if answer:
            return _map(answer), pidfds
        self._zygote.close()
        self._zygote = socket.socket(fileno=start_zygote(self._code))
        return {
            "ok": False,
            "code": "zygote-died",
            "message": "the zygote ended; a new one was started",
            "hint": "try again",
        }, []

    def _report(self, fd: int) -> None:
        """Evidence for the Keep at the other end of this link, about itself."""
        link, host_data = self._reports[fd]
        try:
            message = link.recv(MAX_MESSAGE)
            value: Any = decode(message, "report request") if message else None
            report_data = byte_strings([value["report_data"]], 64, "report data")[0]
        except (OSError, EnarxError, TypeError, KeyError):
            del self._reports[fd]
            link.close()
            return
        evidence = self._chip.sign(measurement=self._measurement, host_data=host_data, report_data=report_data)
        self._send(link, {"evidence": evidence, "endorsements": [self._chip.certificate]})

    def _send(self, link: socket.socket, value: dict[str, Any]) -> None:
        try:
            link.send(encode(value))
        except OSError:
            return  # the Keep is gone; its link's end is seen by the loop


def _map(packet: bytes) -> dict[str, Any]:
    value: Any = decode(packet, "zygote's answer")
    return dict(value)


def _undumpable() -> None:
    """Nobody of the same user may attach to the process that holds the root."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
