"""The host's orders to the simulated hardware, and the answers: JSON packets with descriptors beside them."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from enarx.errors import EnarxError, ParseError
from enarx.record import record

MAX_MESSAGE = 64 << 10
INT = 4
MAX_FDS = 3
"""Beside an order: the control socket, and what opens the host's cgroups for the Keep, one or two."""

LIMITS = {"memory", "compile", "disk"}
Answer = dict[str, Any]


@record()
class Order:
    """Launch a Keep: `message` is for the zygote, `host_data` (32 bytes) what evidence about the Keep will say."""

    message: Answer
    host_data: bytes


class Orders:
    """The link to the host, on the descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._link = socket.socket(fileno=fd)

    def fileno(self) -> int:
        """For poll."""
        return self._link.fileno()

    def receive(self) -> tuple[bytes, list[int]]:
        """The next packet and its descriptors; an empty one is the end."""
        return receive(self._link)

    def answer(self, value: Answer, fds: list[int]) -> None:
        """Answer the last one. A host that is gone needs none."""
        try:
            socket.send_fds(self._link, [json.dumps(value).encode()], fds)
        except OSError:
            return

    def close(self) -> None:
        """There will be no more."""
        self._link.close()


def receive(link: socket.socket) -> tuple[bytes, list[int]]:
    """A packet, and the descriptors beside it.

    No process that is started meanwhile inherits it, a zygote above all: it would keep the other end waiting for ever.
    (`socket.recv_fds` of Python 3.11 takes flags, and drops them.)
    """
    room, flags = socket.CMSG_SPACE(MAX_FDS * INT), socket.MSG_CMSG_CLOEXEC
    message, ancillary, _, _ = link.recvmsg(MAX_MESSAGE, room, flags)
    data = b"".join(data for _, kind, data in ancillary if kind == socket.SCM_RIGHTS)
    return message, list(struct.unpack(f"={len(data) // INT}i", data[: len(data) // INT * INT]))


def parse(message: bytes, fds: list[int]) -> Order:
    """The order in a packet; ParseError if it is none."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        value = None
    match value:
        case {"op": "launch", "host_data": str(host_data), "limits": dict(limits), "skip_layers": list(skip)}:
            known = len(value) == 4 and set(limits) == LIMITS and _sizes(limits) and all(type(n) is str for n in skip)
            if known and 1 <= len(fds) <= MAX_FDS:
                return Order(message=value, host_data=_hex32(host_data))
    wanted = "host_data, limits (memory, compile, disk) in bytes, skip_layers, a control socket and cgroups beside it"
    raise _fail(f"wanted a launch with {wanted}")


def refusal(e: Exception) -> Answer:
    """The answer that says what went wrong."""
    if isinstance(e, EnarxError):
        return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint}
    text = ": ".join(filter(None, (e.strerror, e.filename))) if isinstance(e, OSError) else type(e).__name__
    return {
        "ok": False,
        "code": "hardware-failed",
        "message": f"the simulated hardware failed: {text}",
        "hint": "its state directory has to be the host's own, on a disk that is not full",
    }


def refuse_all(fd: int, e: Exception) -> None:
    """Answer every order with what went wrong, until they end."""
    orders = Orders(fd)
    while True:
        message, fds = orders.receive()
        close(fds)
        if not message:
            orders.close()
            return
        orders.answer(refusal(e), [])


def close(fds: list[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def _sizes(limits: dict[str, object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in limits.values())


def _hex32(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or len(text) != 64:
        raise _fail("host_data is not 64 hexadecimal digits")
    return value


def _fail(said: str) -> ParseError:
    return ParseError("order", f"order to the simulated hardware: {said}", what="order")
