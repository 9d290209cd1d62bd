"""The host's orders to the simulator and its answers: one JSON packet each, with descriptors beside it."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from enarx.errors import EnarxError, ParseError
from enarx.formats.text import hex_bytes
from enarx.record import record

MAX_MESSAGE = 64 << 10
INT = 4
MAX_FDS = 3
"""Descriptors beside an order: the control socket, and `cgroup.procs` of up to two cgroups for the Keep."""

LIMITS = {"memory", "compile", "disk"}
Answer = dict[str, Any]


@record()
class Order:
    """An order to launch a Keep. `message` goes to the zygote; evidence about the Keep will contain `host_data`, 32 bytes."""

    message: Answer
    host_data: bytes


class Orders:
    """The simulator's end of the link to the host, descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self._link = socket.socket(fileno=fd)

    def fileno(self) -> int:
        """The link's descriptor, for poll."""
        return self._link.fileno()

    def receive(self) -> tuple[bytes, list[int]]:
        """Return the next packet and its descriptors; an empty packet means that the host closed the link."""
        try:
            return receive(self._link)
        except ConnectionResetError:  # the host closed it before it read the last answer
            return b"", []

    def answer(self, value: Answer, fds: list[int]) -> None:
        """Answer the last order. If the host is gone, nobody needs the answer, and nothing is raised."""
        try:
            socket.send_fds(self._link, [json.dumps(value).encode()], fds)
        except OSError:
            return

    def close(self) -> None:
        """Close the link to the host."""
        self._link.close()


def receive(link: socket.socket) -> tuple[bytes, list[int]]:
    """Receive a packet and the descriptors beside it, which are close-on-exec.

    A zygote started meanwhile would otherwise inherit a Keep's socket, whose other end would then never see it close.
    `socket.recv_fds` cannot be used: in Python 3.11 it ignores its flags.
    """
    room, flags = socket.CMSG_SPACE(MAX_FDS * INT), socket.MSG_CMSG_CLOEXEC
    message, ancillary, _, _ = link.recvmsg(MAX_MESSAGE, room, flags)
    data = b"".join(data for _, kind, data in ancillary if kind == socket.SCM_RIGHTS)
    return message, list(struct.unpack(f"={len(data) // INT}i", data[: len(data) // INT * INT]))


def parse(message: bytes, fds: list[int]) -> Order:
    """Return the order in a packet; ParseError if the packet has another form."""
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
    """Return the answer to an order that failed with `e`."""
    if isinstance(e, EnarxError):
        return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint}
    text = ": ".join(filter(None, (e.strerror, e.filename))) if isinstance(e, OSError) else type(e).__name__
    return {
        "ok": False,
        "code": "hardware-failed",
        "message": f"the simulated hardware failed: {text}",
        "hint": "check that its state directory belongs to the host's user, and that its disk is not full",
    }


def refuse_all(fd: int, e: Exception) -> None:
    """Refuse every order with the same error, until the host closes the link `fd`."""
    orders = Orders(fd)
    while True:
        message, fds = orders.receive()
        close(fds)
        if not message:
            orders.close()
            return
        orders.answer(refusal(e), [])


def close(fds: list[int]) -> None:
    """Close all descriptors of a packet."""
    for fd in fds:
        os.close(fd)


def _sizes(limits: dict[str, object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in limits.values())


def _hex32(text: str) -> bytes:
    try:
        return hex_bytes(text, 32)
    except ValueError:
        raise _fail("host_data is not 64 hexadecimal digits") from None


def _fail(message: str) -> ParseError:
    return ParseError("order", f"order to the simulated hardware: {message}", what="order")
