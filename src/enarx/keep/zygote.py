"""The zygote: a process that has loaded the Keep's code, holds no key, and is forked once for each Keep.

It is started from the measured files by the (simulated) hardware, takes its orders on descriptor 3 and answers there,
one packet each: CBOR with the descriptors beside it (docs/spec/host.md, "Hardware"). The host's cgroups for the Keep come
with the order, opened: the first process of a Keep joins them before it does anything else.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from typing import Any

import cryptography.hazmat.backends.openssl.backend  # noqa: F401  # made use of when there is no file to load it from

from enarx.errors import BackendError, EnarxError
from enarx.formats.wire import decode, encode
from enarx.keep import keeper, sandbox
from enarx.keep.children import Score

LINK = 3
MAX_ORDER = 64 << 10
LEAST_FDS, MAX_FDS = 2, 4
"""Beside an order: control socket, report link, and a cgroup's list of processes in at most two hierarchies."""


def main() -> None:
    """Serve launches until the link closes."""
    link = socket.socket(fileno=LINK)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Keeps are reaped by the kernel
    sandbox.adopt_orphans()
    gc.freeze()
    gc.enable()
    while True:
        try:
            order, fds, _, _ = socket.recv_fds(link, MAX_ORDER, MAX_FDS)
            if not order:
                return
            answer, pidfds = _launch(link, _map(order), fds)
            socket.send_fds(link, [encode(answer)], pidfds)
        except ConnectionError:
            return  # the hardware is gone, and with it the other ends of what this Keep was given
        for fd in (*fds, *pidfds):
            os.close(fd)


def _map(packet: bytes) -> dict[str, Any]:
    """The map in a packet of ours."""
    value: Any = decode(packet, "packet")
    return dict(value)


def _launch(link: socket.socket, order: dict[str, Any], fds: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Fork a Keep and gather what its two processes say of it."""
    if len(fds) < LEAST_FDS:
        raise OSError("descriptors are missing beside an order")  # the hardware starts another zygote, and tries again
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            link.close()
            ours.close()
            _outer(theirs, order, *fds)
        except Exception as e:  # noqa: BLE001  # nothing but its class may leave a Keep
            keeper.complain(e)
        finally:
            os._exit(0)
    theirs.close()
    answer: dict[str, Any] = {}
    pidfds: list[int] = []
    while True:
        part, more, _, _ = socket.recv_fds(ours, MAX_ORDER, 1)
        if not part:
            break
        answer |= _map(part)
        pidfds += more
    ours.close()
    return answer or {
        "ok": False,
        "code": "keep-died",
        "message": "the Keep ended while it started",
        "hint": "",
    }, pidfds


def _outer(answer: socket.socket, order: dict[str, Any], control: int, report: int, *groups: int) -> None:
    """The process between zygote and Keep: builds the walls, then forks the Keep's first process and goes."""
    try:
        _join(groups)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a child's number is its own until it is waited for
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sandbox.close_others(frozenset((0, 1, 2, answer.fileno(), control, report, proc)))
        skip = frozenset(order["skip_layers"])
        isolation = sandbox.isolate(skip=skip, disk=keeper.FIRST_DISK)
        pid = os.fork()
        if pid:
            keeper.tell(answer, {"pid": pid}, os.pidfd_open(pid))
            return
        score = Score(proc)
        os.close(proc)
        keeper.main(answer, isolation, order["limits"], skip, control=control, report=report, score=score)
    except EnarxError as e:
        keeper.tell(answer, _refusal(e))


def _join(groups: tuple[int, ...]) -> None:
    """Enter the cgroups that bound this Keep, with all that it is going to fork."""
    try:
        for fd in groups:
            os.write(fd, b"0")
    except OSError as e:
        raise BackendError("cgroup", f"the Keep cannot join its cgroup: {e.strerror}", hint="try again") from e


def _refusal(e: EnarxError) -> dict[str, Any]:
    checks = e.checks if isinstance(e, BackendError) else ()
    return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint, "checks": [list(c) for c in checks]}
