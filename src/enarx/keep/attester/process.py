"""The attester's process: forked by the keeper before there are keys, and confined before it asks the hardware anything.

It has two descriptors, the link to the keeper and the device, and neither the control socket nor a file. An attester that
needs directories or more system calls declares them in its class. If hardware or firmware takes the process over, it can
give bad evidence, which the tenant refuses, or none (tests/attacks, T45).
"""

from __future__ import annotations

import os
import socket
from typing import Any

from enarx.errors import ParseError, UnavailableError
from enarx.formats import bounds
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox
from enarx.keep.attester import Attester
from enarx.keep.attester.link import MAX_ANSWER
from enarx.keep.children import Child, fork

MAX_FILES = 16
MAX_REQUEST = 512
REPORT_DATA = 64


Ends = tuple[socket.socket, socket.socket]


def make_link() -> Ends:
    """Return both ends of a link, the keeper's first. Call it before the keeper's sandbox, which has no setsockopt."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_ANSWER)
    return ours, theirs


def spawn(attester: type[Attester], device: int, ends: Ends, *, skip: frozenset[str]) -> tuple[socket.socket, Child]:
    """Fork the attester and return the arguments of AttesterLink. Closes `device` here. Call it before creating keys."""
    ours, theirs = ends

    def work() -> None:
        sandbox.close_others(frozenset((theirs.fileno(), device)))
        sandbox.confine(
            attester.profile,
            skip=skip,
            nofile=MAX_FILES,
            nproc=bounds.processes(os.cpu_count() or 1),
            data=bounds.ATTESTER,
            read_write=attester.directories,
        )
        serve(theirs.fileno(), attester(device))

    child = fork(work)
    theirs.close()
    os.close(device)
    return ours, child


def serve(link: int, attester: Attester) -> None:
    """Answer requests until the keeper closes its end. `link` is a packet socket; `attester.link` has the messages."""
    os.write(link, encode({"kind": attester.kind, "host_data": attester.host_data}))
    while request := os.read(link, MAX_REQUEST):
        os.write(link, encode(_answer(attester, _report_data(request))))


def _answer(attester: Attester, report_data: bytes) -> dict[str, Any]:
    try:
        evidence, endorsements = attester.attest(report_data)
    except UnavailableError:
        return {}  # the device may be busy this time only
    return {"evidence": evidence, "endorsements": list(endorsements)}


def _report_data(request: bytes) -> bytes:
    value: Any = decode(request, "report request")
    match value:
        case {"report_data": bytes(report_data)} if len(value) == 1 and len(report_data) == REPORT_DATA:
            return report_data
    raise ParseError("report-request", f"report request: wanted {REPORT_DATA} bytes", what="report request")
